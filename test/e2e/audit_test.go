package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/smtp"
	"github.com/provisioner/provisioner/test/wire"
)

// auditEntry is a line of `provisioner audit list --json`.
type auditEntry struct {
	Kind      string `json:"kind"`
	UserID    string `json:"userId"`
	SessionID string `json:"sessionId"`
	KeyID     string `json:"keyId"`
	Network   string `json:"network"`
	RequestID string `json:"requestId"`
	Detail    string `json:"detail"`
	Count     int    `json:"count"`
}

// auditOf returns the entries of p's database, the oldest first. What the command prints is on the record.
func auditOf(t *testing.T, p *program.Process, args ...string) []auditEntry {
	t.Helper()
	out := p.Run(append([]string{"audit", "list", "--json", "--limit", "0"}, args...)...)
	record.See("audit list in "+t.Name(), out)
	var entries []auditEntry
	for line := range strings.Lines(out) {
		var e auditEntry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		entries = append(entries, e)
	}
	slices.Reverse(entries)
	return entries
}

// TestAudit does what an account goes through, and finds each event in the audit log, in its order and with what it concerns.
func TestAudit(t *testing.T) {
	server := smtp.Start(t)
	p := start(t, "papyrus", mailing(server))
	papyrus := p.URL("papyrus")
	r := register(t, papyrus)
	succeed(t, mustPost(t, papyrus+"/v1/auth/verify-email", fmt.Sprintf(`{"token":%q}`, tokenIn(t, server.Await(1)[0], r, "verify-email"))), http.StatusOK)
	second := r.elsewhere(papyrus)
	r.newKey(papyrus)
	rotated := r.call(http.MethodPost, papyrus+"/v1/keys/"+r.keyID(papyrus)+"/rotate", "")
	record.Keep("API key", rotated.Member("token"))
	succeed(t, r.call(http.MethodDelete, papyrus+"/v1/keys/"+rotated.Member("key_id"), ""), http.StatusNoContent)
	succeed(t, second.call(http.MethodPost, papyrus+"/v1/auth/logout", ""), http.StatusNoContent)

	third := r.elsewhere(papyrus)
	old := third.refreshToken
	for range 2 {
		third.take(mustRefresh(t, papyrus, third.refreshToken), http.StatusOK)
	}
	if a := mustRefresh(t, papyrus, old); nested(a) != "401 UNAUTHORIZED" {
		t.Errorf("a refresh token used before: %v", a)
	}

	password := record.NewSecret("password")
	change := fmt.Sprintf(`{"current_password":%q,"new_password":%q}`, r.password, password)
	succeed(t, r.call(http.MethodPost, papyrus+"/v1/users/me/change-password", change), http.StatusOK)
	succeed(t, mustPost(t, papyrus+"/v1/auth/forgot-password", fmt.Sprintf(`{"email":%q}`, r.email)), http.StatusOK)
	reset := fmt.Sprintf(`{"token":%q,"password":%q}`, tokenIn(t, server.Await(2)[1], r, "reset-password"), r.password)
	succeed(t, mustPost(t, papyrus+"/v1/auth/reset-password", reset), http.StatusOK)
	p.Run("user", "disable", r.userID)
	p.Run("user", "enable", r.userID)
	r = r.elsewhere(papyrus)
	succeed(t, r.call(http.MethodDelete, papyrus+"/v1/users/me", fmt.Sprintf(`{"password":%q}`, r.password)), http.StatusNoContent)

	var kinds []string
	for _, e := range auditOf(t, p, "--user", r.userID) {
		kinds = append(kinds, e.Kind)
		if e.UserID != r.userID || e.Count != 1 {
			t.Errorf("%+v, want the user %s, once", e, r.userID)
		}
	}
	want := []string{
		"account.registered", "email.verification_sent", "email.verified", "signin.accepted", "key.issued", "key.rotated", "key.revoked",
		"signout", "signin.accepted", "session.reused", "password.changed", "password.reset_requested", "password.reset",
		"account.disabled", "account.enabled", "signin.accepted", "account.deleted",
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("kinds of events (-want +got):\n%s", diff)
	}
}

// TestAuditOfAFlood refuses many sign-ins at one account from one network, and as many at none: the log has a row for each minute
// and account, with their number, and no more.
func TestAuditOfAFlood(t *testing.T) {
	const attempts, mostMinutes = 200, 3
	p := start(t, "papyrus", nil)
	r := register(t, p.URL("papyrus"))
	r.password = record.NewSecret("wrong password")
	bodies := []string{r.credentials(), (&reader{email: "nobody@example.com", password: r.password}).credentials()}
	var refused [2]atomic.Int64
	wire.Each(attempts, 2, func(i int) {
		a := mustPost(t, p.URL("papyrus")+"/v1/auth/login", bodies[i%2])
		switch {
		case nested(a) == "401 UNAUTHORIZED":
			refused[i%2].Add(1)
		case a.Status != http.StatusServiceUnavailable: // which was not judged
			t.Errorf("%v", a)
		}
	})
	if refused[0].Load() == 0 || refused[1].Load() == 0 {
		t.Fatal("nothing was refused")
	}

	p.Stop(terminate) // the refusals of the last second are written
	entries := auditOf(t, p, "--kind", "signin.refused")
	var told [2]int64
	for _, e := range entries {
		if e.Network != "127.0.0.1" || e.RequestID != "" {
			t.Errorf("%+v, want the network 127.0.0.1 and no single request", e)
		}
		if e.UserID == r.userID {
			told[0] += int64(e.Count)
		} else {
			told[1] += int64(e.Count)
		}
	}
	if made := [2]int64{refused[0].Load(), refused[1].Load()}; told != made {
		t.Errorf("%v refusals at the account and at none are told of, %v were made", told, made)
	}
	t.Logf("%d refused sign-ins are %d rows", told[0]+told[1], len(entries))
	if len(entries) > 2*mostMinutes {
		t.Errorf("%d refused sign-ins are %d rows", told[0]+told[1], len(entries))
	}
}
