package observe_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const observability = root + "/config/observability"

// promtool runs Prometheus's own tool in config/observability.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Dir = observability
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestRules has Prometheus read the rules and the example, and shows for each alert what makes it fire and what does not.
func TestRules(t *testing.T) {
	promtool(t, "check", "config", "prometheus.yaml")
	promtool(t, "test", "rules", "rules_test.yaml")
	tests := read(t, "config/observability/rules_test.yaml")
	for _, a := range alerts(t) {
		for _, what := range []string{" fires\n", " is quiet\n"} {
			if !strings.Contains(tests, "name: "+a.Alert+what) {
				t.Errorf("no test says when %s%s", a.Alert, what)
			}
		}
	}
}

// rule is an alert, or a record.
type rule struct {
	Alert, Record, Expr string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal([]byte(read(t, "config/observability/rules.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func alerts(t *testing.T) []rule {
	t.Helper()
	all := slices.DeleteFunc(rules(t), func(r rule) bool { return r.Alert == "" })
	if len(all) == 0 {
		t.Fatal("no alerts")
	}
	return all
}

// TestEveryAlertHasAPage holds that whoever is woken by an alert is led to its page, and that no page is of an alert that is gone.
func TestEveryAlertHasAPage(t *testing.T) {
	pages := map[string]bool{}
	found, err := filepath.Glob(root + "/docs/runbook/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		pages[strings.TrimSuffix(filepath.Base(path), ".md")] = true
	}
	for _, a := range alerts(t) {
		if !pages[a.Alert] {
			t.Errorf("docs/runbook has no page for %s", a.Alert)
		}
		delete(pages, a.Alert)
		if url := a.Annotations["runbook_url"]; !strings.HasSuffix(url, "/docs/runbook/"+a.Alert+".md") {
			t.Errorf("%s leads to %q", a.Alert, url)
		}
		if a.Annotations["summary"] == "" || !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) {
			t.Errorf("%s has summary %q, severity %q", a.Alert, a.Annotations["summary"], a.Labels["severity"])
		}
	}
	for name := range pages {
		t.Errorf("docs/runbook/%s.md is of no alert", name)
	}
}

// query is an expression in PromQL, and where it stands.
type query struct{ where, expr string }

// variables of Grafana, as a query has them once it is sent.
var variables = strings.NewReplacer("$__rate_interval", "5m", "$job", "provisioner")

// shown returns the queries of the dashboard.
func shown(t *testing.T) []query {
	t.Helper()
	var dashboard struct {
		UID, Title string
		Panels     []struct {
			ID      int
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "config/observability/dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	var all []query
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Title == "" || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d, %q: the id is taken, or there is no title or no query", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			all = append(all, query{"panel " + p.Title, variables.Replace(target.Expr)})
		}
	}
	if len(all) == 0 || dashboard.UID == "" {
		t.Fatal("the dashboard shows nothing, or has no uid")
	}
	return all
}

var promql = regexp.MustCompile("(?ms)^```promql\n(.*?)^```$")

// told returns the queries of the runbook.
func told(t *testing.T) []query {
	t.Helper()
	var all []query
	for _, a := range alerts(t) {
		for _, match := range promql.FindAllStringSubmatch(read(t, "docs/runbook/"+a.Alert+".md"), -1) {
			all = append(all, query{"docs/runbook/" + a.Alert + ".md", match[1]})
		}
	}
	return all
}

// TestQueriesParse has Prometheus read every query of the dashboard and of the runbook, as rules of a file.
func TestQueriesParse(t *testing.T) {
	type record struct {
		Record string
		Expr   string
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []record
		}
	}
	file.Groups = append(file.Groups, struct {
		Name  string
		Rules []record
	}{Name: "queries"})
	for i, q := range append(shown(t), told(t)...) {
		file.Groups[0].Rules = append(file.Groups[0].Rules, record{fmt.Sprintf("query:%d", i), q.expr})
	}
	text, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "queries.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", path)
}
