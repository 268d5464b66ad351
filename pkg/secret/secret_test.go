package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/secret"
)

const hidden = "correct-horse-battery"

func TestTextIsNeverPrinted(t *testing.T) {
	text := secret.New(hidden)
	nested := struct {
		inner secret.Text
		Ptr   *secret.Text
		Map   map[string]secret.Text
	}{text, &text, map[string]secret.Text{"k": text}}

	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "secret", text, "nested", nested, "ptr", &text)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "secret", text, "nested", nested, "ptr", &text)
	encoded, err := json.Marshal(map[string]any{"a": text, "b": nested})
	if err != nil {
		t.Fatal(err)
	}

	outputs := []string{logged.String(), string(encoded)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		outputs = append(outputs, fmt.Sprintf(verb, text), fmt.Sprintf(verb, nested), fmt.Sprintf(verb, &nested))
	}
	for _, out := range outputs {
		if strings.Contains(out, hidden) || strings.Contains(out, fmt.Sprintf("%x", hidden)) {
			t.Errorf("the secret shows in %q", out)
		}
	}
}

func TestTextReveal(t *testing.T) {
	if got := secret.New(hidden).Reveal(); got != hidden {
		t.Errorf("Reveal() = %q, want %q", got, hidden)
	}
	if secret.New("").IsSet() || (secret.Text{}).Reveal() != "" {
		t.Error("an empty secret counts as set")
	}
}
