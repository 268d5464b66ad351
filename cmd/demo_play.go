package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/provisioner/provisioner/pkg/signing"
)

// wiretap is the network between the services of a demonstration. It finds them by name, and keeps the last signed request.
type wiretap struct {
	next  http.RoundTripper
	addrs map[string]string // by service name; set before the first request

	mu   sync.Mutex
	last exchange
}

type exchange struct {
	header http.Header
	body   []byte
}

// RoundTrip implements [http.RoundTripper].
func (w *wiretap) RoundTrip(r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	name, _, _ := strings.Cut(r.URL.Host, ".")
	out.URL.Host = w.addrs[name]
	if r.Header.Get(signing.HeaderSignature) != "" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		out.Body = io.NopCloser(bytes.NewReader(body))
		w.mu.Lock()
		w.last = exchange{r.Header.Clone(), body}
		w.mu.Unlock()
	}
	return w.next.RoundTrip(out)
}

func (w *wiretap) captured() exchange {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// demonstration plays the main job as a client, and shows each step.
type demonstration struct {
	out   io.Writer
	inbox *wiretap
	http  *http.Client

	jwt, token string
	signed     exchange
}

func newDemonstration(out io.Writer, inbox *wiretap) *demonstration {
	return &demonstration{out: out, inbox: inbox, http: &http.Client{}}
}

type step struct {
	title string
	do    func(*demonstration, context.Context) error
}

var steps = []step{
	{"The app signs up at the sender", (*demonstration).signUp},
	{"The app signs in", (*demonstration).signIn},
	{"The app asks for an API key; the sender signs the request and forwards it to the receiver", (*demonstration).provision},
	{"An API verifies the key", (*demonstration).verify},
	{"Somebody replays the signed request: refused", (*demonstration).replay},
	{"Somebody tampers with it: refused", (*demonstration).tamper},
	{"The app retries, as after a lost answer: the same key, not a second one", (*demonstration).retry},
}

func (d *demonstration) play(ctx context.Context) error {
	for i, s := range steps {
		_, _ = fmt.Fprintf(d.out, "\n%d. %s\n", i+1, s.title)
		if err := s.do(d, ctx); err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, s.title, err)
		}
	}
	return nil
}

const credentials = `{"email":"reader@example.com","password":"a long password"}`

func (d *demonstration) signUp(ctx context.Context) error {
	_, err := d.call(ctx, http.MethodPost, "sender", "/signup", nil, []byte(credentials), http.StatusCreated)
	return err
}

func (d *demonstration) signIn(ctx context.Context) error {
	got, err := d.call(ctx, http.MethodPost, "sender", "/signin", nil, []byte(credentials), http.StatusOK)
	d.jwt, _ = got["jwt"].(string)
	return err
}

func (d *demonstration) keyRequest() []byte {
	return []byte(`{"action":"provision_api_key","jwt":"` + d.jwt + `","name":"laptop","tier":"new"}`)
}

func (d *demonstration) provision(ctx context.Context) error {
	got, err := d.call(ctx, http.MethodPost, "sender", "/send", nil, d.keyRequest(), http.StatusOK)
	if err != nil {
		return err
	}
	d.token, _ = got["token"].(string)
	d.signed = d.inbox.captured()
	d.show("   on the way, sender -> receiver", "POST /inbox", d.signed.header, d.signed.body)
	return nil
}

func (d *demonstration) verify(ctx context.Context) error {
	header := http.Header{"Authorization": {"Bearer " + d.token}}
	got, err := d.call(ctx, http.MethodGet, "papyrus", "/v1/keys/verify", header, nil, http.StatusOK)
	if err == nil && got["valid"] != true {
		err = fmt.Errorf("the key is not valid")
	}
	return err
}

func (d *demonstration) replay(ctx context.Context) error {
	_, err := d.call(ctx, http.MethodPost, "receiver", "/inbox", d.signed.header, d.signed.body, http.StatusConflict)
	return err
}

func (d *demonstration) tamper(ctx context.Context) error {
	body := bytes.Replace(d.signed.body, []byte(`"tier":"new"`), []byte(`"tier":"pro"`), 1)
	_, err := d.call(ctx, http.MethodPost, "receiver", "/inbox", d.signed.header, body, http.StatusUnauthorized)
	return err
}

func (d *demonstration) retry(ctx context.Context) error {
	got, err := d.call(ctx, http.MethodPost, "sender", "/send", nil, d.keyRequest(), http.StatusOK)
	if err == nil && got["token"] != d.token {
		err = fmt.Errorf("the retry got another key")
	}
	return err
}

// call makes a request, shows it with its answer, and returns the answer's members. It is an error if the status is not the
// wanted one.
func (d *demonstration) call(
	ctx context.Context, method, service, path string, header http.Header, body []byte, want int,
) (map[string]any, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+d.inbox.addrs[service]+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header.Clone()
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	d.show("   "+service, method+" "+path, req.Header, body)

	resp, err := d.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintf(d.out, "   <- %d %s\n", resp.StatusCode, masked(text))
	if resp.StatusCode != want {
		return nil, fmt.Errorf("the answer is %d, not %d", resp.StatusCode, want)
	}
	var members map[string]any
	return members, json.Unmarshal(text, &members)
}

// shownHeaders are the headers that tell the story.
var shownHeaders = []string{"Authorization", signing.HeaderKeyID, signing.HeaderTimestamp, signing.HeaderSignature}

func (d *demonstration) show(where, line string, header http.Header, body []byte) {
	_, _ = fmt.Fprintf(d.out, "%s: %s\n", where, line)
	for _, name := range shownHeaders {
		value := header.Get(name)
		switch {
		case value == "":
			continue
		case name == "Authorization" || name == signing.HeaderSignature:
			value = mask(value)
		}
		_, _ = fmt.Fprintf(d.out, "   -> %s: %s\n", strings.ToLower(name), value)
	}
	if len(body) > 0 {
		_, _ = fmt.Fprintf(d.out, "   -> %s\n", masked(body))
	}
}

var maskedMembers = []string{"password", "jwt", "token", "refreshToken"}

// masked returns a JSON object with its secrets masked, its members in alphabetical order.
func masked(text []byte) string {
	var members map[string]any
	if json.Unmarshal(text, &members) != nil {
		return fmt.Sprintf("%d bytes", len(text))
	}
	for name, value := range members {
		if s, ok := value.(string); ok && slices.Contains(maskedMembers, name) {
			members[name] = mask(s)
		}
	}
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(members); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(out.String())
}

const shownLen = 12

// mask keeps the first characters of a long secret, and nothing of a short one.
func mask(s string) string {
	if len(s) < 3*shownLen {
		return "****"
	}
	return s[:shownLen] + "****"
}
