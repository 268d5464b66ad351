// Package wire speaks with the services as their clients do, by their contracts and without any of the program's own code.
// What a client must keep to itself goes on the record of the test run.
package wire

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Client sends requests as JSON.
type Client struct{ *http.Client }

// Get gets a page.
func (c Client) Get(url string) (Answer, error) { return c.Call(http.MethodGet, url, "") }

// Post sends a body with header, a list of names and values.
func (c Client) Post(url, body string, header ...string) (Answer, error) {
	return c.Call(http.MethodPost, url, body, header...)
}

// Call makes a request and reads the whole answer.
func (c Client) Call(method, url, body string, header ...string) (Answer, error) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		return Answer{}, err
	}
	return Read(resp, method+" "+r.URL.Path)
}

// PostUntilOK posts as a client that retries does: until a 200, after what is the server's fault. Anything else is an error.
func (c Client) PostUntilOK(ctx context.Context, url, body string, header ...string) (a Answer, tries int, err error) {
	for {
		tries++
		a, err = c.Post(url, body, header...)
		switch {
		case err == nil && a.Status == http.StatusOK:
			return a, tries, nil
		case err == nil && a.Status < http.StatusInternalServerError:
			return a, tries, fmt.Errorf("refused: %v", a)
		}
		select {
		case <-ctx.Done():
			return a, tries, errors.Join(fmt.Errorf("%w; the last answer: %v", ctx.Err(), a), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Inbox sends a signed request to a receiver.
func (c Client) Inbox(receiver string, s Signed) (Answer, error) {
	return c.Post(receiver+"/inbox", s.Body, s.Header...)
}
