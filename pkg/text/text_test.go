package text_test

import (
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/text"
)

func TestIsLine(t *testing.T) {
	for s, want := range map[string]bool{
		"a": true, "Zoë 🔑": true, strings.Repeat("ü", 10): true, " ": true,
		"": false, strings.Repeat("ü", 11): false, "a\nb": false, "a\x00": false, "\x7f": false, "\u0085": false, "\xff": false,
	} {
		if got := text.IsLine(s, 10); got != want {
			t.Errorf("IsLine(%q) = %v", s, got)
		}
	}
}

func TestLine(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "Opera": "Opera", "a\x00b\nc": "abc", "aüüü": "aüü", "\xffa": "a", "12345678": "12345",
	} {
		if got := text.Line(s, 5); got != want {
			t.Errorf("Line(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestIsEmail(t *testing.T) {
	for s, want := range map[string]bool{
		"reader@example.com": true, "a.b+c@mail.example.co.uk": true, "zoë@exämple.de": true,
		strings.Repeat("a", 242) + "@example.com": true, strings.Repeat("a", 243) + "@example.com": false,
		"": false, "reader": false, "@example.com": false, "reader@": false, "reader@example": false, "a@b@example.com": false,
		"reader@.com": false, "reader@example.": false, "reader@example..com": false, "re ader@example.com": false,
		"reader@example.com\n": false, "reader\x00@example.com": false, "\xff@example.com": false,
	} {
		if got := text.IsEmail(s); got != want {
			t.Errorf("IsEmail(%q) = %v", s, got)
		}
	}
}

func TestIsPrintableASCII(t *testing.T) {
	for s, want := range map[string]bool{"key-1 ~!": true, "": false, "ü": false, "a\tb": false, "a\x7f": false, "12345678901": false} {
		if got := text.IsPrintableASCII(s, 10); got != want {
			t.Errorf("IsPrintableASCII(%q) = %v", s, got)
		}
	}
}
