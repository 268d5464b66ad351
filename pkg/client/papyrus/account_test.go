package papyrus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/secret"
)

// roundTrips is a transport that is a function.
type roundTrips func(req *http.Request) (*http.Response, error)

func (f roundTrips) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func respond(a answer, header http.Header) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: header, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

// TestOneIntentIsTriedAgain makes a key where answers get lost, by the clock of a bubble.
func TestOneIntentIsTriedAgain(t *testing.T) {
	const made = `{"token":"obtk_1","keyId":"k1","prefix":"obtk_1","tier":"new"}`
	lost := errors.New("connection reset")
	for _, tt := range []struct {
		name  string
		tries []answer // status 0: lost
		after string   // Retry-After
		want  error
		took  time.Duration
		count int
	}{
		{"at once", []answer{{200, made}}, "", nil, 0, 1},
		{"after two lost answers", []answer{{}, {}, {200, made}}, "", nil, 3 * time.Second, 3},
		{"after a 503 that says when", []answer{{503, ""}, {200, made}}, "7", nil, 7 * time.Second, 2},
		{"a server that says much later", []answer{{503, ""}, {200, made}}, "3600", papyrus.ErrUnreachable, 0, 1},
		{"never", []answer{{}, {503, ""}, {429, ""}, {200, made}}, "", papyrus.ErrUnreachable, 3 * time.Second, 3},
		{"an answer without a token", []answer{{200, `{}`}}, "", papyrus.ErrUnreachable, 0, 1},
		{"a refusal", []answer{{403, `{"error":"The plan has no such tier","code":"TIER_NOT_ALLOWED"}`}, {200, made}}, "", &papyrus.Error{}, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store, err := papyrus.NewDeviceStore(t.TempDir(), server, nil)
			if err != nil {
				t.Fatal(err)
			}
			save(t, store, account(ann, "refresh-0"))
			synctest.Test(t, func(t *testing.T) {
				intents := map[string]int{}
				tries := tt.tries
				repository, err := papyrus.NewAuthRepository(papyrus.Config{APIBaseURL: server}, store, papyrus.WithTransport(roundTrips(func(req *http.Request) (*http.Response, error) {
					if req.URL.Path == refreshPath {
						return respond(tokens(ann, 1), nil)
					}
					intents[req.Header.Get("Idempotency-Key")]++
					now := tries[0]
					tries = tries[1:]
					if now.status == 0 {
						return nil, lost
					}
					return respond(now, http.Header{"Retry-After": {tt.after}})
				})))
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				key, err := repository.CreateKey(t.Context(), "laptop", "new", "")
				if _, refusal := errors.AsType[*papyrus.Error](tt.want); refusal {
					if err == nil || err.Error() != "The plan has no such tier" {
						t.Errorf("CreateKey() = %v", err)
					}
				} else if !errors.Is(err, tt.want) || err == nil && key.Token != "obtk_1" {
					t.Errorf("CreateKey() = %+v, %v, want %v", key, err, tt.want)
				}
				if took := time.Since(began); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				for intent, times := range intents {
					if len(intents) != 1 || intent == "" || times != tt.count {
						t.Errorf("tried under %v", intents)
					}
				}
			})
		})
	}
}

// TestServerThatNeverAnswersIsGivenUp goes by the clock of a bubble.
func TestServerThatNeverAnswersIsGivenUp(t *testing.T) {
	silent := roundTrips(func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	})
	for _, tt := range []struct {
		name string
		call func(ctx context.Context, r *papyrus.AuthRepository) error
	}{
		{"refresh", func(ctx context.Context, r *papyrus.AuthRepository) error { _, err := r.Refresh(ctx); return err }},
		{"login", func(ctx context.Context, r *papyrus.AuthRepository) error {
			_, err := r.Login(ctx, "reader@example.com", secret.New("a long password"))
			return err
		}},
		{"settings", func(ctx context.Context, r *papyrus.AuthRepository) error { _, err := r.PowerSyncURL(ctx); return err }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := newStore(t, t.TempDir(), nil)
			save(t, store, account(ann, "refresh-0"))
			synctest.Test(t, func(t *testing.T) {
				r, err := papyrus.NewAuthRepository(papyrus.Config{APIBaseURL: server}, store, papyrus.WithTransport(silent))
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if err := tt.call(t.Context(), r); !errors.Is(err, papyrus.ErrUnreachable) || !strings.HasSuffix(err.Error(), "no answer within 20s") {
					t.Errorf("%v, want ErrUnreachable, and why", err)
				}
				if took := time.Since(began); took != 20*time.Second {
					t.Errorf("given up after %v, want 20s", took)
				}
			})
			if load(t, store).RefreshToken.Reveal() != "refresh-0" {
				t.Error("the token is gone")
			}
		})
	}
}

func TestKeysOfAllPages(t *testing.T) {
	page := func(id, next string) answer {
		return answer{200, fmt.Sprintf(`{"keys":[{"key_id":%q,"name":"n","revoked_at":null}],"next_cursor":%s}`, id, next)}
	}
	r := newRig(t, map[string][]answer{refreshPath: {tokens(ann, 1)}, "/v1/keys": {page("k1", `"a b"`), page("k2", "null")}})
	r.keep(ann, "refresh-0")
	keys, err := r.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]papyrus.Key{{ID: "k1", Name: "n"}, {ID: "k2", Name: "n"}}, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func TestKeysWithoutAnEnd(t *testing.T) {
	r := newRig(t, map[string][]answer{refreshPath: {tokens(ann, 1)}, "/v1/keys": {{200, `{"keys":[{"key_id":"k1"}],"next_cursor":"more"}`}}})
	r.keep(ann, "refresh-0")
	if _, err := r.Keys(t.Context()); !errors.Is(err, papyrus.ErrUnreachable) {
		t.Errorf("Keys() = %v, want ErrUnreachable", err)
	}
}

func TestEndingTheOwnSessionForgetsTheAccount(t *testing.T) {
	const list = `{"sessions":[{"session_id":"s1","current":true},{"session_id":"s2","current":false}]}`
	for i, session := range []string{"s1", "s2"} {
		r := newRig(t, map[string][]answer{
			refreshPath: {tokens(ann, 1)}, "/v1/auth/sessions": {{200, list}}, "/v1/auth/sessions/" + session: {{204, ""}},
		})
		r.keep(ann, "refresh-0")
		devices, err := r.Devices(t.Context())
		if err != nil || len(devices) != 2 {
			t.Fatal(devices, err)
		}
		if err := r.EndDevice(t.Context(), devices[i]); err != nil {
			t.Error(err)
		}
		if (r.kept() == "") != (session == "s1") {
			t.Errorf("after the end of %s: kept %q", session, r.kept())
		}
	}
}
