package account_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
)

func TestUpdateProfile(t *testing.T) {
	const picture = "https://pictures.example.com/zoe.png"
	r := newRig(t)
	who := r.mustPrincipal(t, r.mustRegister(t, email))
	for _, tt := range []struct {
		name         string
		change       account.ProfileChange
		want         error
		display, url string // afterwards
	}{
		{"nothing", account.ProfileChange{}, nil, "reader", ""},
		{"a name", account.ProfileChange{DisplayName: new("Zoë 🔑")}, nil, "Zoë 🔑", ""},
		{"a picture", account.ProfileChange{AvatarURL: new(picture)}, nil, "Zoë 🔑", picture},
		{"no name", account.ProfileChange{DisplayName: new("")}, account.ErrInvalidDisplayName, "Zoë 🔑", picture},
		{"a name of 101 characters", account.ProfileChange{DisplayName: new(strings.Repeat("é", 101))}, account.ErrInvalidDisplayName, "Zoë 🔑", picture},
		{"a name of two lines", account.ProfileChange{DisplayName: new("a\nb")}, account.ErrInvalidDisplayName, "Zoë 🔑", picture},
		{"a picture by http", account.ProfileChange{AvatarURL: new("http://pictures.example.com/zoe.png")}, account.ErrInvalidAvatar, "Zoë 🔑", picture},
		{"a script", account.ProfileChange{AvatarURL: new("javascript:alert(1)")}, account.ErrInvalidAvatar, "Zoë 🔑", picture},
		{"a picture with a password", account.ProfileChange{AvatarURL: new("https://a:b@pictures.example.com/")}, account.ErrInvalidAvatar, "Zoë 🔑", picture},
		{"a picture of nowhere", account.ProfileChange{AvatarURL: new("https:///zoe.png")}, account.ErrInvalidAvatar, "Zoë 🔑", picture},
		{"a picture of 2049 characters", account.ProfileChange{AvatarURL: new(picture + strings.Repeat("a", 2049-len(picture)))}, account.ErrInvalidAvatar, "Zoë 🔑", picture},
		{"a good name with a bad picture", account.ProfileChange{DisplayName: new("other"), AvatarURL: new("zoe.png")}, account.ErrInvalidAvatar, "Zoë 🔑", picture},
		{"no picture any more", account.ProfileChange{AvatarURL: new("")}, nil, "Zoë 🔑", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := r.UpdateProfile(t.Context(), who, tt.change); !errors.Is(err, tt.want) {
				t.Errorf("UpdateProfile() = %v, want %v", err, tt.want)
			}
			user, err := r.User(t.Context(), who)
			must(t, err)
			if user.DisplayName != tt.display || user.AvatarURL != tt.url {
				t.Errorf("afterwards %q with the picture %q", user.DisplayName, user.AvatarURL)
			}
		})
	}
}

func TestPreferences(t *testing.T) {
	r := newRig(t)
	who := r.mustPrincipal(t, r.mustRegister(t, email))
	kept := `{}`
	for _, tt := range []struct {
		name, object string
		ok           bool
	}{
		{"an object", `{"theme":"dark","fonts":[1,2.50]}`, true},
		{"another in its place", `{"a":{"b":null}}`, true},
		{"16 KiB", `{"a":"` + strings.Repeat("x", 16<<10-8) + `"}`, true},
		{"an empty one", `{}`, true},
		{"a byte more than 16 KiB", `{"a":"` + strings.Repeat("x", 16<<10-7) + `"}`, false},
		{"a list", `[]`, false},
		{"null", `null`, false},
		{"nothing", ``, false},
		{"a member twice", `{"a":1,"a":2}`, false},
		{"broken UTF-8", "{\"a\":\"\xff\"}", false},
		{"two objects", `{}{}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := r.SetPreferences(t.Context(), who, []byte(tt.object))
			if tt.ok != (err == nil) || !tt.ok && !errors.Is(err, account.ErrInvalidPreferences) {
				t.Errorf("SetPreferences() = %v", err)
			}
			if tt.ok {
				kept = tt.object
			}
			got, err := r.Preferences(t.Context(), who)
			must(t, err)
			if string(got) != kept {
				t.Errorf("Preferences() = %.80s, want %.80s", got, kept)
			}
		})
	}
	other := r.mustPrincipal(t, r.mustRegister(t, "other@example.com"))
	if got, err := r.Preferences(t.Context(), other); err != nil || string(got) != `{}` {
		t.Errorf("of another account: %s, %v", got, err)
	}
}

func TestChangePassword(t *testing.T) {
	changed := secret.New("another horse battery")
	r := newRig(t)
	own := r.mustRegister(t, email)
	other, err := r.SignIn(t.Context(), email, right, session.Client{})
	must(t, err)
	who := r.mustPrincipal(t, own)
	reset := r.mustMail(t, mail.KindResetPassword, email)

	if err := r.ChangePassword(t.Context(), who, wrong, changed); !errors.Is(err, account.ErrInvalidCredentials) {
		t.Errorf("with a wrong password: %v, want ErrInvalidCredentials", err)
	}
	r.mustRefused(t, audit.PasswordRefused, 1)
	for _, weak := range []string{"", "short", email} {
		if _, isWeak := errors.AsType[*password.WeakError](r.ChangePassword(t.Context(), who, right, secret.New(weak))); !isWeak {
			t.Errorf("the password %q is taken", weak)
		}
	}
	must(t, r.ChangePassword(t.Context(), who, right, changed))

	if _, err := r.Authenticate(t.Context(), own.AccessToken.Reveal()); err != nil {
		t.Errorf("its own session: %v", err)
	}
	if _, err := r.Authenticate(t.Context(), other.AccessToken.Reveal()); !errors.Is(err, account.ErrSessionEnded) {
		t.Errorf("the other session: %v, want ErrSessionEnded", err)
	}
	if err := r.ResetPassword(t.Context(), reset, right); !errors.Is(err, account.ErrInvalidToken) {
		t.Errorf("a reset from before: %v, want ErrInvalidToken", err)
	}
	for pass, want := range map[string]error{right.Reveal(): account.ErrInvalidCredentials, changed.Reveal(): nil} {
		if _, err := r.SignIn(t.Context(), email, secret.New(pass), session.Client{}); !errors.Is(err, want) {
			t.Errorf("SignIn() = %v, want %v", err, want)
		}
	}
	if entries := r.mustAudited(t, audit.PasswordChanged); len(entries) != 1 || entries[0].SessionID != who.SessionID {
		t.Errorf("audited %+v", entries)
	}
}

func TestAnAccountWithoutAPasswordHasNoneToChange(t *testing.T) {
	r := newRig(t)
	who := r.mustPrincipal(t, r.mustExchange(t, r.mustAdmit(t, zoe, "")))
	if has, err := r.HasPassword(t.Context(), who); has || err != nil {
		t.Errorf("HasPassword() = %v, %v", has, err)
	}
	for _, current := range []secret.Text{right, {}} {
		if err := r.ChangePassword(t.Context(), who, current, right); !errors.Is(err, account.ErrInvalidCredentials) {
			t.Errorf("ChangePassword() = %v, want ErrInvalidCredentials", err)
		}
	}
}

func TestDelete(t *testing.T) {
	withPassword := func(t *testing.T, r rig) account.Grant { t.Helper(); return r.mustRegister(t, email) }
	ofGoogle := func(t *testing.T, r rig) account.Grant { t.Helper(); return r.mustExchange(t, r.mustAdmit(t, zoe, "")) }
	for _, tt := range []struct {
		name     string
		account  func(*testing.T, rig) account.Grant
		password secret.Text
		after    time.Duration // since the sign-in
		want     error
	}{
		{"with the password", withPassword, right, time.Hour - time.Second, nil},
		{"with a wrong one", withPassword, wrong, 0, account.ErrInvalidCredentials},
		{"without one, freshly signed in", withPassword, secret.Text{}, 0, account.ErrInvalidCredentials},
		{"of Google, freshly signed in", ofGoogle, secret.Text{}, 5 * time.Minute, nil},
		{"of Google, a microsecond too late", ofGoogle, secret.Text{}, 5*time.Minute + time.Microsecond, account.ErrStaleSession},
		{"of Google, with some password", ofGoogle, right, time.Hour - time.Second, account.ErrStaleSession},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			grant := tt.account(t, r)
			r.clock.Time = start.Add(tt.after)
			who := r.mustPrincipal(t, grant)
			if err := r.Delete(t.Context(), who, tt.password); !errors.Is(err, tt.want) {
				t.Fatalf("Delete() = %v, want %v", err, tt.want)
			}
			_, err := r.db.UserByID(t.Context(), who.UserID)
			if gone := errors.Is(err, account.ErrNotFound); gone != (tt.want == nil) {
				t.Errorf("the account is gone: %v", gone)
			}
			if tt.want != nil {
				return
			}
			if _, err := r.Authenticate(t.Context(), grant.AccessToken.Reveal()); !errors.Is(err, account.ErrSessionEnded) || !errors.Is(err, account.ErrNotFound) {
				t.Errorf("Authenticate() = %v, want ErrSessionEnded for ErrNotFound", err)
			}
			if err := r.Delete(t.Context(), who, tt.password); err != nil && !errors.Is(err, account.ErrStaleSession) {
				t.Errorf("Delete of what is gone = %v", err)
			}
			if entries := r.mustAudited(t, audit.Deleted); len(entries) != 1 {
				t.Errorf("audited %s", cmp.Diff([]audit.Entry(nil), entries))
			}
		})
	}
}
