package observe_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/provisioner/provisioner/test/otlp"
	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/wire"
)

// families parses the page of /metrics.
func families(t *testing.T, p *program.Process) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	found, err := parser.TextToMetricFamilies(strings.NewReader(p.Metrics()))
	if err != nil || len(found) == 0 {
		t.Fatal("no metrics", err)
	}
	return found
}

// ours are the metrics that we name; the others are named by Prometheus's own library.
func ours(name string) bool { return strings.HasPrefix(name, "provisioner_") }

// asked has users and strangers use all services.
func asked(t *testing.T, in installation, papyrus string) {
	t.Helper()
	user, err := client.SignUp(in.sender)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Post(in.sender+"/send", user.KeyRequest("laptop"))
	if err == nil {
		_, err = wire.KeepToken(answer)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		hostile := fmt.Sprintf("evil-%d", i)
		for _, base := range []string{in.sender, papyrus} {
			for _, r := range [][2]string{{"GET", "/" + hostile}, {strings.ToUpper(hostile), "/send"}, {"POST", "/v1/" + hostile}, {"GET", "/auth/v1/user?" + hostile}} {
				if _, err := client.Call(r[0], base+r[1], "{}", "X-Request-Id", hostile, "X-Key-Id", hostile, "Traceparent", hostile, "Origin", "https://"+hostile); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// plain is what a value of a label may look like: what we or the program's Go version name, never what a caller sends.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./:*+()-]*$`)

// maxSeries bounds what one process has in all.
const maxSeries = 2500

// TestMetrics holds that the metrics follow Prometheus's rules, and that no caller can have new series made without end.
func TestMetrics(t *testing.T) {
	p := program.Start(t, "all", nil)
	asked(t, installation{sender: p.URL("sender")}, p.URL("papyrus"))
	found := families(t, p)

	var all []*dto.MetricFamily
	series := 0
	for name, f := range found {
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
		for _, m := range f.GetMetric() {
			series += max(1, len(m.GetHistogram().GetBucket()))
			for _, l := range m.GetLabel() {
				if !plain.MatchString(l.GetValue()) || strings.Contains(strings.ToLower(l.GetValue()), "evil") {
					t.Errorf("%s has %s=%q", name, l.GetName(), l.GetValue())
				}
			}
		}
		if ours(name) {
			all = append(all, f)
		}
	}
	if series > maxSeries {
		t.Errorf("%d series", series)
	}
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	problems, err := testutil.GatherAndLint(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return all, nil }))
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}

// named finds the names of metrics in a query: what is no function, keyword or label.
var named = regexp.MustCompile(`\b(?:provisioner|go|process)_[a-z0-9_]+\b|\bprovisioner:[a-z0-9_:]+\b`)

// TestQueriesAskForWhatThereIs holds that each metric in the rules, the dashboard and the runbook is one of a running installation.
func TestQueriesAskForWhatThereIs(t *testing.T) {
	collector := otlp.Start(t)
	in := apart(t, program.Settings{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "KEY_ROTATION_DATES": `{"k1":"2026-01-31"}`})
	asked(t, in, in.all[2].URL("papyrus"))
	there := map[string]bool{}
	for _, p := range in.all {
		for name, f := range families(t, p) {
			there[name] = true
			if f.GetType() == dto.MetricType_HISTOGRAM {
				there[name+"_bucket"], there[name+"_sum"], there[name+"_count"] = true, true, true
			}
		}
	}
	queries := append(shown(t), told(t)...)
	for _, r := range rules(t) {
		there[r.Record] = true
		queries = append(queries, query{"rule " + r.Alert + r.Record, r.Expr})
	}
	for _, q := range queries {
		for _, name := range named.FindAllString(q.expr, -1) {
			if !there[name] {
				t.Errorf("%s asks for %s, which no service has", q.where, name)
			}
		}
	}
	if a, err := client.Get(in.all[0].URL("admin") + "/metrics"); err != nil || a.Status != http.StatusOK {
		t.Error(a.Status, err)
	}
}
