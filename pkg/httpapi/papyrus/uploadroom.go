package papyrus

import (
	"context"
	"io"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// memoryPerByte is how much memory a byte of a body takes while it is worked on: its text, what it says, what is written, and what
	// is garbage then; as measured with books.
	memoryPerByte = 6
	smallUpload   = 1 << 20 // bytes of a body; a larger one goes where it is not in the way of these
	largestUpload = 64 << 20
	shareOfSmall  = 4 // a quarter of the room is for small uploads alone

	crowdedWait  = 3 * time.Second // for memory
	crowdedRetry = 5 * time.Second
)

// uploadRoom bounds the memory of uploads under way. However many large ones come, or stay, small ones have their own room.
type uploadRoom struct {
	small, large pool
}

type pool struct {
	*semaphore.Weighted
	size int64
}

// newUploadRoom returns room for so many bytes, but never for less than one upload of each kind.
func newUploadRoom(budget int64) uploadRoom {
	small := max(budget/shareOfSmall, memoryPerByte*smallUpload)
	large := max(budget-small, memoryPerByte*smallUpload)
	return uploadRoom{pool{semaphore.NewWeighted(small), small}, pool{semaphore.NewWeighted(large), large}}
}

// enter waits for room for a body of so many bytes, -1 for one of unknown length. It returns errCrowded where there is none soon.
func (r uploadRoom) enter(ctx context.Context, length int64) (*place, error) {
	p := &place{room: r}
	if length < 0 {
		return p, p.take(ctx, r.small, smallUpload)
	}
	if length <= smallUpload {
		return p, p.take(ctx, r.small, length)
	}
	return p, p.takeLarge(ctx, length)
}

// place is what one upload takes of the room.
type place struct {
	room  uploadRoom
	large bool
	taken []func()
}

func (p *place) take(ctx context.Context, from pool, length int64) error {
	ctx, cancel := context.WithTimeout(ctx, crowdedWait)
	defer cancel()
	weight := min(memoryPerByte*length, from.size)
	if err := from.Acquire(ctx, weight); err != nil {
		return errCrowded.With(err)
	}
	p.taken = append(p.taken, func() { from.Release(weight) })
	return nil
}

func (p *place) takeLarge(ctx context.Context, length int64) error {
	p.large = true
	return p.take(ctx, p.room.large, min(length, largestUpload))
}

// leave gives back what was taken.
func (p *place) leave() {
	for _, release := range p.taken {
		release()
	}
}

// reader reads a body, and looks for more room once one of unknown length proves large.
func (p *place) reader(ctx context.Context, body io.Reader) io.Reader {
	return &placedReader{place: p, ctx: ctx, body: body}
}

type placedReader struct {
	place *place
	ctx   context.Context // of the request whose body it is
	body  io.Reader
	read  int64
}

func (r *placedReader) Read(b []byte) (int, error) {
	n, err := r.body.Read(b)
	r.read += int64(n)
	if r.read > smallUpload && !r.place.large {
		if crowded := r.place.takeLarge(r.ctx, largestUpload); crowded != nil {
			return n, crowded
		}
	}
	return n, err
}
