package papyrus

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
)

// Device is a session of the account: somebody signed in somewhere.
type Device struct {
	SessionID  string    `json:"session_id"`
	ClientType string    `json:"client_type"`
	Label      string    `json:"device_label"`
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	Current    bool      `json:"current"` // it is the session of this device
}

// Me asks for the profile of who is signed in.
func (r *AuthRepository) Me(ctx context.Context) (User, error) {
	var user User
	err := r.authorized(ctx, call{method: http.MethodGet, path: "/v1/users/me", out: &user})
	if err == nil && user.ID == "" {
		err = lacking("user")
	}
	return user, err
}

// Devices lists the sessions of the account.
func (r *AuthRepository) Devices(ctx context.Context) ([]Device, error) {
	var got struct {
		Sessions []Device `json:"sessions"`
	}
	err := r.authorized(ctx, call{method: http.MethodGet, path: "/v1/auth/sessions", out: &got})
	if err == nil && got.Sessions == nil {
		err = lacking("sessions")
	}
	return got.Sessions, err
}

// EndDevice ends a session of [AuthRepository.Devices], that of this device too: the account is then forgotten here as well.
func (r *AuthRepository) EndDevice(ctx context.Context, d Device) error {
	err := r.authorized(ctx, call{method: http.MethodDelete, path: "/v1/auth/sessions/" + url.PathEscape(d.SessionID)})
	if err != nil || !d.Current {
		return err
	}
	return r.Forget(ctx)
}

// EndAllDevices ends every session, that of this device too, and forgets the account here.
func (r *AuthRepository) EndAllDevices(ctx context.Context) error {
	if err := r.authorized(ctx, call{method: http.MethodPost, path: "/v1/auth/logout-all"}); err != nil {
		return err
	}
	return r.Forget(ctx)
}

// Key is an API key of the account.
type Key struct {
	ID         string    `json:"key_id"`
	Name       string    `json:"name"`
	Prefix     string    `json:"prefix"` // of the token, to recognize it by
	Tier       string    `json:"tier"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"` // zero: never
	ExpiresAt  time.Time `json:"expires_at"`   // zero: never
	RevokedAt  time.Time `json:"revoked_at"`   // zero: not revoked
}

// NewKey is a key with its token, which is shown this once.
type NewKey struct {
	Token  string
	KeyID  string
	Prefix string
	Tier   string
}

// mostPages is how long a list is read, of 100 keys or so a page.
const mostPages = 1000

// Keys lists the keys of the account, the newest first, also those that work no more.
func (r *AuthRepository) Keys(ctx context.Context) ([]Key, error) {
	var keys []Key
	cursor := ""
	for range mostPages {
		var page struct {
			Keys []Key  `json:"keys"`
			Next string `json:"next_cursor"`
		}
		path := "/v1/keys"
		if cursor != "" {
			path += "?cursor=" + url.QueryEscape(cursor)
		}
		if err := r.authorized(ctx, call{method: http.MethodGet, path: path, out: &page}); err != nil {
			return nil, err
		}
		if page.Keys == nil {
			return nil, lacking("keys")
		}
		keys = append(keys, page.Keys...)
		if page.Next == "" {
			return keys, nil
		}
		cursor = page.Next
	}
	return nil, lacking("end")
}

// CreateKey makes a key of a tier. It is made once for each intent: tries that may have been lost on the way are repeated under the
// same one, and a caller who gives an intent, 1 to 255 printable ASCII characters, may repeat the call.
func (r *AuthRepository) CreateKey(ctx context.Context, name, tier, intent string) (NewKey, error) {
	var got struct {
		Token  string `json:"token"`
		KeyID  string `json:"keyId"`
		Prefix string `json:"prefix"`
		Tier   string `json:"tier"`
	}
	err := r.once(ctx, call{
		method: http.MethodPost, path: "/functions/v1/api-keys-create", intent: intent,
		in: map[string]string{"name": name, "tier": tier}, out: &got,
	})
	return NewKey(got).confirmed(err)
}

// RotateKey puts a new key in the place of one, which works on for the grace period, up to a day. Intents are as for
// [AuthRepository.CreateKey].
func (r *AuthRepository) RotateKey(ctx context.Context, keyID string, grace time.Duration, intent string) (NewKey, error) {
	var got struct {
		Token  string `json:"token"`
		KeyID  string `json:"key_id"`
		Prefix string `json:"prefix"`
		Tier   string `json:"tier"`
	}
	err := r.once(ctx, call{
		method: http.MethodPost, path: "/v1/keys/" + url.PathEscape(keyID) + "/rotate", intent: intent,
		in: map[string]int{"grace_seconds": int(grace / time.Second)}, out: &got,
	})
	return NewKey(got).confirmed(err)
}

// confirmed returns a key, or the error that says why there is none.
func (k NewKey) confirmed(err error) (NewKey, error) {
	if err == nil && k.Token == "" {
		err = lacking("token")
	}
	return k, err
}

// RevokeKey revokes a key, which is refused everywhere within a quarter of a second.
func (r *AuthRepository) RevokeKey(ctx context.Context, keyID string) error {
	return r.authorized(ctx, call{method: http.MethodDelete, path: "/v1/keys/" + url.PathEscape(keyID)})
}

const (
	triesOnce   = 3
	longestRest = 30 * time.Second // a server that says longer is not waited for
)

// once makes a call that the server carries out once for each intent, up to three times, after rests of 1 s and 2 s or what the server
// says.
func (r *AuthRepository) once(ctx context.Context, c call) error {
	if c.intent == "" {
		c.intent = uuid.NewString()
	}
	rest := time.Second
	for try := 1; ; try++ {
		err := r.authorized(ctx, c)
		if try == triesOnce || !errors.Is(err, ErrUnreachable) {
			return err
		}
		if e, ok := errors.AsType[*Error](err); ok {
			if e.RetryAfter > longestRest {
				return err
			}
			rest = max(rest, e.RetryAfter)
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return ctx.Err()
		}
		rest *= 2
	}
}
