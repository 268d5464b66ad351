// Package binding joins services of one process as the network would: a client's requests go to another service's handler,
// with the same headers, signatures and checks, without the hop. Responses are whole, not streamed.
package binding

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
)

// Transport is an [http.RoundTripper] over an [http.Handler]. It runs the handler in the caller's goroutine.
type Transport struct {
	handler http.Handler
}

// NewTransport returns a Transport to handler.
func NewTransport(handler http.Handler) *Transport { return &Transport{handler: handler} }

type boundKey struct{}

// Bound reports whether a request came through a Transport: from this process, which is trusted to tell the client's
// address.
func Bound(ctx context.Context) bool { return ctx.Value(boundKey{}) != nil }

// RoundTrip implements [http.RoundTripper]. The only error is that of a context that ended before the handler answered.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	in := req.WithContext(context.WithValue(req.Context(), boundKey{}, true))
	in.RequestURI = req.URL.RequestURI()
	in.Host = req.URL.Host
	in.RemoteAddr = "127.0.0.1:0"
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	if in.Body == nil {
		in.Body = http.NoBody
	}

	w := &response{header: make(http.Header)}
	t.handler.ServeHTTP(w, in)
	_ = in.Body.Close()

	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	return w.result(req), nil
}

// response gathers what the handler writes.
type response struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

func (w *response) result(req *http.Request) *http.Response {
	w.WriteHeader(http.StatusOK)
	return &http.Response{
		Status:        strconv.Itoa(w.status) + " " + http.StatusText(w.status),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.header,
		Body:          io.NopCloser(&w.body),
		ContentLength: int64(w.body.Len()),
		Request:       req,
	}
}
