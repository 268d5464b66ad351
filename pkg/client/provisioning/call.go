package provisioning

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/text"
)

const (
	maxRetries  = 2
	longestWait = 30 * time.Second // a server that says longer is not waited for
	maxReplyLen = 1 << 20
	longestText = 500 // of what the server says for people
)

// call is what one of a Client's methods asks the sender.
type call struct {
	name      string // the method's in the Dart class
	path      string
	body      map[string]string
	succeeded func(answer) bool
}

// post makes one logical call: up to three tries under one idempotency key.
func (c *Client) post(ctx context.Context, call call) Result {
	if !c.mayCall() {
		return c.finish(ctx, c.base, call.name, 1, Error{Message: MessageUnexpected, Err: ErrInsecureURL})
	}
	body, err := json.Marshal(call.body)
	if err != nil {
		return c.finish(ctx, c.base, call.name, 1, Error{Message: MessageUnexpected, Err: err})
	}
	header := http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {uuid.NewString()}}

	for try := 1; ; try++ {
		got, err := c.do(ctx, http.MethodPost, c.base+call.path, header, body)
		if try > maxRetries || !isTransient(got, err) || c.wait(ctx, try, got) != nil {
			return c.finish(ctx, c.base, call.name, try, call.result(got, err))
		}
	}
}

// wait waits before the next try. It returns an error if there is to be none.
func (c *Client) wait(ctx context.Context, try int, got answer) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if got.retryAfter > longestWait {
		return errors.New("the server says to come back much later")
	}
	return c.delay(ctx, max(time.Second<<(try-1), got.retryAfter))
}

// finish has a failure tracked, and returns the end of a call.
func (c *Client) finish(ctx context.Context, endpoint, name string, try int, r Result) Result {
	if failed, ok := r.(Error); ok && failed.Err != nil {
		c.track(context.WithoutCancel(ctx), Failure{Call: "ProvisioningService." + name, Endpoint: redacted(endpoint), Attempt: try, Err: failed.Err})
	}
	return r
}

// redacted returns a base URL without the password that may be in it, "" for what is no URL.
func redacted(baseURL string) string {
	u, err := url.Parse(baseURL)
	if err != nil {
		return ""
	}
	return u.Redacted()
}

// answer is the zero value where there was none.
type answer struct {
	status     int
	data       map[string]any // empty if the body is no JSON object
	retryAfter time.Duration  // 0 where the server does not say
}

// do makes one try.
func (c *Client) do(ctx context.Context, method, url string, header http.Header, body []byte) (answer, error) {
	ctx, patience := newPatience(ctx)
	defer patience.end()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if header != nil {
		req.Header = header.Clone()
	}
	req.GetBody = nil // else the transport tries again by itself, and tries are counted here

	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, patience.explain(err)
	}
	defer func() { _ = resp.Body.Close() }()
	reply, err := io.ReadAll(io.LimitReader(patience.reader(resp.Body), maxReplyLen))
	if err != nil {
		return answer{}, patience.explain(err)
	}
	got := answer{status: resp.StatusCode, retryAfter: retryAfter(resp.Header, time.Now())}
	if json.Unmarshal(reply, &got.data) != nil {
		got.data = nil
	}
	return got, nil
}

// retryAfter reads Retry-After, in seconds or as a date: by the server's clock, where the answer shows it.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, math.MaxInt32)) * time.Second
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(0, until.Sub(now))
}

// isTransient reports whether another try may end better. A certificate that does not fit will not fit in two seconds either.
func isTransient(got answer, err error) bool {
	if err != nil {
		_, badCertificate := errors.AsType[*tls.CertificateVerificationError](err)
		return !badCertificate
	}
	switch got.status {
	case http.StatusInternalServerError, http.StatusGatewayTimeout, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable:
		return true
	}
	return false
}

func (a answer) ok() bool       { return a.status == http.StatusOK && a.data["ok"] == true }
func (a answer) signedIn() bool { return a.status == http.StatusOK && a.data["jwt"] != nil }
func (a answer) created() bool {
	return a.status == http.StatusCreated && a.data["userId"] != nil || a.signedIn()
}

// result is the end of a call whose last try got an answer or an error.
func (c call) result(got answer, err error) Result {
	code, _ := got.data["code"].(string)
	message, isText := got.data["error"].(string)
	failed := Error{Message: text.Line(message, longestText), Code: text.Line(code, longestText), Status: got.status}
	switch {
	case err != nil:
		return Error{Message: messageOf(err), Err: err}
	case c.succeeded(got):
		return Success{Data: got.data}
	case got.status == http.StatusInternalServerError || got.status == http.StatusGatewayTimeout:
		failed.Message = MessageServer
	case failed.Message == "":
		failed.Message = MessageUnexpected
	}
	switch {
	case isTransient(got, nil):
		failed.Err = fmt.Errorf("the server answers %d", got.status)
	case !isText && got.data["error"] != nil:
		failed.Err = errors.New("the answer's error is no text")
	}
	return failed
}

// health is the end of a health check. As in the Dart class, a status beyond 299 counts as a fault of the network.
func health(got answer, err error) Result {
	switch {
	case err != nil:
		return Error{Message: MessageNetwork, Err: err}
	case got.status < 200 || got.status > 299:
		return Error{Message: MessageNetwork, Status: got.status, Err: fmt.Errorf("the server answers %d", got.status)}
	case got.ok() || got.status == http.StatusOK && got.data["status"] == "healthy":
		return Success{Data: got.data}
	}
	return Error{Message: MessageServer, Status: got.status}
}

// messageOf is what people are told of a try that got no answer.
func messageOf(err error) string {
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return MessageTimeout
	}
	return MessageNetwork
}

// refuseRedirect ends a call with the redirect itself: followed, it would take a password elsewhere.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

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
