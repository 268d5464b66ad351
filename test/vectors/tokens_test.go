package vectors_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/test/vectors"
)

func TestTokens(t *testing.T) {
	network := newNetwork(t)
	for _, v := range vectors.Load[vectors.Session](t, "tokens.json") {
		t.Run(v.Name, func(t *testing.T) {
			switch {
			case v.Kind != "session":
				t.Fatalf("unknown kind %q", v.Kind)
			case slices.ContainsFunc(v.Steps, func(s vectors.Step) bool { return s.Times > 1 }): // a bubble knows when all wait for one
				synctest.Test(t, func(t *testing.T) { live(t, v, &memory{script: &script{}}) })
			default:
				live(t, v, network)
			}
		})
	}
}

// way is how a client reaches a server, and what went over it.
type way interface {
	http.RoundTripper
	play(answers []vectors.Answer)
	exchanges(t *testing.T) []vectors.Exchange
}

// live has a device make the calls of v.
func live(t *testing.T, v vectors.Session, network way) {
	t.Helper()
	d := newDevice(t, network, v.Stored)
	for i, step := range v.Steps {
		network.play(answers(step.Exchanges))
		ends := d.call(t, step)
		got := vectors.Step{Call: step.Call, Times: step.Times, Ends: ends, Stored: d.stored(t), Status: string(d.provider.State().Status)}
		if diff := cmp.Diff(requested(step.Exchanges), network.exchanges(t)); diff != "" {
			t.Errorf("step %d, %s: requests (-want +got):\n%s", i, step.Call, diff)
		}
		step.Exchanges = nil
		if diff := cmp.Diff(step, got); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
}

// memory is the way to a server in this process, who thinks about every request for a second of the bubble's clock.
type memory struct{ *script }

// RoundTrip implements [http.RoundTripper].
func (m *memory) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := m.take(r)
	time.Sleep(time.Second)
	if err != nil {
		return nil, err
	}
	if answer.Failure != "" {
		return nil, errors.New(answer.Failure)
	}
	w := httptest.NewRecorder()
	give(w, answer)
	return w.Result(), nil
}

// device is a client with a store of its own.
type device struct {
	store      *papyrus.DeviceStore
	repository *papyrus.AuthRepository
	provider   *papyrus.AuthProvider
}

func newDevice(t *testing.T, network way, stored *string) device {
	t.Helper()
	const server = "https://papyrus.example.com"
	dir := t.TempDir()
	store, err := papyrus.NewDeviceStore(dir, server, nil)
	if err != nil {
		t.Fatal(err)
	}
	if stored != nil {
		if err := store.Save(t.Context(), papyrus.Account{RefreshToken: secret.New(*stored), User: papyrus.User{ID: "u1"}}); err != nil {
			t.Fatal(err)
		}
	}
	repository, err := papyrus.NewAuthRepository(papyrus.Config{APIBaseURL: server}, store, papyrus.WithTransport(network))
	if err != nil {
		t.Fatal(err)
	}
	return device{store, repository, papyrus.NewAuthProvider(repository, dir)}
}

func (d device) stored(t *testing.T) *string {
	t.Helper()
	account, err := d.store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !account.RefreshToken.IsSet() {
		return nil
	}
	token := account.RefreshToken.Reveal()
	return &token
}

// call makes the calls of a step at the same moment, and returns how all of them end.
func (d device) call(t *testing.T, step vectors.Step) string {
	t.Helper()
	call, ok := map[string]func(context.Context) error{
		"bootstrap": d.provider.Bootstrap,
		"login": func(ctx context.Context) error {
			return d.provider.Login(ctx, "reader@example.com", secret.New("correct horse battery"))
		},
		"register": func(ctx context.Context) error {
			return d.provider.Register(ctx, papyrus.Registration{Email: "reader@example.com", DisplayName: "Reader", Password: secret.New("correct horse battery")})
		},
		"refresh":              func(ctx context.Context) error { _, err := d.repository.Refresh(ctx); return err },
		"createPowerSyncToken": func(ctx context.Context) error { _, err := d.repository.CreatePowerSyncToken(ctx); return err },
		"uploadPowerSyncBatch": func(ctx context.Context) error { _, err := d.repository.UploadPowerSyncBatch(ctx, nil); return err },
		"logout":               d.provider.Logout,
		"setOfflineMode":       func(ctx context.Context) error { return d.provider.SetOfflineMode(ctx, true) },
	}[step.Call]
	if !ok {
		t.Fatalf("unknown call %q", step.Call)
	}
	ends := make([]string, max(1, step.Times))
	var calls sync.WaitGroup
	for i := range ends {
		calls.Go(func() { ends[i] = ending(call(t.Context())) })
	}
	calls.Wait()
	for _, end := range ends {
		if end != ends[0] {
			return strings.Join(ends, ", ")
		}
	}
	return ends[0]
}

func ending(err error) string {
	_, answered := errors.AsType[*papyrus.Error](err)
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, papyrus.ErrSignedOut):
		return "signed-out"
	case errors.Is(err, papyrus.ErrUnreachable):
		return "unreachable"
	case answered:
		return "refused"
	}
	return err.Error()
}

func answers(exchanges []vectors.Exchange) []vectors.Answer {
	var out []vectors.Answer
	for _, e := range exchanges {
		out = append(out, vectors.Answer{Failure: e.Failure, Status: e.Status, Body: body(e)})
	}
	return out
}

func body(e vectors.Exchange) string {
	switch {
	case e.Body != "" || e.Status == http.StatusNoContent:
		return e.Body
	case e.Code != "":
		return fmt.Sprintf(`{"error":{"code":%q,"message":"no","details":{}}}`, e.Code)
	case e.Tokens != 0:
		user := e.User
		if user == "" {
			user = "u1"
		}
		return fmt.Sprintf(`{"access_token":"access-%d","refresh_token":"refresh-%[1]d","token_type":"Bearer","expires_in":3600,"user":{"user_id":%q}}`, e.Tokens, user)
	}
	return `{"token":"a.b.c","expires_in":300,"applied_count":0}`
}

// requested leaves of exchanges what a client sends.
func requested(exchanges []vectors.Exchange) []vectors.Exchange {
	var out []vectors.Exchange
	for _, e := range exchanges {
		out = append(out, vectors.Exchange{Request: e.Request, Bearer: e.Bearer, RefreshToken: e.RefreshToken})
	}
	return out
}

// exchanges returns what was sent since the last play.
func (n *script) exchanges(t *testing.T) []vectors.Exchange {
	t.Helper()
	var out []vectors.Exchange
	for i, r := range n.requests {
		var in struct {
			RefreshToken string `json:"refresh_token"`
		}
		if len(n.bodies[i]) > 0 {
			if err := json.Unmarshal(n.bodies[i], &in); err != nil {
				t.Error(err)
			}
		}
		out = append(out, vectors.Exchange{
			Request: r.Method + " " + r.URL.Path, Bearer: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), RefreshToken: in.RefreshToken,
		})
	}
	return out
}
