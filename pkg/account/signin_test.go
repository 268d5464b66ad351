package account_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
)

// patient looks accounts up for callers that gave up, so that a sign-in gets as far as its hash.
type patient struct{ account.Store }

func (s patient) Credentials(ctx context.Context, email string) (account.User, string, error) {
	return s.Store.Credentials(context.WithoutCancel(ctx), email)
}

func TestSignInRefusals(t *testing.T) {
	r := newRig(t)
	r.mustRegister(t, email)
	mustDisable(t, r, r.mustRegister(t, "disabled@example.com").User.ID)
	r.mustAdopt(t, "passwordless@example.com", "")
	adopted, err := bcrypt.GenerateFromPassword(right.Bytes(), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	r.mustAdopt(t, "adopted@example.com", string(adopted))
	impatient := r.with(func(c *account.Config) { c.Store = patient{r.db} })
	gone, cancel := context.WithCancel(t.Context())
	cancel()

	for _, tt := range []struct {
		name     string
		email    string
		password secret.Text
		want     error
	}{
		{"an unknown account", "stranger@example.com", right, account.ErrInvalidCredentials},
		{"an account without a password", "passwordless@example.com", right, account.ErrInvalidCredentials},
		{"no password for an account without one", "passwordless@example.com", secret.Text{}, account.ErrInvalidCredentials},
		{"a wrong password", email, wrong, account.ErrInvalidCredentials},
		{"a wrong password of an adopted account", "adopted@example.com", wrong, account.ErrInvalidCredentials},
		{"no password", email, secret.Text{}, account.ErrInvalidCredentials},
		{"what is no e-mail", "reader", right, account.ErrInvalidCredentials},
		{"an e-mail with a NUL", email + "\x00", right, account.ErrInvalidCredentials},
		{"a wrong password of a disabled account", "disabled@example.com", wrong, account.ErrInvalidCredentials},
		{"the right password of a disabled account", "disabled@example.com", right, account.ErrDisabled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := r.SignIn(t.Context(), tt.email, tt.password, session.Client{}); !errors.Is(err, tt.want) {
				t.Errorf("SignIn() = %v, want %v", err, tt.want)
			}
			// Whoever gave up is refused where the hash asks for its memory: each of them was about to pay for one.
			_, err := impatient.SignIn(gone, tt.email, tt.password, session.Client{})
			if got := apierror.From(err); got.Code != apierror.ServiceUnavailable {
				t.Errorf("SignIn of one who gave up = %v, want the refusal of the hasher", err)
			}
		})
	}
}

func TestSignIn(t *testing.T) {
	r := newRig(t)
	registered := r.mustRegister(t, email)
	r.clock.Time = start.Add(time.Hour)
	grant, err := r.SignIn(t.Context(), " READER@example.com", right, session.Client{Type: "mobile"})
	if err != nil {
		t.Fatal(err)
	}
	if grant.User.ID != registered.User.ID || !grant.User.LastLoginAt.Equal(r.clock.Time) {
		t.Errorf("signed in as %+v", grant.User)
	}
	if stored, err := r.db.UserByID(t.Context(), grant.User.ID); err != nil || !stored.LastLoginAt.Equal(r.clock.Time) {
		t.Errorf("stored sign-in at %v, %v", stored.LastLoginAt, err)
	}
	for _, g := range []account.Grant{registered, grant} {
		if _, err := r.Refresh(t.Context(), g.RefreshToken.Reveal()); err != nil {
			t.Errorf("Refresh() = %v: sign-ins end each other's sessions", err)
		}
	}
}

// broken fails to write password hashes.
type broken struct{ account.Store }

func (broken) SetPasswordHash(context.Context, string, string, string, time.Time) error {
	return errors.New("disk full")
}

func TestRehash(t *testing.T) {
	r := newRig(t)
	user := r.mustRegister(t, email).User
	raise := func(c *account.Config) {
		c.Hasher = password.NewHasher(password.Params{Memory: 128, Time: 1, Threads: 1}, 0)
	}
	hash := func() string {
		hash, err := r.db.PasswordHash(t.Context(), user.ID)
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	old := hash()

	for _, tt := range []struct {
		name     string
		service  *account.Service
		password secret.Text
		want     error
		rehashed bool
	}{
		{"not at equal costs", r.Service, right, nil, false},
		{"not for a wrong password", r.with(raise), wrong, account.ErrInvalidCredentials, false},
		{"a hash that cannot be kept does not refuse", r.with(func(c *account.Config) { raise(c); c.Store = broken{r.db} }), right, nil, false},
		{"at raised costs", r.with(raise), right, nil, true},
		{"the new hash is of the same password", r.with(raise), right, nil, true},
		{"the new hash is not of another", r.with(raise), wrong, account.ErrInvalidCredentials, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.service.SignIn(t.Context(), email, tt.password, session.Client{}); !errors.Is(err, tt.want) {
				t.Errorf("SignIn() = %v, want %v", err, tt.want)
			}
			if rehashed := hash() != old; rehashed != tt.rehashed {
				t.Errorf("the stored hash changed: %v", rehashed)
			}
		})
	}
	if !strings.Contains(hash(), "m=128,") {
		t.Errorf("the stored hash is %s", hash())
	}
}

// leaving deletes an account that is about to sign in.
type leaving struct{ account.Store }

func (s leaving) SignIn(ctx context.Context, begun session.Session, by account.Proof, signedIn audit.Entry) error {
	if err := s.DeleteUser(ctx, begun.UserID, audit.Entry{At: start, Kind: audit.Deleted, UserID: begun.UserID, Count: 1}); err != nil {
		return err
	}
	return s.Store.SignIn(ctx, begun, by, signedIn)
}

// changing has the owner change the password of an account that somebody else is about to sign in to.
type changing struct{ account.Store }

func (s changing) SignIn(ctx context.Context, begun session.Session, by account.Proof, signedIn audit.Entry) error {
	changed := audit.Entry{At: start, Kind: audit.PasswordChanged, UserID: begun.UserID, Count: 1}
	if err := s.ChangePassword(ctx, begun.UserID, by.PasswordHash, otherHash, "", changed); err != nil {
		return err
	}
	return s.Store.SignIn(ctx, begun, by, signedIn)
}

// otherHash is the hash of a password that nobody knows.
const otherHash = "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// TestSignInWithAPasswordChangedMeanwhile holds a change of the password to end also what the old one is about to begin.
func TestSignInWithAPasswordChangedMeanwhile(t *testing.T) {
	r := newRig(t)
	r.mustRegister(t, email)
	s := r.with(func(c *account.Config) { c.Store = changing{r.db} })
	if _, err := s.SignIn(t.Context(), email, right, session.Client{}); !errors.Is(err, account.ErrInvalidCredentials) {
		t.Errorf("SignIn() = %v, want ErrInvalidCredentials", err)
	}
}

func TestSignInToAnAccountDeletedMeanwhile(t *testing.T) {
	r := newRig(t)
	r.mustRegister(t, email)
	s := r.with(func(c *account.Config) { c.Store = leaving{r.db} })
	if _, err := s.SignIn(t.Context(), email, right, session.Client{}); !errors.Is(err, account.ErrInvalidCredentials) {
		t.Errorf("SignIn() = %v, want ErrInvalidCredentials", err)
	}
}

// down answers nothing.
type down struct{ account.Store }

var errDown = errors.New("no answer")

func (down) Credentials(context.Context, string) (account.User, string, error) {
	return account.User{}, "", errDown
}

func (down) UserByID(context.Context, string) (account.User, error) { return account.User{}, errDown }

func TestOutageIsNoRefusal(t *testing.T) {
	r := newRig(t)
	grant := r.mustRegister(t, email)
	s := r.with(func(c *account.Config) { c.Store = down{r.db} })
	if _, err := s.SignIn(t.Context(), email, right, session.Client{}); !errors.Is(err, errDown) || errors.Is(err, account.ErrInvalidCredentials) {
		t.Errorf("SignIn() = %v", err)
	}
	if _, err := s.Refresh(t.Context(), grant.RefreshToken.Reveal()); !errors.Is(err, errDown) || errors.Is(err, session.ErrInvalidToken) {
		t.Errorf("Refresh() = %v", err)
	}
	must(t, r.SignOut(t.Context(), r.mustPrincipal(t, grant), session.Local)) // why the session ended is asked of the account
	if _, err := s.Authenticate(t.Context(), grant.AccessToken.Reveal()); !errors.Is(err, errDown) || errors.Is(err, account.ErrSessionEnded) {
		t.Errorf("Authenticate() = %v", err)
	}
}
