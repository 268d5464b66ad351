package doctor

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"os"
	"regexp"
	"testing"

	"github.com/provisioner/provisioner/pkg/secret"
)

// TestRandomSecretsAreNotWeak: whoever made a secret as the documentation says is not told to make another.
func TestRandomSecretsAreNotWeak(t *testing.T) {
	for range 2000 {
		bytes := make([]byte, 32)
		if _, err := rand.Read(bytes); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{
			hex.EncodeToString(bytes), hex.EncodeToString(bytes[:16]), base64.StdEncoding.EncodeToString(bytes), rand.Text() + rand.Text(),
		} {
			if problem, _ := weakness(held{"SEAL_KEY", "", secret.New(text), random}); problem != "" {
				t.Fatalf("%q %s (%.0f bits)", text, problem, bits(text))
			}
		}
	}
}

// TestExamplesOfTheDocumentation: what people could copy from our pages is known, or told as too weak.
func TestExamplesOfTheDocumentation(t *testing.T) {
	found := 0
	for _, page := range []string{"../../docs/signing.md", "../../docs/moving-from-workers.md", "../../docs/getting-started.md", "../../README.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:-hmac |SHARED_SECRET=|KEY=)["']?([A-Za-z0-9+/=_-]{6,})`).FindAllSubmatch(text, -1) {
			found++
			if problem, _ := weakness(held{"SEAL_KEY", "", secret.New(string(m[1])), random}); problem == "" {
				t.Errorf("%s shows %q, which passes for a secret", page, m[1])
			}
		}
	}
	if found == 0 {
		t.Error("the pages show no example: the expression finds nothing")
	}
}

func TestWhatIsToldToNobody(t *testing.T) {
	for text, want := range map[string]float64{"": 0, "aaaaaaaa": 0, "abcdefgh": 0} {
		if got := bits(text); got > want {
			t.Errorf("bits(%q) = %.0f, want %.0f at most", text, got, want)
		}
	}
	endless := make([]byte, 1<<20) // judged at once, whatever its length
	if bits(string(endless)) != 0 {
		t.Error("zeros are something to guess")
	}
}
