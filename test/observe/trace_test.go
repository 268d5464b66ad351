package observe_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/test/otlp"
	"github.com/provisioner/provisioner/test/postgres"
	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/wire"
)

var update = flag.Bool("update", false, "write the trace of docs/observability.md")

// What a client that traces sends, with its sampled flag (W3C Trace Context §3.2).
const (
	clientTrace = "0af7651916cd43dd8448eb211c80319c"
	clientSpan  = "b7ad6b7169203331"
	traceparent = "00-" + clientTrace + "-" + clientSpan + "-01"
)

// installation is the services of one test, which end with it or before.
type installation struct {
	sender string // base URL
	all    []*program.Process
}

// stop ends the services, so that the last spans are sent.
func (in installation) stop() {
	for _, p := range in.all {
		p.Stop(syscall.SIGTERM)
	}
}

// together runs the services in one process on SQLite.
func together(t *testing.T, s program.Settings) installation {
	t.Helper()
	p := program.Start(t, "all", s)
	return installation{p.URL("sender"), []*program.Process{p}}
}

// apart runs the services in three processes on Postgres, each the trusted caller of the next.
func apart(t *testing.T, s program.Settings) installation {
	t.Helper()
	s = program.Keyring("k1").With(program.Settings{
		"DATABASE_URL": postgres.NewDatabase(t), "DATA_DIR": filepath.Join(t.TempDir(), "data"), "TRUSTED_PROXIES": "127.0.0.1",
		"SUPABASE_ANON_KEY": record.NewSecret("anon key"), "SEAL_KEY": record.NewSecret("seal key"), "REFRESH_TOKEN_KEY": record.NewSecret("refresh key"),
		"ACCESS_JWT_PRIVATE_KEY": program.NewAccessKey(t),
	}).With(s)
	papyrus := program.Start(t, "papyrus", s)
	s = s.With(program.Settings{"SUPABASE_URL": papyrus.URL("papyrus")})
	receiver := program.Start(t, "receiver", s)
	sender := program.Start(t, "sender", s.With(program.Settings{"RECEIVER_WORKER_URL": receiver.URL("receiver")}))
	return installation{sender.URL("sender"), []*program.Process{sender, receiver, papyrus}}
}

// traced runs an installation, asks it for a key as a client with the traceparent does, and stops it.
func traced(t *testing.T, run func(*testing.T, program.Settings) installation, s program.Settings) *otlp.Collector {
	t.Helper()
	collector := otlp.Start(t)
	in := run(t, program.Settings{
		"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "OTEL_EXPORTER_OTLP_HEADERS": "authorization=" + record.NewSecret("collector header"),
	}.With(s))
	user, err := client.SignUp(in.sender)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Post(in.sender+"/send", user.KeyRequest("laptop"), "Traceparent", traceparent, "Baggage", "user=1")
	if err == nil {
		_, err = wire.KeepToken(answer)
	}
	if err != nil {
		t.Fatal(err)
	}
	in.stop()
	record.See("spans of "+t.Name(), collector.Raw())
	return collector
}

// inDocs finds the trace that the documentation shows.
var inDocs = regexp.MustCompile("(?s)```trace\n(.*?)```")

// TestTraceOfTheDocs holds that the documentation shows the trace as it is: over two hops and to the statements in Postgres.
func TestTraceOfTheDocs(t *testing.T) {
	const page = "docs/observability.md"
	collector := traced(t, apart, nil)
	got := "traceparent: " + traceparent + "\n" + otlp.Tree(collector.Trace(clientTrace), clientSpan, line)
	text := read(t, page)
	shown := inDocs.FindStringSubmatchIndex(text)
	if shown == nil {
		t.Fatalf("%s shows no trace", page)
	}
	if *update {
		text = text[:shown[2]] + got + text[shown[3]:]
		if err := os.WriteFile(root+"/"+page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(text[shown[2]:shown[3]], got); diff != "" {
		t.Errorf("%s is out of date (run go test ./test/observe -run Docs -update):\n%s", page, diff)
	}
}

// line is a span as the documentation shows it.
func line(s otlp.Span) string {
	kind := map[string]string{"SPAN_KIND_SERVER": "server", "SPAN_KIND_CLIENT": "client", "SPAN_KIND_INTERNAL": "inside"}[s.Kind.String()]
	if system := s.Attributes["db.system.name"]; system != "" {
		kind = system
	}
	return fmt.Sprintf("%s %s (%s)", kind, s.Name, s.Service)
}

// TestTraceReachesSQL holds what every trace of a key has, in one process with SQLite.
func TestTraceReachesSQL(t *testing.T) {
	collector := traced(t, together, nil)
	tree := otlp.Tree(collector.Trace(clientTrace), clientSpan, func(s otlp.Span) string { return s.Name })
	at := 0
	for _, want := range []string{
		"POST /send\n", "\n  POST /inbox\n", "\n    POST /inbox\n", "\n      commit admissions\n", "\n        COMMIT\n",
		"\n      POST /functions/v1/api-keys-create\n", "\n        POST /functions/v1/api-keys-create\n", "INSERT api_keys\n",
	} {
		next := strings.Index(tree[at:], want)
		if next < 0 {
			t.Fatalf("the trace has no %q where it belongs:\n%s", want, tree)
		}
		at += next
	}
	for _, s := range collector.Trace(clientTrace) {
		text := s.Attributes["db.query.text"]
		if s.Attributes["db.system.name"] != "" && text == "" {
			t.Errorf("%s has no text", s.Name)
		}
		if strings.Contains(text, "@") {
			t.Errorf("%s holds a value: %s", s.Name, text)
		}
	}
}

// TestClientsDoNotHaveTracesRecorded holds that a client's sampled flag has no say, and that no request has where nothing is recorded.
func TestClientsDoNotHaveTracesRecorded(t *testing.T) {
	for name, run := range map[string]func(*testing.T, program.Settings) installation{"together": together, "apart": apart} {
		t.Run(name, func(t *testing.T) {
			if spans := traced(t, run, program.Settings{"OTEL_TRACES_SAMPLER_ARG": "0"}).Spans(); len(spans) > 0 {
				t.Errorf("%d spans, such as %+v", len(spans), spans[0])
			}
		})
	}
}

// TestStreamsHaveNoSpan holds that a stream, which may last for days, is no operation of a trace, nor what it reads.
func TestStreamsHaveNoSpan(t *testing.T) {
	collector := otlp.Start(t)
	p := program.Start(t, "all", program.Settings{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL})
	user, err := client.SignUp(p.URL("sender"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := client.Post(p.URL("papyrus")+"/v1/auth/powersync-token", "", "Authorization", "Bearer "+user.JWT)
	if err != nil || token.Status != http.StatusOK {
		t.Fatal(token, err)
	}
	record.Keep("sync token", token.Member("token"))
	ctx, leave := context.WithTimeout(t.Context(), time.Minute)
	defer leave()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL("papyrus")+"/sync/stream", strings.NewReader(`{"raw_data":true}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Authorization": {"Token " + token.Member("token")}, "Content-Type": {"application/json"}, "Traceparent": {traceparent}}
	stream, err := client.Do(r)
	if err != nil || stream.StatusCode != http.StatusOK {
		t.Fatal(stream, err)
	}
	defer stream.Body.Close()
	if _, err := stream.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	leave()
	p.Stop(syscall.SIGTERM)
	if spans := collector.Trace(clientTrace); len(spans) > 0 {
		t.Errorf("the stream has spans: %+v", spans)
	}
	if !slices.ContainsFunc(collector.Spans(), func(s otlp.Span) bool { return s.Name == "POST /v1/auth/powersync-token" }) {
		t.Error("the request before it has none")
	}
}

// TestLogsCarryTheTrace holds that the lines of all three services name the client's trace, recorded or not.
func TestLogsCarryTheTrace(t *testing.T) {
	in := apart(t, nil)
	user, err := client.SignUp(in.sender)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Post(in.sender+"/send", user.KeyRequest("laptop"), "Traceparent", traceparent)
	if err == nil {
		_, err = wire.KeepToken(answer)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range in.all {
		program.Eventually(t, "a line names the trace", func() bool {
			return strings.Contains(p.Output(), `"trace_id":"`+clientTrace+`"`)
		})
	}
}
