package token_test

import (
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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

// mustSign returns a token of claims under a key, as an attacker or another service could make it.
func mustSign(t *testing.T, method jwt.SigningMethod, kid string, key any, claims jwt.MapClaims) string {
	t.Helper()
	signed := jwt.NewWithClaims(method, claims)
	signed.Header["kid"] = kid
	raw, err := signed.SignedString(key)
	must(t, err)
	return raw
}

func TestVerifyPowerSync(t *testing.T) {
	key, ec := mustRSA(t), mustEC(t, elliptic.P256())
	keys := ring{keys: []token.Key{mustKey(t, token.PowerSync, "k1", key)}}
	p := token.NewPowerSyncIssuer(keys, issuer, "powersync", 5*time.Minute, func() time.Time { return noon })
	issued, err := p.Issue(t.Context(), "u1")
	must(t, err)
	if userID, expires, err := p.Verify(t.Context(), issued.Reveal()); userID != "u1" || !expires.Equal(noon.Add(5*time.Minute)) || err != nil {
		t.Errorf("Verify() = %q, %v, %v", userID, expires, err)
	}

	with := func(name string, value any) string {
		claims := jwt.MapClaims{
			"iss": issuer, "sub": "u1", "aud": "powersync", "type": "powersync", "iat": noon.Unix(), "exp": noon.Unix() + 300,
		}
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
		return mustSign(t, jwt.SigningMethodRS256, "k1", key, claims)
	}
	good := with("sub", "u1")
	for _, tt := range []struct {
		name, raw string
		want      error // beside ErrInvalid
	}{
		{"none", "", nil},
		{"no JWT", "a.b.c", nil},
		{"too long to be looked at", good + strings.Repeat("x", token.MaxLen), nil},
		{"another signature", good[:len(good)-8] + "AAAAAAAA", nil},
		{"a key that is not known", mustSign(t, jwt.SigningMethodRS256, "k2", key, jwt.MapClaims{}), nil},
		{"no algorithm", mustSign(t, jwt.SigningMethodNone, "k1", jwt.UnsafeAllowNoneSignatureType, jwt.MapClaims{}), nil},
		{"the algorithm of access tokens", mustSign(t, jwt.SigningMethodES256, "k1", ec, jwt.MapClaims{}), nil},
		{"another issuer", with("iss", "https://elsewhere.example.com"), nil},
		{"no issuer", with("iss", nil), nil},
		{"another audience", with("aud", "authenticated"), token.ErrAudience},
		{"no audience", with("aud", nil), nil},
		{"another type", with("type", "access"), nil},
		{"no user", with("sub", ""), nil},
		{"no time of issue", with("iat", nil), nil},
		{"no end", with("exp", nil), nil},
		{"at its end", with("exp", noon.Unix()), token.ErrExpired},
		{"good for a second more than a day", with("exp", noon.Unix()+86_401), token.ErrTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			userID, _, err := p.Verify(t.Context(), tt.raw)
			if userID != "" || !errors.Is(err, token.ErrInvalid) {
				t.Fatalf("Verify() = %q, %v", userID, err)
			}
			var told error
			for _, why := range []error{token.ErrExpired, token.ErrAudience, token.ErrTooLong} {
				if errors.Is(err, why) {
					told = why
				}
			}
			if diff := cmp.Diff(tt.want, told, cmpopts.EquateErrors()); diff != "" {
				t.Errorf("Verify() (-want +got):\n%s", diff)
			}
		})
	}

	for _, raw := range []string{good, with("exp", noon.Unix()+86_400), with("exp", noon.Unix()+1)} {
		if _, _, err := p.Verify(t.Context(), raw); err != nil {
			t.Errorf("Verify() = %v", err)
		}
	}
	down := token.NewPowerSyncIssuer(ring{err: errDown}, issuer, "powersync", time.Minute, time.Now)
	if _, _, err := down.Verify(t.Context(), good); !errors.Is(err, errDown) || errors.Is(err, token.ErrInvalid) {
		t.Errorf("without keys: %v", err)
	}
}
