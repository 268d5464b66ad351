// Package observe_test runs the real program and looks at it as an operator does: at its traces, metrics and alerts, and at what the
// documentation says of them.
package observe_test

import (
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/wire"
)

func TestMain(m *testing.M) { os.Exit(record.Run(m)) }

const root = "../.."

var client = wire.Client{Client: &http.Client{Timeout: 12 * time.Second}}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(root + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
