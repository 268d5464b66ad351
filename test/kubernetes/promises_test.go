package kubernetes_test

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/test/kubernetes"
)

// drains is how often the server grants 15 s when it drains: for requests, for background work, for the admin listener.
const drains = 3 * 15 * time.Second

// given are the settings that each pod has, and the secrets that each must not do without and no more than.
var given = map[string]map[string][]string{
	"with-supabase": {
		"sender":   {"ACTIVE_KEY_ID", "SIGNING_KEYS", "SUPABASE_ANON_KEY"},
		"receiver": {"DATABASE_URL", "SEAL_KEY", "SIGNING_KEYS", "SUPABASE_ANON_KEY"},
		"migrate":  {"DATABASE_URL"},
	},
	"self-contained": {
		"sender":   {"ACTIVE_KEY_ID", "REDIS_URL", "SIGNING_KEYS", "SUPABASE_ANON_KEY"},
		"receiver": {"DATABASE_URL", "SEAL_KEY", "SIGNING_KEYS", "SUPABASE_ANON_KEY"},
		"papyrus":  {"ACCESS_JWT_PRIVATE_KEY", "DATABASE_URL", "REDIS_URL", "REFRESH_TOKEN_KEY", "SEAL_KEY"},
		"migrate":  {"DATABASE_URL"},
	},
}

func TestEachPodHasTheSecretsThatItNeeds(t *testing.T) {
	for _, installation := range kubernetes.Installations {
		m := parse(t, render(t, installation))
		got := map[string][]string{}
		for _, o := range m.ours() {
			for _, v := range o.Spec.Template.Spec.Volumes {
				secret, _ := m.named("Secret", v.Secret.SecretName)
				got[o.Metadata.Name] = slices.Sorted(maps.Keys(secret.Data))
			}
		}
		if diff := cmp.Diff(given[installation], got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", installation, diff)
		}
	}
}

// promises are what no linter sees. Each returns its faults.
func promises(t *testing.T, m manifests) []string {
	t.Helper()
	var faults []string
	for _, o := range m.ours() {
		faults = append(faults, checkSettings(t, m, o)...)
		faults = append(faults, checkDrain(o)...)
		faults = append(faults, checkProbes(o)...)
	}
	for _, o := range m.workloads() {
		faults = append(faults, checkRestricted(o)...)
	}
	faults = append(faults, checkSelectors(m)...)
	faults = append(faults, checkServices(m)...)
	faults = append(faults, checkScraping(m)...)
	faults = append(faults, checkConnections(m)...)
	return append(faults, checkIngresses(m)...)
}

// podIP is how a manifest writes the address of its pod.
const podIP = "$(POD_IP)"

// environment returns the environment of a pod's program, of its Deployment and its ConfigMaps.
func environment(m manifests, o object) map[string]string {
	c := o.Spec.Template.Spec.Containers[0]
	env := map[string]string{}
	for _, from := range c.EnvFrom {
		settings, _ := m.named("ConfigMap", from.ConfigMapRef.Name)
		maps.Copy(env, settings.Data)
	}
	for _, e := range c.Env {
		if e.ValueFrom == nil {
			env[e.Name] = strings.ReplaceAll(e.Value, podIP, "10.1.2.3")
		}
	}
	return env
}

var services = map[string]config.Service{
	"sender": config.Sender, "receiver": config.Receiver, "papyrus": config.Papyrus,
	"migrate": config.Papyrus, // as which the command reads its settings
}

// checkSettings has the program read the settings that a pod has: all must be known to it, and together without fault.
func checkSettings(t *testing.T, m manifests, o object) []string {
	t.Helper()
	name, env := o.Metadata.Name, environment(m, o)
	secrets := secretFiles(t, m, o)
	cfg, report, err := config.Load(config.Options{
		Service: services[name], Dir: t.TempDir(),
		LookupEnv: func(setting string) (string, bool) {
			if setting == "SECRETS_DIR" {
				return secrets, true
			}
			value, ok := env[setting]
			return value, ok
		},
	})
	var faults, known []string
	for _, v := range report.Values() {
		known = append(known, v.Name)
	}
	for setting := range env {
		if !slices.Contains(known, setting) {
			faults = append(faults, fmt.Sprintf("%s: %s is no setting of it", name, setting))
		}
	}
	for _, w := range report.Warnings {
		faults = append(faults, fmt.Sprintf("%s: warning: %s", name, w.Error()))
	}
	switch {
	case name == "migrate": // needs the database alone
	case err != nil:
		faults = append(faults, fmt.Sprintf("%s: %v", name, err))
	case name != "sender" && cfg.Database.AutoMigrate:
		faults = append(faults, name+": AUTO_MIGRATE is not false: the Job migrates")
	}
	return faults
}

// secretFiles writes what a pod's Secret volume has into a directory, as the kubelet does.
func secretFiles(t *testing.T, m manifests, o object) string {
	t.Helper()
	dir := t.TempDir()
	for _, v := range o.Spec.Template.Spec.Volumes {
		secret, _ := m.named("Secret", v.Secret.SecretName)
		for name, encoded := range secret.Data {
			if err := os.WriteFile(filepath.Join(dir, name), decode(t, encoded), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// checkDrain wants no upgrade to take a pod away before another is there, nor to kill one that still drains.
func checkDrain(o object) []string {
	if o.Kind != "Deployment" {
		return nil
	}
	var faults []string
	pod := o.Spec.Template.Spec
	for _, e := range pod.Containers[0].Env {
		delay, err := time.ParseDuration(e.Value)
		if grace := time.Duration(pod.TerminationGracePeriodSeconds) * time.Second; e.Name == "DRAIN_DELAY" && (err != nil || grace < delay+drains) {
			faults = append(faults, fmt.Sprintf("%s: the grace period of %v is shorter than DRAIN_DELAY (%s) and the drain (%v)", o.Metadata.Name, grace, e.Value, drains))
		}
	}
	if fmt.Sprint(o.Spec.Strategy.RollingUpdate.MaxUnavailable) != "0" {
		faults = append(faults, o.Metadata.Name+": maxUnavailable of the rolling update is not 0")
	}
	return faults
}

// checkProbes wants all three probes on the admin port, which must be the one of ADMIN_ADDR, reachable from outside of the pod.
func checkProbes(o object) []string {
	if o.Kind != "Deployment" {
		return nil
	}
	name, c := o.Metadata.Name, o.Spec.Template.Spec.Containers[0]
	var faults []string
	for i, p := range []probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		path := []string{"/livez", "/livez", "/readyz"}[i]
		if p.HTTPGet == nil || p.HTTPGet.Path != path || p.HTTPGet.Port != "admin" {
			faults = append(faults, fmt.Sprintf("%s: no probe asks %s of the port admin", name, path))
		}
	}
	hosts := map[string]string{"ADMIN_ADDR": podIP, strings.ToUpper(name) + "_ADDR": ""}
	for i, e := range c.Env {
		host, listens := hosts[e.Name]
		if !listens {
			continue
		}
		portName := map[bool]string{true: "admin", false: "http"}[e.Name == "ADMIN_ADDR"]
		at := slices.IndexFunc(c.Ports, func(p port) bool { return p.Name == portName })
		if at < 0 || e.Value != fmt.Sprintf("%s:%d", host, c.Ports[at].ContainerPort) {
			faults = append(faults, fmt.Sprintf("%s: %s=%s is not the port %s of the pod", name, e.Name, e.Value, portName))
		}
		if known := slices.ContainsFunc(c.Env[:i], func(e envVar) bool { return e.Name == "POD_IP" }); host != "" && !known {
			faults = append(faults, name+": POD_IP does not stand before ADMIN_ADDR, which needs it")
		}
	}
	return faults
}

// checkRestricted applies the pod security standard "restricted" to a workload, and what we want beyond it.
func checkRestricted(o object) []string {
	pod := o.Spec.Template.Spec
	c := pod.Containers[0]
	s := c.SecurityContext
	wants := []struct {
		what string
		ok   bool
	}{
		{"one container", len(pod.Containers) == 1},
		{"no namespaces of the host", !pod.HostNetwork && !pod.HostPID && !pod.HostIPC},
		{"runAsNonRoot and a user that is not root", isTrue(pod.SecurityContext.RunAsNonRoot) && pod.SecurityContext.RunAsUser > 0},
		{"the seccomp profile RuntimeDefault", pod.SecurityContext.SeccompProfile.Type == "RuntimeDefault"},
		{"no escalation of privileges", s.AllowPrivilegeEscalation != nil && !*s.AllowPrivilegeEscalation},
		{"all capabilities dropped", slices.Equal(s.Capabilities.Drop, []string{"ALL"}) && len(s.Capabilities.Add) == 0},
		{"a root file system that is read-only", isTrue(s.ReadOnlyRootFilesystem)},
		{"no token of a service account", pod.AutomountServiceAccountToken != nil && !*pod.AutomountServiceAccountToken},
		{"a service account of its own", pod.ServiceAccountName == o.Metadata.Name},
		{"requests and limits", len(c.Resources.Requests) >= 2 && len(c.Resources.Limits) >= 2},
	}
	var faults []string
	for _, want := range wants {
		if !want.ok {
			faults = append(faults, o.Metadata.Name+": it does not have "+want.what)
		}
	}
	return faults
}

func isTrue(b *bool) bool { return b != nil && *b }

// checkSelectors wants every selector to choose exactly what it is meant for: the pods of the workload of its name, or for
// NetworkPolicies some pods.
func checkSelectors(m manifests) []string {
	var faults []string
	for _, o := range m {
		chosen, wants := []string{}, []string{o.Metadata.Name}
		switch o.Kind {
		case "Deployment", "StatefulSet", "Service", "PodDisruptionBudget":
			chosen = m.chosen(o.selector())
		case "HorizontalPodAutoscaler":
			if target, ok := m.named(o.Spec.ScaleTargetRef.Kind, o.Spec.ScaleTargetRef.Name); ok && target.Spec.Replicas == nil {
				chosen = append(chosen, target.Metadata.Name)
			}
		case "ServiceMonitor":
			wants = nil
			for _, s := range m.of("Service") {
				if s.Metadata.Labels[nameLabel] == "provisioner" {
					wants = append(wants, s.Metadata.Name)
				}
				if o.selector().matches(s.Metadata.Labels) {
					chosen = append(chosen, s.Metadata.Name)
				}
			}
		case "NetworkPolicy":
			if chosen = m.chosen(o.Spec.PodSelector); len(chosen) > 0 {
				continue
			}
		default:
			continue
		}
		if !slices.Equal(chosen, wants) {
			faults = append(faults, fmt.Sprintf("%s %s: its selector chooses %v, want %v", o.Kind, o.Metadata.Name, chosen, wants))
		}
		for _, spread := range o.Spec.Template.Spec.TopologySpreadConstraints {
			if spreads := m.chosen(spread.LabelSelector); !slices.Equal(spreads, wants) {
				faults = append(faults, fmt.Sprintf("%s %s: it spreads %v, want %v", o.Kind, o.Metadata.Name, spreads, wants))
			}
		}
	}
	return faults
}

// chosen returns the names of the workloads whose pods a selector chooses.
func (m manifests) chosen(s selector) []string {
	names := []string{}
	for _, o := range m.workloads() {
		if s.matches(o.Spec.Template.Metadata.Labels) {
			names = append(names, o.Metadata.Name)
		}
	}
	return names
}

// checkServices wants the ports of Services to be ports of their pods, and the URLs of settings that lead into the cluster to be
// those of Services.
func checkServices(m manifests) []string {
	var faults []string
	for _, s := range m.of("Service") {
		for _, p := range s.Spec.Ports {
			for _, name := range m.chosen(s.selector()) {
				if containerPort(m, name, p.TargetPort) != p.Port {
					faults = append(faults, fmt.Sprintf("Service %s: the port %s is none of its pods", s.Metadata.Name, p.Name))
				}
			}
		}
	}
	for _, c := range m.of("ConfigMap") {
		for _, setting := range []string{"RECEIVER_WORKER_URL", "SUPABASE_URL"} {
			u, err := url.Parse(c.Data[setting])
			if err != nil || u.Hostname() == "" || strings.Contains(u.Hostname(), ".") {
				continue
			}
			s, ok := m.named("Service", u.Hostname())
			if !ok || !slices.ContainsFunc(s.Spec.Ports, func(p port) bool { return p.Name == "http" && fmt.Sprint(p.Port) == u.Port() }) {
				faults = append(faults, fmt.Sprintf("%s: %s leads to no Service", c.Metadata.Name, setting))
			}
		}
	}
	return faults
}

// checkScraping wants Prometheus to call the job as the rules of config/observability do.
func checkScraping(m manifests) []string {
	var faults []string
	for _, o := range m.of("ServiceMonitor") {
		for _, s := range m.of("Service") {
			if job := s.Metadata.Labels[o.Spec.JobLabel]; job != "provisioner" && o.selector().matches(s.Metadata.Labels) {
				faults = append(faults, fmt.Sprintf("ServiceMonitor %s: the job of %s is %q", o.Metadata.Name, s.Metadata.Name, job))
			}
		}
	}
	return faults
}

// checkConnections wants the Postgres of the installation, if it has one, to have connections for as many pods as there may be: 16 each
// and one to listen with.
func checkConnections(m manifests) []string {
	database, ok := m.named("StatefulSet", "postgres")
	if !ok {
		return nil
	}
	needed, there := 20, 0
	for _, arg := range database.Spec.Template.Spec.Containers[0].Args {
		_, _ = fmt.Sscanf(arg, "max_connections=%d", &there) // what is no such argument stays 0
	}
	for _, o := range m.of("HorizontalPodAutoscaler") {
		if o.Metadata.Name != "sender" {
			needed += (o.Spec.MaxReplicas + 1) * 17
		}
	}
	if there < needed {
		return []string{fmt.Sprintf("Postgres has %d connections, and the pods may want %d", there, needed)}
	}
	return nil
}

// containerPort returns the number of a port of a workload's pods, -1 for none.
func containerPort(m manifests, workload string, name any) int {
	for _, o := range m.workloads() {
		for _, p := range o.Spec.Template.Spec.Containers[0].Ports {
			if o.Metadata.Name == workload && p.Name == name {
				return p.ContainerPort
			}
		}
	}
	return -1
}

// checkIngresses wants the outside to see all of the sender and papyrus, and exactly /health of the receiver.
func checkIngresses(m manifests) []string {
	want := map[string]string{"sender": "Prefix /", "receiver": "Exact /health", "papyrus": "Prefix /"}
	var faults []string
	for _, o := range m.of("Ingress") {
		for _, r := range o.Spec.Rules {
			for _, p := range r.HTTP.Paths {
				backend := p.Backend.Service.Name
				if got := p.PathType + " " + p.Path; got != want[backend] || p.Backend.Service.Port.Name != "http" {
					faults = append(faults, fmt.Sprintf("Ingress %s: %q of %s is open, want %q", o.Metadata.Name, got, backend, want[backend]))
				}
			}
		}
	}
	return faults
}
