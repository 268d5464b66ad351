package account_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/token"
)

func TestAuthenticate(t *testing.T) {
	r := newRig(t)
	other := r.mustRegister(t, "other@example.com")
	for i, tt := range []struct {
		name   string
		change func(t *testing.T, r rig, g account.Grant) (accessToken string)
		want   error
	}{
		{"a fresh token", func(_ *testing.T, _ rig, g account.Grant) string { return g.AccessToken.Reveal() }, nil},
		{"no token", func(*testing.T, rig, account.Grant) string { return "" }, token.ErrInvalid},
		{"a refresh token", func(_ *testing.T, _ rig, g account.Grant) string { return g.RefreshToken.Reveal() }, token.ErrInvalid},
		{"an expired token", func(_ *testing.T, r rig, g account.Grant) string {
			r.clock.Time = start.Add(time.Hour)
			return g.AccessToken.Reveal()
		}, token.ErrInvalid},
		{"of an account that is gone", func(t *testing.T, r rig, g account.Grant) string {
			r.mustDelete(t, g.User.ID)
			return g.AccessToken.Reveal()
		}, account.ErrNotFound},
		{"of a disabled account", func(t *testing.T, r rig, g account.Grant) string {
			r.mustDisable(t, g.User.ID)
			return g.AccessToken.Reveal()
		}, account.ErrDisabled},
		{"of an account that was disabled for a while", func(t *testing.T, r rig, g account.Grant) string {
			r.mustDisable(t, g.User.ID)
			if err := r.db.SetDisabled(t.Context(), g.User.ID, time.Time{}); err != nil {
				t.Fatal(err)
			}
			return g.AccessToken.Reveal()
		}, account.ErrSessionEnded},
		{"of a session of somebody else", func(t *testing.T, r rig, g account.Grant) string {
			theirs, err := r.Authenticate(t.Context(), other.AccessToken.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			forged, _, err := r.conf.Tokens.Issue(token.Subject{UserID: g.User.ID, SessionID: theirs.SessionID})
			if err != nil {
				t.Fatal(err)
			}
			return forged.Reveal()
		}, account.ErrSessionEnded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.clock.Time = start
			grant := r.mustRegister(t, fmt.Sprintf("reader%d@example.com", i))
			if _, err := r.Authenticate(t.Context(), tt.change(t, r, grant)); !errors.Is(err, tt.want) {
				t.Errorf("Authenticate() = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestRefreshRefuses(t *testing.T) {
	r := newRig(t)
	for i, tt := range []struct {
		name   string
		change func(t *testing.T, r rig, g account.Grant)
	}{
		{"an account that is gone", func(t *testing.T, r rig, g account.Grant) { r.mustDelete(t, g.User.ID) }},
		{"a disabled account", func(t *testing.T, r rig, g account.Grant) { r.mustDisable(t, g.User.ID) }},
		{"a session that was left alone for 30 days", func(_ *testing.T, r rig, _ account.Grant) { r.clock.Time = start.Add(30 * day) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.clock.Time = start
			grant := r.mustRegister(t, fmt.Sprintf("reader%d@example.com", i))
			tt.change(t, r, grant)
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
