// Package supabase speaks the Supabase API as far as sender and receiver need it: to a Supabase project, or to our own
// accounts service, which answers the same (contract: provisioning, section 7). It decides nothing; it turns what the
// provider says into the words of package provision.
package supabase

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/secret"
)

const (
	callTimeout = 4 * time.Second
	maxReplyLen = 1 << 20
)

// Client calls the Supabase API at one base URL. It implements provision's IdentityProvider, Validator and KeyIssuer.
type Client struct {
	base    string
	anonKey secret.Text
	http    *http.Client
}

// NewClient returns a Client of the API at baseURL. Transport is the network, or a binding to an accounts service in this
// process. Redirects are not followed: they would carry the user's token elsewhere.
func NewClient(baseURL string, anonKey secret.Text, transport http.RoundTripper) *Client {
	return &Client{
		base:    strings.TrimSuffix(baseURL, "/"),
		anonKey: anonKey,
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// call is one request to the API.
type call struct {
	method, path   string
	bearer         string // the user's JWT; "" sends the anon key, as Supabase's own clients do
	idempotencyKey string
	in             any // sent as JSON; nil for no body
}

// refusal is an answer of the provider that is not a success.
type refusal struct {
	Status     int
	Code       string // the provider's stable code, "" where it has none
	Message    string // the provider's text, for people
	RetryAfter time.Duration
}

func (r *refusal) Error() string { return fmt.Sprintf("the provider answered %d %s", r.Status, r.Code) }

// do makes a call and decodes a success into out. Its errors are a *refusal, or that of a provider that cannot be reached
// or understood.
func (c *Client) do(ctx context.Context, in call, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()

	req, err := c.request(ctx, in)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return withoutURL(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReplyLen))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}

	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return readRefusal(resp, body)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the provider answered %d without the JSON that was expected: %w", resp.StatusCode, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, in call) (*http.Request, error) {
	var body io.Reader = http.NoBody
	if in.in != nil {
		encoded, err := json.Marshal(in.in)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, in.method, c.base+in.path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}

	req.Header.Set("Apikey", c.anonKey.Reveal())
	bearer := in.bearer
	if bearer == "" {
		bearer = c.anonKey.Reveal()
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	if in.in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if in.idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", in.idempotencyKey)
	}
	provision.Forward(ctx, req.Header)
	return req, nil
}

// withoutURL takes the address out of an error of net/http: it is the operator's, and may stand in an answer one day.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// readRefusal understands the error shapes of Supabase Auth, old and new, and of edge functions that answer like ours.
func readRefusal(resp *http.Response, body []byte) error {
	var shape struct {
		ErrorCode string          `json:"error_code"`
		Code      json.RawMessage `json:"code"` // a number beside error_code, else a string
		Error     json.RawMessage `json:"error"`
		Msg       string          `json:"msg"`
		Message   string          `json:"message"`
	}
	_ = json.Unmarshal(body, &shape) // what is no JSON has no code
	code := shape.ErrorCode
	for _, raw := range []json.RawMessage{shape.Code, shape.Error} {
		var text string
		if code == "" && json.Unmarshal(raw, &text) == nil {
			code = text
		}
	}
	return &refusal{
		Status: resp.StatusCode, Code: code, Message: shape.Msg + shape.Message,
		RetryAfter: parseRetryAfter(resp.Header.Get("Retry-After")),
	}
}

// parseRetryAfter takes the header's form in seconds, up to an hour.
func parseRetryAfter(header string) time.Duration {
	seconds, err := strconv.Atoi(header)
	if err != nil || seconds < 0 || seconds > 3600 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
