package powersync

import (
	"context"
	"fmt"
	"sync"
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

// credentialCache keeps the credentials of a connector until they end or are refused.
type credentialCache struct {
	fetch func(ctx context.Context) (Credentials, error)
	now   func() time.Time

	mu      sync.Mutex
	current Credentials // without a token there are none
}

func (c *credentialCache) get(ctx context.Context) (Credentials, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	until := c.current.ExpiresAt
	if c.current.Token != "" && (until.IsZero() || until.Sub(c.now()) > expiresTooSoon) {
		return c.current, nil
	}
	return c.renewLocked(ctx)
}

// renew replaces the credentials.
func (c *credentialCache) renew(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.renewLocked(ctx)
	return err
}

func (c *credentialCache) renewLocked(ctx context.Context) (Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	fresh, err := c.fetch(ctx)
	if err != nil {
		return Credentials{}, fmt.Errorf("fetch credentials: %w", err)
	}
	c.current = fresh
	return fresh, nil
}

// held returns the credentials as they are, or none.
func (c *credentialCache) held() Credentials {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// refuse forgets credentials that were refused, unless there are others by now.
func (c *credentialCache) refuse(refused Credentials) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current.Token == refused.Token {
		c.current = Credentials{}
	}
}
