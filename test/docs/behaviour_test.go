package docs

import "testing"

// TestWhatTheServerMakesUpForHasTests holds the page for Flutter developers to the tests that it names.
func TestWhatTheServerMakesUpForHasTests(t *testing.T) { rowsWithTests(t, "docs/flutter.md", 4) }

// TestEveryBehaviourOfTheClientHasATest holds the page of the client's behaviour to the tests that it names.
func TestEveryBehaviourOfTheClientHasATest(t *testing.T) {
	rowsWithTests(t, "docs/client-behaviour.md", 2)
}
