package kubernetes_test

import (
	"strings"
	"testing"

	"github.com/provisioner/provisioner/test/kubernetes"
)

func TestPromises(t *testing.T) {
	for _, installation := range kubernetes.Installations {
		for _, fault := range promises(t, parse(t, render(t, installation))) {
			t.Errorf("%s: %s", installation, fault)
		}
	}
}

// TestPromisesAreChecked breaks each promise once.
func TestPromisesAreChecked(t *testing.T) {
	const installation = "self-contained"
	good := string(render(t, installation))
	for _, tt := range []struct{ name, old, new, want string }{
		{"a setting that the program does not know", "name: DRAIN_DELAY", "name: DRAIN_DELAI", "DRAIN_DELAI is no setting"},
		{"a setting of another service", "RECEIVER_WORKER_URL: http", "REPLAY_WINDOW_MS: http", "REPLAY_WINDOW_MS is no setting of it"},
		{"a value that is refused", `TRUSTED_PROXIES: 10.0.0.0/8`, "TRUSTED_PROXIES: everybody", "TRUSTED_PROXIES"},
		{"services that migrate", `AUTO_MIGRATE: "false"`, `AUTO_MIGRATE: "true"`, "AUTO_MIGRATE is not false"},
		{"a receiver over plain http outside", "http://receiver:8788", "http://receiver.example.com:8788", "plain http"},
		{"an upstream of another port", "http://receiver:8788", "http://receiver:8787", "RECEIVER_WORKER_URL leads to no Service"},
		{"a drain that is killed", "terminationGracePeriodSeconds: 60", "terminationGracePeriodSeconds: 30", "shorter than DRAIN_DELAY"},
		{"a pod gone before the next is there", "maxUnavailable: 0", "maxUnavailable: 1", "maxUnavailable"},
		{"an admin port on loopback", "value: $(POD_IP):9090", "value: 127.0.0.1:9090", "ADMIN_ADDR=127.0.0.1:9090 is not the port admin"},
		{"an address that is not known yet", "name: POD_IP", "name: POD_NAME", "POD_IP does not stand before"},
		{"a probe of the wrong path", "path: /readyz", "path: /health", "no probe asks /readyz"},
		{"a service on another port", "value: :8787", "value: :8789", "SENDER_ADDR=:8789 is not the port http"},
		{"root", "runAsUser: 65532", "runAsUser: 0", "runAsNonRoot"},
		{"a root file system to write to", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "read-only"},
		{"a capability kept", "- ALL", "- NET_RAW", "capabilities"},
		{"escalation", "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "escalation"},
		{"no seccomp", "type: RuntimeDefault", "type: Unconfined", "seccomp"},
		{"a token", "      automountServiceAccountToken: false", "      automountServiceAccountToken: true", "no token"},
		{"a selector of nobody", "  selector:\n    app.kubernetes.io/component: sender", "  selector:\n    app.kubernetes.io/component: sendre", "Service sender: its selector chooses []"},
		{"a job that no rule knows", "jobLabel: app.kubernetes.io/name", "jobLabel: app.kubernetes.io/component", "the job of papyrus"},
		{"more pods than connections", "maxReplicas: 6", "maxReplicas: 60", "Postgres has 300 connections"},
		{"all of the receiver outside", "pathType: Exact", "pathType: Prefix", `"Prefix /health" of receiver is open`},
		{"another path of the receiver outside", "path: /health", "path: /inbox", `"Exact /inbox" of receiver is open`},
		{"an autoscaler of nothing", "    kind: Deployment\n    name: sender", "    kind: Deployment\n    name: sendre", "HorizontalPodAutoscaler sender"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := strings.Replace(good, tt.old, tt.new, 1)
			if bad == good {
				t.Fatalf("there is no %q to break", tt.old)
			}
			faults := promises(t, parse(t, []byte(bad)))
			if len(faults) == 0 || !strings.Contains(strings.Join(faults, "\n"), tt.want) {
				t.Errorf("the faults are %q, want %q", faults, tt.want)
			}
		})
	}
}
