package server

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
	"go.opentelemetry.io/otel/trace"

	"github.com/provisioner/provisioner/pkg/requestid"
)

// NewLogger returns a logger onto w of what has at least level. The format is "text", for people, in colour if w is a
// terminal; "json", with slog's keys and times in UTC; anything else, as "auto", is text on a terminal and JSON otherwise.
// Records made with the context of a request have its id as request_id, those within a trace its id as trace_id, and the span's as
// span_id where it is recorded.
func NewLogger(w io.Writer, format string, level slog.Level) *slog.Logger {
	terminal := isTerminal(w)
	if format == "text" || format != "json" && terminal {
		return slog.New(contextHandler{Handler: tint.NewTextHandler(w, &tint.Options{
			Level: level, TimeFormat: time.TimeOnly, NoColor: !terminal,
		})})
	}
	return slog.New(contextHandler{Handler: slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}), utc: true})
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && (isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()))
}

// contextHandler adds what the context knows.
type contextHandler struct {
	slog.Handler
	utc bool
}

// Handle implements [slog.Handler].
func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.utc {
		r.Time = r.Time.UTC()
	}
	if id := requestid.From(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	if span := trace.SpanFromContext(ctx); span.SpanContext().HasTraceID() {
		r.AddAttrs(slog.String("trace_id", span.SpanContext().TraceID().String()))
		if span.IsRecording() {
			r.AddAttrs(slog.String("span_id", span.SpanContext().SpanID().String()))
		}
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{Handler: h.Handler.WithAttrs(attrs), utc: h.utc}
}

// WithGroup implements [slog.Handler].
func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{Handler: h.Handler.WithGroup(name), utc: h.utc}
}
