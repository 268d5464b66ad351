package token_test

import (
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/token"
)

func TestPowerSyncToken(t *testing.T) {
	keys := ring{keys: []token.Key{mustKey(t, token.PowerSync, "k1", mustRSA(t))}}
	p := token.NewPowerSyncIssuer(keys, "https://papyrus.example.com", "powersync", 5*time.Minute, func() time.Time { return noon.Add(999 * time.Millisecond) })
	raw, err := p.Issue(t.Context(), "u1")
	must(t, err)

	want := map[string]any{
		"iss": "https://papyrus.example.com", "sub": "u1", "aud": "powersync", "type": "powersync",
		"iat": float64(noon.Unix()), "exp": float64(noon.Unix() + 300),
	}
	if diff := cmp.Diff(want, part(t, raw.Reveal(), 1)); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"alg": "RS256", "typ": "JWT", "kid": "k1"}, part(t, raw.Reveal(), 0)); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if p.TTL() != 5*time.Minute {
		t.Errorf("lives for %v", p.TTL())
	}

	without := token.NewPowerSyncIssuer(ring{err: errDown}, "i", "a", time.Minute, time.Now)
	if _, err := without.Issue(t.Context(), "u1"); !errors.Is(err, errDown) {
		t.Errorf("Issue() = %v", err)
	}
}

// TestPublishedKeysVerify verifies tokens with another library, by nothing but the published keys.
func TestPublishedKeysVerify(t *testing.T) {
	now := noon
	access, accessKeys := newIssuer(t, mustEC(t, elliptic.P256()), &now)
	syncKeys := ring{keys: []token.Key{mustKey(t, token.PowerSync, "k1", mustRSA(t))}}
	synced, err := token.NewPowerSyncIssuer(syncKeys, issuer, "powersync", time.Minute, time.Now).Issue(t.Context(), "u1")
	must(t, err)

	for _, tt := range []struct {
		use       token.Use
		keys      ring
		raw       string
		algorithm jose.SignatureAlgorithm
	}{
		{token.Access, accessKeys, mustIssue(t, access), jose.ES256},
		{token.PowerSync, syncKeys, synced.Reveal(), jose.RS256},
	} {
		set, err := token.JWKS(t.Context(), tt.keys, tt.use)
		must(t, err)
		text, err := json.Marshal(set)
		must(t, err)
		var published jose.JSONWebKeySet
		must(t, json.Unmarshal(text, &published))
		signed, err := jose.ParseSignedCompact(tt.raw, []jose.SignatureAlgorithm{tt.algorithm})
		must(t, err)
		keys := published.Key(signed.Signatures[0].Header.KeyID)
		if len(keys) != 1 {
			t.Fatalf("%s: %d keys of the token's id", tt.use, len(keys))
		}
		if _, err := signed.Verify(keys[0]); err != nil {
			t.Errorf("%s: %v", tt.use, err)
		}
	}
	if _, err := access.Verify(t.Context(), synced.Reveal()); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("a PowerSync token as an access token: %v", err)
	}
}
