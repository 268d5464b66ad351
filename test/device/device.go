// Package device is a device of a user as the PowerSync SDK makes one, kept in memory: it queues its own changes and uploads them,
// holds a stream open, checks every checksum, and shows what the server has once its own changes are part of that. Tests run many.
package device

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Config says whose device it is, and of which server.
type Config struct {
	URL         string                                    // of papyrus, without trailing slash
	AccessToken func(ctx context.Context) (string, error) // asked for again after a 401
	OnToken     func(token string)                        // told of every PowerSync token; may be nil
	Transport   http.RoundTripper                         // may lose answers; nil is a plain one
	OnOp        func(op Op)                               // told of every operation received, in order, by one goroutine; may be nil
	Retry       time.Duration                             // how long to wait after a failure; the SDK's is 5 s
	Log         func(format string, args ...any)          // may be nil
}

// Device is one device. Its methods are safe for concurrent use.
type Device struct {
	c      Config
	client *http.Client
	id     string

	mu       sync.Mutex
	rows     map[string]Row     // as the app sees them
	synced   map[string]Row     // as the last checkpoint that was complete has them
	buckets  map[string]*bucket // as received
	queue    []transaction
	opID     int64
	txID     int64
	target   int64 // the write checkpoint that has all that was uploaded
	seen     int64 // the write checkpoint of the last complete checkpoint
	complete int   // checkpoints
	faults   []error
	changed  chan struct{} // closed and replaced with each change of the above

	stop context.CancelFunc // nil while offline
	done sync.WaitGroup
}

// Row is a row of books, by column, as it came in JSON.
type Row map[string]any

// New returns a device that is offline.
func New(c Config) *Device {
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	if c.Retry == 0 {
		c.Retry = 50 * time.Millisecond
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	return &Device{
		c: c, client: &http.Client{Transport: c.Transport}, id: uuid.NewString(),
		rows: map[string]Row{}, synced: map[string]Row{}, buckets: map[string]*bucket{}, changed: make(chan struct{}),
	}
}

// Online has the device sync until Offline.
func (d *Device) Online(ctx context.Context) {
	if d.stop != nil {
		return
	}
	ctx, d.stop = context.WithCancel(ctx)
	d.done.Go(func() { d.forever(ctx, "stream", d.stream) })
	d.done.Go(func() { d.forever(ctx, "upload", d.upload) })
}

// Offline breaks all that is under way off, and returns when it has ended. What was received stays.
func (d *Device) Offline() {
	if d.stop == nil {
		return
	}
	d.stop()
	d.done.Wait()
	d.stop = nil
}

func (d *Device) forever(ctx context.Context, what string, work func(context.Context) error) {
	for ctx.Err() == nil {
		if err := work(ctx); err != nil && ctx.Err() == nil {
			d.c.Log("%s: %v", what, err)
			select {
			case <-ctx.Done():
			case <-time.After(d.c.Retry):
			}
		}
	}
}

// Faults are what the server did wrong, such as checksums that do not match.
func (d *Device) Faults() []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.faults)
}

// Rows returns what the app sees.
func (d *Device) Rows() map[string]Row {
	d.mu.Lock()
	defer d.mu.Unlock()
	rows := make(map[string]Row, len(d.rows))
	for id, r := range d.rows {
		rows[id] = maps.Clone(r)
	}
	return rows
}

// Queued is how many transactions wait for their upload.
func (d *Device) Queued() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.queue)
}

// Await returns when ok holds, which is asked again after each change, or with the error of ctx.
func (d *Device) Await(ctx context.Context, ok func() bool) error {
	for {
		d.mu.Lock()
		changed := d.changed
		d.mu.Unlock()
		if ok() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// AwaitSettled returns when all is uploaded and a checkpoint has it.
func (d *Device) AwaitSettled(ctx context.Context) error {
	err := d.Await(ctx, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.complete > 0 && d.settled()
	})
	if err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		return fmt.Errorf("%w: %d queued, write checkpoint %d of %d, %d checkpoints", err, len(d.queue), d.seen, d.target, d.complete)
	}
	return nil
}

// settled reports whether checkpoints may be shown, with the lock held.
func (d *Device) settled() bool { return len(d.queue) == 0 && d.target <= d.seen }

// note wakes whoever waits, with the lock held.
func (d *Device) note() {
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *Device) fault(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = append(d.faults, err)
	d.note()
}

// errEnded is the end of a stream that the server chose; the device opens another at once.
var errEnded = errors.New("the stream ended")
