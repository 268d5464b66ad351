// Package e2e_test runs the real program as processes against real servers, and shows what holds from end to end: across
// services, crashes, outages and reloads. What a single package promises is tested there.
package e2e_test

import (
	"os"
	"testing"

	"github.com/provisioner/provisioner/test/record"
)

func TestMain(m *testing.M) {
	if os.Getenv(firstSyncDir) != "" {
		os.Exit(firstSync())
	}
	if home := os.Getenv(refresherHome); home != "" {
		os.Exit(refreshOften(home))
	}
	os.Exit(record.Run(m))
}
