package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/wire"
)

const (
	revocationPromise = 250 * time.Millisecond // contract
	revocationBound   = 2 * time.Second        // beyond which a busy machine is no excuse
)

// TestRevocationReachesReplicas ends what one replica of papyrus has granted at another, in every way that there is, and measures
// how long it still works at the first, which has it in its cache.
func TestRevocationReachesReplicas(t *testing.T) {
	const rounds = 15
	database := newPostgres(t).NewDatabase()
	replicas, papyri := accountsOnPostgres(t, database, database)
	for _, tt := range revocations {
		t.Run(tt.name, func(t *testing.T) {
			var slowest slowest
			for range rounds {
				r := register(t, papyri[0])
				use, want := tt.grant(t, papyri[0], r)
				if got := use(papyri[1]); got != "200" { // and it is in the cache
					t.Fatalf("before: %s", got)
				}
				tt.revoke(t, replicas[0], r)
				slowest.note(awaitEnd(t, func() string { return use(papyri[1]) }, want, revocationBound))
			}
			t.Logf("%d times refused by the other replica, at the latest %v after the answer; %v are promised",
				rounds, slowest.longest(), revocationPromise)
		})
	}
}

// awaitEnd uses something that has been revoked until it is refused, and returns how long that took.
func awaitEnd(t *testing.T, use func() string, want string, bound time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	for ; ; <-time.After(time.Millisecond) {
		switch got := use(); {
		case got == want:
			return time.Since(began)
		case got != "200":
			t.Fatalf("%s, want %s", got, want)
		case time.Since(began) > bound:
			t.Fatalf("it still works %v after it was revoked", bound)
		}
	}
}

// revocations are the ways to end what a reader has been granted.
var revocations = []struct {
	name string
	// grant returns how to use what is to be revoked at a replica, and what that is told in the end.
	grant func(t *testing.T, papyrus string, r *reader) (use func(papyrus string) string, want string)
	// revoke ends it, at a replica or by a command in its place.
	revoke func(t *testing.T, p *program.Process, r *reader)
}{
	{"a sign-out", accessOf(0), func(t *testing.T, p *program.Process, r *reader) {
		t.Helper()
		succeed(t, r.call(http.MethodPost, p.URL("papyrus")+"/v1/auth/logout", ""), http.StatusNoContent)
	}},
	{"a sign-out of all devices", accessOf(1), func(t *testing.T, p *program.Process, r *reader) {
		t.Helper()
		succeed(t, r.call(http.MethodPost, p.URL("papyrus")+"/v1/auth/logout-all", ""), http.StatusNoContent)
	}},
	{"a change of the password, elsewhere", accessOf(1), func(t *testing.T, p *program.Process, r *reader) {
		t.Helper()
		body := fmt.Sprintf(`{"current_password":%q,"new_password":%q}`, r.password, record.NewSecret("password"))
		succeed(t, r.call(http.MethodPost, p.URL("papyrus")+"/v1/users/me/change-password", body), http.StatusOK)
	}},
	{"the end of the account", accessOf(1), func(t *testing.T, p *program.Process, r *reader) {
		t.Helper()
		succeed(t, r.call(http.MethodDelete, p.URL("papyrus")+"/v1/users/me", fmt.Sprintf(`{"password":%q}`, r.password)), http.StatusNoContent)
	}},
	{"disabling the account by command", accessOf(0), func(t *testing.T, p *program.Process, r *reader) {
		t.Helper()
		p.Run("user", "disable", r.userID)
	}},
	{"revoking an API key", keyOf, func(t *testing.T, p *program.Process, r *reader) {
		t.Helper()
		succeed(t, r.call(http.MethodDelete, p.URL("papyrus")+"/v1/keys/"+r.keyID(p.URL("papyrus")), ""), http.StatusNoContent)
	}},
	{"rotating an API key without grace", keyOf, func(t *testing.T, p *program.Process, r *reader) {
		t.Helper()
		rotated := r.call(http.MethodPost, p.URL("papyrus")+"/v1/keys/"+r.keyID(p.URL("papyrus"))+"/rotate", `{"grace_seconds":0}`)
		succeed(t, rotated, http.StatusOK)
		keepToken(t, rotated)
	}},
}

func succeed(t *testing.T, a wire.Answer, status int) {
	t.Helper()
	if a.Status != status {
		t.Fatalf("%v, want %d", a, status)
	}
}

// accessOf grants an access token: the reader's own, or that of another device.
func accessOf(device int) func(t *testing.T, papyrus string, r *reader) (func(papyrus string) string, string) {
	return func(t *testing.T, papyrus string, r *reader) (func(papyrus string) string, string) {
		t.Helper()
		if device > 0 {
			r = r.elsewhere(papyrus)
		}
		return func(papyrus string) string { return nested(r.call(http.MethodGet, papyrus+"/v1/users/me", "")) }, "401 SESSION_REVOKED"
	}
}

// keyOf grants an API key.
func keyOf(t *testing.T, papyrus string, r *reader) (func(papyrus string) string, string) {
	t.Helper()
	token := r.newKey(papyrus)
	return func(papyrus string) string {
		a := verifyKey(t, papyrus, token)
		if a.Status == http.StatusOK {
			return "200"
		}
		return fmt.Sprint(a.Status, " ", a.Member("code"))
	}, "401 REVOKED"
}

// newKey makes an API key, as the receiver does for who is signed in.
func (r *reader) newKey(papyrus string) string {
	r.t.Helper()
	a := mustPost(r.t, papyrus+"/functions/v1/api-keys-create", `{"name":"laptop","tier":"new"}`,
		"Authorization", "Bearer "+r.accessToken, "Apikey", "any")
	token := a.Member("token")
	if token == "" {
		r.t.Fatalf("no API key: %v", a)
	}
	record.Keep("API key", token)
	return token
}

// keyID returns the id of the reader's one key.
func (r *reader) keyID(papyrus string) string {
	r.t.Helper()
	a := r.call(http.MethodGet, papyrus+"/v1/keys", "")
	var list struct {
		Keys []struct {
			ID string `json:"key_id"`
		} `json:"keys"`
	}
	if err := decode(a, &list); err != nil || len(list.Keys) != 1 {
		r.t.Fatalf("not one key: %v, %v", a, err)
	}
	return list.Keys[0].ID
}

// TestRevocationWithoutListener takes from a replica the connection on which it hears of revocations. What is revoked at the other
// is refused all the same: while it does not hear, it asks the database every time.
func TestRevocationWithoutListener(t *testing.T) {
	const rounds, noticed = 20, 4 * time.Second // the replica asks for a sign of life after 1 s of silence, and waits 2 s for it
	database := newPostgres(t).NewDatabase()
	board := newSwitchboard(t, database)
	_, papyri := accountsOnPostgres(t, database, board.url)
	// revoked ends a session at one replica that the other has in its cache, and returns how to use it there.
	revoked := func() func() string {
		t.Helper()
		r := register(t, papyri[0])
		use := func() string { return nested(r.call(http.MethodGet, papyri[1]+"/v1/users/me", "")) }
		for range 2 { // from the database, and where there is one from the cache
			if got := use(); got != "200" {
				t.Fatalf("before: %s", got)
			}
		}
		succeed(t, r.call(http.MethodPost, papyri[0]+"/v1/auth/logout", ""), http.StatusNoContent)
		return use
	}

	immediately := func(while string) {
		t.Helper()
		stale := 0
		for range rounds {
			if got := revoked()(); got != "401 SESSION_REVOKED" {
				stale++
			}
		}
		t.Logf("%s: %d sessions ended, %d first answers afterwards were stale", while, rounds, stale)
		if stale > 0 {
			t.Errorf("%s, %d of %d sessions still worked after their end", while, stale, rounds)
		}
	}

	board.hear()
	board.deafen()
	immediately("without a listening connection")
	board.hear()
	awaitEnd(t, revoked(), "401 SESSION_REVOKED", revocationBound)

	board.mute()
	<-time.After(noticed) // what is promised
	immediately("over a listening connection that is silent without having ended")
	began := time.Now()
	board.hear()
	t.Logf("it is replaced after %v more", time.Since(began).Round(time.Millisecond))
	awaitEnd(t, revoked(), "401 SESSION_REVOKED", revocationBound)
}
