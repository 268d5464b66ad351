package workers_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const vectorsFile = "../../pkg/signing/testdata/vectors.json"

// vector is one line of [vectorsFile]: the signature of "<timestamp>.<body>" under secret.
type vector struct{ Name, Secret, Timestamp, Body, Signature string }

func TestVectorsWithWebCrypto(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "node", "vectors.mjs", vectorsFile).CombinedOutput()
	if err != nil {
		t.Fatalf("node vectors.mjs: %v\n%s", err, out)
	}
	for _, v := range vectors(t) {
		if !strings.Contains(string(out), "ok "+v.Name+"\n") {
			t.Errorf("node did not check %q:\n%s", v.Name, out)
		}
	}
}

func TestVectorsWithOpenSSL(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "openssl", "dgst", "-sha256", "-hmac", v.Secret, "-r")
			cmd.Stdin = strings.NewReader(v.Timestamp + "." + v.Body)
			out, err := cmd.Output() // "<hex> *stdin"
			if err != nil {
				t.Fatal(err)
			}
			if got, _, _ := strings.Cut(string(out), " "); got != v.Signature {
				t.Errorf("openssl gives %s, the vector says %s", got, v.Signature)
			}
		})
	}
}

func vectors(t *testing.T) []vector {
	t.Helper()
	text, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(text, &vs); err != nil {
		t.Fatal(err)
	}
	if len(vs) == 0 {
		t.Fatalf("%s holds no vectors", vectorsFile)
	}
	return vs
}
