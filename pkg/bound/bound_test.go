package bound_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/provisioner/provisioner/pkg/bound"
)

func TestBoundsInTheMetrics(t *testing.T) {
	used, shed := int64(3), int64(1)
	r := prometheus.NewRegistry()
	bound.Bound{
		Service: "sender", What: "connections", Limit: 5,
		Used: func() int64 { return used }, Shed: func() int64 { return shed },
	}.Register(r)
	bound.Bound{What: "ratelimit_keys", Limit: 7, Used: func() int64 { return 2 }}.Register(r)
	used = 4 // what is shown is what there is when somebody looks
	if err := testutil.GatherAndCompare(r, strings.NewReader(`
# HELP provisioner_bound_limit How much there may be of something.
# TYPE provisioner_bound_limit gauge
provisioner_bound_limit{service="",what="ratelimit_keys"} 7
provisioner_bound_limit{service="sender",what="connections"} 5
# HELP provisioner_bound_used How much there is of something.
# TYPE provisioner_bound_used gauge
provisioner_bound_used{service="",what="ratelimit_keys"} 2
provisioner_bound_used{service="sender",what="connections"} 4
# HELP provisioner_shed_total How many were turned away because there was too much of something.
# TYPE provisioner_shed_total counter
provisioner_shed_total{service="sender",what="connections"} 1
`)); err != nil {
		t.Error(err)
	}
}
