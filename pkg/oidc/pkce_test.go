package oidc_test

import (
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/provisioner/provisioner/pkg/oidc"
)

func TestCheckVerifier(t *testing.T) {
	for _, tt := range []struct {
		name                string
		challenge, verifier string
		want                bool
	}{
		{"the example of the RFC", challenge, verifier, true},
		{"neither", "", "", true},
		{"another verifier", challenge, strings.Repeat("a", 43), false},
		{"a challenge and no verifier", challenge, "", false},
		{"a verifier and no challenge", "", verifier, false},
		{"the challenge itself, as the plain method has it", challenge, challenge, false},
		{"42 characters", oauth2.S256ChallengeFromVerifier(verifier[:42]), verifier[:42], false},
		{"128 characters", oauth2.S256ChallengeFromVerifier(strings.Repeat("~", 128)), strings.Repeat("~", 128), true},
		{"129 characters", oauth2.S256ChallengeFromVerifier(strings.Repeat("~", 129)), strings.Repeat("~", 129), false},
		{"a space in it", oauth2.S256ChallengeFromVerifier(verifier + " "), verifier + " ", false},
		{"a line break after it", oauth2.S256ChallengeFromVerifier(verifier + "\n"), verifier + "\n", false},
		{"a padded challenge", challenge + "=", verifier, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := oidc.CheckVerifier(tt.challenge, tt.verifier); got != tt.want {
				t.Errorf("CheckVerifier(%q, %q) = %t", tt.challenge, tt.verifier, got)
			}
		})
	}
}
