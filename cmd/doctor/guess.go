package doctor

import (
	"math"
	"slices"
	"strings"
)

const (
	minBytes         = 32
	minPasswordBytes = 12
	longest          = 256 // bytes that are looked at: more need not be guessed
	minBits          = 80  // by the estimate of bits; 128 random ones in any notation come out above 100
)

// Words that no random text holds.
var (
	// blanks are left to be filled in, in secrets of any origin.
	blanks = []string{"changeme", "change-me", "change_me", "change me", "changeit", "placeholder", "replace-", "replace_", "your-", "your_", "xxxxxxxx", "…", "<"}
	// vague says what a key of one's own is rather than being one.
	vague = append([]string{"secret", "password", "passwort", "example", "sample", "insecure", "default", "provisioner", "supabase", "powersync", "qwerty", "letmein"}, blanks...)
)

func mentions(text string, words []string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
}

// examples are keys of documents that people copy from: the test vectors of docs/signing.md, of HMAC (RFC 4231) and of AES.
var examples = []string{
	"test-secret",
	"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	"2b7e151628aed2a6abf7158809cf4f3c",
	"super-secret-jwt-token-with-at-least-32-characters-long", // Supabase's own for local development
}

func documented(text string) bool { return slices.Contains(examples, strings.ToLower(text)) }

// bits estimates how much there is to guess in a text: Shannon's entropy of its letters, or of the steps from letter to letter where that
// is less, after repeated parts are taken out. It judges what people type; it cannot know how a text was made.
func bits(text string) float64 {
	rest := withoutRepeats([]byte(text[:min(len(text), longest)]))
	steps := make([]byte, 0, len(rest))
	for i := 1; i < len(rest); i++ {
		steps = append(steps, rest[i]-rest[i-1])
	}
	return math.Min(entropy(rest), entropy(steps))
}

// repeat is the length from which a part counts as repeated.
const repeat = 4

// withoutRepeats returns the bytes that stand in no part which came before.
func withoutRepeats(text []byte) []byte {
	var rest []byte
	for i := 0; i < len(text); {
		n := repeatedAt(text, i)
		if n < repeat {
			rest = append(rest, text[i])
			n = 1
		}
		i += n
	}
	return rest
}

// repeatedAt returns the length of the longest part from i that also begins earlier. The two may overlap.
func repeatedAt(text []byte, i int) int {
	most := 0
	for j := range i {
		n := 0
		for i+n < len(text) && text[j+n] == text[i+n] {
			n++
		}
		most = max(most, n)
	}
	return most
}

// entropy returns the bits of all bytes together, by how often each occurs.
func entropy(text []byte) float64 {
	var count [256]int
	for _, b := range text {
		count[b]++
	}
	var sum float64
	for _, n := range count {
		if n > 0 {
			sum -= float64(n) * math.Log2(float64(n)/float64(len(text)))
		}
	}
	return sum
}
