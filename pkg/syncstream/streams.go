package syncstream

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Why there is no stream.
var (
	ErrTooMany  = errors.New("too many streams, of the user or of all")
	ErrDraining = errors.New("this process is about to end")
)

const (
	maxReads     = 8           // of the store at once: a change that concerns all streams must leave it time for others
	maxPages     = 64          // large ones in memory at once, until their devices have taken them
	maxUserPages = 4           // of them, of one user, so that slow devices of one do not keep others' waiting
	drainsWithin = time.Second // how long the ends of streams are spread over, for the sake of whom their devices turn to
)

// Config is what Streams are made of; every field is needed.
type Config struct {
	Store       Store
	Changes     Changes
	Definitions []Definition
	Max         int // streams at once
	MaxPerUser  int // of them, of one user
	Now         func() time.Time
}

// Definition is a stream as it is configured. Every device gets it unless it asks for none by default.
type Definition struct {
	Name     string // "user_books"
	Priority int    // 0 to 3; what has the lowest is sent first
}

// Streams are the streams of one process. It is safe for concurrent use.
type Streams struct {
	Config
	reads, pages slots

	mu       sync.Mutex // of what follows
	byUser   map[string]*userStreams
	open     int
	draining bool

	refused, operations, checkpoints atomic.Int64
}

// userStreams are the streams of one user.
type userStreams struct {
	streams []*Stream
	pages   slots
}

// slots bound how many do something at once.
type slots chan struct{}

func (s slots) take(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slots) free() { <-s }

// New returns Streams, none of which is open.
func New(c Config) *Streams {
	s := &Streams{
		Config: c, reads: make(slots, maxReads), pages: make(slots, maxPages), byUser: make(map[string]*userStreams),
	}
	c.Changes.OnChange(s.wake)
	return s
}

// Open takes a place for a stream of a user, who must be who they say. Whoever opens a stream closes it. It returns ErrTooMany and
// ErrDraining.
func (s *Streams) Open(userID string) (*Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user := s.byUser[userID]
	if user == nil {
		user = &userStreams{pages: make(slots, maxUserPages)}
	}
	switch {
	case s.draining:
		return nil, ErrDraining
	case s.open >= s.Max || len(user.streams) >= s.MaxPerUser:
		s.refused.Add(1)
		return nil, ErrTooMany
	}
	opened := &Stream{
		streams: s, userID: userID, userPages: user.pages, woken: make(chan struct{}, 1), quit: make(chan struct{}),
	}
	user.streams = append(user.streams, opened)
	s.byUser[userID] = user
	s.open++
	return opened, nil
}

// close gives the place of a stream back.
func (s *Streams) close(closed *Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user := s.byUser[closed.userID]
	user.streams = slices.DeleteFunc(user.streams, func(other *Stream) bool { return other == closed })
	if len(user.streams) == 0 {
		delete(s.byUser, closed.userID)
	}
	s.open--
}

// wake has the streams of a user look for what is new, those of all users for "".
func (s *Streams) wake(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if userID == "" {
		for _, user := range s.byUser {
			wakeAll(user.streams)
		}
		return
	}
	if user := s.byUser[userID]; user != nil {
		wakeAll(user.streams)
	}
}

func wakeAll(streams []*Stream) {
	for _, s := range streams {
		select {
		case s.woken <- struct{}{}:
		default: // it has not looked since it was woken last
		}
	}
}

// Drain refuses new streams from now on and, after the delay, ends those that are open: each after the line that it is at, and not
// all at the same moment. Their devices connect again, to another process.
func (s *Streams) Drain(delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return
	}
	s.draining = true
	for _, user := range s.byUser {
		for _, open := range user.streams {
			time.AfterFunc(delay+rand.N(drainsWithin), func() { close(open.quit) }) //nolint:gosec // G404: spread, not secret
		}
	}
}

// WriteCheckpoint steps the write checkpoint of a client, or raises it to atLeast if that is not 0, and returns it: once a stream tells
// the client of it, the client has what was uploaded before. It returns ErrNoUser.
func (s *Streams) WriteCheckpoint(ctx context.Context, userID, clientID string, atLeast int64) (int64, error) {
	return s.Store.WriteCheckpoint(ctx, userID, clientID, atLeast, s.Now().UTC())
}

// Counts are what the streams of a process have done so far, but Open.
type Counts struct {
	Open        int64 // now
	Refused     int64 // for want of a place
	Operations  int64 // sent
	Checkpoints int64 // sent, diffs included
}

// Counts returns them.
func (s *Streams) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Counts{Open: int64(s.open), Refused: s.refused.Load(), Operations: s.operations.Load(), Checkpoints: s.checkpoints.Load()}
}
