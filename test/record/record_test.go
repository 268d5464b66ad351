package record_test

import (
	"strings"
	"testing"

	"github.com/provisioner/provisioner/test/record"
)

func TestLeaksAreFound(t *testing.T) {
	const (
		password = "correct horse battery"
		jwt      = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c2VyLTEifQ.c2lnbmF0dXJlLW9mLXVzZXI"
		key      = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49AwEHBG0w\n-----END PRIVATE KEY-----\n"
	)
	tests := []struct {
		name, shown string
		leaks       int
	}{
		{"nothing", `{"level":"INFO","msg":"request","status":200}`, 0},
		{"a whole secret", `{"msg":"wrong password: correct horse battery"}`, 1},
		{"a secret at the very end", "correct horse battery", 1},
		{"a secret twice in one output", "correct horse battery, correct horse battery", 1},
		{"the start of a secret", "correct horse", 0},
		{"a whole JWT, with its parts", "Bearer " + jwt, 3},
		{"the payload of a JWT", "claims=eyJzdWIiOiJ1c2VyLTEifQ", 1},
		{"one line of a private key", `"key":"MIGHAgEAMBMGByqGSM49\n…"`, 1},
		{"the frame of a private key", "-----BEGIN PRIVATE KEY-----", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r record.Record
			r.Keep("password", password)
			r.Keep("jwt", jwt)
			r.Keep("private key", key)
			r.See("log of sender", "first line\n")
			r.See("log of receiver", tt.shown)
			got := r.Leaks()
			if len(got) != tt.leaks {
				t.Errorf("Leaks() = %q, want %d", got, tt.leaks)
			}
			for _, leak := range got {
				if !strings.Contains(leak, "log of receiver") || strings.Contains(leak, password) && tt.leaks == 1 && !strings.Contains(tt.name, "twice") {
					t.Errorf("Leaks() = %q, want the place and not the secret", leak)
				}
			}
		})
	}
}

func TestShortSecretsAreRefused(t *testing.T) {
	var r record.Record
	r.Keep("PIN", "1234")
	if got := r.Leaks(); len(got) != 1 || !strings.Contains(got[0], "PIN") || strings.Contains(got[0], "1234") {
		t.Errorf("Leaks() = %q, want a complaint about the PIN", got)
	}
}
