package server

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/requestid"
)

func TestRefusalsAreJSON(t *testing.T) {
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, req.Method)
	}))
	r.Add(Service{Name: "papyrus", Addr: "127.0.0.1:0", Handler: http.NotFoundHandler(), Dialect: apierror.Nested})
	ctx, cancel := context.WithCancel(t.Context())
	r.run(ctx, t)
	for _, tt := range []struct {
		name, service, request string
		status                 int
		body                   string
	}{
		{
			"too large headers", "sender", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 21<<10) + "\r\n\r\n",
			431, `{"error":"request header fields too large","code":"REQUEST_HEADER_FIELDS_TOO_LARGE"}`,
		},
		{"no HTTP at all", "sender", "hello\r\n\r\n", 400, `{"error":"bad request","code":"BAD_REQUEST"}`},
		{"no host", "sender", "GET / HTTP/1.1\r\n\r\n", 400, `{"error":"bad request","code":"BAD_REQUEST"}`},
		{"an unknown version", "sender", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, `{"error":"http version not supported","code":"HTTP_VERSION_NOT_SUPPORTED"}`},
		{
			"an unknown encoding", "sender", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: rot13\r\n\r\n",
			501, `{"error":"not implemented","code":"NOT_IMPLEMENTED"}`,
		},
		{"an unknown expectation", "sender", "POST / HTTP/1.1\r\nHost: a\r\nExpect: cake\r\n\r\n", 417, `{"error":"expectation failed","code":"EXPECTATION_FAILED"}`},
		{"in the dialect of the service", "papyrus", "hello\r\n\r\n", 400, `{"error":{"code":"BAD_REQUEST","message":"bad request","details":{}}}`},
		{"what the handler says passes", "sender", "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 418, "PUT"},
		{"OPTIONS * is the handler's", "sender", "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 418, "OPTIONS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := exchange(t, r.addrs[tt.service], tt.request)
			if a.status != tt.status || a.body != tt.body {
				t.Errorf("got %d %s, want %d %s", a.status, a.body, tt.status, tt.body)
			}
			if json.Valid([]byte(a.body)) &&
				(a.header.Get("Content-Type") != "application/json; charset=utf-8" || a.header.Get(requestid.Header) == "" || !a.closing) {
				t.Errorf("headers: %v, closing: %t", a.header, a.closing)
			}
		})
	}
	cancel()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

// exchange sends request as it is.
func exchange(t *testing.T, addr, request string) answer {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAnswer(resp)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRefusalStatusLeavesAnswersAlone(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 400 Bad Request\r\nDate: now" + refusalHeader + "x",
		"HTTP/1.1 400 Bad Request" + refusalHeader + "two\r\nlines",
		"HTTP/1.1 400 Bad Request" + refusalHeader + strings.Repeat("x", 512),
		"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 ", "400 Bad Request" + refusalHeader, "",
	} {
		if got := refusalStatus([]byte(answer)); got != 0 {
			t.Errorf("refusalStatus(%q) = %d", answer, got)
		}
	}
}
