package papyrus

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/provisioner/provisioner/pkg/bound"
)

const (
	// memoryPerByte is how much memory a byte of a body takes while it is worked on: its text, what it says, what is written, and what
	// is garbage then; as measured with books.
	memoryPerByte = 6
	smallUpload   = 1 << 20 // bytes of a body; a larger one goes where it is not in the way of these
	largestUpload = 64 << 20
	shareOfSmall  = 4 // a quarter of the room is for small uploads alone

	uploadsOfUser = 2 // at once: the store takes them one by one, and each that waits there keeps a connection from others

	crowdedWait  = 3 * time.Second // for memory
	crowdedRetry = 5 * time.Second
)

// uploadRoom bounds the memory of uploads under way, and how many are one user's. However many large ones come, or stay, small ones
// have their own room.
type uploadRoom struct {
	small, large pool
	users        *userRooms
	count        *uploadCounts
}

// uploadCounts are what the metrics tell.
type uploadCounts struct{ taken, refused atomic.Int64 } // bytes of memory, and uploads

// userRooms are the places of the users that have uploads under way.
type userRooms struct {
	mu  sync.Mutex
	all map[string]*userRoom
}

type userRoom struct {
	places  *semaphore.Weighted
	uploads int // under way, and those that wait for a place
}

// enter returns the room of a user; leave forgets it with the user's last upload.
func (u *userRooms) enter(userID string) *userRoom {
	u.mu.Lock()
	defer u.mu.Unlock()
	room := u.all[userID]
	if room == nil {
		room = &userRoom{places: semaphore.NewWeighted(uploadsOfUser)}
		u.all[userID] = room
	}
	room.uploads++
	return room
}

func (u *userRooms) leave(userID string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	room := u.all[userID]
	if room.uploads--; room.uploads == 0 {
		delete(u.all, userID)
	}
}

type pool struct {
	*semaphore.Weighted
	size int64
}

// newUploadRoom returns room for so many bytes, but never for less than one upload of each kind.
func newUploadRoom(budget int64) uploadRoom {
	small := max(budget/shareOfSmall, memoryPerByte*smallUpload)
	large := max(budget-small, memoryPerByte*smallUpload)
	return uploadRoom{
		pool{semaphore.NewWeighted(small), small},
		pool{semaphore.NewWeighted(large), large},
		&userRooms{all: make(map[string]*userRoom)},
		new(uploadCounts),
	}
}

// bound is the memory of all uploads under way.
func (r uploadRoom) bound() bound.Bound {
	return bound.Bound{
		Service: "papyrus", What: "upload_bytes", Limit: r.small.size + r.large.size, Used: r.count.taken.Load, Shed: r.count.refused.Load,
	}
}

// enter waits for room for a user's body of so many bytes, -1 for one of unknown length. It returns errCrowded where there is none soon.
func (r uploadRoom) enter(ctx context.Context, userID string, length int64) (*place, error) {
	p := &place{room: r}
	err := p.takeUsers(ctx, userID)
	switch {
	case err != nil:
	case length < 0:
		err = p.take(ctx, r.small, smallUpload)
	case length <= smallUpload:
		err = p.take(ctx, r.small, length)
	default:
		err = p.takeLarge(ctx, length)
	}
	if err != nil {
		p.leave()
		return nil, err
	}
	return p, nil
}

// place is what one upload takes of the room.
type place struct {
	room  uploadRoom
	large bool
	taken []func()
}

// takeUsers takes one of the places of a user.
func (p *place) takeUsers(ctx context.Context, userID string) error {
	user := p.room.users.enter(userID)
	p.taken = append(p.taken, func() { p.room.users.leave(userID) })
	return p.acquire(ctx, user.places, 1)
}

func (p *place) take(ctx context.Context, from pool, length int64) error {
	weight := min(memoryPerByte*length, from.size)
	if err := p.acquire(ctx, from.Weighted, weight); err != nil {
		return err
	}
	p.room.count.taken.Add(weight)
	p.taken = append(p.taken, func() { p.room.count.taken.Add(-weight) })
	return nil
}

func (p *place) acquire(ctx context.Context, from *semaphore.Weighted, weight int64) error {
	ctx, cancel := context.WithTimeout(ctx, crowdedWait)
	defer cancel()
	if err := from.Acquire(ctx, weight); err != nil {
		p.room.count.refused.Add(1)
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
