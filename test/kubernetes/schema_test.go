package kubernetes_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/test/kubernetes"
)

const (
	kubeconform = "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0"
	kubeScore   = "github.com/zegl/kube-score/cmd/kube-score@v1.20.0"

	// release is the Kubernetes whose API the manifests are held to.
	release = "k8s.io/kubernetes@v1.34.4"
)

// TestSchema has kubeconform hold the manifests to the API of Kubernetes, with no field that it does not know.
func TestSchema(t *testing.T) {
	schemas := writeSchemas(t)
	for _, installation := range kubernetes.Installations {
		t.Run(installation, func(t *testing.T) {
			if out, err := conform(t, schemas, string(render(t, installation))); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	good := string(render(t, "self-contained"))
	for _, tt := range []struct{ name, old, new, want string }{
		{"a field that there is not", "terminationGracePeriodSeconds:", "terminationGracePeriod:", "terminationGracePeriod"},
		{"a value of another kind", "automountServiceAccountToken: false", "automountServiceAccountToken: never", "want boolean"},
		{"an API that is gone", "autoscaling/v2", "autoscaling/v2beta2", "could not find schema"},
		{"a field of a ServiceMonitor that there is not", "scrapeTimeout:", "timeout:", "timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := strings.Replace(good, tt.old, tt.new, 1)
			if out, err := conform(t, schemas, bad); bad == good || err == nil || !strings.Contains(out, tt.want) {
				t.Errorf("it says %v, want %q:\n%s", err, tt.want, out)
			}
		})
	}
}

func conform(t *testing.T, schemas, text string) (string, error) {
	t.Helper()
	cmd := kubernetes.Tool(kubeconform, "-strict", "-schema-location", schemas+"/{{.ResourceKind}}{{.KindSuffix}}.json", "-")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestLinter has kube-score look for what experience advises against. What it is told to ignore stands in the manifests, with reasons.
func TestLinter(t *testing.T) {
	for _, installation := range kubernetes.Installations {
		if out, err := score(string(render(t, installation))); err != nil {
			t.Errorf("%s: %v\n%s", installation, err, out)
		}
	}
	good := string(render(t, "self-contained"))
	for _, tt := range []struct{ name, old, new, want string }{
		{"a tag that moves", "provisioner:0.1.0", "provisioner:latest", "Image with latest tag"},
		{"no limit", "cpu: \"2\"", "", "CPU limit is not set"},
		{"a root file system to write to", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "writable root filesystem"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := strings.Replace(good, tt.old, tt.new, 1)
			if out, err := score(bad); bad == good || err == nil || !strings.Contains(out, tt.want) {
				t.Errorf("it says %v, want %q:\n%s", err, tt.want, out)
			}
		})
	}
}

// score returns an error where kube-score finds anything, be it a warning.
func score(text string) (string, error) {
	cmd := kubernetes.Tool(kubeScore, "score", "--exit-one-on-warning", "--output-format", "ci", "-")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	var findings []string
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "[OK]") && !strings.HasPrefix(line, "[SKIPPED]") {
			findings = append(findings, line)
		}
	}
	return strings.Join(findings, ""), err
}

// writeSchemas writes a schema for each kind of the release, as kubeconform looks for them, and ours for ServiceMonitor.
func writeSchemas(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	schemas := map[string]any{}
	definitions := openAPI(t)
	for name, d := range definitions {
		definitions[name] = strict(name, d)
	}
	for _, d := range definitions {
		kinds, _ := d["x-kubernetes-group-version-kind"].([]any)
		for _, kind := range kinds {
			k := kind.(map[string]any)
			group, _, _ := strings.Cut(k["group"].(string), ".")
			file := strings.ToLower(strings.Join(strings.Fields(fmt.Sprintf("%s %s %s", k["kind"], group, k["version"])), "-"))
			schemas[file] = d
		}
	}
	schemas["_definitions"] = map[string]any{"definitions": definitions}
	for file, schema := range schemas {
		text, err := json.Marshal(schema)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file+".json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	monitor, err := os.ReadFile("testdata/servicemonitor-monitoring-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "servicemonitor-monitoring-v1.json"), monitor, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// openAPI returns the definitions of the release's API, which are a file of its module.
func openAPI(t *testing.T) map[string]map[string]any {
	t.Helper()
	out, err := exec.Command("go", "mod", "download", "-json", release).Output()
	if err != nil {
		t.Fatalf("download %s: %v\n%s", release, err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(module.Dir, "api/openapi-spec/swagger.json"))
	if err != nil {
		t.Fatal(err)
	}
	var spec struct{ Definitions map[string]map[string]any }
	if err := json.Unmarshal(text, &spec); err != nil || len(spec.Definitions) == 0 {
		t.Fatal(len(spec.Definitions), err)
	}
	return spec.Definitions
}

// strict returns the JSON schema of a definition of the OpenAPI document, in which no field is allowed that it does not know.
func strict(name string, definition map[string]any) map[string]any {
	if strings.HasSuffix(name, "api.resource.Quantity") {
		return map[string]any{"type": []any{"string", "number"}}
	}
	return tighten(definition).(map[string]any)
}

func tighten(node any) any {
	switch n := node.(type) {
	case []any:
		for i := range n {
			n[i] = tighten(n[i])
		}
	case map[string]any:
		if n["format"] == "int-or-string" {
			return map[string]any{"type": []any{"string", "integer"}}
		}
		for key, value := range n {
			n[key] = tighten(value)
		}
		if ref, ok := n["$ref"].(string); ok {
			n["$ref"] = strings.Replace(ref, "#/definitions/", "_definitions.json#/definitions/", 1)
		}
		if _, open := n["additionalProperties"]; !open && n["properties"] != nil {
			n["additionalProperties"] = false
		}
	}
	return node
}
