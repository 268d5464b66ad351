package server

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/provisioner/provisioner/pkg/requestid"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/tracing"
)

func TestLoggerFormats(t *testing.T) {
	for _, tt := range []struct{ name, format, want string }{
		{"JSON", "json", `^\{"time":"[-0-9]{10}T[:.0-9]+Z","level":"INFO","msg":"hello","service":"sender","key":"\[redacted\]","request_id":"r1"\}\n$`},
		{"text without a terminal has no colour", "text", `^[:0-9]{8} INF hello service=sender key=\[redacted\] request_id=r1\n$`},
		{"auto is JSON without a terminal", "auto", `^\{"time"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			log := NewLogger(&out, tt.format, slog.LevelInfo).With("service", "sender")
			ctx := requestid.With(t.Context(), "r1")
			log.DebugContext(ctx, "hidden")
			log.InfoContext(ctx, "hello", "key", secret.New("s3cret"))
			if !regexp.MustCompile(tt.want).MatchString(out.String()) {
				t.Errorf("logged %q, want %s", out.String(), tt.want)
			}
		})
	}
}

// TestLoggerNamesTheTrace holds that lines name the trace of their request, and the span where it is recorded.
func TestLoggerNamesTheTrace(t *testing.T) {
	const traceID = "0af7651916cd43dd8448eb211c80319c"
	named := tracing.Extract(t.Context(), http.Header{tracing.Traceparent: {"00-" + traceID + "-b7ad6b7169203331-01"}})
	recorded, span := sdk.NewTracerProvider().Tracer("").Start(named, "GET /")
	defer span.End()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		want string
	}{
		{"no trace", t.Context(), "}\n"},
		{"a caller's trace", named, `,"trace_id":"` + traceID + "\"}\n"},
		{"a span", recorded, `,"trace_id":"` + traceID + `","span_id":"` + span.SpanContext().SpanID().String() + "\"}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			NewLogger(&out, "json", slog.LevelInfo).InfoContext(tt.ctx, "hello")
			if want := `"msg":"hello"` + tt.want; !strings.HasSuffix(out.String(), want) {
				t.Errorf("logged %q, want %q at the end", out.String(), want)
			}
		})
	}
}

func TestLoggerWithoutRequest(t *testing.T) {
	var out bytes.Buffer
	log := NewLogger(&out, "json", slog.LevelInfo).WithGroup("g")
	log.InfoContext(context.Background(), "hello", "a", 1)
	var line struct {
		Time time.Time
		G    map[string]int
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Time.Location() != time.UTC || len(line.G) != 1 {
		t.Errorf("logged %s: %v", out.String(), err)
	}
}

func TestFileIsNoTerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	NewLogger(f, "auto", slog.LevelInfo).Info("hello")
	if out, err := os.ReadFile(f.Name()); err != nil || !strings.HasPrefix(string(out), "{") {
		t.Errorf("logged %q, %v", out, err)
	}
}
