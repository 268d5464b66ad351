package storetest

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/oidc"
	"github.com/provisioner/provisioner/pkg/store"
)

// newIdentity is a user's at Google.
func newIdentity(userID, subject string) account.Identity {
	return account.Identity{
		ID: uuid.NewString(), UserID: userID, Provider: "google", Subject: subject, Email: "Reader@gmail.example", EmailVerified: true,
		CreatedAt: Now, LastUsedAt: Now,
	}
}

// newCode is an exchange code of a name, that is good for a minute.
func newCode(userID, name string) account.ExchangeCode {
	return account.ExchangeCode{
		Hash: sha256.Sum256([]byte(name)), Purpose: account.ToSignIn, UserID: userID, Challenge: "challenge", ExpiresAt: Now.Add(time.Minute),
	}
}

func newState(userID, name string) oidc.State {
	return oidc.State{
		Hash: sha256.Sum256([]byte(name)), RedirectURI: "papyrus://auth/callback", CodeChallenge: "challenge", UserID: userID,
		Nonce: "nonce", Verifier: "verifier", BrowserHash: sha256.Sum256([]byte("browser")), ExpiresAt: Now.Add(time.Minute),
	}
}

func testIdentities(t *testing.T, db *store.DB) {
	ctx := t.Context()
	u, other := newUser(t, db, "reader"), newUser(t, db, "other")
	first := newIdentity(u.ID, "first")
	second := newIdentity(u.ID, "second")
	second.CreatedAt = Now.Add(time.Second)
	again := first
	again.ID, again.Email, again.EmailVerified, again.LastUsedAt = uuid.NewString(), "new@example.com", false, Now.Add(time.Hour)
	elsewhere := newIdentity(other.ID, "first")
	elsewhere.Provider = "another"

	for _, row := range []struct {
		name     string
		identity account.Identity
		err      error
	}{
		{"the second", second, nil},
		{"the first", first, nil},
		{"one that the account has", again, nil},
		{"one that another has", newIdentity(other.ID, "first"), account.ErrIdentityTaken},
		{"the same subject at another provider", elsewhere, nil},
		{"to an unknown account", newIdentity(uuid.NewString(), "third"), account.ErrNotFound},
		{"to what is no id", newIdentity("nobody", "fourth"), account.ErrNotFound},
	} {
		wantErr(t, row.name, db.LinkIdentity(ctx, row.identity, entry(audit.IdentityLinked)), row.err)
		if row.err == nil {
			linked := entry(audit.IdentityLinked)
			linked.UserID = row.identity.UserID
			wantAudit(t, db, "", linked)
		}
	}
	first.Email, first.EmailVerified, first.LastUsedAt = again.Email, false, again.LastUsedAt
	got, err := db.Identities(ctx, u.ID)
	must(t, err)
	wantEqual(t, "Identities", got, []account.Identity{first, second})
	user, err := db.UserByIdentity(ctx, "google", "first")
	must(t, err)
	wantEqual(t, "UserByIdentity", user, u)
	for _, subject := range []string{"third", "", "\x00"} {
		_, err = db.UserByIdentity(ctx, "google", subject)
		wantErr(t, fmt.Sprintf("UserByIdentity of %q", subject), err, account.ErrNotFound)
	}
	for _, id := range strangers {
		of, err := db.Identities(ctx, id)
		must(t, err)
		wantEqual(t, "Identities of a stranger", len(of), 0)
	}
}

func testExchangeCodes(t *testing.T, db *store.DB) {
	ctx := t.Context()
	u := newUser(t, db, "reader")
	toLink := newCode(u.ID, "link")
	identity := newIdentity(u.ID, "subject")
	toLink.Purpose, toLink.Challenge, toLink.Identity = account.ToLink, "", &identity
	for _, c := range []account.ExchangeCode{newCode(u.ID, "sign-in"), toLink} {
		must(t, db.CreateExchangeCode(ctx, c))
		_, err := db.TakeExchangeCode(ctx, c.Hash, c.ExpiresAt)
		wantErr(t, "when it has expired", err, account.ErrNotFound)
		got, err := db.TakeExchangeCode(ctx, c.Hash, c.ExpiresAt.Add(-time.Microsecond))
		must(t, err)
		wantEqual(t, "at the last moment", got, c)
		_, err = db.TakeExchangeCode(ctx, c.Hash, Now)
		wantErr(t, "again", err, account.ErrNotFound)
	}
	for _, id := range append([]string{uuid.NewString()}, strangers...) {
		wantErr(t, "of a stranger", db.CreateExchangeCode(ctx, newCode(id, id)), account.ErrNotFound)
	}
}

func testStates(t *testing.T, db *store.DB) {
	ctx := t.Context()
	for _, s := range []oidc.State{newState("", "sign-in"), newState(newUser(t, db, "reader").ID, "link")} {
		must(t, db.CreateState(ctx, s))
		_, err := db.TakeState(ctx, s.Hash, s.ExpiresAt)
		wantErr(t, "when it has expired", err, oidc.ErrNotFound)
		got, err := db.TakeState(ctx, s.Hash, s.ExpiresAt.Add(-time.Microsecond))
		must(t, err)
		wantEqual(t, "at the last moment", got, s)
		_, err = db.TakeState(ctx, s.Hash, Now)
		wantErr(t, "again", err, oidc.ErrNotFound)
	}
	for _, id := range []string{uuid.NewString(), "nobody"} {
		wantErr(t, "of a stranger", db.CreateState(ctx, newState(id, id)), oidc.ErrNotFound)
	}
}
