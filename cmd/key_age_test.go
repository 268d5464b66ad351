package cmd

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/provisioner/provisioner/config"
)

func TestKeyAgesShowEachDatedKey(t *testing.T) {
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	ages := newKeyAges(config.Keyring{Made: map[string]time.Time{"old": now.AddDate(0, 0, -100)}}, func() time.Time { return now })
	ages.replace(config.Keyring{Made: map[string]time.Time{"k1": now.AddDate(0, 0, -1), "k2": now}})

	registry := prometheus.NewRegistry()
	registry.MustRegister(ages)
	want := `
# HELP provisioner_signing_key_age_seconds Age of a signing key; rotate it before 90 days.
# TYPE provisioner_signing_key_age_seconds gauge
provisioner_signing_key_age_seconds{key_id="k1"} 86400
provisioner_signing_key_age_seconds{key_id="k2"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
