package storetest

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/store"
)

func testPasswords(t *testing.T, db *store.DB) {
	ctx := t.Context()
	u := newUser(t, db, "reader")
	want := func(what, want string) {
		t.Helper()
		got, err := db.PasswordHash(ctx, u.ID)
		must(t, err)
		wantEqual(t, what, got, want)
	}
	want("at first", "hash of reader")
	must(t, db.SetPasswordHash(ctx, u.ID, "hash of reader", "second", Now))
	want("replaced", "second")
	must(t, db.SetPasswordHash(ctx, u.ID, "hash of reader", "third", Now))
	want("replaced by one who saw an older hash", "second")
	for _, id := range strangers {
		got, err := db.PasswordHash(ctx, id)
		must(t, err)
		wantEqual(t, "of a stranger", got, "")
		must(t, db.SetPasswordHash(ctx, id, "", "hash", Now))
	}
}

func wantPassword(t *testing.T, db *store.DB, userID, want string) {
	t.Helper()
	got, err := db.PasswordHash(t.Context(), userID)
	must(t, err)
	wantEqual(t, "password", got, want)
}

func testCredentials(t *testing.T, db *store.DB) {
	ctx := t.Context()
	withPassword := newUser(t, db, "reader")
	without := newAddition("google")
	must(t, db.CreateUser(ctx, without))
	for _, row := range []struct {
		name, email string
		user        account.User
		hash        string
		err         error
	}{
		{"with a password", "Reader@example.com", withPassword, "hash of reader", nil},
		{"without a password", "google@example.com", without.User, "", nil},
		{"without an account", "nobody@example.com", account.User{}, "", account.ErrNotFound},
		{"what is no text", "a\x00@example.com", account.User{}, "", account.ErrNotFound},
	} {
		user, hash, err := db.Credentials(ctx, row.email)
		wantErr(t, row.name, err, row.err)
		wantEqual(t, row.name, user, row.user)
		wantEqual(t, row.name, hash, row.hash)
	}
}

func testChangePassword(t *testing.T, db *store.DB) {
	ctx := t.Context()
	for _, row := range []struct {
		name        string
		has, old    string
		keepsMine   bool
		err         error
		kept, other bool // sessions revoked
	}{
		{"the old one still is", "old", "old", true, nil, false, true},
		{"no session is kept", "old", "old", false, nil, true, true},
		{"it was changed meanwhile", "newer", "old", true, account.ErrChanged, false, false},
		{"the first one", "", "", true, nil, false, true},
		{"the first one, set meanwhile", "newer", "", true, account.ErrChanged, false, false},
		{"of an account without one", "", "old", true, account.ErrChanged, false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			u := account.User{ID: uuid.NewString(), Email: uuid.NewString() + "@example.com", DisplayName: "r", Plan: "new", CreatedAt: Now}
			must(t, db.CreateUser(t.Context(), account.Addition{User: u, PasswordHash: row.has}))
			mine, other := newSession(t, db, u.ID), newSession(t, db, u.ID)
			code, token := newCode(u.ID, row.name), newToken(u.ID, mail.KindResetPassword, row.name)
			must(t, db.CreateExchangeCode(t.Context(), code))
			must(t, db.CreateActionToken(t.Context(), token, entry(audit.ResetRequested)))
			keep := ""
			if row.keepsMine {
				keep = mine.ID
			}

			err := db.ChangePassword(t.Context(), u.ID, row.old, "replacement", keep, entry(audit.PasswordChanged))
			wantErr(t, "ChangePassword", err, row.err)
			wantRevoked(t, db, mine.ID, row.kept)
			wantRevoked(t, db, other.ID, row.other)
			_, codeErr := db.TakeExchangeCode(t.Context(), code.Hash, Now)
			_, tokenErr := db.ActionUser(t.Context(), mail.KindResetPassword, token.Hash, Now)
			if row.err != nil {
				wantPassword(t, db, u.ID, row.has)
				wantErr(t, "exchange code", codeErr, nil)
				wantErr(t, "token", tokenErr, nil)
				return
			}
			wantPassword(t, db, u.ID, "replacement")
			wantErr(t, "exchange code", codeErr, account.ErrNotFound)
			wantErr(t, "token", tokenErr, account.ErrNotFound)
			changed := entry(audit.PasswordChanged)
			changed.UserID, changed.SessionID = u.ID, keep
			wantAudit(t, db, u.ID, changed)
		})
	}
	for _, id := range append([]string{uuid.NewString()}, strangers...) {
		for _, old := range []string{"", "old"} {
			wantErr(t, "of a stranger", db.ChangePassword(ctx, id, old, "new", "", entry(audit.PasswordChanged)), account.ErrChanged)
		}
	}
}

// newToken is an action token that is good for an hour.
func newToken(userID string, kind mail.Kind, text string) account.ActionToken {
	return account.ActionToken{
		ID: uuid.NewString(), UserID: userID, Kind: kind, Hash: sha256.Sum256([]byte(text)), CreatedAt: Now, ExpiresAt: Now.Add(time.Hour),
	}
}

func testActionTokens(t *testing.T, db *store.DB) {
	ctx := t.Context()
	u := newUser(t, db, "reader")
	token := newToken(u.ID, mail.KindVerifyEmail, "token")
	must(t, db.CreateActionToken(ctx, token, entry(audit.ResetRequested)))
	requested := entry(audit.ResetRequested)
	requested.UserID = u.ID
	wantAudit(t, db, u.ID, requested)
	must(t, db.CreateActionToken(ctx, newToken(u.ID, mail.KindResetPassword, "reset"), audit.Entry{}))
	wantAudit(t, db, u.ID, requested) // an entry of no kind is not written

	late := entry(audit.EmailVerified)
	late.At = token.ExpiresAt
	for _, row := range []struct {
		name string
		text string
		at   audit.Entry
		err  error
	}{
		{"an unknown token", "another", entry(audit.EmailVerified), account.ErrNotFound},
		{"a token of another kind", "reset", entry(audit.EmailVerified), account.ErrNotFound},
		{"an expired token", "token", late, account.ErrNotFound},
		{"the token", "token", entry(audit.EmailVerified), nil},
		{"the token again", "token", entry(audit.EmailVerified), account.ErrNotFound},
	} {
		hash := sha256.Sum256([]byte(row.text))
		got, err := db.ActionUser(ctx, mail.KindVerifyEmail, hash, row.at.At)
		wantErr(t, "ActionUser of "+row.name, err, row.err)
		if row.err == nil {
			wantEqual(t, "ActionUser", got, u)
		}
		wantErr(t, "VerifyEmail by "+row.name, db.VerifyEmail(ctx, hash, row.at), row.err)
		got, err = db.UserByID(ctx, u.ID)
		must(t, err)
		if row.err == nil {
			u.EmailVerified = true
			verified := entry(audit.EmailVerified)
			verified.UserID = u.ID
			wantAudit(t, db, u.ID, verified)
		}
		wantEqual(t, row.name, got, u)
	}
	for _, id := range append([]string{uuid.NewString()}, strangers...) {
		token := newToken(id, mail.KindVerifyEmail, id)
		wantErr(t, "CreateActionToken of a stranger", db.CreateActionToken(ctx, token, entry(audit.ResetRequested)), account.ErrNotFound)
	}
}

func testResetPassword(t *testing.T, db *store.DB) {
	for _, row := range []struct {
		name     string
		verified bool // the e-mail, before
	}{
		{"of a verified e-mail: identities and keys stay", true},
		{"of an unverified e-mail: no way in stays open", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := newAddition(uuid.NewString())
			a.User.EmailVerified, a.PasswordHash = row.verified, "old"
			must(t, db.CreateUser(t.Context(), a))
			key := newKey(a.User.ID, a.User.ID)
			_, err := db.CreateKey(t.Context(), key, 1, apikey.Issue{}, entry(audit.KeyIssued))
			must(t, err)
			token, second := newToken(a.User.ID, mail.KindResetPassword, row.name), newToken(a.User.ID, mail.KindResetPassword, "2"+row.name)
			verify := newToken(a.User.ID, mail.KindVerifyEmail, "3"+row.name)
			for _, each := range []account.ActionToken{token, second, verify} {
				must(t, db.CreateActionToken(t.Context(), each, entry(audit.ResetRequested)))
			}
			wantErr(t, "by a token of another kind", db.ResetPassword(t.Context(), verify.Hash, "new", entry(audit.ResetDone)), account.ErrNotFound)
			wantRevoked(t, db, a.Session.ID, false)

			must(t, db.ResetPassword(t.Context(), token.Hash, "new", entry(audit.ResetDone)))

			wantPassword(t, db, a.User.ID, "new")
			wantRevoked(t, db, a.Session.ID, true)
			done := entry(audit.ResetDone)
			done.UserID = a.User.ID
			wantAudit(t, db, a.User.ID, done)
			for _, spent := range []account.ActionToken{token, second} {
				wantErr(t, "again", db.ResetPassword(t.Context(), spent.Hash, "newer", entry(audit.ResetDone)), account.ErrNotFound)
			}
			_, err = db.TakeExchangeCode(t.Context(), a.Code.Hash, Now)
			wantErr(t, "exchange code", err, account.ErrNotFound)
			u, err := db.UserByID(t.Context(), a.User.ID)
			must(t, err)
			wantEqual(t, "verified", u.EmailVerified, true)
			identities, err := db.Identities(t.Context(), a.User.ID)
			must(t, err)
			wantEqual(t, "keeps its identities", len(identities) == 1, row.verified)
			kept, err := db.KeyByHash(t.Context(), key.Hash)
			must(t, err)
			wantEqual(t, "keeps its keys", kept.Live(Now), row.verified)
			removed, err := db.AuditEntries(t.Context(), audit.Filter{UserID: a.User.ID, Kind: audit.IdentityRemoved})
			must(t, err)
			if audited := len(removed) == 1 && removed[0].Detail == a.Identity.Provider; audited == row.verified {
				t.Errorf("audited of its identities: %+v", removed)
			}
			revoked, err := db.AuditEntries(t.Context(), audit.Filter{UserID: a.User.ID, Kind: audit.KeyRevoked})
			must(t, err)
			if audited := len(revoked) == 1 && revoked[0].KeyID == key.ID; audited == row.verified {
				t.Errorf("audited of its keys: %+v", revoked)
			}
		})
	}
}
