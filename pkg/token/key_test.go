package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/token"
)

// mustShortRSA returns a key that is too short to be taken.
func mustShortRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	must(t, err)
	return key
}

func TestParseKey(t *testing.T) {
	ec, long := mustEC(t, elliptic.P256()), mustRSA(t)
	sec1, err := x509.MarshalECPrivateKey(ec)
	must(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	pkcs1 := inPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(long))

	for _, tt := range []struct {
		name string
		use  token.Use
		text string
		want crypto.Signer
	}{
		{"EC in SEC 1", token.Access, inPEM("EC PRIVATE KEY", sec1), ec},
		{"EC in PKCS #8", token.Access, mustPKCS8(t, ec), ec},
		{"RSA in PKCS #1", token.PowerSync, pkcs1, long},
		{"RSA in PKCS #8", token.PowerSync, mustPKCS8(t, long), long},
		{"another curve", token.Access, mustPKCS8(t, mustEC(t, elliptic.P384())), nil},
		{"an Ed25519 key", token.Access, mustPKCS8(t, edwards), nil},
		{"an RSA key of 1024 bits", token.PowerSync, mustPKCS8(t, mustShortRSA(t)), nil},
		{"an RSA key for access tokens", token.Access, pkcs1, nil},
		{"an EC key for PowerSync", token.PowerSync, inPEM("EC PRIVATE KEY", sec1), nil},
		{"a public key", token.Access, mustPKIX(t, ec), nil},
		{"half a key", token.Access, inPEM("EC PRIVATE KEY", sec1[:40]), nil},
		{"no PEM", token.Access, "hunter2", nil},
		{"nothing", token.PowerSync, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := token.ParseKey(tt.use, "k1", secret.New(tt.text))
			if (err == nil) != (tt.want != nil) {
				t.Fatalf("ParseKey() = %v", err)
			}
			if err != nil {
				if tt.text != "" && strings.Contains(err.Error(), tt.text) {
					t.Errorf("the refusal quotes the key: %v", err)
				}
				return
			}
			if got.ID != "k1" || !equal(got.Private.Public(), tt.want.Public()) || !equal(got.Public, tt.want.Public()) {
				t.Errorf("another key came out, with the id %q", got.ID)
			}
		})
	}
}

func TestParsePublicKey(t *testing.T) {
	ec, long := mustEC(t, elliptic.P256()), mustRSA(t)
	for _, tt := range []struct {
		name string
		use  token.Use
		text string
		want crypto.Signer
	}{
		{"EC", token.Access, mustPKIX(t, ec), ec},
		{"RSA", token.PowerSync, mustPKIX(t, long), long},
		{"RSA in PKCS #1", token.PowerSync, inPEM("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&long.PublicKey)), long},
		{"another curve", token.Access, mustPKIX(t, mustEC(t, elliptic.P384())), nil},
		{"an RSA key of 1024 bits", token.PowerSync, mustPKIX(t, mustShortRSA(t)), nil},
		{"an RSA key for access tokens", token.Access, mustPKIX(t, long), nil},
		{"an EC key for PowerSync", token.PowerSync, mustPKIX(t, ec), nil},
		{"a private key", token.Access, mustPKCS8(t, ec), nil},
		{"no PEM", token.PowerSync, "hunter2", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := token.ParsePublicKey(tt.use, "", tt.text)
			switch {
			case (err == nil) != (tt.want != nil):
				t.Errorf("ParsePublicKey() = %v", err)
			case err == nil && (got.Private != nil || !equal(got.Public, tt.want.Public())):
				t.Error("another key came out")
			}
		})
	}
}

func equal(a, b crypto.PublicKey) bool {
	switch a := a.(type) {
	case *ecdsa.PublicKey:
		return a.Equal(b)
	case *rsa.PublicKey:
		return a.Equal(b)
	}
	return false
}

// TestThumbprint holds that a key without an id has the same one wherever it is read, by either half.
func TestThumbprint(t *testing.T) {
	for use, signer := range map[token.Use]crypto.Signer{token.Access: mustEC(t, elliptic.P256()), token.PowerSync: mustRSA(t)} {
		private := mustKey(t, use, "", signer)
		public, err := token.ParsePublicKey(use, "", mustPKIX(t, signer))
		must(t, err)
		if private.ID != public.ID || len(private.ID) != 43 || private.ID != mustKey(t, use, "", signer).ID {
			t.Errorf("%s: ids %q and %q", use, private.ID, public.ID)
		}
	}
}

func TestNewKey(t *testing.T) {
	for _, use := range []token.Use{token.Access, token.PowerSync} {
		text, err := token.NewKey(use)
		must(t, err)
		again, err := token.NewKey(use)
		must(t, err)
		if _, err := token.ParseKey(use, "", text); err != nil || again.Reveal() == text.Reveal() {
			t.Errorf("NewKey(%s): %v", use, err)
		}
	}
}

func TestJWKS(t *testing.T) {
	long, ec := mustRSA(t), mustEC(t, elliptic.P256())
	for _, tt := range []struct {
		name   string
		use    token.Use
		signer crypto.Signer
		kty    string
		alg    string
		value  []string // members of the key itself
	}{
		{"PowerSync", token.PowerSync, long, "RSA", "RS256", []string{"n", "e"}},
		{"access", token.Access, ec, "EC", "ES256", []string{"crv", "x", "y"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, err := token.JWKS(t.Context(), ring{keys: []token.Key{mustKey(t, tt.use, "k1", tt.signer)}}, tt.use)
			must(t, err)
			text, err := json.Marshal(set)
			must(t, err)
			var published struct{ Keys []map[string]string }
			must(t, json.Unmarshal(text, &published))
			if len(published.Keys) != 1 {
				t.Fatalf("%d keys", len(published.Keys))
			}
			key := published.Keys[0]
			want := slices.Sorted(slices.Values(append([]string{"kty", "kid", "alg", "use"}, tt.value...)))
			if diff := cmp.Diff(want, slices.Sorted(maps.Keys(key))); diff != "" { // above all no "d"
				t.Errorf("members (-want +got):\n%s", diff)
			}
			if key["kty"] != tt.kty || key["kid"] != "k1" || key["alg"] != tt.alg || key["use"] != "sig" {
				t.Errorf("published %v", key)
			}
		})
	}
	if _, err := token.JWKS(t.Context(), ring{err: errDown}, token.Access); err == nil {
		t.Error("a set without its keys")
	}
}

func TestJWKSOfNoKeysIsAList(t *testing.T) {
	set, err := token.JWKS(t.Context(), ring{}, token.PowerSync)
	must(t, err)
	if text, err := json.Marshal(set); err != nil || string(text) != `{"keys":[]}` {
		t.Errorf("%s, %v", text, err)
	}
}
