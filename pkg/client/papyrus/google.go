package papyrus

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/provisioner/provisioner/pkg/text"
)

const (
	callbackPort = "43821" // the one of the Flutter apps for Linux and Windows, which servers allow
	callbackPath = "/auth/callback"
	signInWait   = 10 * time.Minute // for the person
	longestCode  = 1024
	mostRefused  = 10              // codes that papyrus is asked about in vain
	farewell     = 2 * time.Second // for the browser to get the last page
)

// LoginWithGoogle signs in through the system browser: open is given the URL to open there, and LoginWithGoogle waits, up to ten minutes,
// until the browser comes back to a listener on this machine. It listens on loopback, at the port 43821 of the Flutter apps, or where
// somebody else has that, at any port of 127.0.0.1 (RFC 8252 section 7.3). A server that is out of reach or has no provider is an error
// before any browser is opened.
//
// Between app and papyrus there is no state parameter. What binds the sign-in to this process is PKCE (RFC 7636, and RFC 9700 section
// 4.7.1): the code that the browser brings is good with the verifier alone that never leaves this process, and papyrus gives no code to our
// challenge but at the end of a sign-in that began with it. A page that sends the browser here with the code of another sign-in, to have
// this device signed in as somebody else, brings one that papyrus refuses; the wait goes on, and the first code that papyrus takes ends it:
// none is looked at after that. So does an error answer, which costs the person another try, and gives nobody anything. A page can have a
// browser come here with either only by leaving for it: what pages load, and what comes under another name of this machine (DNS
// rebinding), is turned away. Other users of this machine may see the challenge where the browser's arguments are seen; with it they could
// have this device signed in as themselves, which the command shows.
func (r *AuthRepository) LoginWithGoogle(ctx context.Context, open func(url string) error) (User, error) {
	listeners, redirectURI, err := listenForCallback(ctx)
	if err != nil {
		return User{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, signInWait, fmt.Errorf("nobody came back from the browser within %v", signInWait))
	f := &googleFlow{repository: r, redirectURI: redirectURI, verifier: rand.Text() + rand.Text(), callbacks: make(chan callback)}
	stop := f.serve(ctx, listeners)
	defer stop()
	defer cancel() // what comes from here on is turned away

	if err := f.probe(ctx); err != nil {
		return User{}, err
	}
	if err := open(r.server.base + f.start()); err != nil {
		return User{}, fmt.Errorf("open the browser: %w", err)
	}
	return f.wait(ctx)
}

// listenForCallback listens at localhost, by both of its addresses, since browsers choose: none may be left to another program.
func listenForCallback(ctx context.Context) (listeners []net.Listener, redirectURI string, err error) {
	var lc net.ListenConfig
	v4, err := lc.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", callbackPort))
	if err == nil {
		v6, err := lc.Listen(ctx, "tcp6", net.JoinHostPort("::1", callbackPort))
		switch {
		case err == nil:
			return []net.Listener{v4, v6}, "http://localhost:" + callbackPort + callbackPath, nil
		case !isInUse(err): // this machine has no IPv6
			return []net.Listener{v4}, "http://localhost:" + callbackPort + callbackPath, nil
		}
		_ = v4.Close() // one half is no use
	}
	if v4, err = lc.Listen(ctx, "tcp4", "127.0.0.1:0"); err != nil {
		return nil, "", fmt.Errorf("listen for the browser to come back: %w", err)
	}
	return []net.Listener{v4}, "http://" + v4.Addr().String() + callbackPath, nil
}

// googleFlow is one sign-in by the browser.
type googleFlow struct {
	repository  *AuthRepository
	redirectURI string
	verifier    string
	callbacks   chan callback
}

// callback is what a browser brought back, code or refusal, and where the page goes that it is shown.
type callback struct {
	code    string
	refusal error
	answer  chan<- answer
}

// answer is a page.
type answer struct {
	status         int
	title, message string
}

// wait looks at what browsers bring, one after the other, until one ends the sign-in.
func (f *googleFlow) wait(ctx context.Context) (User, error) {
	for refused := 0; ; {
		select {
		case c := <-f.callbacks:
			user, err := f.look(ctx, c)
			if refusal, ok := errors.AsType[*Error](err); ok && !errors.Is(err, ErrUnreachable) && refused < mostRefused {
				refused++
				c.answer <- answer{http.StatusBadRequest, "Not signed in", "This is no sign-in that the terminal waits for: " + refusal.Error() + ". It goes on waiting."}
				continue
			}
			c.answer <- lastPage(user, c.refusal, err)
			return user, err
		case <-ctx.Done():
			return User{}, context.Cause(ctx)
		}
	}
}

// look exchanges the code of a callback. Who brought it may be gone by then: a code is good once.
func (f *googleFlow) look(ctx context.Context, c callback) (User, error) {
	if c.refusal != nil {
		return User{}, c.refusal
	}
	return f.repository.signIn(ctx, "/v1/auth/exchange-code", map[string]string{"code": c.code, "code_verifier": f.verifier})
}

// lastPage is shown at the end of a sign-in.
func lastPage(user User, refusal, err error) answer {
	switch {
	case err == nil:
		return answer{http.StatusOK, "Signed in", "You are signed in as " + user.Email + ". Close this page and go back to the terminal."}
	case refusal != nil:
		return answer{http.StatusOK, "Not signed in", refusal.Error() + "."}
	default:
		return answer{http.StatusBadGateway, "Not signed in", "The terminal says why."}
	}
}

// probe begins a sign-in that nobody goes on with: where the server is out of reach, or has no provider, no browser has to say so.
func (f *googleFlow) probe(ctx context.Context) error {
	err := f.repository.server.do(ctx, call{method: http.MethodGet, path: f.start()})
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusFound {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%w: what answers does not lead to a provider", ErrUnreachable)
	}
	return err
}

// start is where the browser begins, below the base URL.
func (f *googleFlow) start() string {
	challenge := sha256.Sum256([]byte(f.verifier))
	return "/v1/auth/oauth/google/start?" + url.Values{
		"redirect_uri":   {f.redirectURI},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])},
	}.Encode()
}

// serve takes requests until stop is called, which lets answers that are under way get out.
func (f *googleFlow) serve(ctx context.Context, listeners []net.Listener) (stop func()) {
	s := &http.Server{
		Handler: f, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	for _, l := range listeners {
		go func() { _ = s.Serve(l) }() // ends with stop
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		if s.Shutdown(ctx) != nil {
			_ = s.Close()
		}
	}
}

var nothingHere = answer{http.StatusNotFound, "Nothing to see here", "This page is for the way back from a sign-in."}

// ServeHTTP takes what a browser brings back: code or error.
func (f *googleFlow) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	query := req.URL.Query()
	code, refusal := query["code"], query["error"]
	c := callback{}
	switch {
	case !f.isWayBack(req):
		show(w, nothingHere)
		return
	case len(refusal) == 1 && len(code) == 0:
		c.refusal = refusalOf(refusal[0])
	case len(code) == 1 && len(refusal) == 0 && text.IsPrintableASCII(code[0], longestCode):
		c.code = code[0]
	default:
		show(w, nothingHere)
		return
	}
	page := make(chan answer, 1)
	c.answer = page
	select {
	case f.callbacks <- c:
		show(w, <-page)
	case <-req.Context().Done():
		show(w, answer{http.StatusGone, "Too late", "No sign-in waits here any more."})
	}
}

// isWayBack reports whether a browser comes to the page of the redirect URI, under that name, because it was sent there, and not for a part
// of another page. What is no browser does not say what it comes for.
func (f *googleFlow) isWayBack(req *http.Request) bool {
	mode, dest := req.Header.Get("Sec-Fetch-Mode"), req.Header.Get("Sec-Fetch-Dest")
	return req.Method == http.MethodGet && "http://"+req.Host+req.URL.Path == f.redirectURI &&
		(mode == "" || mode == "navigate") && (dest == "" || dest == "document")
}

// refusals are the errors with which papyrus sends browsers back, and what they mean for the person.
var refusals = map[string]string{
	"access_denied":    "the sign-in was refused at the provider",
	"account_exists":   "there is an account with this e-mail address already: sign in to it with its password",
	"account_disabled": "this account is disabled",
	"missing_code":     "the provider sent no answer that could be used: try again",
	"exchange_failed":  "the provider did not confirm the sign-in: try again",
}

func refusalOf(code string) error {
	if meaning, ok := refusals[code]; ok {
		return errors.New(meaning)
	}
	return fmt.Errorf("the provider answers %s", strconv.Quote(text.Line(code, longestText)))
}

//go:embed google.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// show answers with a page that runs and loads nothing, and takes no address anywhere: there is a code in it.
func show(w http.ResponseWriter, a answer) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Connection", "close") // the listener ends
	w.WriteHeader(a.status)
	_ = page.Execute(w, struct{ Title, Message string }{a.title, a.message}) // the browser may be gone
}
