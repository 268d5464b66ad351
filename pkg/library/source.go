package library

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
)

// maxDrain is how much of a body over the size is read for nothing, so that its client gets to the answer.
const maxDrain = 256 << 20

// errOverSize ends a body that is longer than it may be.
var errOverSize = errors.New("the body is over the size")

// source reads the body of a request, and keeps of it what a dead letter needs.
type source struct {
	body  io.Reader
	limit int64
	size  int64  // of what was read
	kept  []byte // all of it, up to MaxLetterBody, then its head
	err   error  // that of the body, if it broke
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	s.keep(p[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = fmt.Errorf("%w: %w", ErrIncomplete, err)
	}
	if over := s.size - s.limit; over > 0 {
		return max(0, n-int(over)), errOverSize
	}
	return n, err
}

func (s *source) keep(p []byte) {
	s.size += int64(len(p))
	switch room := letterHead - len(s.kept); {
	case s.size <= MaxLetterBody:
		s.kept = append(s.kept, p...)
	case room < 0:
		s.kept = bytes.Clone(s.kept[:letterHead])
	default:
		s.kept = append(s.kept, p[:min(room, len(p))]...)
	}
}

// drain reads the rest of a body over the size, or so much of it that the client must see that it is not wanted.
func (s *source) drain() error {
	s.limit = math.MaxInt64
	_, _ = io.CopyN(io.Discard, s, maxDrain) // what goes wrong is in s.err
	return s.err
}
