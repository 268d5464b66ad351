package apikey

import (
	"context"
	"sync"
	"time"
)

const (
	writeUsesEvery = 15 * time.Second
	writeWithin    = 5 * time.Second
	maxUses        = 100_000 // noted at once: those of more keys show with a later use
)

// uses collects when keys were used last, so that a verification writes nothing. A process that is killed forgets those of
// the last seconds.
type uses struct {
	mu   sync.Mutex
	last map[string]time.Time // by the ids of the keys
}

func (u *uses) note(keyID string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = make(map[string]time.Time)
	}
	if _, known := u.last[keyID]; known || len(u.last) < maxUses {
		u.last[keyID] = now
	}
}

func (u *uses) len() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return int64(len(u.last))
}

// take returns what was noted and forgets it.
func (u *uses) take() map[string]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	last := u.last
	u.last = nil
	return last
}

// Run writes down the uses of keys, from time to time and at last when ctx ends.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(writeUsesEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.writeUses(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWithin)
			defer cancel()
			s.writeUses(last)
			return nil
		}
	}
}

func (s *Service) writeUses(ctx context.Context) {
	last := s.uses.take()
	if len(last) == 0 {
		return
	}
	if err := s.store.KeysUsed(ctx, last); err != nil {
		s.log.WarnContext(ctx, "uses of keys not noted", "keys", len(last), "err", err)
	}
}
