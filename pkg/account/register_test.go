package account_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
)

func TestRegister(t *testing.T) {
	r := newRig(t)
	grant, err := r.Register(t.Context(), account.Registration{
		Email: "  Reader@Example.COM ", Password: right, DisplayName: "Zoë 🔑",
		Client: session.Client{Type: "web", DeviceLabel: "Firefox\x00\n" + strings.Repeat("x", 300)},
	})
	if err != nil {
		t.Fatal(err)
	}

	want := account.User{Email: email, DisplayName: "Zoë 🔑", Plan: "new", CreatedAt: start, LastLoginAt: start}
	if diff := cmp.Diff(want, grant.User, cmpopts.IgnoreFields(account.User{}, "ID")); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	if grant.ExpiresIn != 3600 || !grant.ExpiresAt.Equal(start.Add(time.Hour)) {
		t.Errorf("expires in %d s, at %v", grant.ExpiresIn, grant.ExpiresAt)
	}
	who, err := r.Authenticate(t.Context(), grant.AccessToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if who.UserID != grant.User.ID {
		t.Errorf("the bearer is %+v", who)
	}
	jobs, err := r.db.LeaseMail(t.Context(), start, start.Add(time.Minute), 10)
	must(t, err)
	if len(jobs) != 1 || jobs[0].Kind != mail.KindVerifyEmail || jobs[0].Email != email || r.outbox.woke != 1 {
		t.Errorf("mail %+v, the outbox was woken %d times", jobs, r.outbox.woke)
	}
	if entries := r.mustAudited(t, audit.Registered); len(entries) != 1 || entries[0].UserID != who.UserID || entries[0].SessionID != who.SessionID {
		t.Errorf("audited %+v", entries)
	}
	s, err := r.db.SessionByID(t.Context(), who.SessionID)
	if err != nil {
		t.Fatal(err)
	}
	if s.ClientType != "web" || !strings.HasPrefix(s.DeviceLabel, "Firefoxxx") || len(s.DeviceLabel) > 255 {
		t.Errorf("session of %q on %q (%d bytes)", s.ClientType, s.DeviceLabel, len(s.DeviceLabel))
	}
}

func TestALabelIsKeptWhole(t *testing.T) {
	r, label := newRig(t), strings.Repeat("ü", 255)
	grant, err := r.Register(t.Context(), account.Registration{Email: email, Password: right, Client: session.Client{Type: "web", DeviceLabel: label}})
	must(t, err)
	sessions, err := r.Sessions(t.Context(), r.mustPrincipal(t, grant))
	must(t, err)
	if len(sessions) != 1 || sessions[0].DeviceLabel != label {
		t.Errorf("the label of 255 characters became %+v", sessions)
	}
}

func TestRegisterRefuses(t *testing.T) {
	r := newRig(t)
	r.mustRegister(t, "taken@example.com")
	for _, tt := range []struct {
		name string
		in   account.Registration
		want error
	}{
		{"no e-mail", account.Registration{Password: right}, account.ErrInvalidEmail},
		{"no dot in the domain", account.Registration{Email: "reader@localhost", Password: right}, account.ErrInvalidEmail},
		{"two @", account.Registration{Email: "a@b@example.com", Password: right}, account.ErrInvalidEmail},
		{"a NUL in the e-mail", account.Registration{Email: "a\x00@example.com", Password: right}, account.ErrInvalidEmail},
		{"255 bytes of e-mail", account.Registration{Email: strings.Repeat("a", 243) + "@example.com", Password: right}, account.ErrInvalidEmail},
		{"an e-mail that is taken", account.Registration{Email: "taken@example.com", Password: right}, account.ErrEmailTaken},
		{"an e-mail that is taken, written otherwise", account.Registration{Email: " TAKEN@example.com", Password: right}, account.ErrEmailTaken},
		{"a control character in the name", account.Registration{Email: email, Password: right, DisplayName: "a\nb"}, account.ErrInvalidDisplayName},
		{"101 characters of name", account.Registration{Email: email, Password: right, DisplayName: strings.Repeat("é", 101)}, account.ErrInvalidDisplayName},
		{"broken UTF-8 in the name", account.Registration{Email: email, Password: right, DisplayName: "a\xff"}, account.ErrInvalidDisplayName},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := r.Register(t.Context(), tt.in); !errors.Is(err, tt.want) {
				t.Errorf("Register() = %v, want %v", err, tt.want)
			}
		})
	}
	r.mustRefused(t, audit.RegistrationRefused, 2)
	for _, weak := range []string{"", "short", "password1234"[:8], "weak@example.com"} {
		_, err := r.Register(t.Context(), account.Registration{Email: "weak@example.com", Password: secret.New(weak)})
		if _, ok := errors.AsType[*password.WeakError](err); !ok {
			t.Errorf("Register with password %q = %v, want a WeakError", weak, err)
		}
	}
}

func TestDisplayNameFromEmail(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct{ name, local, want string }{
		{"the part before the @", "reader", "reader"},
		{"of 100 bytes at most", strings.Repeat("a", 120), strings.Repeat("a", 100)},
		{"never half a character", "a" + strings.Repeat("é", 60), "a" + strings.Repeat("é", 49)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := r.mustRegister(t, tt.local+"@example.com").User.DisplayName; got != tt.want {
				t.Errorf("display name %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRegisterTwiceAtOnce(t *testing.T) {
	r := newRig(t)
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = r.Register(t.Context(), account.Registration{Email: email, Password: right})
		})
	}
	wg.Wait()

	made := 0
	for _, err := range errs {
		switch {
		case err == nil:
			made++
		case !errors.Is(err, account.ErrEmailTaken):
			t.Errorf("Register() = %v", err)
		}
	}
	if made != 1 {
		t.Errorf("%d accounts of one e-mail", made)
	}
}

func TestRegisterWhereNoMailIsSent(t *testing.T) {
	r := newRig(t)
	s := r.with(func(c *account.Config) { c.Outbox = nil })
	_, err := s.Register(t.Context(), account.Registration{Email: email, Password: right})
	must(t, err)
	if jobs, err := r.db.LeaseMail(t.Context(), start, start.Add(time.Minute), 10); err != nil || len(jobs) != 0 {
		t.Errorf("mail %+v, %v", jobs, err)
	}
}
