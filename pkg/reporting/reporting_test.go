package reporting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/requestid"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/tracing"
)

// newProject is a Sentry project that a Reporter reports to; what it gets comes after Close.
func newProject(t *testing.T) (r *Reporter, got func() string) {
	t.Helper()
	events := make(chan string, 16)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		events <- r.URL.Path + " " + string(body)
	}))
	t.Cleanup(server.Close)
	r, err := Open(secret.New(strings.Replace(server.URL, "http://", "http://publickey@", 1)+"/7"), "sender", "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	return r, func() string {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		close(events)
		var all strings.Builder
		for e := range events {
			all.WriteString(e)
		}
		return all.String()
	}
}

func request(t *testing.T) context.Context {
	t.Helper()
	ctx := requestid.With(t.Context(), "request-1")
	return tracing.Extract(ctx, http.Header{tracing.Traceparent: {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}})
}

func TestReportSaysWhereAndNotWhat(t *testing.T) {
	r, got := newProject(t)
	cause := errors.New("duplicate key: (email)=(reader@example.com)")
	r.Report(request(t), "/v1/auth/login", fmt.Errorf("keep reader@example.com: %w", errors.Join(cause)))
	text := got()
	for _, want := range []string{"/api/7/envelope/", `"/v1/auth/login"`, "request-1", "0af7651916cd43dd8448eb211c80319c", "*errors.errorString", "provisioner@1.2.3"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not say %s: %s", want, text)
		}
	}
	if strings.Contains(text, "reader@example.com") || strings.Contains(text, "duplicate") {
		t.Errorf("the report repeats the error: %s", text)
	}
}

func TestReportOfAPanic(t *testing.T) {
	r, got := newProject(t)
	func() {
		defer func() { r.Report(request(t), "/send", fmt.Errorf("serve: %w", NewPanic(recover()))) }()
		panic("a value with reader@example.com")
	}()
	text := got()
	if !strings.Contains(text, "panic(string)") || !strings.Contains(text, "TestReportOfAPanic") {
		t.Errorf("the report does not say where: %s", text)
	}
	if strings.Contains(text, "reader@example.com") {
		t.Errorf("the report repeats the value: %s", text)
	}
}

func TestPanicForTheLog(t *testing.T) {
	var err error
	func() {
		defer func() { err = NewPanic(recover()) }()
		panic("a value")
	}()
	if text := err.Error(); !strings.HasPrefix(text, "panic: a value\n") || !strings.Contains(text, "reporting_test.go:") {
		t.Error(text)
	}
}

func TestUnreachableProject(t *testing.T) {
	r, err := Open(secret.New("http://key@127.0.0.1:1/7"), "sender", "1")
	if err != nil {
		t.Fatal(err)
	}
	r.Report(request(t), "/send", errors.New("x"))
	_ = r.Close() // ends, whatever it says
}

func TestOpenDoesNotRepeatTheDSN(t *testing.T) {
	if _, err := Open(secret.New("http://hush-hush@/x"), "sender", "1"); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("Open() = %v", err)
	}
}
