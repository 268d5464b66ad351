package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/oidc"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/syncstream"
)

// strangers are ids of nobody.
var strangers = []string{"", "nobody", "00000000-0000-4000-8000-00000000000g", "00000000-0000-4000-8000-000000000000", "a\x00b", "\xff"}

func testUsers(t *testing.T, db *store.DB) {
	ctx := t.Context()
	full := account.User{
		ID: uuid.NewString(), Email: "ünï@example.com", EmailVerified: true, DisplayName: "Ünï", AvatarURL: "https://a.example/1",
		Plan: "pro", CreatedAt: Now, LastLoginAt: Now.Add(time.Second), DisabledAt: Now.Add(time.Minute),
	}
	must(t, create(t, db, full))
	bare := account.User{ID: uuid.NewString(), Email: "bare@example.com", DisplayName: "b", Plan: "new", CreatedAt: Now.Add(time.Microsecond)}
	must(t, create(t, db, bare))

	for _, want := range []account.User{full, bare} {
		got, err := db.UserByID(ctx, want.ID)
		must(t, err)
		wantEqual(t, "UserByID", got, want)
		got, err = db.UserByEmail(ctx, want.Email)
		must(t, err)
		wantEqual(t, "UserByEmail", got, want)
	}
	got, err := db.UserByEmail(ctx, "Bare@Example.com")
	must(t, err)
	wantEqual(t, "UserByEmail in another case", got.ID, bare.ID)

	again := bare
	again.ID, again.Email = uuid.NewString(), "BARE@example.com"
	wantErr(t, "CreateUser with a taken e-mail", create(t, db, again), account.ErrEmailTaken)
	_, err = db.UserByID(ctx, again.ID)
	wantErr(t, "UserByID of a refused account", err, account.ErrNotFound)

	for _, id := range strangers {
		_, err := db.UserByID(ctx, id)
		wantErr(t, fmt.Sprintf("UserByID(%q)", id), err, account.ErrNotFound)
		wantErr(t, fmt.Sprintf("SetPlan(%q)", id), db.SetPlan(ctx, id, "pro", entry(audit.PlanSet)), account.ErrNotFound)
		wantErr(t, fmt.Sprintf("SetDisabled(%q)", id), db.SetDisabled(ctx, id, Now, entry(audit.Disabled)), account.ErrNotFound)
		wantErr(t, fmt.Sprintf("DeleteUser(%q)", id), db.DeleteUser(ctx, id, entry(audit.Deleted)), account.ErrNotFound)
		_, err = db.UpdateProfile(ctx, id, account.ProfileChange{})
		wantErr(t, fmt.Sprintf("UpdateProfile(%q)", id), err, account.ErrNotFound)
		wantErr(t, fmt.Sprintf("SetPreferences(%q)", id), db.SetPreferences(ctx, id, []byte("{}")), account.ErrNotFound)
		object, err := db.Preferences(ctx, id)
		must(t, err)
		wantEqual(t, fmt.Sprintf("Preferences(%q)", id), object, []byte(nil))
	}
	testListUsers(t, db, full, bare)
}

// create keeps an account with a password.
func create(t *testing.T, db *store.DB, u account.User) error {
	t.Helper()
	return db.CreateUser(t.Context(), account.Addition{User: u, PasswordHash: "hash", Audit: entry(audit.Registered)})
}

func testListUsers(t *testing.T, db *store.DB, first, second account.User) {
	t.Helper()
	third := newUser(t, db, "third")
	third.CreatedAt = Now.Add(time.Hour)
	fourth := account.User{ID: uuid.NewString(), Email: "4@example.com", DisplayName: "4", Plan: "new", CreatedAt: third.CreatedAt}
	must(t, db.DeleteUser(t.Context(), third.ID, entry(audit.Deleted)))
	must(t, create(t, db, third))
	must(t, create(t, db, fourth)) // in the same microsecond
	if fourth.ID < third.ID {
		third, fourth = fourth, third
	}

	for _, row := range []struct {
		name   string
		filter account.Filter
		want   []account.User
	}{
		{"all", account.Filter{}, []account.User{first, second, third, fourth}},
		{"a page", account.Filter{Limit: 3}, []account.User{first, second, third}},
		{"the next page", account.Filter{After: third.ID, Limit: 3}, []account.User{fourth}},
		{"the rest", account.Filter{After: first.ID}, []account.User{second, third, fourth}},
		{"after the last", account.Filter{After: fourth.ID}, nil},
	} {
		got, err := db.Users(t.Context(), row.filter)
		must(t, err)
		wantEqual(t, row.name, got, row.want)
	}
	_, err := db.Users(t.Context(), account.Filter{After: uuid.NewString()})
	wantErr(t, "after an unknown account", err, account.ErrNotFound)
}

func testSetDisabled(t *testing.T, db *store.DB) {
	ctx := t.Context()
	u, other := newUser(t, db, "reader"), newUser(t, db, "other")
	mine, others := newSession(t, db, u.ID), newSession(t, db, other.ID)

	must(t, db.SetDisabled(ctx, u.ID, Now.Add(time.Minute), entry(audit.Disabled)))
	got, err := db.UserByID(ctx, u.ID)
	must(t, err)
	wantEqual(t, "disabled at", got.DisabledAt, Now.Add(time.Minute))
	wantRevoked(t, db, mine.ID, true)
	wantRevoked(t, db, others.ID, false)

	must(t, db.SetDisabled(ctx, u.ID, time.Time{}, entry(audit.Enabled)))
	got, err = db.UserByID(ctx, u.ID)
	must(t, err)
	wantEqual(t, "enabled", got.Disabled(), false)
	wantRevoked(t, db, mine.ID, true)
	enabled := entry(audit.Enabled)
	enabled.UserID = u.ID
	wantAudit(t, db, u.ID, enabled)
}

func testCreateUser(t *testing.T, db *store.DB) {
	ctx := t.Context()
	a := newAddition("reader")
	must(t, db.CreateUser(ctx, a))

	user, err := db.UserByIdentity(ctx, "google", "subject of reader")
	must(t, err)
	wantEqual(t, "UserByIdentity", user, a.User)
	kept, err := db.SessionByID(ctx, a.Session.ID)
	must(t, err)
	wantEqual(t, "session", kept, *a.Session)
	code, err := db.TakeExchangeCode(ctx, a.Code.Hash, Now)
	must(t, err)
	wantEqual(t, "exchange code", code, *a.Code)
	jobs, err := db.LeaseMail(ctx, Now, Now.Add(time.Minute), 10)
	must(t, err)
	wantEqual(t, "mail", len(jobs), 1)
	registered := entry(audit.Registered)
	registered.UserID, registered.SessionID = a.User.ID, a.Session.ID
	wantAudit(t, db, a.User.ID, registered)
	hash, err := db.PasswordHash(ctx, a.User.ID)
	must(t, err)
	wantEqual(t, "password of an account without one", hash, "")

	taken := newAddition("other")
	taken.Identity.Subject = a.Identity.Subject
	wantErr(t, "with an identity that another has", db.CreateUser(ctx, taken), account.ErrIdentityTaken)
	_, err = db.UserByID(ctx, taken.User.ID)
	wantErr(t, "the account that was not made", err, account.ErrNotFound)
	entries, err := db.AuditEntries(ctx, audit.Filter{UserID: taken.User.ID})
	must(t, err)
	wantEqual(t, "audit of the account that was not made", len(entries), 0)
}

// newAddition is an account of name@example.com that was made by signing in at a provider.
func newAddition(name string) account.Addition {
	u := account.User{
		ID: uuid.NewString(), Email: name + "@example.com", EmailVerified: true, DisplayName: name, Plan: "new", CreatedAt: Now,
	}
	i, s := newIdentity(u.ID, "subject of "+name), session.Session{
		ID: uuid.NewString(), UserID: u.ID, ClientType: "web", CreatedAt: Now, LastSeenAt: Now, ExpiresAt: Now.Add(day), EndsAt: Now.Add(day),
	}
	code := newCode(u.ID, name)
	job := newJob(mail.KindVerifyEmail, u.Email)
	return account.Addition{User: u, Identity: &i, Session: &s, Code: &code, Mail: &job, Audit: entry(audit.Registered)}
}

func testSignIn(t *testing.T, db *store.DB) {
	ctx := t.Context()
	u := newUser(t, db, "reader")
	mine, theirs := newIdentity(u.ID, "mine"), newIdentity(newUser(t, db, "other").ID, "theirs")
	must(t, db.LinkIdentity(ctx, mine, entry(audit.IdentityLinked)))
	must(t, db.LinkIdentity(ctx, theirs, entry(audit.IdentityLinked)))
	mine.Email, mine.EmailVerified = "new@example.com", false
	disabled := newUser(t, db, "disabled")
	must(t, db.SetDisabled(ctx, disabled.ID, Now, entry(audit.Disabled)))

	for _, row := range []struct {
		name   string
		userID string
		by     account.Proof
		err    error
	}{
		{"by password", u.ID, account.Proof{PasswordHash: "hash of reader"}, nil},
		{"by a password that was changed meanwhile", u.ID, account.Proof{PasswordHash: "hash of before"}, account.ErrChanged},
		{"by a code alone", u.ID, account.Proof{}, nil},
		{"by an identity", u.ID, account.Proof{Identity: &mine}, nil},
		{"by an identity of another", u.ID, account.Proof{Identity: &theirs}, account.ErrNotFound},
		{"to a disabled account", disabled.ID, account.Proof{}, account.ErrNotFound},
		{"to an unknown account", uuid.NewString(), account.Proof{}, account.ErrNotFound},
		{"to what is no id", "nobody", account.Proof{}, account.ErrNotFound},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := session.Session{
				ID: uuid.NewString(), UserID: row.userID, ClientType: "web", CreatedAt: Now.Add(time.Hour), LastSeenAt: Now,
				ExpiresAt: Now.Add(day), EndsAt: Now.Add(day),
			}
			wantErr(t, "SignIn", db.SignIn(t.Context(), s, row.by, entry(audit.SignedIn)), row.err)
			_, err := db.SessionByID(t.Context(), s.ID)
			if row.err != nil {
				wantErr(t, "session", err, session.ErrNotFound)
				return
			}
			must(t, err)
			got, err := db.UserByID(t.Context(), u.ID)
			must(t, err)
			wantEqual(t, "LastLoginAt", got.LastLoginAt, s.CreatedAt)
			signedIn := entry(audit.SignedIn)
			signedIn.UserID, signedIn.SessionID = u.ID, s.ID
			wantAudit(t, db, u.ID, signedIn)
		})
	}
	mine.LastUsedAt = Now.Add(time.Hour)
	identities, err := db.Identities(ctx, u.ID)
	must(t, err)
	wantEqual(t, "the identity after its use", identities, []account.Identity{mine})
}

func testProfile(t *testing.T, db *store.DB) {
	ctx := t.Context()
	u := newUser(t, db, "reader")
	name, avatar, none := "Zoë", "https://a.example/1", ""
	for _, step := range []struct {
		name         string
		change       account.ProfileChange
		display, url string
	}{
		{"nothing", account.ProfileChange{}, "reader", ""},
		{"the name", account.ProfileChange{DisplayName: &name}, name, ""},
		{"the avatar", account.ProfileChange{AvatarURL: &avatar}, name, avatar},
		{"nothing again", account.ProfileChange{}, name, avatar},
		{"no avatar any more", account.ProfileChange{AvatarURL: &none}, name, ""},
	} {
		u.DisplayName, u.AvatarURL = step.display, step.url
		got, err := db.UpdateProfile(ctx, u.ID, step.change)
		must(t, err)
		wantEqual(t, step.name, got, u)
	}

	object, err := db.Preferences(ctx, u.ID)
	must(t, err)
	wantEqual(t, "preferences at first", object, []byte(nil))
	for _, want := range []string{`{"theme":"dark"}`, `{}`} {
		must(t, db.SetPreferences(ctx, u.ID, []byte(want)))
		object, err := db.Preferences(ctx, u.ID)
		must(t, err)
		wantEqual(t, "preferences", string(object), want)
	}
}

func testSetPlan(t *testing.T, db *store.DB) {
	u := newUser(t, db, "reader")
	must(t, db.SetPlan(t.Context(), u.ID, "pro", entry(audit.PlanSet)))
	got, err := db.UserByID(t.Context(), u.ID)
	must(t, err)
	wantEqual(t, "plan", got.Plan, "pro")
	set := entry(audit.PlanSet)
	set.UserID = u.ID
	wantAudit(t, db, u.ID, set)
}

func testDeleteUser(t *testing.T, db *store.DB) {
	ctx := t.Context()
	a, other := newAddition("reader"), newUser(t, db, "other")
	must(t, db.CreateUser(ctx, a))
	u, others := a.User, newSession(t, db, other.ID)
	must(t, db.SetPreferences(ctx, u.ID, []byte("{}")))
	must(t, db.CreateActionToken(ctx, newToken(u.ID, mail.KindVerifyEmail, "token"), entry(audit.ResetRequested)))
	state := newState(u.ID, "state")
	must(t, db.CreateState(ctx, state))
	key, issue := newKey(u.ID, "k"), newIssue("intent", "this")
	_, err := db.CreateKey(ctx, key, 1, issue, entry(audit.KeyIssued))
	must(t, err)

	must(t, db.DeleteUser(ctx, u.ID, entry(audit.Deleted)))

	_, err = db.UserByID(ctx, u.ID)
	wantErr(t, "account", err, account.ErrNotFound)
	_, err = db.UserByIdentity(ctx, a.Identity.Provider, a.Identity.Subject)
	wantErr(t, "identity", err, account.ErrNotFound)
	_, err = db.SessionByID(ctx, a.Session.ID)
	wantErr(t, "session", err, session.ErrNotFound)
	_, err = db.TakeExchangeCode(ctx, a.Code.Hash, Now)
	wantErr(t, "exchange code", err, account.ErrNotFound)
	_, err = db.TakeState(ctx, state.Hash, Now)
	wantErr(t, "state", err, oidc.ErrNotFound)
	_, err = db.ActionUser(ctx, mail.KindVerifyEmail, newToken(u.ID, mail.KindVerifyEmail, "token").Hash, Now)
	wantErr(t, "action token", err, account.ErrNotFound)
	_, err = db.KeyByHash(ctx, key.Hash)
	wantErr(t, "key", err, apikey.ErrNotFound)
	_, err = db.IssueByKey(ctx, u.ID, issue.IdempotencyKey, Now)
	wantErr(t, "issue", err, apikey.ErrNotFound)
	wantErr(t, "deletion again", db.DeleteUser(ctx, u.ID, entry(audit.Deleted)), account.ErrNotFound)
	_, err = db.SessionByID(ctx, others.ID)
	wantErr(t, "session of another", err, nil)
}

func testDeleteUserWithBooks(t *testing.T, db *store.DB) {
	ctx := t.Context()
	reader, other := newUploader(t, db, newUser(t, db, "reader").ID), newUploader(t, db, newUser(t, db, "other").ID)
	other.mustUpload(t, change(9, book("Theirs")))
	reader.mustUpload(t, change(1, book("A")), change(2, book("B")))
	reader.mustUpload(t, removal(2))
	letter := reader.letter(0, "{}")
	must(t, reader.reject(ctx, letter))
	for _, d := range []uploader{reader, other} {
		_, err := db.WriteCheckpoint(ctx, d.userID, "phone", 0, Now)
		must(t, err)
	}

	must(t, db.DeleteUser(ctx, reader.userID, entry(audit.Deleted)))

	rows, err := db.Rows(ctx, library.Books, reader.userID, "", 0)
	must(t, err)
	wantEqual(t, "books", len(rows), 0)
	_, err = db.DeadLetter(ctx, "", letter.ID)
	wantErr(t, "dead letter", err, library.ErrNotFound)
	_, err = db.Snapshot(ctx, reader.userID, "phone")
	wantErr(t, "snapshot", err, syncstream.ErrNoUser)
	status, err := db.SyncStatus(ctx)
	must(t, err)
	wantEqual(t, "what is left is another's", status, syncstream.Status{Users: 1, Buckets: 1, Ops: 1, Clients: 1})

	again := account.User{ID: reader.userID, Email: "again@example.com", DisplayName: "r", Plan: "new", CreatedAt: Now}
	must(t, create(t, db, again)) // an ID that nobody gives twice: to see what is left under it
	reader.sessionID = newSession(t, db, again.ID).ID
	wantEqual(t, "tombstones and books", reader.look(t, 1, 2, 9), []library.Found{{}, {}, {State: library.Foreign}})
	snapshot, err := db.Snapshot(ctx, again.ID, "phone")
	must(t, err)
	wantEqual(t, "operations and write checkpoints", snapshot, syncstream.Snapshot{})
}

func testWhatOutlivesAUser(t *testing.T, db *store.DB) {
	ctx := t.Context()
	u, other := newUser(t, db, "reader"), newUser(t, db, "other")
	for _, email := range []string{u.Email, other.Email} {
		must(t, db.EnqueueMail(ctx, newJob(mail.KindResetPassword, email)))
	}
	claim := newClaim("intent", "this", "a")
	claim.Account = u.ID
	_, err := db.Claim(ctx, claim, Now)
	must(t, err)
	reported := admission("n", "{}")
	reported.Event.UserID = u.ID
	_, err = db.Admit(ctx, []replay.Admission{reported, admission("m", "{1}")})
	must(t, err)
	refused := audit.Entry{At: Now, Kind: audit.SignInRefused, UserID: u.ID, Network: "192.0.2.1", Count: 2}
	must(t, db.AppendAudit(ctx, refused))

	must(t, db.DeleteUser(ctx, u.ID, entry(audit.Deleted)))

	_, err = db.Claim(ctx, newClaim("intent", "that", "b"), Now)
	wantErr(t, "claim", err, nil)
	wantEqual(t, "events left", len(events(t, db, event.Filter{})), 1)
	jobs, err := db.LeaseMail(ctx, Now, Now.Add(time.Minute), 10)
	must(t, err)
	wantEqual(t, "mail left", len(jobs), 1)

	must(t, db.AppendAudit(ctx, refused)) // of before the deletion, written after it: finds no entry to add to
	entries, err := db.AuditEntries(ctx, audit.Filter{UserID: u.ID})
	must(t, err)
	for _, e := range entries {
		if e.Network != "" || e.UserID != u.ID {
			t.Errorf("the audit log remembers %+v", e)
		}
	}
	wantEqual(t, "entries that outlive the account", len(entries), 4)
}

// testStrangeText asks with texts that Postgres cannot hold.
func testStrangeText(t *testing.T, db *store.DB) {
	ctx := t.Context()
	u := newUser(t, db, "reader")
	for _, text := range []string{"a\x00@example.com", "\xff@example.com", "\x00"} {
		_, err := db.UserByEmail(ctx, text)
		wantErr(t, fmt.Sprintf("UserByEmail(%q)", text), err, account.ErrNotFound)
		_, err = db.IssueByKey(ctx, u.ID, text, Now)
		wantErr(t, fmt.Sprintf("IssueByKey(%q)", text), err, apikey.ErrNotFound)
	}
	must(t, db.Release(ctx, idempotency.Claim{Owner: "nobody"}))
}
