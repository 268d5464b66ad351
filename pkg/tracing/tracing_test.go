package tracing

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/test/otlp"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// named returns a context in the trace of traceparent.
func named(t *testing.T) context.Context {
	t.Helper()
	return Extract(t.Context(), http.Header{Traceparent: {traceparent}})
}

func newRecorder(ratio float64) (*Provider, *tracetest.SpanRecorder) {
	r := tracetest.NewSpanRecorder()
	return newProvider(Config{Ratio: ratio}, r), r
}

func TestExtract(t *testing.T) {
	for _, tt := range []struct {
		name    string
		values  []string
		follows bool
	}{
		{"one", []string{traceparent}, true},
		{"none", nil, false},
		{"two are nobody's", []string{traceparent, traceparent}, false},
		{"no hex", []string{"00-a-b-01"}, false},
		{"an id of zeros", []string{"00-00000000000000000000000000000000-b7ad6b7169203331-01"}, false},
		{"a long text", []string{strings.Repeat("0", 1<<14)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{Traceparent: tt.values, "Tracestate": {"a=b"}, "Baggage": {"user=1"}}
			ctx := Extract(t.Context(), h)
			out := http.Header{}
			Inject(ctx, out)
			want := http.Header{}
			if tt.follows {
				want = http.Header{Traceparent: {traceparent}, "Tracestate": {"a=b"}}
			}
			if len(out) != len(want) || out.Get(Traceparent) != want.Get(Traceparent) || out.Get("Tracestate") != want.Get("Tracestate") {
				t.Errorf("goes on as %v, want %v", out, want)
			}
		})
	}
}

// TestStrangersDoNotChoose holds that neither the flag nor the id of a stranger's trace has it recorded.
func TestStrangersDoNotChoose(t *testing.T) {
	low := Extract(t.Context(), http.Header{Traceparent: {"00-00000000000000000000000000000001-b7ad6b7169203331-01"}})
	unflagged := Extract(t.Context(), http.Header{Traceparent: {strings.TrimSuffix(traceparent, "1") + "0"}})
	for _, tt := range []struct {
		name  string
		ctx   context.Context
		ratio float64
		want  bool
	}{
		{"a flag", named(t), 0, false},
		{"a flag with an id that a ratio of ids would take", low, 0, false},
		{"no flag, where all is recorded", unflagged, 1, true},
		{"no trace", t.Context(), 0, false},
		{"a trusted caller's flag", Trust(named(t)), 0, true},
		{"a trusted caller without flag", Trust(unflagged), 1, false},
		{"a trusted caller without trace", Trust(t.Context()), 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, r := newRecorder(tt.ratio)
			ctx, span := p.Tracer(Scope).Start(tt.ctx, "outer")
			_, inner := p.Tracer(Scope).Start(ctx, "inner")
			inner.End()
			span.End()
			if n := len(r.Ended()); (n == 2) != tt.want || n == 1 {
				t.Errorf("%d of 2 spans are recorded, want them: %t", n, tt.want)
			}
			if from := trace.SpanContextFromContext(tt.ctx); from.IsValid() && span.SpanContext().TraceID() != from.TraceID() {
				t.Errorf("the trace of the caller does not go on: %v", span.SpanContext())
			}
		})
	}
}

func TestSharesOfTraces(t *testing.T) {
	const tries = 10_000
	p, r := newRecorder(0.25)
	for range tries {
		_, span := p.Tracer(Scope).Start(named(t), "GET /")
		span.End()
	}
	if n := len(r.Ended()); n < tries/5 || n > tries*3/10 {
		t.Errorf("of %d with one trace id, %d are recorded", tries, n)
	}
}

func TestFollowingIsBounded(t *testing.T) {
	p, r := newRecorder(0)
	for range 10 * followed {
		_, span := p.Tracer(Scope).Start(Trust(named(t)), "GET /")
		span.End()
	}
	if n := len(r.Ended()); n < followed || n > 5*followed {
		t.Errorf("%d traces are recorded because a proxy passed their flag on", n)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTransport(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		err    error
		failed bool
	}{
		{"an answer", 200, nil, false},
		{"a refusal", 409, nil, true},
		{"no answer", 0, errors.New("dial 10.0.0.1: secret"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, r := newRecorder(1)
			var sent http.Header
			peer := p.Transport("receiver", roundTripper(func(r *http.Request) (*http.Response, error) {
				sent = r.Header
				return &http.Response{StatusCode: tt.status, Body: http.NoBody}, tt.err
			}))
			req := httptest.NewRequestWithContext(named(t), http.MethodPost, "http://u:pw@receiver.test/inbox?q=secret", http.NoBody)
			req.Header.Set(Traceparent, "kept")
			if _, err := peer.RoundTrip(req); !errors.Is(err, tt.err) {
				t.Errorf("RoundTrip() = %v", err)
			}

			span := r.Ended()[0]
			if want := "00-" + span.SpanContext().TraceID().String() + "-" + span.SpanContext().SpanID().String() + "-01"; sent.Get(Traceparent) != want {
				t.Errorf("the peer got %q, want %q", sent.Get(Traceparent), want)
			}
			if req.Header.Get(Traceparent) != "kept" {
				t.Error("the caller's request was changed")
			}
			if failed := span.Status().Code == 1; span.Name() != "POST /inbox" || failed != tt.failed || span.Status().Description != "" {
				t.Errorf("%s, %+v", span.Name(), span.Status())
			}
			for _, a := range span.Attributes() {
				if strings.Contains(a.Value.String(), "secret") || strings.Contains(a.Value.String(), "pw") {
					t.Errorf("%s = %s", a.Key, a.Value.String())
				}
			}
		})
	}
}

func TestSpansReachTheCollector(t *testing.T) {
	collector, metrics := otlp.Start(t), prometheus.NewRegistry()
	p, err := Open(t.Context(), Config{
		Endpoint: collector.URL, Headers: map[string]secret.Text{"Authorization": secret.New("Bearer x")}, Ratio: 1, Service: "edge", Version: "1",
	}, metrics)
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.Tracer(Scope).Start(named(t), "GET /")
	span.End()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	got := collector.Spans()
	if len(got) != 1 || got[0].Service != "edge" || got[0].Parent != "b7ad6b7169203331" || collector.Header().Get("Authorization") != "Bearer x" {
		t.Errorf("the collector has %+v by %v", got, collector.Header())
	}
	checkCounts(t, metrics, "0", "1")
}

func TestLostSpansAreCounted(t *testing.T) {
	metrics := prometheus.NewRegistry()
	down := sdk.SpanExporter(&failing{})
	p := newProvider(Config{Ratio: 1}, sdk.NewSimpleSpanProcessor(count(down, metrics)))
	_, span := p.Tracer(Scope).Start(t.Context(), "GET /")
	span.End()
	checkCounts(t, metrics, "1", "0")
}

type failing struct{ sdk.SpanExporter }

func (failing) ExportSpans(context.Context, []sdk.ReadOnlySpan) error { return errors.New("down") }

func checkCounts(t *testing.T, metrics prometheus.Gatherer, lost, sent string) {
	t.Helper()
	want := `# HELP provisioner_trace_spans_total Spans that the collector was to get, by whether it did.
# TYPE provisioner_trace_spans_total counter
provisioner_trace_spans_total{result="lost"} ` + lost + `
provisioner_trace_spans_total{result="sent"} ` + sent + "\n"
	if err := testutil.GatherAndCompare(metrics, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
