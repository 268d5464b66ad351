package e2e_test

import (
	"strings"
	"testing"
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
			var r record
			r.keep("password", password)
			r.keep("jwt", jwt)
			r.keep("private key", key)
			r.see("log of sender", "first line\n")
			r.see("log of receiver", tt.shown)
			got := r.leaks()
			if len(got) != tt.leaks {
				t.Errorf("leaks() = %q, want %d", got, tt.leaks)
			}
			for _, leak := range got {
				if !strings.Contains(leak, "log of receiver") || strings.Contains(leak, password) && tt.leaks == 1 && !strings.Contains(tt.name, "twice") {
					t.Errorf("leaks() = %q, want the place and not the secret", leak)
				}
			}
		})
	}
}
