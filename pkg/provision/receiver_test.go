package provision_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/signing"
)

func TestReceiveTakesTheNonceFirst(t *testing.T) {
	for name, body := range map[string]string{
		"a body that is no JSON": `null`,
		"a body without action":  `{}`,
		"an event":               `{"action":"ping","userId":"u1",` + sentAt + `}`,
		"a key":                  provisionBody,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, userOf, new(mint).create)
			in := r.inbound(body, "")
			_, first := r.Receive(t.Context(), in)
			_, parsed := provision.ParseRequest(in.Body)
			if code(first) != code(parsed) {
				t.Errorf("the first is refused with %q, want %q", code(first), code(parsed))
			}
			if _, err := r.Receive(t.Context(), in); !errors.Is(err, provision.ErrReplayDetected) {
				t.Errorf("the second: %v, want REPLAY_DETECTED", err)
			}
		})
	}
}

func TestReceiveWithoutStoreFailsClosed(t *testing.T) {
	m := new(mint)
	r := newRigOver(t, newStore(t), storeDown{}, userOf, m.create)
	for _, body := range []string{provisionBody, `{"action":"ping","userId":"u1",` + sentAt + `}`, `null`} {
		if got := r.refused(t, body, ""); got != apierror.StoreUnavailable {
			t.Errorf("Receive(%s) is refused with %q, want STORE_UNAVAILABLE", body, got)
		}
	}
	if len(m.asked) != 0 {
		t.Error("a key was made")
	}
}

// storeDown is a store of nonces that cannot be reached.
type storeDown struct{}

func (storeDown) Admit(context.Context, []replay.Admission) ([]bool, error) {
	return nil, apierror.Unavailable(errors.New("connection refused"))
}

func TestReceiveEvents(t *testing.T) {
	for _, tt := range []struct {
		name     string
		users    validator
		jwt      string // a member of the body
		verified bool
	}{
		{"with the JWT of its user", userOf, `,"jwt":"a.u1.c"`, true},
		{"with the JWT of another user", userOf, `,"jwt":"a.u2.c"`, false},
		{"with a JWT that is refused", userOf, `,"jwt":"x.u1.c"`, false},
		{"with no JWT", userOf, ``, false},
		{"with something that is no JWT", userOf, `,"jwt":"u1"`, false},
		{"with a JWT that cannot be checked", identityDown, `,"jwt":"a.u1.c"`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.users, new(mint).create)
			body := `{ "action":"ping", "userId":"u1", ` + sentAt + tt.jwt + `, "x":1.50 }`
			out, err := r.Receive(t.Context(), r.inbound(body, ""))
			if err != nil || out.Key != nil || string(out.Received) != body {
				t.Fatalf("Receive() = %+v, %v, want the body's own bytes", out, err)
			}
			at := r.clock.now().UTC()
			want := []event.Event{{ID: 1, UserID: "u1", Action: "ping", SentAt: at, ReceivedAt: at, Verified: tt.verified, Body: []byte(body)}}
			if diff := cmp.Diff(want, r.mustEvents(t)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReceiveKeepsAnEqualEventOnce(t *testing.T) {
	r := newRig(t, userOf, new(mint).create)
	body := `{"action":"ping","userId":"u1",` + sentAt + `}`
	for _, tt := range []struct {
		later time.Duration
		want  int
	}{{0, 1}, {0, 1}, {24*time.Hour - time.Second, 1}, {time.Second, 2}} {
		r.clock.advance(tt.later)
		if _, err := r.Receive(t.Context(), r.inbound(body, "")); err != nil {
			t.Fatal(err)
		}
		if got := len(r.mustEvents(t)); got != tt.want {
			t.Errorf("%d events, want %d", got, tt.want)
		}
	}
}

func TestReceiveRefuses(t *testing.T) {
	withMembers := func(name, tier, more string) string {
		return `{"action":"provision_api_key","jwt":"a.alice.c","name":"` + name + `","tier":"` + tier + `"` + more + `}`
	}
	refuse := func(err error) issuer {
		return func(context.Context, provision.KeyRequest) (provision.Key, error) { return provision.Key{}, err }
	}
	made := new(mint).create
	for _, tt := range []struct {
		name  string
		users validator
		keys  issuer
		body  string
		want  *apierror.Error
	}{
		{"a bad JWT", userOf, made, `{"action":"provision_api_key","jwt":"x.y.z","name":"n","tier":"new"}`, provision.ErrInvalidAuth},
		{"a JWT that cannot be checked", identityDown, made, provisionBody, provision.ErrIdentityTimeout},
		{"another user's id", userOf, made, withMembers("n", "new", `,"userId":"bob"`), provision.ErrOtherUser},
		{"a user's id that is a number", userOf, made, withMembers("n", "new", `,"userId":7`), provision.ErrOtherUser},
		{"an empty user's id", userOf, made, withMembers("n", "new", `,"userId":""`), provision.ErrOtherUser},
		{"a JWT that is too long to be asked about", userOf, made, strings.Replace(withMembers("n", "new", ``), "a.", "a."+strings.Repeat("b", 4096), 1), provision.ErrInvalidAuth},
		{"a name with a control character", userOf, made, withMembers(`a\u0007`, "new", ""), provision.ErrInvalidName},
		{"a bad name before a bad tier", userOf, made, withMembers(`a\u0007`, "gold", ""), provision.ErrInvalidName},
		{"an unknown tier", userOf, made, withMembers("n", "gold", ""), provision.ErrUnknownTier},
		{"the issuer's refusal", userOf, refuse(provision.ErrQuotaExceeded), provisionBody, provision.ErrQuotaExceeded},
		{"an issuer that is down", userOf, refuse(provision.ErrProvisionFailed), provisionBody, provision.ErrProvisionFailed},
		{"an issuer that hangs", userOf, refuse(provision.ErrProvisionTimeout), provisionBody, provision.ErrProvisionTimeout},
		{"an issuer with a status of its own", userOf, refuse(provision.Refused(http.StatusGone)), provisionBody, provision.Refused(http.StatusGone)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.users, tt.keys)
			if _, err := r.Receive(t.Context(), r.inbound(tt.body, "")); !errors.Is(err, tt.want) {
				t.Errorf("Receive() = %v, want %v", err, tt.want)
			}
		})
	}
}

// TestReceiveJudgesTheIdempotencyKeyAfterTheNonce holds that the header, which nobody signs, neither hides a replay nor saves a
// nonce from being taken.
func TestReceiveJudgesTheIdempotencyKeyAfterTheNonce(t *testing.T) {
	r := newRig(t, userOf, new(mint).create)
	in := r.inbound(`{"userId":"u1","action":"ping","sentAt":"2026-03-20T10:15:30Z"}`, "")
	in.IdempotencyKeys = []string{"two", "keys"}
	if _, err := r.Receive(t.Context(), in); code(err) != apierror.InvalidField {
		t.Errorf("the first: %v, want INVALID_FIELD", err)
	}
	if _, err := r.Receive(t.Context(), in); !errors.Is(err, provision.ErrReplayDetected) {
		t.Errorf("its replay: %v, want REPLAY_DETECTED", err)
	}
	if n := len(r.mustEvents(t)); n != 0 {
		t.Errorf("%d events of a refused request", n)
	}
}

func TestForwardWithoutAnActiveKeyIsAFaultOfOurs(t *testing.T) {
	keys, err := signing.NewKeyring([]signing.Key{{ID: "k1", Secret: []byte("a secret of thirty-two bytes, ok")}}, "")
	if err != nil {
		t.Fatal(err)
	}
	s := provision.NewSender("http://receiver.test", keys, roundTripper(func(*http.Request) (*http.Response, error) {
		t.Error("an unsigned request was sent")
		return nil, errors.New("sent")
	}), time.Now)
	if _, err := s.Forward(t.Context(), provision.Outbound{Body: []byte(`{}`)}); code(err) != apierror.InternalError {
		t.Errorf("Forward() = %v, want INTERNAL_ERROR", err)
	}
}

func TestReceiveWaitsForTheFirstNoLongerThanItMay(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	r := newRig(t, userOf, func(ctx context.Context, in provision.KeyRequest) (provision.Key, error) {
		close(begun)
		<-end
		return new(mint).create(ctx, in)
	})
	first := make(chan error, 1)
	go func() {
		_, err := r.Receive(t.Context(), r.inbound(provisionBody, "k"))
		first <- err
	}()
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.Receive(ctx, r.inbound(provisionBody, "k")); !errors.Is(err, provision.ErrProvisionTimeout) {
		t.Errorf("the duplicate: %v, want PROVISION_TIMEOUT", err)
	}
	close(end)
	if err := <-first; err != nil {
		t.Errorf("the first: %v", err)
	}
}

// TestForwardKeepsTheCircuitForThoseWhoStay shows that clients which hang up do not open the circuit.
func TestForwardKeepsTheCircuitForThoseWhoStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := true
		s := newSender(t, func(r *http.Request) (*http.Response, error) {
			if hang {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return reply(http.StatusOK, `{"ok":true}`), nil
		})
		for range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			_, err := s.Forward(ctx, provision.Outbound{Body: []byte(`{}`)})
			if err == nil {
				t.Fatal("a request without an answer was forwarded")
			}
		}
		hang = false
		start := time.Now()
		if _, err := s.Forward(t.Context(), provision.Outbound{Body: []byte(`{}`)}); err != nil || time.Since(start) != 0 {
			t.Errorf("Forward() = %v after %v", err, time.Since(start))
		}
	})
}

// TestForwardOutlastsTheCircuit has requests begin as the circuit opens, and the receiver come back: none fails by the chance of its waits.
func TestForwardOutlastsTheCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 300 {
			tries := 0
			s := newSender(t, func(*http.Request) (*http.Response, error) {
				if tries++; tries <= 20 {
					return nil, errors.New("connection refused")
				}
				return reply(http.StatusOK, `{"ok":true}`), nil
			})
			for !s.CircuitOpen() {
				_, _ = s.Forward(t.Context(), provision.Outbound{Body: []byte(`{}`)})
			}
			if _, err := s.Forward(t.Context(), provision.Outbound{Body: []byte(`{}`)}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
