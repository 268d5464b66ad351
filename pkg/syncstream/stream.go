package syncstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"time"
)

// Why a stream ends, beside ErrDraining and ErrNoUser.
var (
	ErrExpired = errors.New("the token has expired")
	ErrGone    = errors.New("the device has gone, or takes nothing")
)

const (
	pageOps      = 1000
	pageBytes    = 256 << 10
	fewOps       = 32 // of so many at most no account is kept
	fewBytes     = 32 << 10
	overtakable  = 1000 // operations after which a newer checkpoint may come before this one is complete
	readTimeout  = 10 * time.Second
	keepAlive    = 20 * time.Second // give or take a tenth
	expiryNotice = 20 * time.Second // before the end of a token: the device has another by then
)

// Stream is what one device is sent, for as long as it listens.
type Stream struct {
	streams   *Streams
	userID    string
	userPages slots         // those of the user's streams
	woken     chan struct{} // of capacity one: something may be new
	quit      chan struct{} // closed when the process drains

	request Request
	out     io.Writer
	due     time.Time // of the next word on the token
	buckets []bucket  // by priority

	// What the device has been told.
	told     bool  // of any checkpoint
	complete bool  // that it has all of the last one
	head     int64 // of the last one
	writes   int64 // its write checkpoint
	sent     int64 // operations since
}

// Close gives the stream's place to others.
func (s *Stream) Close() { s.streams.close(s) }

// Run sends a device what it asks for, and then what changes, until its token has expired, its account ends, it has gone, or the process
// drains. Each write to out is one line. It returns why it ended, never nil: ErrExpired, ErrNoUser, ErrDraining, the error of ctx, ErrGone
// with that of out, or the error of the store. Before the first line, nothing has been written.
func (s *Stream) Run(ctx context.Context, r *Request, out io.Writer) error {
	s.begin(r, out)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if err := s.catchUp(ctx); err != nil {
			return s.leave(err)
		}
		if err := s.await(ctx, timer); err != nil {
			return s.leave(err)
		}
	}
}

// begin is apart from Run, which waits on a small stack.
func (s *Stream) begin(r *Request, out io.Writer) {
	s.request, s.out = *r, out
	s.due = s.nextWord(s.streams.Now())
	s.buckets = plan(s.streams.Definitions, s.userID, *r)
	s.request.After, s.request.Subscriptions = nil, nil // not to be kept for as long as the stream is
}

// leave says good-bye to a device whose account has ended: it drops its token, and learns why when it wants another.
func (s *Stream) leave(why error) error {
	if s.told && errors.Is(why, ErrNoUser) {
		_ = s.write(expiryLine(s.request.Format, 0)) // it may have gone
	}
	return why
}

// await returns once something may be new, and tells the device meanwhile how long its token is good for.
func (s *Stream) await(ctx context.Context, timer *time.Timer) error {
	for {
		timer.Reset(s.due.Sub(s.streams.Now()))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.quit:
			return ErrDraining
		case <-s.woken:
			return nil
		case <-timer.C:
			if err := s.tellExpiry(); err != nil {
				return err
			}
		}
	}
}

// tellExpiry tells how long the token is good for, if it is time to. It returns ErrExpired after the last word.
func (s *Stream) tellExpiry() error {
	now := s.streams.Now()
	if now.Before(s.due) {
		return nil
	}
	left := s.request.Expires.Sub(now)
	if err := s.write(expiryLine(s.request.Format, max(0, int64(math.Ceil(left.Seconds()))))); err != nil {
		return err
	}
	if left <= 0 {
		return ErrExpired
	}
	s.due = s.nextWord(now)
	return nil
}

// nextWord returns when to speak of the token next: now and then, at expiryNotice before its end, and at its end.
func (s *Stream) nextWord(now time.Time) time.Time {
	next := now.Add(keepAlive*9/10 + rand.N(keepAlive/5)) //nolint:gosec // G404: spread, not secret
	for _, at := range []time.Time{s.request.Expires.Add(-expiryNotice), s.request.Expires} {
		if at.After(now) && at.Before(next) {
			return at
		}
	}
	if !s.request.Expires.After(now) {
		return now
	}
	return next
}

// catchUp brings the device to the newest state, if that is another than it has.
func (s *Stream) catchUp(ctx context.Context) error {
	for {
		now, err := s.snapshot(ctx)
		if err != nil {
			return err
		}
		if told := s.update(now); told != nil {
			if err := s.write(told); err != nil {
				return err
			}
		}
		if s.complete {
			return nil
		}
		overtaken, err := s.sendBuckets(ctx)
		if err != nil {
			return err
		}
		if !overtaken {
			s.complete = true
			return s.write(completeLine(s.request.Format, s.head))
		}
	}
}

func (s *Stream) snapshot(ctx context.Context) (Snapshot, error) {
	if err := s.streams.reads.take(ctx); err != nil {
		return Snapshot{}, err
	}
	defer s.streams.reads.free()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	now, err := s.streams.Store.Snapshot(ctx, s.userID, s.request.ClientID)
	if err != nil {
		return Snapshot{}, fmt.Errorf("look at buckets: %w", err)
	}
	return now, nil
}

// sendBuckets sends what the device lacks of its checkpoint, and before the next priority begins that the one is there. It reports
// whether a newer checkpoint must come first.
func (s *Stream) sendBuckets(ctx context.Context) (overtaken bool, err error) {
	for i := range s.buckets {
		b := &s.buckets[i]
		if overtaken, err := s.sendBucket(ctx, b); overtaken || err != nil {
			return overtaken, err
		}
		if i+1 < len(s.buckets) && s.buckets[i+1].priority != b.priority {
			if err := s.write(partialLine(s.request.Format, s.head, b.priority)); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// sendBucket sends what the device lacks of a bucket. A device whose last operation is after the head is from another history, of a
// database that was lost: it is sent nothing, sees by the checksum that it has something else, and begins anew.
func (s *Stream) sendBucket(ctx context.Context, b *bucket) (overtaken bool, err error) {
	if b.after >= s.head || b.Count == 0 {
		return false, nil
	}
	for b.after < s.head {
		if err := s.sendPage(ctx, b); err != nil {
			return false, err
		}
		if overtaken, err := s.between(ctx); overtaken || err != nil {
			return overtaken, err
		}
	}
	return s.compactedSince(ctx, b)
}

// between is what a stream does between pages. It reports whether there may be a newer checkpoint, and enough was sent for that to be
// told before this one is complete.
func (s *Stream) between(ctx context.Context) (overtaken bool, err error) {
	if err := s.tellExpiry(); err != nil {
		return false, err
	}
	select {
	case <-s.quit:
		return false, ErrDraining
	default:
	}
	if s.sent < overtakable {
		return false, ctx.Err()
	}
	select {
	case <-s.woken:
		s.sent = 0
		return true, ctx.Err()
	default:
		return false, ctx.Err()
	}
}

// sendPage sends some operations of a bucket. Long pages are accounted for until the device has taken them, so that slow devices do not
// fill the memory, and few operations are not, so that nobody waits for a slow device to hear of a change, unless one is large.
func (s *Stream) sendPage(ctx context.Context, b *bucket) error {
	page := Page{UserID: s.userID, Stream: b.Stream, After: b.after, UpTo: s.head, Ops: fewOps, Bytes: fewBytes}
	if s.head-b.after <= fewOps {
		ops, err := s.read(ctx, page)
		if err != nil {
			return err
		}
		if !isLong(ops) {
			return s.sendOps(b, ops)
		}
	}
	if err := s.takePage(ctx); err != nil {
		return err
	}
	defer s.freePage()
	page.Ops, page.Bytes = pageOps, pageBytes
	ops, err := s.read(ctx, page)
	if err != nil {
		return err
	}
	return s.sendOps(b, ops)
}

// isLong reports whether operations have so much data that they are to be accounted for.
func isLong(ops []Op) bool {
	size := 0
	for _, op := range ops {
		size += len(op.Data)
	}
	return size > 2*fewBytes
}

// takePage waits for room for a long page: first among the user's own, so that whoever waits there keeps none from others.
func (s *Stream) takePage(ctx context.Context) error {
	if err := s.userPages.take(ctx); err != nil {
		return err
	}
	err := s.streams.pages.take(ctx)
	if err != nil {
		s.userPages.free()
	}
	return err
}

func (s *Stream) freePage() {
	s.streams.pages.free()
	s.userPages.free()
}

// sendOps sends the next operations of a bucket, none after its last.
func (s *Stream) sendOps(b *bucket, ops []Op) error {
	if len(ops) == 0 {
		b.after = s.head
		return nil
	}
	next := ops[len(ops)-1].ID
	if err := s.write(s.pageLine(b.name, b.after, next, next < s.head, ops)); err != nil {
		return err
	}
	b.after = next
	s.sent += int64(len(ops))
	s.streams.operations.Add(int64(len(ops)))
	return nil
}

func (s *Stream) read(ctx context.Context, page Page) ([]Op, error) {
	if err := s.streams.reads.take(ctx); err != nil {
		return nil, err
	}
	defer s.streams.reads.free()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	ops, err := s.streams.Store.Ops(ctx, page)
	if err != nil {
		return nil, fmt.Errorf("read operations: %w", err)
	}
	return ops, nil
}

// compactedSince reports whether a bucket was compacted at a later head than the checkpoint's: then some of what the checkpoint
// promised may have made way for operations after it.
func (s *Stream) compactedSince(ctx context.Context, b *bucket) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	at, err := s.streams.Store.Compacted(ctx, s.userID, b.Stream)
	if err != nil {
		return false, fmt.Errorf("look at compaction: %w", err)
	}
	return at > s.head, nil
}

// write writes one line.
func (s *Stream) write(line []byte) error {
	if _, err := s.out.Write(line); err != nil {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return nil
}
