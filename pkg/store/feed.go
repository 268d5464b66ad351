package store

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/revocation"
)

// How long to wait before listening again, after the first and after many failures.
const (
	minListenPause = 100 * time.Millisecond
	maxListenPause = 2 * time.Second
)

// feed tells this process what is told of.
type feed struct {
	up       atomic.Bool
	onNotice subscribers[revocation.Notice]
	onChange subscribers[string]
}

// Subscribe implements [revocation.Feed].
func (f *feed) Subscribe(subscriber func(revocation.Notice)) { f.onNotice.add(subscriber) }

// Up implements [revocation.Feed]. It is false but while [DB.Watch] runs and hears of what other processes do.
func (f *feed) Up() bool { return f.up.Load() }

// deliverAll says that anything may have been missed.
func (f *feed) deliverAll() {
	f.onNotice.tell(revocation.Notice{})
	f.onChange.tell("")
}

// subscribers are called with each piece of news.
type subscribers[News any] struct {
	mu  sync.Mutex
	all []func(News)
}

func (s *subscribers[News]) add(subscriber func(News)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, subscriber)
}

func (s *subscribers[News]) tell(news News) {
	s.mu.Lock()
	all := slices.Clip(s.all)
	s.mu.Unlock()
	for _, subscriber := range all {
		subscriber(news)
	}
}

// tell gives notices of a change that ended with err, if it was made, or may have been because nobody heard what came of its
// commit: to this process before it returns, to others soon. It returns err.
func (db *DB) tell(ctx context.Context, err error, notices ...revocation.Notice) error {
	if err != nil && !isUnknown(err) {
		return err
	}
	for _, n := range notices {
		db.onNotice.tell(n)
	}
	if db.revocations != nil {
		db.revocations.add(ctx, column(notices, encodeNotice)...)
	}
	return err
}

// isUnknown reports whether an operation that ended with err may have had its effect: its caller hung up, or the database did.
func isUnknown(err error) bool {
	return errors.Is(err, context.Canceled) || apierror.From(err).Code == apierror.StoreUnavailable
}

// Watch delivers notices and changes of other processes to the subscribers until ctx ends, then it returns nil. While the database is
// away it tries on. Whenever any may have been missed it delivers the zero ones first. On Postgres it takes a connection of its own, which
// must lead to the server itself and not to a pooler of transactions.
func (db *DB) Watch(ctx context.Context) error {
	for pause := minListenPause; ; pause = min(2*pause, maxListenPause) {
		_ = db.listen(ctx, func() { // why it ended is what every other operation reports
			db.deliverAll()
			db.up.Store(true)
			pause = minListenPause
		})
		db.up.Store(false)

		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}
