package password

import (
	_ "embed"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/provisioner/provisioner/pkg/secret"
)

const (
	defaultMinLen = 8
	nistMinLen    = 15 // NIST SP 800-63B-4 §3.1.1.2, for passwords as the only factor
	maxLen        = 1024
)

// common holds the commonest passwords, each between two newlines.
//
//go:embed common.txt
var common string

// Policy says which new passwords are good enough. It does not judge those that sign in.
type Policy struct {
	minLen int // code points
}

// NewPolicy returns the default policy, or with nist that of NIST SP 800-63B-4.
func NewPolicy(nist bool) Policy {
	if nist {
		return Policy{minLen: nistMinLen}
	}
	return Policy{minLen: defaultMinLen}
}

// WeakError says why a new password is refused.
type WeakError struct {
	Reason string // for people; does not show the password
}

// Error returns the reason.
func (e *WeakError) Error() string { return e.Reason }

// Check returns a *WeakError unless password may be set for the account of email: it has 8 (NIST: 15) code points to 1024
// bytes, is valid UTF-8, none of the commonest, and not the e-mail.
func (p Policy) Check(password secret.Text, email string) error {
	text := password.Reveal()
	switch {
	case utf8.RuneCountInString(text) < p.minLen:
		return &WeakError{fmt.Sprintf("the password must have at least %d characters", p.minLen)}
	case len(text) > maxLen:
		return &WeakError{fmt.Sprintf("the password must have at most %d bytes", maxLen)}
	case !utf8.ValidString(text):
		return &WeakError{"the password must be valid UTF-8"}
	case strings.EqualFold(text, email):
		return &WeakError{"the password must not be the email address"}
	case !strings.Contains(text, "\n") && strings.Contains(common, "\n"+strings.ToLower(text)+"\n"):
		return &WeakError{"the password is one of the commonest"}
	}
	return nil
}
