// Package reporting tells a Sentry project of what goes wrong inside: where, of what kind, and in which request. What was said, by
// users or by errors, it keeps to itself; the log has the errors, found by the id of the request.
package reporting

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/getsentry/sentry-go"
	"go.opentelemetry.io/otel/trace"

	"github.com/provisioner/provisioner/pkg/requestid"
	"github.com/provisioner/provisioner/pkg/secret"
)

// flushTimeout is how long the last reports have to get to the project.
const flushTimeout = 2 * time.Second

// Reporter sends reports in the background. Those that come faster than they can be sent are dropped.
type Reporter struct {
	client  *sentry.Client
	service string
}

var errDSN = errors.New("SENTRY_DSN is not one that Sentry understands")

// Open returns a Reporter to the project of the DSN, for a service of a version. It does not connect.
func Open(dsn secret.Text, service, version string) (*Reporter, error) {
	client, err := sentry.NewClient(sentry.ClientOptions{
		Dsn: dsn.Reveal(), Release: "provisioner@" + version, ServerName: service,
		// None: they read the environment, the modules and the source.
		Integrations: func([]sentry.Integration) []sentry.Integration { return nil },
	})
	if err != nil {
		return nil, errDSN // the cause may repeat the DSN
	}
	return &Reporter{client: client, service: service}, nil
}

// Close sends what is left, for a few seconds at most.
func (r *Reporter) Close() error {
	sent := r.client.Flush(flushTimeout)
	r.client.Close()
	if !sent {
		return errors.New("the last reports of errors were not sent")
	}
	return nil
}

// Report reports err, which a request of ctx on a route came to.
func (r *Reporter) Report(ctx context.Context, route string, err error) {
	event := sentry.NewEvent()
	event.Level, event.Transaction = sentry.LevelError, route
	event.Tags = map[string]string{"route": route, "request_id": requestid.From(ctx), "service": r.service}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		event.Tags["trace_id"] = span.TraceID().String()
	}
	kinds := kindsOf(err)
	event.Fingerprint = append([]string{route}, kinds...)
	exception := sentry.Exception{Type: kinds[len(kinds)-1], Value: strings.Join(kinds, ": ")}
	if p, ok := errors.AsType[*Panic](err); ok {
		exception.Type, exception.Stacktrace = fmt.Sprintf("panic(%T)", p.value), p.trace()
	}
	event.Exception = []sentry.Exception{exception}
	r.client.CaptureEvent(event, nil, nil)
}

// kindsOf returns the types of err and of what it wraps, the outermost first; at least one.
func kindsOf(err error) []string {
	var kinds []string
	for err != nil {
		kinds = append(kinds, fmt.Sprintf("%T", err))
		if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 {
			err = joined.Unwrap()[0]
			continue
		}
		err = errors.Unwrap(err)
	}
	return kinds
}

// Panic is the error that a panic became.
type Panic struct {
	value any
	stack []uintptr
}

// maxDepth is how many calls of a stack are kept.
const maxDepth = 64

// NewPanic returns the error for a value that was recovered, with the stack of the deferred function that calls it.
func NewPanic(value any) *Panic {
	stack := make([]uintptr, maxDepth)
	return &Panic{value: value, stack: stack[:runtime.Callers(2, stack)]}
}

// Error describes the panic for the log, the stack included.
func (p *Panic) Error() string {
	var out strings.Builder
	fmt.Fprintf(&out, "panic: %v", p.value)
	for f := range p.frames() {
		fmt.Fprintf(&out, "\n%s\n\t%s:%d", f.Function, f.File, f.Line)
	}
	return out.String()
}

func (p *Panic) frames() func(yield func(runtime.Frame) bool) {
	return func(yield func(runtime.Frame) bool) {
		frames := runtime.CallersFrames(p.stack)
		for more := len(p.stack) > 0; more; {
			var f runtime.Frame
			if f, more = frames.Next(); !yield(f) {
				return
			}
		}
	}
}

// trace is the stack as Sentry wants it, the innermost call last.
func (p *Panic) trace() *sentry.Stacktrace {
	var frames []sentry.Frame
	for f := range p.frames() {
		frames = append(frames, sentry.NewFrame(f))
	}
	slices.Reverse(frames)
	return &sentry.Stacktrace{Frames: frames}
}
