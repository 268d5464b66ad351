package signing_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/signing"
)

// TestTimestampAndBodyCannotTradePlaces is named after AWS's first signatures and Flickr's, in which two requests were one string to
// sign: what was taken from a name could be given to a value.
func TestTimestampAndBodyCannotTradePlaces(t *testing.T) {
	ring := newRing(t, "k1")
	first := []byte(`1.{"action":"ping"}`)
	h, err := ring.Sign(sent, first)
	if err != nil {
		t.Fatal(err)
	}
	verifier := signing.NewVerifier(ring, 1<<62, at(sent)) // a window without ends
	for _, tt := range []struct{ name, timestamp, body string }{
		{"the body's first digit to the timestamp", h.Timestamp + ".1", `{"action":"ping"}`},
		{"without the dot between", h.Timestamp + "1", `{"action":"ping"}`},
		{"the timestamp's last digit to the body", h.Timestamp[:12], h.Timestamp[12:] + "." + string(first)},
		{"all to the body", "", h.Timestamp + "." + string(first)},
		{"all to the timestamp", h.Timestamp + "." + string(first), ""},
		{"more at the end, as with a hash that is continued", h.Timestamp, string(first) + "\x80\x00,"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			moved := signing.Headers{Timestamp: tt.timestamp, Signature: h.Signature, KeyID: h.KeyID}
			if _, err := verifier.Verify(moved, []byte(tt.body)); err == nil {
				t.Errorf("Verify(%+v, %s) = nil", moved, tt.body)
			}
		})
	}
}

// TestAKeyIDProvesNothing is named after servers that took a good signature of one key for the word of the one whom the request
// names.
func TestAKeyIDProvesNothing(t *testing.T) {
	ring := newRing(t, "k1")
	h, err := ring.Sign(sent, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"k2", "K1", "k1 ", "k1\x00", "k1,k2", ""} {
		h.KeyID = id
		if _, err := signing.NewVerifier(ring, time.Minute, at(sent)).Verify(h, body); !errors.Is(err, signing.ErrUnknownKey) && !errors.Is(err, signing.ErrMismatch) {
			t.Errorf("as %q: %v", id, err)
		}
	}
}

// TestSecretsAreComparedInConstantTime is named after CVE-2022-43411 and CVE-2022-43412, in which tokens were compared with ==, so
// that the time of a refusal told how far a guess was right. It looks through the packages that handle secrets.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	handling := []string{"apikey", "oidc", "password", "seal", "session", "signing", "token"}
	early := []string{"bytes.Equal", "bytes.Compare", "bytes.HasPrefix", "strings.Compare", "reflect.DeepEqual", "slices.Equal"}
	for _, name := range handling {
		files, err := fs.Glob(os.DirFS("../"+name), "*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", name, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			path := "../" + name + "/" + file
			for _, call := range calls(t, path) {
				if slices.Contains(early, call) {
					t.Errorf("%s calls %s, which ends at the first difference", path, call)
				}
			}
		}
	}
	for path, want := range map[string]string{
		"mac.go": "hmac.Equal", "../session/token.go": "hmac.Equal", "../oidc/flow.go": "subtle.ConstantTimeCompare",
		"../oidc/pkce.go": "subtle.ConstantTimeCompare", "../oidc/identity.go": "subtle.ConstantTimeCompare",
	} {
		if !slices.Contains(calls(t, path), want) {
			t.Errorf("%s does not call %s", path, want)
		}
	}
}

// calls returns the functions of packages that a file calls.
func calls(t *testing.T, path string) (called []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if function, ok := call.Fun.(*ast.SelectorExpr); ok {
			if of, ok := function.X.(*ast.Ident); ok {
				called = append(called, of.Name+"."+function.Sel.Name)
			}
		}
		return true
	})
	return called
}
