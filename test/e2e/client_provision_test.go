package e2e_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/client/provisioning"
	"github.com/provisioner/provisioner/test/record"
)

// TestClientThroughLostAnswers has the Go client of the sender call through a network that loses the first two answers of each call, once
// the sender has given them: a key is made once, and an event kept once.
func TestClientThroughLostAnswers(t *testing.T) {
	p := start(t, "all", nil)
	u := signUp(t, p.URL("sender"))
	var tries atomic.Int32
	through := proxy(t, p.URL("sender"), func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path != "/send" || tries.Add(1)%3 == 0 {
			next.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
	impatient := provisioning.WithDelay(func(context.Context, time.Duration) error { return nil })
	client := provisioning.New(through, impatient)

	key, ok := client.ProvisionKey(t.Context(), u.JWT, "laptop", "new").(provisioning.Success)
	if !ok || key.Text("token") == "" || key.Text("tier") != "new" {
		t.Fatalf("no key: %+v", key)
	}
	record.Keep("API key", key.Text("token"))
	if n := rows(t, p, "api_keys"); n != 1 || tries.Load() != 3 {
		t.Errorf("%d keys after %d tries, want 1 after 3", n, tries.Load())
	}
	event := provisioning.Event{UserID: "u1", Action: "app_opened", SentAt: time.Now()}
	if r, ok := client.SendEvent(t.Context(), event).(provisioning.Success); !ok {
		t.Errorf("the event was not taken: %+v", r)
	}
	if n := rows(t, p, "events"); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func TestClientIsRefused(t *testing.T) {
	p := start(t, "all", nil)
	client := provisioning.New(p.URL("sender"))
	u := signUp(t, p.URL("sender"))
	for name, tt := range map[string]struct {
		result provisioning.Result
		status int
		code   string
	}{
		"a wrong password":     {client.SignIn(t.Context(), u.Email, "not the password"), 401, "INVALID_CREDENTIALS"},
		"an account there is":  {client.SignUp(t.Context(), u.Email, u.Password), 409, "EMAIL_TAKEN"},
		"a JWT that is none":   {client.ProvisionKey(t.Context(), "a.b.c", "laptop", "new"), 401, "INVALID_AUTH"},
		"a tier there is not":  {client.ProvisionKey(t.Context(), u.JWT, "laptop", "golden"), 400, "UNKNOWN_TIER"},
		"an action in capital": {client.SendEvent(t.Context(), provisioning.Event{UserID: "u1", Action: "PING"}), 400, "UNKNOWN_ACTION"},
	} {
		failed, ok := tt.result.(provisioning.Error)
		if !ok || failed.Status != tt.status || failed.Code != tt.code || failed.Message == "" || failed.Err != nil {
			t.Errorf("%s: %+v, want %d %s", name, tt.result, tt.status, tt.code)
		}
	}
	for _, service := range []string{"sender", "receiver", "papyrus"} {
		if r, ok := client.CheckHealth(t.Context(), p.URL(service)).(provisioning.Success); !ok {
			t.Errorf("the %s is not healthy: %+v", service, r)
		}
	}
}
