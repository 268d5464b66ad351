// Package text judges short texts that strangers send: names and addresses. Passwords and tokens are not its concern.
package text

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// IsLine reports whether s has 1 to maxLen code points, is valid UTF-8 and free of control characters (C0, DEL, C1).
func IsLine(s string, maxLen int) bool {
	return s != "" && utf8.RuneCountInString(s) <= maxLen && utf8.ValidString(s) && !strings.ContainsFunc(s, isControl)
}

// Line returns s as a line of at most maxLen bytes: without control characters and broken UTF-8, and cut off.
func Line(s string, maxLen int) string {
	s = s[:min(len(s), maxLen)]
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

const maxEmailLen = 254 // RFC 5321 §4.5.3.1.3, less the angle brackets

var emailForm = regexp.MustCompile(`^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$`)

// IsEmail reports whether s has the form local@domain.tld, at most 254 bytes, and no spaces or control characters.
func IsEmail(s string) bool {
	return len(s) <= maxEmailLen && IsLine(s, maxEmailLen) && emailForm.MatchString(s)
}

// IsPrintableASCII reports whether s is 1 to maxLen printable ASCII characters.
func IsPrintableASCII(s string, maxLen int) bool {
	return s != "" && len(s) <= maxLen && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}
