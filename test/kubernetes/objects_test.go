package kubernetes_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// object is what the tests look at of a manifest, of whatever kind.
type object struct {
	Kind     string
	Metadata struct {
		Name, Namespace     string
		Labels, Annotations map[string]string
	}
	Data, StringData map[string]string
	Spec             struct {
		Selector       any // labels of a Service, a selector of all others
		PodSelector    selector
		ServiceName    string
		ScaleTargetRef struct{ Kind, Name string }
		Replicas       *int
		MaxReplicas    int
		JobLabel       string
		Strategy       struct {
			RollingUpdate struct{ MaxUnavailable, MaxSurge any }
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     podSpec
		}
		Ports           []port   // of a Service
		PolicyTypes     []string // of a NetworkPolicy
		Ingress, Egress []rule
		Rules           []ingressRule // of an Ingress
	}
}

type podSpec struct {
	ServiceAccountName, RestartPolicy string
	AutomountServiceAccountToken      *bool
	HostNetwork, HostPID, HostIPC     bool
	TerminationGracePeriodSeconds     int
	SecurityContext                   securityContext
	Containers                        []container
	TopologySpreadConstraints         []struct{ LabelSelector selector }
	Volumes                           []struct {
		Name   string
		Secret struct{ SecretName string }
	}
}

type container struct {
	Name, Image     string
	Args            []string
	Env             []envVar
	EnvFrom         []struct{ ConfigMapRef struct{ Name string } }
	Ports           []port
	SecurityContext securityContext
	StartupProbe    probe
	LivenessProbe   probe
	ReadinessProbe  probe
	Resources       struct{ Requests, Limits map[string]string }
}

type envVar struct {
	Name, Value string
	ValueFrom   any
}

type securityContext struct {
	RunAsNonRoot, ReadOnlyRootFilesystem, AllowPrivilegeEscalation *bool
	RunAsUser                                                      int
	SeccompProfile                                                 struct{ Type string }
	Capabilities                                                   struct{ Drop, Add []string }
}

type probe struct {
	HTTPGet *struct {
		Path string
		Port any // a number or a name
	}
}

type port struct {
	Name                string
	Port, ContainerPort int
	TargetPort          any
}

type rule struct {
	From, To []peer
	Ports    []struct {
		Protocol string
		Port     any // a number or a name
	}
}

type peer struct {
	PodSelector, NamespaceSelector *selector
	IPBlock                        *struct {
		CIDR   string
		Except []string
	}
}

type ingressRule struct {
	Host string
	HTTP struct {
		Paths []struct {
			Path, PathType string
			Backend        struct {
				Service struct {
					Name string
					Port struct{ Name string }
				}
			}
		}
	}
}

// selector chooses by labels; the empty one chooses all.
type selector struct {
	MatchLabels      map[string]string
	MatchExpressions []struct {
		Key, Operator string
		Values        []string
	}
}

func (s selector) matches(labels map[string]string) bool {
	for key, value := range s.MatchLabels {
		if labels[key] != value {
			return false
		}
	}
	for _, e := range s.MatchExpressions {
		if e.Operator != "In" || !slices.Contains(e.Values, labels[e.Key]) {
			return false
		}
	}
	return true
}

// manifests are the objects of one installation.
type manifests []object

// parse reads a stream of manifests.
func parse(t *testing.T, text []byte) manifests {
	t.Helper()
	var all manifests
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var plain any
		err := d.Decode(&plain)
		if errors.Is(err, io.EOF) {
			return all
		}
		text, jsonErr := json.Marshal(plain) // whose decoder knows the fields in camelCase
		var o object
		if err := errors.Join(err, jsonErr, json.Unmarshal(text, &o)); err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
}

// workloads returns the objects that make pods.
func (m manifests) workloads() []object {
	return slices.DeleteFunc(slices.Clone(m), func(o object) bool { return len(o.Spec.Template.Spec.Containers) == 0 })
}

// ours returns the workloads that run the program.
func (m manifests) ours() []object {
	return slices.DeleteFunc(m.workloads(), func(o object) bool { return o.Metadata.Labels[nameLabel] != "provisioner" })
}

const (
	nameLabel      = "app.kubernetes.io/name"
	componentLabel = "app.kubernetes.io/component"
)

// of returns the objects of a kind.
func (m manifests) of(kind string) []object {
	return slices.DeleteFunc(slices.Clone(m), func(o object) bool { return o.Kind != kind })
}

// named returns an object, and whether there is one.
func (m manifests) named(kind, name string) (object, bool) {
	for _, o := range m {
		if o.Kind == kind && o.Metadata.Name == name {
			return o, true
		}
	}
	return object{}, false
}

// selector returns what a Service or another object with spec.selector chooses.
func (o object) selector() selector {
	switch s := o.Spec.Selector.(type) {
	case map[string]any:
		labels := s
		if o.Kind != "Service" {
			labels, _ = s["matchLabels"].(map[string]any)
		}
		chosen := selector{MatchLabels: map[string]string{}}
		for key, value := range labels {
			chosen.MatchLabels[key], _ = value.(string)
		}
		return chosen
	default:
		return selector{}
	}
}
