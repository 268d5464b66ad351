package oidc_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/oidc"
)

const discoveryPath = "/.well-known/openid-configuration"

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// broken is a Store that is down.
type broken struct{}

var errBroken = errors.New("the store is down")

func (broken) CreateState(context.Context, oidc.State) error { return errBroken }

func (broken) TakeState(context.Context, [sha256.Size]byte, time.Time) (oidc.State, error) {
	return oidc.State{}, errBroken
}

func TestDiscoveryIsLazyAndDoneOnce(t *testing.T) {
	r := newRig(t)
	if n := r.provider.calls[discoveryPath]; n != 0 {
		t.Errorf("%d calls before anybody signs in", n)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := r.Start(t.Context(), signIn); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := r.provider.calls[discoveryPath]; n != 1 {
		t.Errorf("%d calls for 8 users", n)
	}
}

func TestDeadProvider(t *testing.T) {
	r := newRig(t)
	r.provider.Close()
	_, err := r.Start(t.Context(), signIn)
	wantUnavailable(t, err, "refused")
	if len(r.states.rows) != 0 {
		t.Error("a state is kept")
	}
}

func TestProviderThatDiesMeanwhile(t *testing.T) {
	r := newRig(t)
	c := r.mustVisit(t, signIn)
	r.provider.Close()
	_, err := r.Finish(t.Context(), c)
	wantFailure(t, err, oidc.CodeExchangeFailed, "refused")
}

func TestDiscoveryIsTriedAgain(t *testing.T) {
	r := newRig(t)
	r.provider.describe = func(m map[string]any) { m["issuer"] = "" }
	_, err := r.Start(t.Context(), signIn)
	wantUnavailable(t, err, "did not match the issuer")
	r.provider.describe = func(map[string]any) {}
	if _, err := r.Finish(t.Context(), r.mustVisit(t, signIn)); err != nil {
		t.Errorf("after the mend: %v", err)
	}
}

func TestDiscoveryOfAnotherIssuer(t *testing.T) {
	for _, issuer := range []any{"https://evil.example", "https://accounts.google.com", "", nil, "http://127.0.0.1/"} {
		r := newRig(t)
		r.provider.describe = func(m map[string]any) { m["issuer"] = issuer }
		_, err := r.Start(t.Context(), signIn)
		wantUnavailable(t, err, "did not match the issuer")
	}
}

func TestDiscoveryWithoutAnEndpoint(t *testing.T) {
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri"} {
		for _, value := range []any{nil, "", "/relative", "ftp://127.0.0.1/x"} {
			r := newRig(t)
			r.provider.describe = func(m map[string]any) { m[name] = value }
			_, err := r.Start(t.Context(), signIn)
			wantUnavailable(t, err, "endpoint")
		}
	}
}

func TestDiscoveryOfUnprotectedEndpoints(t *testing.T) {
	for _, name := range []string{"token_endpoint", "userinfo_endpoint"} {
		t.Run(name, func(t *testing.T) { testUnprotected(t, name) })
	}
}

func testUnprotected(t *testing.T, name string) {
	t.Helper()
	var server *httptest.Server
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		said := map[string]string{
			"issuer": server.URL, "authorization_endpoint": server.URL + "/auth", "token_endpoint": server.URL + "/token",
			"jwks_uri": server.URL + "/keys",
		}
		said[name] = "http://" + server.Listener.Addr().String() + "/unprotected"
		writeJSON(w, http.StatusOK, said)
	}))
	t.Cleanup(server.Close)
	flow := newFlow(t, server.URL, server.Client().Transport, &states{}, &clock{start})
	_, err := flow.Start(t.Context(), signIn)
	wantUnavailable(t, err, "not of the scheme of the issuer")
}

func TestRedirectsOfTheProviderAreNotFollowed(t *testing.T) {
	followed := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	t.Cleanup(elsewhere.Close)
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	t.Cleanup(server.Close)
	_, err := newFlow(t, server.URL, http.DefaultTransport, &states{}, &clock{start}).Start(t.Context(), signIn)
	wantUnavailable(t, err, "302")
	if followed {
		t.Error("a redirect was followed")
	}
}

func TestAnswersAreReadUpToABound(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"issuer":"` + strings.Repeat("x", 1<<20) + `"}`))
	}))
	t.Cleanup(server.Close)
	_, err := newFlow(t, server.URL, http.DefaultTransport, &states{}, &clock{start}).Start(t.Context(), signIn)
	wantUnavailable(t, err, "unexpected end of JSON")
}

func TestSlowProvider(t *testing.T) {
	hang := roundTripper(func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() })
	for name, deadline := range map[string]time.Duration{"the caller's deadline": time.Second, "its own": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				began := time.Now()
				_, err := newFlow(t, "https://accounts.example.com", hang, &states{}, &clock{start}).Start(ctx, signIn)
				wantUnavailable(t, err, "deadline exceeded")
				if took := time.Since(began); took != min(deadline, 4*time.Second) {
					t.Errorf("it took %v", took)
				}
				time.Sleep(4 * time.Second) // on the fake clock: one caller's end is not that of the call
			})
		})
	}
}

// wantUnavailable checks that err is ErrUnavailable for a cause that has the words, and that the client sees none of them.
func wantUnavailable(t *testing.T, err error, cause string) {
	t.Helper()
	if !errors.Is(err, oidc.ErrUnavailable) || !strings.Contains(err.Error(), cause) || len(err.Error()) > 700 {
		t.Errorf("%.1000v, want ErrUnavailable with %q", err, cause)
	}
	if e := apierror.From(err); e.Status != http.StatusServiceUnavailable || strings.Contains(e.Message, cause) {
		t.Errorf("the client sees %d %q", e.Status, e.Message)
	}
}
