package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/requestid"
)

// refusalHeader follows the status line of every answer that net/http gives by itself, in one write with a line of text
// (server.go, conn.serve). Answers of handlers have a Date, and their headers in another order.
const refusalHeader = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// expectationFailed begins the other kind of answer without a handler, which has no body.
const expectationFailed = "HTTP/1.1 417 Expectation Failed\r\n"

// jsonRefusals is a listener on whose connections also those requests are refused in JSON that no handler can see: too
// large headers, bad syntax, unknown encodings. net/http answers them in plain text, and has no setting for it.
type jsonRefusals struct {
	net.Listener
	dialect apierror.Dialect
	crowd   *crowd
}

// Accept returns the next connection that there is room for.
func (l jsonRefusals) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			return c, nil
		}
		if l.crowd.enter() {
			return &refusingConn{TCPConn: tcp, dialect: l.dialect, leave: sync.OnceFunc(l.crowd.leave)}, nil
		}
		l.crowd.refuse(tcp, refusal(errCrowded, l.dialect))
	}
}

var errCrowded = &apierror.Error{
	Status: http.StatusServiceUnavailable, Code: apierror.ServiceUnavailable, Message: "too many connections at once, try again",
	RetryAfter: time.Second,
}

// refusingConn embeds the concrete type for the methods that net/http looks for: CloseWrite and ReadFrom.
type refusingConn struct {
	*net.TCPConn
	dialect apierror.Dialect
	leave   func()
}

// Close closes the connection, which makes room for another.
func (c *refusingConn) Close() error {
	defer c.leave()
	return c.TCPConn.Close()
}

// Write writes p, or in its place a JSON answer if p is a refusal.
func (c *refusingConn) Write(p []byte) (int, error) {
	status := refusalStatus(p)
	if status == 0 {
		return c.TCPConn.Write(p)
	}
	if _, err := c.TCPConn.Write(refusal(malformed(status), c.dialect)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// refusalStatus returns the status of p if it is an answer of net/http itself, else 0.
func refusalStatus(p []byte) int {
	rest, ok := bytes.CutPrefix(p, []byte("HTTP/1.1 "))
	if !ok || len(p) > 512 {
		return 0
	}
	line, text, plain := bytes.Cut(rest, []byte(refusalHeader))
	if plain && !bytes.ContainsAny(line, "\r\n") && !bytes.ContainsAny(text, "\r\n") ||
		bytes.HasPrefix(p, []byte(expectationFailed)) && bytes.HasSuffix(p, []byte("\r\n\r\n")) {
		status, _ := strconv.Atoi(string(rest[:3]))
		return status
	}
	return 0
}

// malformed returns the error of a status. Its code and message are the status's name: net/http tells no more.
func malformed(status int) *apierror.Error {
	name := http.StatusText(status)
	code := apierror.Code(strings.ToUpper(strings.ReplaceAll(name, " ", "_")))
	return apierror.New(status, code, strings.ToLower(name))
}

// refusal returns a whole answer.
func refusal(e *apierror.Error, dialect apierror.Dialect) []byte {
	body, _ := json.Marshal(dialect.Body(e))
	answer := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n%s: %s\r\n",
		e.Status, http.StatusText(e.Status), len(body), requestid.Header, requestid.Accept(""))
	if e.RetryAfter > 0 {
		answer = fmt.Appendf(answer, "Retry-After: %d\r\n", int(e.RetryAfter.Seconds()))
	}
	return fmt.Appendf(answer, "Connection: close\r\n\r\n%s", body)
}
