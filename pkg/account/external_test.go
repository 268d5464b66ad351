package account_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/oidc"
	"github.com/provisioner/provisioner/pkg/session"
)

var (
	zoe = oidc.Identity{
		Subject: "google-7", Email: "Zoe@Example.com", EmailVerified: true, Name: "Zoë", Picture: "https://pictures.example.com/zoe.png",
	}
	verifier  = strings.Repeat("v", 43)
	challenge = challengeOf(verifier)
)

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// mustAdmit returns the code of a sign-in at the provider.
func (r rig) mustAdmit(t *testing.T, i oidc.Identity, challenge string) string {
	t.Helper()
	code, err := r.AdmitIdentity(t.Context(), oidc.Outcome{Identity: i, CodeChallenge: challenge})
	must(t, err)
	return code.Reveal()
}

// mustOffer returns the code with which a user links an identity.
func (r rig) mustOffer(t *testing.T, userID string, i oidc.Identity, challenge string) string {
	t.Helper()
	code, err := r.OfferIdentity(t.Context(), oidc.Outcome{UserID: userID, Identity: i, CodeChallenge: challenge})
	must(t, err)
	return code.Reveal()
}

func (r rig) mustExchange(t *testing.T, code string) account.Grant {
	t.Helper()
	grant, err := r.Exchange(t.Context(), code, "", session.Client{Type: "web"})
	must(t, err)
	return grant
}

func TestFirstSignInAtTheProvider(t *testing.T) {
	r := newRig(t)
	grant := r.mustExchange(t, r.mustAdmit(t, zoe, ""))
	want := account.User{
		Email: "zoe@example.com", EmailVerified: true, DisplayName: "Zoë", AvatarURL: "https://pictures.example.com/zoe.png",
		Plan: "new", CreatedAt: start, LastLoginAt: start,
	}
	if diff := cmp.Diff(want, grant.User, cmpopts.IgnoreFields(account.User{}, "ID")); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	who := r.mustPrincipal(t, grant)
	identities, err := r.Identities(t.Context(), who)
	must(t, err)
	wantIdentity := account.Identity{
		UserID: who.UserID, Provider: "google", Subject: "google-7", Email: "Zoe@Example.com", EmailVerified: true,
		CreatedAt: start, LastUsedAt: start,
	}
	if diff := cmp.Diff([]account.Identity{wantIdentity}, identities, cmpopts.IgnoreFields(account.Identity{}, "ID")); diff != "" {
		t.Errorf("identities (-want +got):\n%s", diff)
	}
	if entries := r.mustAudited(t, audit.Registered); len(entries) != 1 || entries[0].Detail != "google" {
		t.Errorf("audited %+v", entries)
	}
	if jobs, err := r.db.LeaseMail(t.Context(), start, start.Add(time.Minute), 1); err != nil || len(jobs) != 0 {
		t.Errorf("a verified address gets mail: %+v, %v", jobs, err)
	}
}

// TestTheSubjectAloneSaysWho also holds when the provider gives somebody's address to another.
func TestTheSubjectAloneSaysWho(t *testing.T) {
	r := newRig(t)
	first := r.mustExchange(t, r.mustAdmit(t, zoe, ""))
	renamed := zoe
	renamed.Email, renamed.Name = "zoe.new@example.com", "Another name"
	r.clock.Time = start.Add(time.Hour)
	second := r.mustExchange(t, r.mustAdmit(t, renamed, ""))
	if second.User.ID != first.User.ID || second.User.Email != "zoe@example.com" || second.User.DisplayName != "Zoë" {
		t.Errorf("signed in as %+v", second.User)
	}
	identities, err := r.Identities(t.Context(), r.mustPrincipal(t, second))
	must(t, err)
	if len(identities) != 1 || identities[0].Email != "zoe.new@example.com" || !identities[0].LastUsedAt.Equal(r.clock.Time) {
		t.Errorf("identities %+v", identities)
	}
	if entries := r.mustAudited(t, audit.SignedIn); len(entries) != 2 || entries[0].Detail != "google" {
		t.Errorf("audited %+v", entries)
	}
}

func TestAdmitIdentityRefuses(t *testing.T) {
	r := newRig(t)
	r.mustRegister(t, email)
	disabled := zoe
	disabled.Subject, disabled.Email = "google-8", "disabled@example.com"
	mustDisable(t, r, r.mustExchange(t, r.mustAdmit(t, disabled, "")).User.ID)

	for _, tt := range []struct {
		name   string
		change func(*oidc.Identity)
		want   error
		kind   audit.Kind
	}{
		{"an address that has an account", func(i *oidc.Identity) { i.Email = email }, account.ErrEmailTaken, audit.IdentityRefused},
		{"the same, written otherwise", func(i *oidc.Identity) { i.Email = "READER@example.com" }, account.ErrEmailTaken, audit.IdentityRefused},
		{"an address that is not verified", func(i *oidc.Identity) { i.EmailVerified = false }, account.ErrInvalidEmail, ""},
		{"no address", func(i *oidc.Identity) { i.Email = "" }, account.ErrInvalidEmail, ""},
		{"a disabled account", func(i *oidc.Identity) { *i = disabled }, account.ErrDisabled, audit.SignInRefused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := zoe
			tt.change(&i)
			if _, err := r.AdmitIdentity(t.Context(), oidc.Outcome{Identity: i}); !errors.Is(err, tt.want) {
				t.Errorf("AdmitIdentity() = %v, want %v", err, tt.want)
			}
			if tt.kind != "" {
				r.mustRefused(t, tt.kind, 1)
			}
		})
	}
	if _, err := r.db.UserByIdentity(t.Context(), "google", zoe.Subject); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("a refused identity has an account: %v", err)
	}
}

func TestFirstSignInTwiceAtOnce(t *testing.T) {
	r := newRig(t)
	codes := make([]string, 4)
	var wg sync.WaitGroup
	for i := range codes {
		wg.Go(func() { codes[i] = r.mustAdmit(t, zoe, "") })
	}
	wg.Wait()
	users := map[string]bool{}
	for _, code := range codes {
		users[r.mustExchange(t, code).User.ID] = true
	}
	if len(users) != 1 {
		t.Errorf("one identity has %d accounts", len(users))
	}
}

// TestExchange has one fault a row: whatever it is, there is one error and the code is spent.
func TestExchange(t *testing.T) {
	for _, tt := range []struct {
		name     string
		code     func(t *testing.T, r rig) string
		verifier string
		change   func(t *testing.T, r rig, userID string)
		ok       bool
	}{
		{"with its verifier", bound, verifier, nothing, true},
		{"without a challenge", unbound, "", nothing, true},
		{"a microsecond before it expires", bound, verifier, passes(time.Minute - time.Microsecond), true},
		{"expired", bound, verifier, passes(time.Minute), false},
		{"with another verifier", bound, strings.Repeat("w", 43), nothing, false},
		{"without its verifier", bound, "", nothing, false},
		{"with the challenge as verifier", bound, challenge, nothing, false},
		{"with a verifier that no challenge asked for", unbound, verifier, nothing, false},
		{"that was made to link", toLink, verifier, nothing, false},
		{"of an account that is gone", bound, verifier, mustDelete, false},
		{"of a disabled account", bound, verifier, mustDisable, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			first := r.mustExchange(t, r.mustAdmit(t, zoe, ""))
			code := tt.code(t, r)
			tt.change(t, r, first.User.ID)
			got, err := r.Exchange(t.Context(), code, tt.verifier, session.Client{})
			switch {
			case tt.ok && (err != nil || got.User.ID != first.User.ID):
				t.Fatalf("Exchange() = %v", err)
			case !tt.ok && (!errors.Is(err, account.ErrInvalidCode) || got.AccessToken.IsSet()):
				t.Fatalf("Exchange() = %v, want ErrInvalidCode", err)
			}
			for _, v := range []string{verifier, ""} {
				if _, err := r.Exchange(t.Context(), code, v, session.Client{}); !errors.Is(err, account.ErrInvalidCode) {
					t.Errorf("the code is not spent: %v", err)
				}
			}
		})
	}
	r := newRig(t)
	for _, code := range []string{"", "unknown", strings.Repeat("A", 43), "\x00"} {
		if _, err := r.Exchange(t.Context(), code, "", session.Client{}); !errors.Is(err, account.ErrInvalidCode) {
			t.Errorf("Exchange(%q) = %v, want ErrInvalidCode", code, err)
		}
	}
	r.mustRefused(t, audit.IdentityRefused, 4)
}

func bound(t *testing.T, r rig) string {
	t.Helper()
	return r.mustAdmit(t, zoe, challenge)
}

func unbound(t *testing.T, r rig) string {
	t.Helper()
	return r.mustAdmit(t, zoe, "")
}

func toLink(t *testing.T, r rig) string {
	t.Helper()
	user, err := r.db.UserByIdentity(t.Context(), "google", zoe.Subject)
	must(t, err)
	return r.mustOffer(t, user.ID, zoe, challenge)
}

func TestACodeIsExchangedOnce(t *testing.T) {
	r := newRig(t)
	code := r.mustAdmit(t, zoe, "")
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = r.Exchange(t.Context(), code, "", session.Client{}) })
	}
	wg.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		} else if !errors.Is(err, account.ErrInvalidCode) {
			t.Errorf("Exchange() = %v", err)
		}
	}
	if done != 1 {
		t.Errorf("one code gave %d sessions", done)
	}
}

// TestLinkIdentity has one fault a row, in the code of a user who signed up with a password.
func TestLinkIdentity(t *testing.T) {
	link := func(t *testing.T, r rig, who account.Principal) string {
		t.Helper()
		return r.mustOffer(t, who.UserID, zoe, challenge)
	}
	for _, tt := range []struct {
		name     string
		code     func(t *testing.T, r rig, who account.Principal) string
		verifier string
		change   change
		want     error
	}{
		{"with its verifier", link, verifier, nothing, nil},
		{"a microsecond before it expires", link, verifier, passes(time.Minute - time.Microsecond), nil},
		{"expired", link, verifier, passes(time.Minute), account.ErrInvalidCode},
		{"with another verifier", link, strings.Repeat("w", 43), nothing, account.ErrInvalidCode},
		{"without its verifier", link, "", nothing, account.ErrInvalidCode},
		{"unknown", func(*testing.T, rig, account.Principal) string { return "unknown" }, "", nothing, account.ErrInvalidCode},
		{"of another user", func(t *testing.T, r rig, _ account.Principal) string {
			t.Helper()
			return r.mustOffer(t, r.mustRegister(t, "other@example.com").User.ID, zoe, challenge)
		}, verifier, nothing, account.ErrForeignCode},
		{"that was made to sign in", func(t *testing.T, r rig, who account.Principal) string {
			t.Helper()
			mine := oidc.Identity{Subject: "google-1", Email: email, EmailVerified: true}
			_, err := r.LinkIdentity(t.Context(), who, r.mustOffer(t, who.UserID, mine, ""), "")
			must(t, err)
			return r.mustAdmit(t, mine, challenge)
		}, verifier, nothing, account.ErrInvalidCode},
		{"of an identity that another account has", func(t *testing.T, r rig, who account.Principal) string {
			t.Helper()
			r.mustAdmit(t, zoe, "")
			return r.mustOffer(t, who.UserID, zoe, challenge)
		}, verifier, nothing, account.ErrIdentityTaken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			grant := r.mustRegister(t, email)
			who := r.mustPrincipal(t, grant)
			code := tt.code(t, r, who)
			tt.change(t, r, who.UserID)
			user, err := r.LinkIdentity(t.Context(), who, code, tt.verifier)
			if !errors.Is(err, tt.want) || err == nil && user.ID != who.UserID {
				t.Fatalf("LinkIdentity() = %v, want %v", err, tt.want)
			}
			if tt.want != nil {
				r.mustRefused(t, audit.IdentityRefused, 1)
			}
			if _, err := r.LinkIdentity(t.Context(), who, code, verifier); !errors.Is(err, account.ErrInvalidCode) {
				t.Errorf("the code is not spent: %v", err)
			}
			if tt.want == nil {
				if again := r.mustExchange(t, r.mustAdmit(t, zoe, "")); again.User.ID != who.UserID {
					t.Error("the linked identity signs somebody else in")
				}
			}
		})
	}
}

func TestLinkingLeavesTheProfileAlone(t *testing.T) {
	r := newRig(t)
	grant := r.mustRegister(t, email)
	who := r.mustPrincipal(t, grant)
	got, err := r.LinkIdentity(t.Context(), who, r.mustOffer(t, who.UserID, zoe, ""), "")
	must(t, err)
	if diff := cmp.Diff(grant.User, got); diff != "" {
		t.Errorf("user (-before +after):\n%s", diff)
	}
	if _, err := r.LinkIdentity(t.Context(), who, r.mustOffer(t, who.UserID, zoe, ""), ""); err != nil {
		t.Errorf("linking one's own identity again = %v", err)
	}
	if entries := r.mustAudited(t, audit.IdentityLinked); len(entries) == 0 || entries[0].SessionID != who.SessionID || entries[0].Detail != "google" {
		t.Errorf("audited %+v", entries)
	}
}
