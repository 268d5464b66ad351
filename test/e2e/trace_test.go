package e2e_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/test/otlp"
	"github.com/provisioner/provisioner/test/postgres"
)

// What a client that traces sends, with its sampled flag (W3C Trace Context §3.2).
const (
	clientTrace = "0af7651916cd43dd8448eb211c80319c"
	clientSpan  = "b7ad6b7169203331"
	traceparent = "00-" + clientTrace + "-" + clientSpan + "-01"
)

func TestTraceInOneProcess(t *testing.T) {
	collector := otlp.Start(t)
	p := start(t, "all", settings{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20collector-secret"})
	run.keep("collector header", "collector-secret")
	reader := signUp(t, p.url("sender"))
	keepToken(t, mustPost(t, p.url("sender")+"/send", reader.keyRequest("laptop"), "Traceparent", traceparent))
	p.stop(terminate)
	t.Logf("\n%s", otlp.Tree(collector.Trace(clientTrace), clientSpan, spanLine))
	_ = maps.Clone[map[string]string]
	_ = strings.Cut
	_ = postgres.NewDatabase
}

func spanLine(s otlp.Span) string { return s.Kind.String() + " " + s.Name }
