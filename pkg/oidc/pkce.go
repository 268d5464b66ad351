package oidc

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"regexp"

	"golang.org/x/oauth2"
)

const methodS256 = "S256" // RFC 7636 §4.3; "plain" is not taken

// verifierForm is a code verifier (RFC 7636 §4.1).
var verifierForm = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

// isChallenge reports whether s is 43 characters of base64url that stand for 32 bytes (RFC 7636 §4.2).
func isChallenge(s string) bool {
	if len(s) != base64.RawURLEncoding.EncodedLen(sha256.Size) {
		return false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(raw) == sha256.Size // a line break is passed over when decoding
}

// CheckVerifier reports whether verifier is the one that an app's S256 challenge was made of (RFC 7636 §4.6). Without a
// challenge there must be no verifier either: an app that sends one believes itself protected.
func CheckVerifier(challenge, verifier string) bool {
	if challenge == "" || verifier == "" {
		return challenge == verifier
	}
	if !verifierForm.MatchString(verifier) {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(oauth2.S256ChallengeFromVerifier(verifier)), []byte(challenge)) == 1
}
