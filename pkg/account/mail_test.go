package account_test

import (
	"errors"
	"net/url"
	"regexp"
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

const appURL = "https://app.example.com"

func (r rig) compose(t *testing.T, kind mail.Kind, email string) (mail.Message, error) {
	t.Helper()
	return account.NewComposer(r.db, appURL, r.clock.now).Compose(t.Context(), mail.Job{Kind: kind, Email: email})
}

// mustMail returns the token of a mail.
func (r rig) mustMail(t *testing.T, kind mail.Kind, email string) string {
	t.Helper()
	m, err := r.compose(t, kind, email)
	must(t, err)
	link, err := url.Parse(regexp.MustCompile(`https://\S+`).FindString(m.Text))
	must(t, err)
	token := link.Query().Get("token")
	if m.To != email || link.Host != "app.example.com" || len(token) != 43 {
		t.Fatalf("mail to %s with the link %s", m.To, link)
	}
	return token
}

func TestRequestMail(t *testing.T) {
	r := newRig(t)
	r.mustRegister(t, email)
	for _, tt := range []struct {
		name, email string
		want        error
		job         string // the address that is written to
	}{
		{"a reader", " READER@example.com ", nil, email},
		{"a stranger", "stranger@example.com", nil, "stranger@example.com"},
		{"what is no e-mail", "reader", account.ErrInvalidEmail, ""},
		{"nothing", "", account.ErrInvalidEmail, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.outbox.jobs = nil
			if err := r.RequestMail(t.Context(), mail.KindResetPassword, tt.email); !errors.Is(err, tt.want) {
				t.Errorf("RequestMail() = %v, want %v", err, tt.want)
			}
			var want []mail.Job
			if tt.job != "" {
				want = []mail.Job{{Kind: mail.KindResetPassword, Email: tt.job}}
			}
			if diff := cmp.Diff(want, r.outbox.jobs); diff != "" {
				t.Errorf("jobs (-want +got):\n%s", diff)
			}
		})
	}
	off := r.with(func(c *account.Config) { c.Outbox = nil })
	if err := off.RequestMail(t.Context(), mail.KindResetPassword, email); !errors.Is(err, account.ErrMailOff) {
		t.Errorf("RequestMail() = %v, want ErrMailOff", err)
	}
	if err := off.RequestMail(t.Context(), mail.KindResetPassword, "reader"); !errors.Is(err, account.ErrInvalidEmail) {
		t.Errorf("RequestMail() = %v, want ErrInvalidEmail", err)
	}
}

func TestCompose(t *testing.T) {
	r := newRig(t)
	r.mustRegister(t, email)
	mustDisable(t, r, r.mustRegister(t, "disabled@example.com").User.ID)
	r.mustRegister(t, "verified@example.com")
	must(t, r.VerifyEmail(t.Context(), r.mustMail(t, mail.KindVerifyEmail, "verified@example.com")))

	for _, tt := range []struct {
		name  string
		kind  mail.Kind
		email string
		want  error
	}{
		{"verification", mail.KindVerifyEmail, email, nil},
		{"reset", mail.KindResetPassword, email, nil},
		{"reset of a verified address", mail.KindResetPassword, "verified@example.com", nil},
		{"verification of a verified address", mail.KindVerifyEmail, "verified@example.com", mail.ErrNoRecipient},
		{"to a stranger", mail.KindResetPassword, "stranger@example.com", mail.ErrNoRecipient},
		{"to a disabled account", mail.KindResetPassword, "disabled@example.com", mail.ErrNoRecipient},
		{"verification of a disabled account", mail.KindVerifyEmail, "disabled@example.com", mail.ErrNoRecipient},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := r.compose(t, tt.kind, tt.email); !errors.Is(err, tt.want) {
				t.Errorf("Compose() = %v, want %v", err, tt.want)
			}
		})
	}
	if _, err := r.compose(t, "newsletter", email); err == nil || errors.Is(err, mail.ErrNoRecipient) {
		t.Errorf("Compose(newsletter) = %v", err)
	}
	m, err := r.compose(t, mail.KindVerifyEmail, email)
	must(t, err)
	if !regexp.MustCompile(`(?m)^Verification token: [\w-]{43}\r?$`).MatchString(m.Text) {
		t.Errorf("no line with the token in:\n%s", m.Text)
	}
	for kind, n := range map[audit.Kind]int{audit.VerificationSent: 3, audit.ResetRequested: 2} {
		if entries := r.mustAudited(t, kind); len(entries) != n {
			t.Errorf("%d entries %q, want %d", len(entries), kind, n)
		}
	}
}

// mailed is one fault, or none, in the use of a token from a mail.
type mailed struct {
	name   string
	token  func(t *testing.T, r rig) string
	change change
	ok     bool
}

// ofKind returns the rows for tokens of a kind that live for a time.
func ofKind(kind, other mail.Kind, life time.Duration, use func(*testing.T, rig, string) error) []mailed {
	of := func(kind mail.Kind) func(t *testing.T, r rig) string {
		return func(t *testing.T, r rig) string { t.Helper(); return r.mustMail(t, kind, email) }
	}
	return []mailed{
		{"fresh", of(kind), nothing, true},
		{"a microsecond before it expires", of(kind), passes(life - time.Microsecond), true},
		{"expired", of(kind), passes(life), false},
		{"of another kind", of(other), nothing, false},
		{"of an account that is gone", of(kind), mustDelete, false},
		{"the earlier of two mails", func(t *testing.T, r rig) string {
			t.Helper()
			first := r.mustMail(t, kind, email)
			r.mustMail(t, kind, email)
			return first
		}, nothing, true},
		{"used", func(t *testing.T, r rig) string {
			t.Helper()
			token := r.mustMail(t, kind, email)
			must(t, use(t, r, token))
			return token
		}, nothing, false},
		{"unknown", func(*testing.T, rig) string { return strings.Repeat("A", 43) }, nothing, false},
		{"empty", func(*testing.T, rig) string { return "" }, nothing, false},
	}
}

func refused(err error) int {
	if err != nil {
		return 1
	}
	return 0
}

func TestVerifyEmail(t *testing.T) {
	use := func(t *testing.T, r rig, token string) error { t.Helper(); return r.VerifyEmail(t.Context(), token) }
	for _, tt := range ofKind(mail.KindVerifyEmail, mail.KindResetPassword, 24*time.Hour, use) {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			user := r.mustRegister(t, email).User
			token := tt.token(t, r)
			tt.change(t, r, user.ID)
			err := use(t, r, token)
			if tt.ok != (err == nil) || !tt.ok && !errors.Is(err, account.ErrInvalidToken) {
				t.Errorf("VerifyEmail() = %v", err)
			}
			r.mustRefused(t, audit.VerificationRefused, refused(err))
			stored, err := r.db.UserByID(t.Context(), user.ID)
			if err == nil && stored.EmailVerified != (tt.ok || tt.name == "used") {
				t.Errorf("verified: %v", stored.EmailVerified)
			}
		})
	}
}

func TestResetPassword(t *testing.T) {
	changed := secret.New("another horse battery")
	use := func(t *testing.T, r rig, token string) error {
		t.Helper()
		return r.ResetPassword(t.Context(), token, changed)
	}
	for _, tt := range ofKind(mail.KindResetPassword, mail.KindVerifyEmail, time.Hour, use) {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			user := r.mustRegister(t, email).User
			token := tt.token(t, r)
			tt.change(t, r, user.ID)
			err := use(t, r, token)
			if tt.ok != (err == nil) || !tt.ok && !errors.Is(err, account.ErrInvalidToken) {
				t.Errorf("ResetPassword() = %v", err)
			}
			r.mustRefused(t, audit.ResetRefused, refused(err))
			_, err = r.SignIn(t.Context(), email, changed, session.Client{})
			if (err == nil) != (tt.ok || tt.name == "used") {
				t.Errorf("sign-in with the new password: %v", err)
			}
		})
	}
}

func TestResetPasswordEndsWhatWasBefore(t *testing.T) {
	r := newRig(t)
	before := r.mustRegister(t, email)
	first, second := r.mustMail(t, mail.KindResetPassword, email), r.mustMail(t, mail.KindResetPassword, email)

	for _, weak := range []string{"", "short", email} {
		_, isWeak := errors.AsType[*password.WeakError](r.ResetPassword(t.Context(), second, secret.New(weak)))
		if !isWeak {
			t.Errorf("the password %q is taken", weak)
		}
	}
	must(t, r.ResetPassword(t.Context(), second, wrong)) // still good
	if err := r.ResetPassword(t.Context(), first, right); !errors.Is(err, account.ErrInvalidToken) {
		t.Errorf("another token of the kind: %v, want ErrInvalidToken", err)
	}
	if _, err := r.Authenticate(t.Context(), before.AccessToken.Reveal()); !errors.Is(err, account.ErrSessionEnded) {
		t.Errorf("the session before: %v, want ErrSessionEnded", err)
	}
	if _, err := r.Refresh(t.Context(), before.RefreshToken.Reveal()); !errors.Is(err, session.ErrInvalidToken) {
		t.Errorf("its refresh token: %v, want ErrInvalidToken", err)
	}
	if _, err := r.SignIn(t.Context(), email, right, session.Client{}); !errors.Is(err, account.ErrInvalidCredentials) {
		t.Errorf("the password before: %v, want ErrInvalidCredentials", err)
	}
	grant, err := r.SignIn(t.Context(), email, wrong, session.Client{})
	must(t, err)
	if !grant.User.EmailVerified {
		t.Error("whoever read the mail has the address")
	}
	if entries := r.mustAudited(t, audit.ResetDone); len(entries) != 1 || entries[0].UserID != grant.User.ID {
		t.Errorf("audited %+v", entries)
	}
}
