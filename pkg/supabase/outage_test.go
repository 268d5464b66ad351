package supabase_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/supabase"
	"github.com/provisioner/provisioner/test/daemon"
)

// calls are all that a Client does, with the codes of a provider that is down and of one that is late.
var calls = []struct {
	name       string
	do         func(context.Context, *supabase.Client) error
	down, late apierror.Code
}{
	{"SignUp", func(ctx context.Context, c *supabase.Client) error { _, err := c.SignUp(ctx, someone); return err }, provision.CodeIdentityUnavailable, provision.CodeIdentityTimeout},
	{"SignIn", func(ctx context.Context, c *supabase.Client) error { _, err := c.SignIn(ctx, someone); return err }, provision.CodeIdentityUnavailable, provision.CodeIdentityTimeout},
	{"Recover", func(ctx context.Context, c *supabase.Client) error { return c.Recover(ctx, "reader@example.com") }, provision.CodeIdentityUnavailable, provision.CodeIdentityTimeout},
	{"Validate", func(ctx context.Context, c *supabase.Client) error { _, err := c.Validate(ctx, "a.b.c"); return err }, provision.CodeIdentityUnavailable, provision.CodeIdentityTimeout},
	{"CreateKey", func(ctx context.Context, c *supabase.Client) error {
		_, err := c.CreateKey(ctx, keyRequest)
		return err
	}, provision.CodeProvisionError, provision.CodeProvisionTimeout},
}

func TestOutages(t *testing.T) {
	nobody, err := daemon.Port()
	if err != nil {
		t.Fatal(err)
	}
	hangUp := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	cut := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"id":"`))
	})
	tls := httptest.NewTLSServer(answers(http.StatusOK, userJSON))
	t.Cleanup(tls.Close)
	for name, client := range map[string]*supabase.Client{
		"connection refused":       supabase.NewClient(fmt.Sprintf("http://127.0.0.1:%d", nobody), secret.New("anon"), http.DefaultTransport),
		"a connection that breaks": newClient(t, hangUp),
		"an answer that breaks":    newClient(t, cut),
		"an unknown certificate":   supabase.NewClient(tls.URL, secret.New("anon"), http.DefaultTransport),
	} {
		for _, call := range calls {
			t.Run(name+", "+call.name, func(t *testing.T) {
				err := call.do(t.Context(), client)
				if e := apierror.From(err); e.Code != call.down || e.Status != http.StatusBadGateway {
					t.Errorf("%v, want %s", err, call.down)
				}
				if strings.Contains(err.Error(), "/v1/") {
					t.Errorf("the error tells the address: %v", err)
				}
			})
		}
	}
}

func TestTimeouts(t *testing.T) {
	hang := roundTripper(func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() })
	for _, call := range calls {
		for name, deadline := range map[string]time.Duration{"the caller's": time.Second, "its own": time.Minute} {
			t.Run(call.name+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), deadline)
					defer cancel()
					start := time.Now()
					err := call.do(ctx, supabase.NewClient(projectURL, secret.New("anon"), hang))
					if e := apierror.From(err); e.Code != call.late || e.Status != http.StatusGatewayTimeout {
						t.Errorf("%v, want %s", err, call.late)
					}
					if took := time.Since(start); took != min(deadline, 4*time.Second) {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	followed := false
	mux := http.NewServeMux()
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { followed = true })
	mux.Handle("/", http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect))
	client := newClient(t, mux)
	for _, call := range calls {
		if err := call.do(t.Context(), client); code(err) != call.down {
			t.Errorf("%s: %v, want %s", call.name, err, call.down)
		}
	}
	keys := supabase.NewJWKSValidator(projectURL, "", served(mux), atNoon)
	if _, err := keys.Validate(t.Context(), mustSign(t, es256, "k1", newECKey(t), claims(nil))); code(err) != provision.CodeIdentityUnavailable {
		t.Errorf("JWKS: %v", err)
	}
	if followed {
		t.Error("a redirect was followed")
	}
}

func TestAnswersAreReadUpToABound(t *testing.T) {
	endless := newClient(t, answers(http.StatusOK, `{"id":"`+strings.Repeat("x", 2<<20)+`"}`))
	if _, err := endless.Validate(t.Context(), "a.b.c"); !errors.Is(err, provision.ErrIdentityUnavailable) {
		t.Errorf("Validate() = %v", err)
	}
}
