package record

import (
	"crypto/rand"
	"fmt"
	"os"
	"testing"
)

// run is the record of this test binary.
var run Record

// Keep notes a secret of this run, see [Record.Keep].
func Keep(what, text string) { run.Keep(what, text) }

// See notes what was shown in this run, see [Record.See].
func See(where, text string) { run.See(where, text) }

// NewSecret returns a random text of 52 characters that is on the record.
func NewSecret(what string) string {
	text := rand.Text() + rand.Text()
	Keep(what, text)
	return text
}

// Run runs the tests of a binary and returns its exit code, which is 1 too if a secret was shown.
func Run(m *testing.M) int {
	code := m.Run()
	for _, leak := range run.Leaks() {
		_, _ = fmt.Fprintln(os.Stdout, "--- FAIL: a secret was shown:", leak)
		code = 1
	}
	_, _ = fmt.Fprintln(os.Stdout, "looked for secrets in all output of the run:", run.summary())
	return code
}
