// Package provisioning is the client of a sender: what a Flutter app's ProvisioningService does, for Go programs (contract:
// provisioning, section 6). It holds no secret of the services; it retries what is safe to retry, and never panics or returns a
// bare error: a call ends in a [Success] or an [Error].
package provisioning

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// DefaultBaseURL is where a sender on this machine listens.
const DefaultBaseURL = "http://127.0.0.1:8787"

// BaseURLFromEnvironment reads SENDER_WORKER_URL, by default [DefaultBaseURL], with getenv.
func BaseURLFromEnvironment(getenv func(string) string) string {
	return cmp.Or(getenv("SENDER_WORKER_URL"), DefaultBaseURL)
}

// Messages of an Error that did not come from the server.
const (
	MessageTimeout    = "Connection timed out. Please try again."
	MessageNetwork    = "Network error. Please try again."
	MessageServer     = "Server error. Please try again."
	MessageUnexpected = "An unexpected error occurred."
)

// ErrInsecureURL is behind the Error of a call that would have gone over plain http to another machine, or to what is no URL.
var ErrInsecureURL = errors.New("the URL is neither https nor http on this machine")

// Result is the end of a call: a Success or an Error.
type Result interface{ sealed() }

// Success holds the members of the answer.
type Success struct{ Data map[string]any }

// Error says for people what went wrong, in one line that a terminal may be shown.
type Error struct {
	Message string
	Code    string // the server's code, "" where it gave none
	Status  int    // the HTTP status, 0 without an answer
	Err     error  // what failed, for logs; nil where the server refused for good
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

// Failure is what error tracking is told of a call that failed for good without being refused.
type Failure struct {
	Call     string // "ProvisioningService.sendEvent"
	Endpoint string // the base URL that was called, without a password
	Attempt  int    // the number of its last try, from 1
	Err      error
}

// Client calls one sender. It is safe for concurrent use.
type Client struct {
	base     string
	insecure bool
	http     *http.Client
	delay    func(ctx context.Context, d time.Duration) error
	track    func(ctx context.Context, f Failure)
}

// Option changes a default of a Client; with nil it keeps it.
type Option func(*Client)

// WithHTTPClient replaces the HTTP client. Time-outs are kept beside its own, and so is the refusal of redirects where it has no
// rule for them.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) { c.http = cmp.Or(h, c.http) }
}

// WithDelay replaces the wait between tries. It returns an error when ctx ends first.
func WithDelay(f func(ctx context.Context, d time.Duration) error) Option {
	return func(c *Client) {
		if f != nil {
			c.delay = f
		}
	}
}

// WithErrorTracking has f called once for each call that fails for good: after its last try, and not where the server refused it.
// The context of f outlives the call's.
func WithErrorTracking(f func(ctx context.Context, failure Failure)) Option {
	return func(c *Client) {
		if f != nil {
			c.track = f
		}
	}
}

// WithInsecureHTTP allows a sender on another machine over plain http, where whoever is on the way reads passwords and keys.
func WithInsecureHTTP() Option { return func(c *Client) { c.insecure = true } }

// New returns a Client of the sender at baseURL: https, or http on this machine. For another URL every call ends in an Error with
// ErrInsecureURL, before anything is sent.
func New(baseURL string, options ...Option) *Client {
	c := &Client{
		base:  strings.TrimSuffix(baseURL, "/"),
		http:  http.DefaultClient,
		delay: sleep,
		track: func(context.Context, Failure) {},
	}
	for _, option := range options {
		option(c)
	}
	guarded := *c.http
	if guarded.CheckRedirect == nil {
		guarded.CheckRedirect = refuseRedirect
	}
	c.http = &guarded
	return c
}

// SendEvent reports an event.
func (c *Client) SendEvent(ctx context.Context, e Event) Result {
	body := map[string]string{"userId": e.UserID, "action": e.Action, "sentAt": timestamp(e.SentAt)}
	if e.JWT != "" {
		body["jwt"] = e.JWT
	}
	return c.post(ctx, call{name: "sendEvent", path: "/send", body: body, succeeded: answer.ok})
}

// ProvisionKey asks for an API key called name, of tier, for the user of jwt. The answer's members are token, keyId, prefix and
// tier. The token is shown this once; a retry of the same call gets the same one.
func (c *Client) ProvisionKey(ctx context.Context, jwt, name, tier string) Result {
	body := map[string]string{"action": "provision_api_key", "jwt": jwt, "name": name, "tier": tier}
	return c.post(ctx, call{name: "provisionKey", path: "/send", body: body, succeeded: answer.ok})
}

// SignUp makes an account. The answer's members are jwt, userId and email, or userId, email and confirmationRequired.
func (c *Client) SignUp(ctx context.Context, email, password string) Result {
	return c.post(ctx, call{name: "signUp", path: "/signup", body: credentials(email, password), succeeded: answer.created})
}

// SignIn signs in. The answer's members are jwt, userId and email.
func (c *Client) SignIn(ctx context.Context, email, password string) Result {
	return c.post(ctx, call{name: "signIn", path: "/signin", body: credentials(email, password), succeeded: answer.signedIn})
}

func credentials(email, password string) map[string]string {
	return map[string]string{"email": email, "password": password}
}

// CheckHealth asks a service at baseURL, the receiver as a rule, whether it is up. It accepts https alone, and http on this machine,
// whatever the options say. It does not retry.
func (c *Client) CheckHealth(ctx context.Context, baseURL string) Result {
	base := strings.TrimSuffix(baseURL, "/")
	if !isSafe(base) {
		return c.finish(ctx, base, "checkHealth", 1, Error{Message: MessageUnexpected, Err: ErrInsecureURL})
	}
	got, err := c.do(ctx, http.MethodGet, base+"/health", nil, nil)
	return c.finish(ctx, base, "checkHealth", 1, health(got, err))
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

// mayCall reports whether credentials may travel to the sender.
func (c *Client) mayCall() bool {
	return isSafe(c.base) || c.insecure && strings.HasPrefix(c.base, "http://")
}

// timestamp writes t as Dart's DateTime.toUtc().toIso8601String() does: to the millisecond, and to the microsecond if there are any.
func timestamp(t time.Time) string {
	layout := "2006-01-02T15:04:05.000Z"
	if t.Nanosecond()/int(time.Microsecond)%1000 != 0 {
		layout = "2006-01-02T15:04:05.000000Z"
	}
	return t.UTC().Format(layout)
}
