package kubernetes_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/test/kubernetes"
)

// reach is who reaches whom, by the NetworkPolicies. Sources are workloads, and namespaces in brackets: any pod there.
var reach = map[string][]string{
	"with-supabase": {
		"[ingress-nginx] → receiver:http", "[ingress-nginx] → sender:http", "[monitoring] → receiver:admin", "[monitoring] → sender:admin",
		"sender → receiver:http",
	},
	"self-contained": {
		"[ingress-nginx] → papyrus:http", "[ingress-nginx] → receiver:http", "[ingress-nginx] → sender:http",
		"[monitoring] → papyrus:admin", "[monitoring] → receiver:admin", "[monitoring] → sender:admin",
		"migrate → postgres:postgres",
		"papyrus → postgres:postgres", "papyrus → redis:redis",
		"receiver → papyrus:http", "receiver → postgres:postgres",
		"sender → papyrus:http", "sender → receiver:http", "sender → redis:redis",
	},
}

// outside is whom the pods reach outside of the cluster.
var outside = map[string][]string{
	"with-supabase": {
		"migrate → 192.0.2.10/32:5432", "receiver → 0.0.0.0/0:443", "receiver → 192.0.2.10/32:5432", "sender → 0.0.0.0/0:443",
	},
	"self-contained": {"papyrus → 0.0.0.0/0:443", "papyrus → 0.0.0.0/0:465", "papyrus → 0.0.0.0/0:587"},
}

// TestReach lists every connection that the NetworkPolicies of an installation let through.
func TestReach(t *testing.T) {
	for _, installation := range kubernetes.Installations {
		t.Run(installation, func(t *testing.T) {
			m := parse(t, render(t, installation))
			if diff := cmp.Diff(reach[installation], m.connections()); diff != "" {
				t.Errorf("inside (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(outside[installation], m.departures()); diff != "" {
				t.Errorf("outside (-want +got):\n%s", diff)
			}
		})
	}
}

// end is one end of a connection: a pod of ours, or any in a namespace.
type end struct {
	name      string
	labels    map[string]string
	namespace string // "" for ours
}

// connections returns which connections the policies allow, as "source → workload:port".
func (m manifests) connections() []string {
	sources := []end{{name: "[ingress-nginx]", namespace: "ingress-nginx"}, {name: "[monitoring]", namespace: "monitoring"}, {name: "[default]", namespace: "default"}}
	for _, o := range m.workloads() {
		sources = append(sources, end{name: o.Metadata.Name, labels: o.Spec.Template.Metadata.Labels})
	}
	var all []string
	for _, o := range m.workloads() {
		to := end{name: o.Metadata.Name, labels: o.Spec.Template.Metadata.Labels}
		for _, p := range o.Spec.Template.Spec.Containers[0].Ports {
			for _, from := range sources {
				if m.lets("Ingress", to, from, p) && (from.namespace != "" || m.lets("Egress", from, to, p)) {
					all = append(all, fmt.Sprintf("%s → %s:%s", from.name, to.name, p.Name))
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// lets reports whether the policies of one direction that concern a pod let it talk to peer at a port. A pod that no policy of that
// direction concerns may talk to anybody.
func (m manifests) lets(direction string, pod, other end, at port) bool {
	concerned := false
	for _, o := range m.of("NetworkPolicy") {
		if !slices.Contains(o.Spec.PolicyTypes, direction) || !o.Spec.PodSelector.matches(pod.labels) {
			continue
		}
		concerned = true
		rules := o.Spec.Ingress
		if direction == "Egress" {
			rules = o.Spec.Egress
		}
		if slices.ContainsFunc(rules, func(r rule) bool { return r.lets(other, at) }) {
			return true
		}
	}
	return !concerned
}

// lets reports whether a rule lets through; one without peers or ports is for all.
func (r rule) lets(other end, at port) bool {
	peers := slices.Concat(r.From, r.To)
	known := len(peers) == 0 || slices.ContainsFunc(peers, func(p peer) bool { return p.is(other) })
	open := len(r.Ports) == 0
	for _, p := range r.Ports {
		open = open || fmt.Sprint(p.Port) == at.Name || fmt.Sprint(p.Port) == fmt.Sprint(at.ContainerPort)
	}
	return known && open
}

func (p peer) is(e end) bool {
	switch {
	case p.IPBlock != nil:
		return slices.Contains(p.IPBlock.Except, "10.0.0.0/8") == false && p.IPBlock.CIDR == "0.0.0.0/0"
	case p.NamespaceSelector == nil:
		return e.namespace == "" && p.PodSelector.matches(e.labels)
	default: // the pods of other namespaces have labels that nobody knows
		inside := p.NamespaceSelector.matches(map[string]string{"kubernetes.io/metadata.name": e.namespace})
		return inside && (p.PodSelector == nil || p.PodSelector.matches(nil))
	}
}

// departures returns whom the policies let the pods reach by address, as "workload → network:port".
func (m manifests) departures() []string {
	var all []string
	for _, o := range m.of("NetworkPolicy") {
		for _, r := range o.Spec.Egress {
			for _, to := range r.To {
				for _, p := range r.Ports {
					for _, from := range m.chosen(o.Spec.PodSelector) {
						if to.IPBlock != nil {
							all = append(all, fmt.Sprintf("%s → %s:%v", from, to.IPBlock.CIDR, p.Port))
						}
					}
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

func decode(t *testing.T, encoded string) []byte {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
