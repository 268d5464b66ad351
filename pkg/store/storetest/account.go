package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
)

// strangers are ids of nobody.
var strangers = []string{"", "nobody", "00000000-0000-4000-8000-00000000000g", "00000000-0000-4000-8000-000000000000", "a\x00b", "\xff"}

func testUsers(t *testing.T, db *store.DB) {
	ctx := t.Context()
	full := account.User{
		ID: uuid.NewString(), Email: "ünï@example.com", EmailVerified: true, DisplayName: "Ünï", AvatarURL: "https://a.example/1",
		Plan: "pro", CreatedAt: Now, LastLoginAt: Now.Add(time.Second), DisabledAt: Now.Add(time.Minute),
	}
	must(t, db.CreateUser(ctx, full, "hash"))
	bare := account.User{ID: uuid.NewString(), Email: "bare@example.com", DisplayName: "b", Plan: "new", CreatedAt: Now.Add(time.Microsecond)}
	must(t, db.CreateUser(ctx, bare, "hash"))

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
	wantErr(t, "CreateUser with a taken e-mail", db.CreateUser(ctx, again, "hash"), account.ErrEmailTaken)
	_, err = db.UserByID(ctx, again.ID)
	wantErr(t, "UserByID of a refused account", err, account.ErrNotFound)

	must(t, db.SignedIn(ctx, bare.ID, Now.Add(time.Hour)))
	must(t, db.SetPlan(ctx, bare.ID, "pro"))
	bare.LastLoginAt, bare.Plan = Now.Add(time.Hour), "pro"
	got, err = db.UserByID(ctx, bare.ID)
	must(t, err)
	wantEqual(t, "after SignedIn and SetPlan", got, bare)

	for _, id := range strangers {
		_, err := db.UserByID(ctx, id)
		wantErr(t, fmt.Sprintf("UserByID(%q)", id), err, account.ErrNotFound)
		wantErr(t, fmt.Sprintf("SetPlan(%q)", id), db.SetPlan(ctx, id, "pro"), account.ErrNotFound)
		wantErr(t, fmt.Sprintf("SetDisabled(%q)", id), db.SetDisabled(ctx, id, Now), account.ErrNotFound)
		wantErr(t, fmt.Sprintf("DeleteUser(%q)", id), db.DeleteUser(ctx, id), account.ErrNotFound)
		must(t, db.SignedIn(ctx, id, Now))
	}
	testListUsers(t, db, full, bare)
}

func testListUsers(t *testing.T, db *store.DB, first, second account.User) {
	t.Helper()
	third := newUser(t, db, "third")
	third.CreatedAt = Now.Add(time.Hour)
	fourth := account.User{ID: uuid.NewString(), Email: "4@example.com", DisplayName: "4", Plan: "new", CreatedAt: third.CreatedAt}
	must(t, db.DeleteUser(t.Context(), third.ID))
	must(t, db.CreateUser(t.Context(), third, "hash"))
	must(t, db.CreateUser(t.Context(), fourth, "hash")) // in the same microsecond
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

func testSetDisabled(t *testing.T, db *store.DB) {
	ctx := t.Context()
	u, other := newUser(t, db, "reader"), newUser(t, db, "other")
	mine, others := newSession(t, db, u.ID), newSession(t, db, other.ID)

	must(t, db.SetDisabled(ctx, u.ID, Now.Add(time.Minute)))
	got, err := db.UserByID(ctx, u.ID)
	must(t, err)
	wantEqual(t, "disabled at", got.DisabledAt, Now.Add(time.Minute))
	wantRevoked(t, db, mine.ID, true)
	wantRevoked(t, db, others.ID, false)

	must(t, db.SetDisabled(ctx, u.ID, time.Time{}))
	got, err = db.UserByID(ctx, u.ID)
	must(t, err)
	wantEqual(t, "enabled", got.Disabled(), false)
	wantRevoked(t, db, mine.ID, true)
}

func testDeleteUser(t *testing.T, db *store.DB) {
	ctx := t.Context()
	u, other := newUser(t, db, "reader"), newUser(t, db, "other")
	mine, others := newSession(t, db, u.ID), newSession(t, db, other.ID)
	key, issue := newKey(u.ID, "k"), newIssue("intent", "this")
	_, err := db.CreateKey(ctx, key, 1, issue)
	must(t, err)
	claim := newClaim("intent", "this", "a")
	claim.Account = u.ID
	_, err = db.Claim(ctx, claim, Now)
	must(t, err)
	reported := admission("n", "{}")
	reported.Event.UserID = u.ID
	_, err = db.Admit(ctx, []replay.Admission{reported, admission("m", "{1}")})
	must(t, err)

	must(t, db.DeleteUser(ctx, u.ID))

	_, err = db.UserByID(ctx, u.ID)
	wantErr(t, "account", err, account.ErrNotFound)
	_, err = db.SessionByID(ctx, mine.ID)
	wantErr(t, "session", err, session.ErrNotFound)
	_, err = db.KeyByHash(ctx, key.Hash)
	wantErr(t, "key", err, apikey.ErrNotFound)
	_, err = db.IssueByKey(ctx, u.ID, issue.IdempotencyKey, Now)
	wantErr(t, "issue", err, apikey.ErrNotFound)
	again := newClaim("intent", "that", "b")
	_, err = db.Claim(ctx, again, Now)
	wantErr(t, "claim", err, nil)
	wantEqual(t, "events left", len(events(t, db, event.Filter{})), 1)
	wantErr(t, "deletion again", db.DeleteUser(ctx, u.ID), account.ErrNotFound)
	_, err = db.SessionByID(ctx, others.ID)
	wantErr(t, "session of another", err, nil)
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
