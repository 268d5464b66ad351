package provision

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/signing"
)

const (
	maxTries      = 5
	firstBackoff  = 50 * time.Millisecond // so that the last try comes after breakerDelay, whatever the jitter
	longestWait   = 600 * time.Millisecond
	backoffJitter = 0.25

	breakerFailures = 20                     // lost connections in a row that open the circuit
	breakerDelay    = 500 * time.Millisecond // until the next try

	maxReplyLen  = 1 << 20
	usualHeaders = 8 // of a forwarded request
)

// Sender forwards requests to the receiver, signed.
type Sender struct {
	inbox   string
	keys    *signing.Keyring
	stamps  *timestamps
	network http.RoundTripper // and no http.Client, which would follow redirects: the signature was made for one address
	now     func() time.Time
	tries   failsafe.Executor[Reply]
	breaker circuitbreaker.CircuitBreaker[Reply]
}

// NewSender returns a Sender to the receiver at baseURL. Network is the transport to it, or a binding to a receiver in this
// process.
func NewSender(baseURL string, keys *signing.Keyring, network http.RoundTripper, now func() time.Time) *Sender {
	breaker := newBreaker()
	return &Sender{
		inbox:   strings.TrimSuffix(baseURL, "/") + "/inbox",
		keys:    keys,
		stamps:  newTimestamps(),
		now:     now,
		tries:   newTries(breaker),
		breaker: breaker,
		network: network,
	}
}

// newTries repeats lost connections inside the caller's deadline. It may: the inbox is idempotent for every action. It also
// repeats what the receiver took for a replay: another sender may have signed an equal body in the same millisecond.
func newTries(breaker circuitbreaker.CircuitBreaker[Reply]) failsafe.Executor[Reply] {
	retry := retrypolicy.NewBuilder[Reply]().
		HandleIf(func(r Reply, err error) bool {
			return err != nil || r.Status == http.StatusConflict && r.signatureRefusal() != nil
		}).
		WithMaxAttempts(maxTries).
		WithBackoff(firstBackoff, longestWait).
		WithJitterFactor(backoffJitter).
		AbortOnErrors(signing.ErrNoActiveKey).
		ReturnLastFailure().
		Build()
	return failsafe.With(retry, breaker)
}

// newBreaker gives a receiver that is gone a rest.
func newBreaker() circuitbreaker.CircuitBreaker[Reply] {
	return circuitbreaker.NewBuilder[Reply]().
		HandleIf(func(_ Reply, err error) bool { return err != nil && !errors.Is(err, context.Canceled) }). // not who hangs up
		WithFailureThreshold(breakerFailures).
		WithDelay(breakerDelay).
		Build()
}

// CircuitOpen reports whether requests fail at once because those before were lost.
func (s *Sender) CircuitOpen() bool { return s.breaker.IsOpen() }

// Outbound is a request to forward.
type Outbound struct {
	Body           []byte // sent byte for byte
	IdempotencyKey string // "" for none
}

// Reply is the receiver's answer.
type Reply struct {
	Status     int
	Body       []byte // JSON
	RetryAfter string // the header's value; "" for none
}

// Forward signs a request that [ParseRequest] accepts, sends it to the receiver within ctx's deadline and returns what it
// answered. Its errors are RECEIVER_UNREACHABLE, RECEIVER_TIMEOUT and RECEIVER_MISCONFIGURED.
func (s *Sender) Forward(ctx context.Context, out Outbound) (Reply, error) {
	reply, err := s.tries.WithContext(ctx).GetWithExecution(func(failsafe.Execution[Reply]) (Reply, error) {
		return s.try(ctx, out)
	})
	switch {
	case err == nil:
		return reply, reply.check()
	case errors.Is(err, signing.ErrNoActiveKey):
		return Reply{}, err
	case ctx.Err() != nil:
		return Reply{}, ErrReceiverTimeout.With(err)
	}
	return Reply{}, ErrReceiverUnreachable.With(err)
}

// try sends a request once, under a fresh signature: a second use of one would be a replay.
func (s *Sender) try(ctx context.Context, out Outbound) (Reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.inbox, bytes.NewReader(out.Body))
	if err != nil {
		return Reply{}, fmt.Errorf("forward: %w", err)
	}
	req.GetBody = nil // else net/http may itself send the same signature again
	req.Header = make(http.Header, usualHeaders)
	req.Header["Content-Type"] = []string{"application/json"}
	if out.IdempotencyKey != "" {
		req.Header["Idempotency-Key"] = []string{out.IdempotencyKey}
	}
	Forward(ctx, req.Header)
	headers, err := s.keys.Sign(s.stamps.next(s.now(), out.Body), out.Body)
	if err != nil {
		return Reply{}, fmt.Errorf("sign: %w", err)
	}
	headers.Apply(req.Header)

	resp, err := s.network.RoundTrip(req)
	if err != nil {
		return Reply{}, fmt.Errorf("forward: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReplyLen+1))
	if err != nil {
		return Reply{}, fmt.Errorf("read the receiver's answer: %w", err)
	}
	return Reply{Status: resp.StatusCode, Body: body, RetryAfter: resp.Header.Get("Retry-After")}, nil
}

// check returns ErrReceiverMisconfigured for answers that no client should see as its own fault: redirects, what is not
// JSON, and refusals of the signature.
func (r Reply) check() error {
	switch {
	case r.Status >= 300 && r.Status < 400:
		return ErrReceiverMisconfigured.With(fmt.Errorf("the receiver answered %d, a redirect", r.Status))
	case len(r.Body) > maxReplyLen || !json.Valid(r.Body):
		return ErrReceiverMisconfigured.With(fmt.Errorf("the receiver answered %d without JSON", r.Status))
	}
	if refusal := r.signatureRefusal(); refusal != nil {
		return ErrReceiverMisconfigured.With(fmt.Errorf("the receiver refused the signature with %d %s", r.Status, refusal.Code))
	}
	return nil
}

// signatureRefusal recognizes the refusals of the contract's section 1, nil for none. Workers of the first generation have no
// codes: there the text decides.
func (r Reply) signatureRefusal() *apierror.Error {
	if r.Status != http.StatusUnauthorized && r.Status != http.StatusConflict {
		return nil
	}
	var said struct {
		Error string        `json:"error"`
		Code  apierror.Code `json:"code"`
	}
	if json.Unmarshal(r.Body, &said) != nil {
		return nil
	}
	for _, e := range []*apierror.Error{ErrMissingAuthHeaders, ErrStaleTimestamp, ErrInvalidSignature, ErrReplayDetected} {
		if said.Code == e.Code || said.Code == "" && said.Error == e.Message {
			return e
		}
	}
	return nil
}
