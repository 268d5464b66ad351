// Package provisioning is the client of a sender: what a Flutter app's ProvisioningService does, for Go programs (contract:
// provisioning, section 6). It holds no secret of the services; it retries what is safe to retry, and never panics or returns a
// bare error: a call ends in a [Success] or an [Error].
package provisioning

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Messages of an Error that did not come from the server.
const (
	MessageTimeout    = "Connection timed out. Please try again."
	MessageNetwork    = "Network error. Please try again."
	MessageServer     = "Server error. Please try again."
	MessageUnexpected = "An unexpected error occurred."
)

const (
	maxRetries  = 2
	timeout     = 10 * time.Second
	longestWait = 30 * time.Second // a server that says longer is not waited for
	maxReplyLen = 1 << 20
)

// Result is the end of a call: a Success or an Error.
type Result interface{ sealed() }

// Success holds the members of the answer.
type Success struct{ Data map[string]any }

// Error says for people what went wrong.
type Error struct {
	Message string
	Code    string // the server's code, "" where it gave none
	Status  int    // the HTTP status, 0 without an answer
}

func (Success) sealed() {}
func (Error) sealed()   {}

// Text returns a string member of the answer, "" where there is none.
func (s Success) Text(member string) string {
	text, _ := s.Data[member].(string)
	return text
}

// Event is reported by [Client.SendEvent].
type Event struct {
	UserID string
	Action string // 1 to 64 of [a-z0-9_.:-]
	SentAt time.Time
	JWT    string // marks the event as verified, if it is the user's; "" for none
}

// Client calls one sender. It is safe for concurrent use.
type Client struct {
	base  string
	http  *http.Client
	delay func(ctx context.Context, d time.Duration) error
	track func(ctx context.Context, call string, err error)
}

// Option changes a default of a Client.
type Option func(*Client)

// WithHTTPClient replaces the HTTP client, which by default gives up after 10 s.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithDelay replaces the wait between tries. It returns an error when ctx ends first.
func WithDelay(f func(ctx context.Context, d time.Duration) error) Option {
	return func(c *Client) { c.delay = f }
}

// WithErrorTracking has f called once for each call that ends without an answer, after its last try.
func WithErrorTracking(f func(ctx context.Context, call string, err error)) Option {
	return func(c *Client) { c.track = f }
}

// New returns a Client of the sender at baseURL.
func New(baseURL string, options ...Option) *Client {
	c := &Client{
		base:  strings.TrimSuffix(baseURL, "/"),
		http:  &http.Client{Timeout: timeout, CheckRedirect: refuseRedirect},
		delay: sleep,
		track: func(context.Context, string, error) {},
	}
	for _, option := range options {
		option(c)
	}
	return c
}

// SendEvent reports an event.
func (c *Client) SendEvent(ctx context.Context, e Event) Result {
	body := map[string]string{"userId": e.UserID, "action": e.Action, "sentAt": e.SentAt.UTC().Format("2006-01-02T15:04:05.000Z")}
	if e.JWT != "" {
		body["jwt"] = e.JWT
	}
	return c.post(ctx, "sendEvent", "/send", body)
}

// ProvisionKey asks for an API key called name, of tier, for the user of jwt. The answer's members are token, keyId, prefix and
// tier. The token is shown this once; a retry of the same call gets the same one.
func (c *Client) ProvisionKey(ctx context.Context, jwt, name, tier string) Result {
	return c.post(ctx, "provisionKey", "/send", map[string]string{"action": "provision_api_key", "jwt": jwt, "name": name, "tier": tier})
}

// SignUp makes an account. The answer's members are jwt, userId and email, or userId, email and confirmationRequired.
func (c *Client) SignUp(ctx context.Context, email, password string) Result {
	return c.post(ctx, "signUp", "/signup", map[string]string{"email": email, "password": password})
}

// SignIn signs in. The answer's members are jwt, userId and email.
func (c *Client) SignIn(ctx context.Context, email, password string) Result {
	return c.post(ctx, "signIn", "/signin", map[string]string{"email": email, "password": password})
}

// CheckHealth asks a service at baseURL, the receiver as a rule, whether it is up. It accepts https alone, and http on loopback. It
// does not retry.
func (c *Client) CheckHealth(ctx context.Context, baseURL string) Result {
	if !isSafe(baseURL) {
		return Error{Message: "Health checks need an https URL."}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(baseURL, "/")+"/health", nil)
	if err != nil {
		return Error{Message: MessageUnexpected}
	}
	answer, err := c.do(req)
	switch {
	case err != nil:
		c.track(ctx, "checkHealth", err)
		return Error{Message: MessageNetwork}
	case answer.status != http.StatusOK || answer.data["ok"] != true && answer.data["status"] != "healthy":
		return Error{Message: MessageServer, Status: answer.status}
	}
	return Success{Data: answer.data}
}

// isSafe reports whether baseURL is https, or on this machine.
func isSafe(baseURL string) bool {
	u, err := url.Parse(baseURL)
	if err != nil || u.Host == "" {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && addr.IsLoopback())
}

// refuseRedirect ends a call with the redirect itself: followed, it would take a password elsewhere.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

type answer struct {
	status     int
	data       map[string]any
	retryAfter time.Duration
}

// post makes one logical call: up to three tries under one idempotency key.
func (c *Client) post(ctx context.Context, call, path string, in map[string]string) Result {
	body, err := json.Marshal(in)
	if err != nil {
		return Error{Message: MessageUnexpected}
	}
	idempotencyKey := uuid.NewString()

	for try := 0; ; try++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
		if err != nil {
			return Error{Message: MessageUnexpected}
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", idempotencyKey)

		got, err := c.do(req)
		if try < maxRetries && ctx.Err() == nil && (err != nil || isTransient(got.status)) && got.retryAfter <= longestWait {
			if c.delay(ctx, max(time.Second<<try, got.retryAfter)) == nil {
				continue
			}
		}
		if err != nil {
			c.track(ctx, call, err)
			return failure(err)
		}
		return got.result()
	}
}

func (c *Client) do(req *http.Request) (answer, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReplyLen))
	if err != nil {
		return answer{}, err
	}
	got := answer{status: resp.StatusCode, data: map[string]any{}}
	if json.Unmarshal(body, &got.data) != nil {
		got.data = map[string]any{}
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		got.retryAfter = time.Duration(min(seconds, math.MaxInt32)) * time.Second
	}
	return got, nil
}

func isTransient(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusGatewayTimeout, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable:
		return true
	}
	return false
}

func (a answer) result() Result {
	text, _ := a.data["error"].(string)
	code, _ := a.data["code"].(string)
	switch {
	case a.status == http.StatusInternalServerError || a.status == http.StatusGatewayTimeout:
		return Error{Message: MessageServer, Code: code, Status: a.status}
	case a.status == http.StatusCreated, a.status == http.StatusOK && (a.data["ok"] == true || a.data["jwt"] != nil):
		return Success{Data: a.data}
	case text == "":
		text = MessageUnexpected
	}
	return Error{Message: text, Code: code, Status: a.status}
}

func failure(err error) Result {
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return Error{Message: MessageTimeout}
	}
	return Error{Message: MessageNetwork}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
