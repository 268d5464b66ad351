package openapi

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
)

// Validator holds the exchanges of a test to a document.
type Validator struct {
	t        testing.TB
	document *document
}

// loaded keeps what load made of each document, by its first byte: tests make many validators of few.
var loaded sync.Map

// NewValidator returns a Validator that reports to t what is not as the document, text, says. Text must not change. Requests
// that pass through the Validator must have ended when t ends.
func NewValidator(t testing.TB, text []byte) *Validator {
	t.Helper()
	once, _ := loaded.LoadOrStore(&text[0], sync.OnceValues(func() (*document, error) { return load(text) }))
	d, err := once.(func() (*document, error))()
	if err != nil {
		t.Fatal(err)
	}
	return &Validator{t: t, document: d}
}

func (v *Validator) check(ctx context.Context, x exchange) {
	if err := v.document.check(ctx, x); err != nil {
		v.t.Errorf("%s %s: %v", x.request.Method, x.request.URL.Path, err)
	}
}

// Handler returns next with its exchanges checked. An exchange that next breaks off by a panic is none.
func (v *Validator) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var sent bytes.Buffer
		unread := r.Body
		r.Body = tee{Reader: io.TeeReader(unread, &sent), Closer: unread}
		answer := &recorder{ResponseWriter: w}
		next.ServeHTTP(answer, r)
		answer.begin(http.StatusOK)
		v.check(r.Context(), exchange{request: r, sent: sent.Bytes(), status: answer.status, header: answer.header, body: answer.body.Bytes()})
	})
}

type tee struct {
	io.Reader
	io.Closer
}

// recorder keeps an answer as it is written.
type recorder struct {
	http.ResponseWriter
	status int // 0 before the answer begins
	header http.Header
	body   bytes.Buffer
}

func (r *recorder) begin(status int) {
	if r.status == 0 {
		r.status, r.header = status, r.Header().Clone()
	}
}

func (r *recorder) WriteHeader(status int) {
	r.begin(status)
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.begin(http.StatusOK)
	r.body.Write(b)
	return r.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Transport returns next with its exchanges checked. Answers that are JSON are read whole before they are returned.
func (v *Validator) Transport(next http.RoundTripper) http.RoundTripper {
	return transport(func(r *http.Request) (*http.Response, error) {
		var sent bytes.Buffer
		outgoing := r.Clone(r.Context())
		if r.Body != nil {
			outgoing.Body = tee{Reader: io.TeeReader(r.Body, &sent), Closer: r.Body}
		}
		resp, err := next.RoundTrip(outgoing)
		if err != nil {
			return resp, err
		}
		x := exchange{request: r, sent: sent.Bytes(), status: resp.StatusCode, header: resp.Header}
		if isJSON(resp.Header) {
			x.body, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				return nil, err
			}
			resp.Body = io.NopCloser(bytes.NewReader(x.body))
		}
		v.check(r.Context(), x)
		return resp, nil
	})
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
