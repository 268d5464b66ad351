package papyrus_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
)

const (
	startPath    = "/v1/auth/oauth/google/start"
	exchangePath = "/v1/auth/exchange-code"
)

// browse plays the browser of one sign-in: open is called with where it is to begin, in a goroutine of its own.
func browse(t *testing.T, r *rig, open func(start *url.URL, callback string)) (papyrus.User, error) {
	t.Helper()
	ended := make(chan struct{})
	user, err := r.LoginWithGoogle(t.Context(), func(raw string) error {
		start, err := url.Parse(raw)
		if err != nil {
			return err
		}
		go func() {
			defer close(ended)
			open(start, start.Query().Get("redirect_uri"))
		}()
		return nil
	})
	<-ended
	return user, err
}

// visit opens a page and returns its status and text, 0 where nobody answers.
func visit(t *testing.T, method, page string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, page, nil)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	return send(req)
}

func send(req *http.Request) (int, string) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

func TestGoogleSignIn(t *testing.T) {
	r := newRig(t, map[string][]answer{startPath: {{302, ""}}, exchangePath: {tokens(ann, 1)}})
	user, err := browse(t, r, func(start *url.URL, callback string) {
		if !strings.HasPrefix(start.String(), r.server.URL+"/v1/auth/oauth/google/start?") || strings.Contains(start.String(), "verifier") {
			t.Errorf("begins at %s", start)
		}
		status, text := visit(t, http.MethodGet, callback+"?code=good")
		if status != http.StatusOK || !strings.Contains(text, "reader@example.com") || strings.Contains(text, "good") {
			t.Errorf("%d %s", status, text)
		}
		var body map[string]string
		if err := json.Unmarshal([]byte(r.seen[1].body), &body); err != nil { // the first begins
			t.Error(err)
		}
		challenge := sha256.Sum256([]byte(body["code_verifier"]))
		if got := start.Query().Get("code_challenge"); got != base64.RawURLEncoding.EncodeToString(challenge[:]) {
			t.Errorf("the challenge %q is not that of the verifier", got)
		}
		if n := len(body["code_verifier"]); n < 43 || n > 128 || body["code"] != "good" || body["client_type"] != "desktop" {
			t.Errorf("exchanged %v", body)
		}
	})
	if err != nil || user.ID != ann || r.kept() != "refresh-"+ann+"-1" {
		t.Errorf("%+v, %v, kept %q", user, err, r.kept())
	}
}

// TestGoogleSignInWaitsForItsOwnCallback sends what any page can have a browser send: none of it ends the wait.
func TestGoogleSignInWaitsForItsOwnCallback(t *testing.T) {
	r := newRig(t, map[string][]answer{startPath: {{302, ""}}, exchangePath: {{401, unauthorized}, tokens(ann, 1)}})
	user, err := browse(t, r, func(_ *url.URL, callback string) {
		for _, tt := range []struct {
			method, page string
			want         int
		}{
			{http.MethodGet, callback, 404},
			{http.MethodGet, callback + "?code=", 404},
			{http.MethodGet, callback + "?code=a&code=b", 404},
			{http.MethodGet, callback + "?code=a&error=access_denied", 404},
			{http.MethodGet, callback + "?error=a&error=b", 404},
			{http.MethodGet, callback + "?code=" + strings.Repeat("a", 2000), 404},
			{http.MethodGet, callback + "?code=%00", 404},
			{http.MethodGet, callback + "/x?code=a", 404},
			{http.MethodGet, strings.Replace(callback, "/auth/callback", "/favicon.ico", 1), 404},
			{http.MethodPost, callback + "?code=a", 404},
			{http.MethodGet, callback + "?code=attackers", 400}, // which papyrus refuses
		} {
			if status, _ := visit(t, tt.method, tt.page); status != tt.want {
				t.Errorf("%s %.80s: %d, want %d", tt.method, tt.page, status, tt.want)
			}
		}
		visit(t, http.MethodGet, callback+"?code=good")
	})
	if err != nil || user.ID != ann {
		t.Errorf("%+v, %v", user, err)
	}
	if got := r.presented(exchangePath); len(got) != 2 {
		t.Errorf("%d codes were exchanged, want 2", len(got))
	}
}

// TestGoogleSignInTurnsAwayWhatIsNoVisit has pages load the callback, and come to it under a name of their own: neither ends the wait.
func TestGoogleSignInTurnsAwayWhatIsNoVisit(t *testing.T) {
	r := newRig(t, map[string][]answer{startPath: {{302, ""}}, exchangePath: {tokens(ann, 1)}})
	user, err := browse(t, r, func(_ *url.URL, callback string) {
		for _, tt := range []struct {
			host, mode, dest string
			want             int
		}{
			{"rebound.example.com:43821", "navigate", "document", 404},
			{"127.0.0.1:43821", "navigate", "document", 404},
			{"", "no-cors", "image", 404},
			{"", "cors", "empty", 404},
			{"", "navigate", "iframe", 404},
			{"", "navigate", "document", 200},
		} {
			for _, query := range []string{"?error=access_denied", "?code=good"} {
				if tt.want == 200 && query != "?code=good" {
					continue
				}
				req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, callback+query, nil)
				if err != nil {
					t.Error(err)
					return
				}
				req.Host = tt.host // "" for that of the URL
				req.Header.Set("Sec-Fetch-Mode", tt.mode)
				req.Header.Set("Sec-Fetch-Dest", tt.dest)
				if status, _ := send(req); status != tt.want {
					t.Errorf("%+v %s: %d", tt, query, status)
				}
			}
		}
	})
	if err != nil || user.ID != ann {
		t.Errorf("%+v, %v", user, err)
	}
}

// TestGoogleSignInTakesOneCode brings another good one while the first is looked at: it must not sign in after the end.
func TestGoogleSignInTakesOneCode(t *testing.T) {
	r := newRig(t, map[string][]answer{startPath: {{302, ""}}, exchangePath: {tokens(ann, 1), tokens(bob, 2)}})
	var second sync.WaitGroup
	user, err := browse(t, r, func(_ *url.URL, callback string) {
		r.before = func(in request) {
			if in.path != exchangePath || len(r.presented(exchangePath)) > 1 {
				return
			}
			sent := make(chan struct{})
			second.Go(func() {
				ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { close(sent) }})
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, callback+"?code=second", nil)
				if err != nil {
					t.Error(err)
					return
				}
				if status, _ := send(req); status == http.StatusOK {
					t.Error("the second code is taken")
				}
			})
			<-sent
		}
		visit(t, http.MethodGet, callback+"?code=first")
	})
	second.Wait()
	if err != nil || user.ID != ann || r.kept() != "refresh-"+ann+"-1" {
		t.Errorf("%+v, %v, kept %q", user, err, r.kept())
	}
	if got := r.presented(exchangePath); len(got) != 1 {
		t.Errorf("%d codes were exchanged", len(got))
	}
}

// TestGoogleSignInEndsAFlood asks papyrus about a few codes that it refuses, and not about any number.
func TestGoogleSignInEndsAFlood(t *testing.T) {
	r := newRig(t, map[string][]answer{startPath: {{302, ""}}, exchangePath: {{401, unauthorized}}})
	_, err := browse(t, r, func(_ *url.URL, callback string) {
		for n := 0; n < 100; n++ {
			if status, _ := visit(t, http.MethodGet, callback+"?code=attackers"); status != http.StatusBadRequest {
				return
			}
		}
		t.Error("the wait goes on")
	})
	if err == nil || len(r.presented(exchangePath)) != 11 {
		t.Errorf("LoginWithGoogle() = %v after %d codes", err, len(r.presented(exchangePath)))
	}
}

func TestGoogleSignInRefused(t *testing.T) {
	for _, tt := range []struct{ code, want string }{
		{"access_denied", "refused at the provider"},
		{"account_exists", "with its password"},
		{"<script>alert(1)</script>", `the provider answers "<script>`},
	} {
		t.Run(tt.code, func(t *testing.T) {
			r := newRig(t, map[string][]answer{startPath: {{302, ""}}})
			_, err := browse(t, r, func(_ *url.URL, callback string) {
				if _, text := visit(t, http.MethodGet, callback+"?error="+url.QueryEscape(tt.code)); strings.Contains(text, "<script>") {
					t.Errorf("the page has %s", text)
				}
			})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("LoginWithGoogle() = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestGoogleSignInWithoutTheServer(t *testing.T) {
	r := newRig(t, map[string][]answer{startPath: {{302, ""}}, exchangePath: {{503, ""}}})
	_, err := browse(t, r, func(_ *url.URL, callback string) { visit(t, http.MethodGet, callback+"?code=good") })
	if !errors.Is(err, papyrus.ErrUnreachable) {
		t.Errorf("LoginWithGoogle() = %v, want ErrUnreachable", err)
	}
}

// TestGoogleSignInBesideAnother finds the port of the apps taken, by either address of localhost.
func TestGoogleSignInBesideAnother(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:43821", "[::1]:43821"} {
		t.Run(addr, func(t *testing.T) {
			other, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = other.Close() })
			r := newRig(t, map[string][]answer{startPath: {{302, ""}}, exchangePath: {tokens(ann, 1)}})
			user, err := browse(t, r, func(start *url.URL, callback string) {
				if !strings.HasPrefix(callback, "http://127.0.0.1:") || start.Query().Get("code_challenge") == "" {
					t.Errorf("comes back to %s", callback)
				}
				visit(t, http.MethodGet, callback+"?code=good")
			})
			if err != nil || user.ID != ann {
				t.Errorf("%+v, %v", user, err)
			}
		})
	}
}

// TestGoogleSignInWithoutAProvider opens no browser for what it can say itself.
func TestGoogleSignInWithoutAProvider(t *testing.T) {
	for _, tt := range []struct {
		answer answer
		want   string
	}{
		{answer{400, `{"error":{"code":"VALIDATION_ERROR","message":"No provider is configured"}}`}, "No provider is configured"},
		{answer{503, ""}, "503"},
		{answer{200, "<html>Welcome</html>"}, "what answers"},
	} {
		r := newRig(t, map[string][]answer{startPath: {tt.answer}})
		_, err := r.LoginWithGoogle(t.Context(), func(string) error { t.Error("a browser is opened"); return nil })
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("LoginWithGoogle() = %v, want %q", err, tt.want)
		}
	}
}

func TestGoogleSignInGivesUp(t *testing.T) {
	r := newRig(t, map[string][]answer{startPath: {{302, ""}}})
	ctx, cancel := context.WithCancel(t.Context())
	callback := ""
	_, err := r.LoginWithGoogle(ctx, func(raw string) error {
		start, err := url.Parse(raw)
		callback = start.Query().Get("redirect_uri")
		cancel() // Ctrl-C
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("LoginWithGoogle() = %v, want Canceled", err)
	}
	if status, _ := visit(t, http.MethodGet, callback); status != 0 {
		t.Errorf("something still listens: %d", status)
	}
}
