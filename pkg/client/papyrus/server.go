package papyrus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/provisioner/provisioner/pkg/text"
)

const (
	// callTimeout is for one request. It is longer than the 5 s for which the server waits out a failover in a refresh: a refresh that the
	// client has given up, and the server has not, would count as a reuse when it is repeated.
	callTimeout   = 20 * time.Second
	uploadTimeout = 2 * time.Minute // for up to 64 MiB
	dialTimeout   = 5 * time.Second // to a server that nothing answers for, and again for TLS
	longestAnswer = 8 << 20
	longestText   = 500 // of what the server says for people
)

// server makes the calls of papyrus's API. It follows no redirect: a token would go along.
type server struct {
	base string
	http *http.Client
}

func newServer(base string, transport http.RoundTripper) *server {
	return &server{base, &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// newTransport returns a transport that soon knows that there is no way.
func newTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, TLSHandshakeTimeout: dialTimeout,
		ForceAttemptHTTP2: true, MaxIdleConns: 10, IdleConnTimeout: 90 * time.Second,
	}
}

// call is one request and where its answer goes.
type call struct {
	method, path string
	in, out      any           // as JSON; nil for none, which is then confirmed with 204
	accessToken  string        // "" for none
	intent       string        // the Idempotency-Key, "" for none
	timeout      time.Duration // 0 for callTimeout
}

// do makes a call. It returns an [Error] for an answer that is no success, else an error that is [ErrUnreachable], or that of ctx.
func (s *server) do(ctx context.Context, c call) error {
	if c.timeout == 0 {
		c.timeout = callTimeout
	}
	limited, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("no answer within %v", c.timeout))
	defer cancel()
	status, header, body, err := s.exchange(limited, c)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil && limited.Err() != nil:
		return s.unreachable(context.Cause(limited))
	case err != nil:
		return err
	case status < 200 || status > 299:
		return s.failure(status, header, body)
	case c.out == nil && status != http.StatusNoContent, c.out != nil && json.Unmarshal(body, c.out) != nil:
		return fmt.Errorf("%w: what answers at %s is not papyrus", ErrUnreachable, s.base)
	}
	return nil
}

func (s *server) exchange(ctx context.Context, c call) (status int, header http.Header, body []byte, err error) {
	req, err := s.request(ctx, c)
	if err != nil {
		return 0, nil, nil, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, nil, nil, s.unreachable(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, longestAnswer+1))
	if err == nil && len(body) > longestAnswer {
		err = fmt.Errorf("the answer is longer than %d MiB", longestAnswer>>20)
	}
	if err != nil {
		return 0, nil, nil, s.unreachable(err)
	}
	return resp.StatusCode, resp.Header, body, nil
}

func (s *server) request(ctx context.Context, c call) (*http.Request, error) {
	var body io.Reader = http.NoBody
	if c.in != nil {
		encoded, err := json.Marshal(c.in)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, c.method, s.base+c.path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.accessToken != "" {
		req.Header.Set("Authorization", "Bearer "+c.accessToken)
	}
	if c.intent != "" {
		req.Header.Set("Idempotency-Key", c.intent)
	}
	return req, nil
}

// unreachable leaves out the URL of the request, which names no more than the base URL does.
func (s *server) unreachable(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return fmt.Errorf("%w at %s: %w", ErrUnreachable, s.base, err)
}

// failure returns the error of an answer. One that is no JSON object and not empty does not come from papyrus, but from a proxy or the
// sign-in page of a network: what it says about tokens does not count.
func (s *server) failure(status int, header http.Header, body []byte) error {
	var in struct {
		Error json.RawMessage `json:"error"` // an object under /v1, a text under /functions/v1
		Code  string          `json:"code"`
	}
	if len(bytes.TrimSpace(body)) > 0 && json.Unmarshal(body, &in) != nil {
		return fmt.Errorf("%w: what answers at %s with %d is not papyrus", ErrUnreachable, s.base, status)
	}
	e := &Error{Status: status, Code: text.Line(in.Code, longestText), RetryAfter: retryAfter(header)}
	if json.Unmarshal(in.Error, &e.Message) != nil {
		e.readObject(in.Error)
	}
	e.Message = text.Line(e.Message, longestText)
	return e
}

// readObject takes code, message and fields from papyrus's error object, as far as they are there.
func (e *Error) readObject(object json.RawMessage) {
	var in struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Details struct {
			Fields []FieldError `json:"fields"`
		} `json:"details"`
	}
	if json.Unmarshal(object, &in) != nil {
		return
	}
	e.Code, e.Message = text.Line(in.Code, longestText), in.Message
	for _, f := range in.Details.Fields {
		e.Fields = append(e.Fields, FieldError{text.Line(f.Field, longestText), text.Line(f.Message, longestText)})
	}
}

func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, math.MaxInt32)) * time.Second
}
