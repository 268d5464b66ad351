package powersync

import (
	"context"
	"fmt"
	"time"
)

const (
	fetchTimeout   = 30 * time.Second
	expiresTooSoon = 10 * time.Second // to begin anything with
)

// Credentials let a device sync.
type Credentials struct {
	Endpoint  string // base URL of the service
	Token     string
	ExpiresAt time.Time // zero where it is not known
}

// credentialCache keeps the credentials of a connector until they end or are refused. Who asks for them while they are fetched waits for
// those.
type credentialCache struct {
	fetch func(ctx context.Context) (Credentials, error)
	now   func() time.Time

	turns   turns       // one is held by whoever uses what follows
	current Credentials // without a token there are none
}

func newCredentialCache(fetch func(ctx context.Context) (Credentials, error), now func() time.Time) *credentialCache {
	return &credentialCache{fetch: fetch, now: now, turns: make(turns, 1)}
}

func (c *credentialCache) get(ctx context.Context) (Credentials, error) {
	if err := c.turns.take(ctx); err != nil {
		return Credentials{}, err
	}
	defer c.turns.give()
	until := c.current.ExpiresAt
	if c.current.Token != "" && (until.IsZero() || until.Sub(c.now()) > expiresTooSoon) {
		return c.current, nil
	}
	err := c.replace(ctx)
	return c.current, err
}

// renew replaces the credentials.
func (c *credentialCache) renew(ctx context.Context) error {
	if err := c.turns.take(ctx); err != nil {
		return err
	}
	defer c.turns.give()
	return c.replace(ctx)
}

// replace is renew for who has the turn.
func (c *credentialCache) replace(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	fresh, err := c.fetch(ctx)
	if err != nil {
		return fmt.Errorf("fetch credentials: %w", err)
	}
	c.current = fresh
	return nil
}

// refuse forgets credentials that were refused, unless there are others by now.
func (c *credentialCache) refuse(ctx context.Context, refused Credentials) {
	if err := c.turns.take(ctx); err != nil {
		return // the next use finds out again
	}
	defer c.turns.give()
	if c.current.Token == refused.Token {
		c.current = Credentials{}
	}
}
