// Package record finds the secrets that a test run shows: in logs, on metric pages, in the bodies of errors. It does not know
// what is secret: those who make a secret tell it.
package record

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Record is what a run must not show, and all that it showed. Its methods are safe for concurrent use.
type Record struct {
	mu      sync.Mutex
	secrets map[string]string // what each is, by its text
	sights  []sight
	short   []string // complaints about texts that cannot be looked for
}

// sight is a text that somebody besides the user can read: a log, a metric page, the body of an error.
type sight struct{ where, text string }

// leastSecret is the length from which a text cannot occur by chance. Secrets of tests are no shorter.
const leastSecret = 8

// Keep notes a secret. Of a JWT also the payload and the signature alone are secret, of several lines each one.
func (r *Record) Keep(what, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.secrets == nil {
		r.secrets = map[string]string{}
	}
	parts := []string{text}
	if lines := strings.Split(strings.TrimSpace(text), "\n"); len(lines) > 1 {
		parts = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "-----") })
	} else if jwt := strings.Split(text, "."); len(jwt) == 3 {
		parts = append(parts, jwt[1], jwt[2])
	}
	for _, part := range parts {
		if len(part) < leastSecret {
			r.short = append(r.short, fmt.Sprintf("%s: a secret of %d bytes cannot be looked for", what, len(part)))
			continue
		}
		r.secrets[part] = what
	}
}

// See notes what was shown.
func (r *Record) See(where, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sights = append(r.sights, sight{where, text})
}

// Leaks returns a sentence for every secret that was shown, with the text before its first appearance, and for every text
// that is too short to be looked for.
func (r *Record) Leaks() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	byStart := map[uint64][]string{}
	for text := range r.secrets {
		start := startOf(text)
		byStart[start] = append(byStart[start], text)
	}
	found := slices.Clone(r.short)
	for _, s := range r.sights {
		for text, at := range s.find(byStart) {
			line := s.text[max(0, at-120):at]
			found = append(found, fmt.Sprintf("%s shows a %s after %q", s.where, r.secrets[text], line))
		}
	}
	slices.Sort(found)
	return found
}

// find returns where each secret first appears.
func (s sight) find(byStart map[uint64][]string) map[string]int {
	found := map[string]int{}
	for i := 0; i+leastSecret <= len(s.text); i++ {
		for _, text := range byStart[startOf(s.text[i:])] {
			if _, known := found[text]; !known && strings.HasPrefix(s.text[i:], text) {
				found[text] = i
			}
		}
	}
	return found
}

func startOf(text string) uint64 { return binary.LittleEndian.Uint64([]byte(text[:leastSecret])) }

// summary says how much was looked at.
func (r *Record) summary() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := 0
	for _, s := range r.sights {
		size += len(s.text)
	}
	return fmt.Sprintf("%d secrets, %d outputs of %.1f MB", len(r.secrets), len(r.sights), float64(size)/1e6)
}
