package account_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/token"
)

// A change is what happens to an account between two requests.
type change func(t *testing.T, r rig, userID string)

func nothing(*testing.T, rig, string) {}

func passes(d time.Duration) change {
	return func(_ *testing.T, r rig, _ string) { r.clock.Time = start.Add(d) }
}

func mustEnableAgain(t *testing.T, r rig, userID string) {
	t.Helper()
	mustDisable(t, r, userID)
	if err := r.db.SetDisabled(t.Context(), userID, time.Time{}, r.entry(audit.Enabled, userID)); err != nil {
		t.Fatal(err)
	}
}

func TestAuthenticate(t *testing.T) {
	r := newRig(t)
	for i, tt := range []struct {
		name   string
		change change
		want   error
	}{
		{"a fresh token", nothing, nil},
		{"a microsecond before it expires", passes(time.Hour - time.Microsecond), nil},
		{"an expired token", passes(time.Hour), token.ErrInvalid},
		{"of an account that is gone", mustDelete, account.ErrNotFound},
		{"of a disabled account", mustDisable, account.ErrDisabled},
		{"of an account that was disabled for a while", mustEnableAgain, account.ErrSessionEnded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.clock.Time = start
			grant := r.mustRegister(t, fmt.Sprintf("reader%d@example.com", i))
			tt.change(t, r, grant.User.ID)
			_, err := r.Authenticate(t.Context(), grant.AccessToken.Reveal())
			if !errors.Is(err, tt.want) {
				t.Errorf("Authenticate() = %v, want %v", err, tt.want)
			}
			if tt.want != nil && errors.Is(err, account.ErrSessionEnded) == errors.Is(err, token.ErrInvalid) {
				t.Errorf("Authenticate() = %v: neither a bad token nor an ended session, or both", err)
			}
		})
	}
}

func TestPrincipal(t *testing.T) {
	r := newRig(t)
	grant := r.mustRegister(t, email)
	r.clock.Time = start.Add(time.Minute)
	who := r.mustPrincipal(t, grant)
	if who.UserID != grant.User.ID || !who.SignedInAt.Equal(start) {
		t.Errorf("the principal is %+v", who)
	}
	user, err := r.User(t.Context(), who)
	must(t, err)
	if diff := cmp.Diff(grant.User, user); diff != "" {
		t.Errorf("user (-registered +stored):\n%s", diff)
	}
	sessions, err := r.Sessions(t.Context(), who)
	must(t, err)
	if len(sessions) != 1 || sessions[0].ID != who.SessionID {
		t.Errorf("sessions %+v", sessions)
	}
	other := r.mustPrincipal(t, r.mustRegister(t, "other@example.com"))
	if err := r.RevokeSession(t.Context(), other, who.SessionID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("RevokeSession of another user = %v, want ErrNotFound", err)
	}
	must(t, r.RevokeSession(t.Context(), who, who.SessionID))
	if _, err := r.Authenticate(t.Context(), grant.AccessToken.Reveal()); !errors.Is(err, account.ErrSessionEnded) {
		t.Errorf("Authenticate() = %v, want ErrSessionEnded", err)
	}
}

func TestAuthenticateOtherTokens(t *testing.T) {
	r := newRig(t)
	mine, theirs := r.mustRegister(t, email), r.mustRegister(t, "other@example.com")
	they, err := r.Authenticate(t.Context(), theirs.AccessToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	mixed, _, err := r.conf.Tokens.Issue(t.Context(), token.Subject{UserID: mine.User.ID, SessionID: they.SessionID})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, token string
		want        error
	}{
		{"none", "", token.ErrInvalid},
		{"a refresh token", mine.RefreshToken.Reveal(), token.ErrInvalid},
		{"in a session of somebody else", mixed.Reveal(), account.ErrSessionEnded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := r.Authenticate(t.Context(), tt.token); !errors.Is(err, tt.want) {
				t.Errorf("Authenticate() = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestRefreshRefuses(t *testing.T) {
	r := newRig(t)
	for i, tt := range []struct {
		name   string
		change change
	}{
		{"an account that is gone", mustDelete},
		{"a disabled account", mustDisable},
		{"an account that was disabled for a while", mustEnableAgain},
		{"a session that was left alone for 30 days", passes(30 * day)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.clock.Time = start
			grant := r.mustRegister(t, fmt.Sprintf("reader%d@example.com", i))
			tt.change(t, r, grant.User.ID)
			if _, err := r.Refresh(t.Context(), grant.RefreshToken.Reveal()); !errors.Is(err, session.ErrInvalidToken) {
				t.Errorf("Refresh() = %v, want ErrInvalidToken", err)
			}
		})
	}
}

func TestSignOut(t *testing.T) {
	r := newRig(t)
	stranger := r.mustRegister(t, "stranger@example.com")
	for i, tt := range []struct {
		name       string
		scope      session.Scope
		own, other error
	}{
		{"the one session", session.Local, account.ErrSessionEnded, nil},
		{"all but the one", session.Others, nil, account.ErrSessionEnded},
		{"all", session.Global, account.ErrSessionEnded, account.ErrSessionEnded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			email := fmt.Sprintf("reader%d@example.com", i)
			own := r.mustRegister(t, email)
			other, err := r.SignIn(t.Context(), email, right, session.Client{})
			if err != nil {
				t.Fatal(err)
			}
			who, err := r.Authenticate(t.Context(), own.AccessToken.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			if err := r.SignOut(t.Context(), who, tt.scope); err != nil {
				t.Fatal(err)
			}
			for _, row := range []struct {
				whose string
				grant account.Grant
				want  error
			}{{"this", own, tt.own}, {"the other", other, tt.other}, {"a stranger's", stranger, nil}} {
				if _, err := r.Authenticate(t.Context(), row.grant.AccessToken.Reveal()); !errors.Is(err, row.want) {
					t.Errorf("%s session: %v, want %v", row.whose, err, row.want)
				}
			}
		})
	}
}
