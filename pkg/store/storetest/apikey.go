package storetest

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/store"
)

// newKey is the key of a token.
func newKey(userID, token string) apikey.Key {
	return apikey.Key{
		ID: uuid.NewString(), UserID: userID, Name: "key", Prefix: "obtk_abc", Hash: sha256.Sum256([]byte(token)), Tier: "new",
		CreatedAt: Now,
	}
}

// newIssue is the kept answer of a request for what, under an idempotency key.
func newIssue(key, what string) apikey.Issue {
	return apikey.Issue{
		IdempotencyKey: key, Fingerprint: idempotency.Hash(what), Sealed: []byte("sealed " + what), ExpiresAt: Now.Add(24 * time.Hour),
	}
}

func testKeys(t *testing.T, db *store.DB) {
	ctx := t.Context()
	k := newKey(newUser(t, db, "reader").ID, "token")
	k.ExpiresAt = Now.Add(time.Hour)
	_, err := db.CreateKey(ctx, k, 1, apikey.Issue{})
	must(t, err)

	got, err := db.KeyByHash(ctx, k.Hash)
	must(t, err)
	wantEqual(t, "KeyByHash", got, k)
	_, err = db.KeyByHash(ctx, sha256.Sum256([]byte("another")))
	wantErr(t, "KeyByHash of no key", err, apikey.ErrNotFound)

	must(t, db.KeyUsed(ctx, k.ID, Now.Add(time.Minute)))
	must(t, db.KeyUsed(ctx, k.ID, Now)) // a replica whose clock is behind
	k.LastUsedAt = Now.Add(time.Minute)
	got, err = db.KeyByHash(ctx, k.Hash)
	must(t, err)
	wantEqual(t, "after use", got, k)

	must(t, db.SetDisabled(ctx, k.UserID, Now.Add(time.Hour)))
	got, err = db.KeyByHash(ctx, k.Hash)
	must(t, err)
	wantEqual(t, "RevokedAt while the account is disabled", got.RevokedAt, Now.Add(time.Hour))
	must(t, db.SetDisabled(ctx, k.UserID, time.Time{}))
	got, err = db.KeyByHash(ctx, k.Hash)
	must(t, err)
	wantEqual(t, "enabled again", got, k)

	for _, id := range strangers {
		must(t, db.KeyUsed(ctx, id, Now))
		_, err := db.CreateKey(ctx, newKey(id, "token of "+id), 1, newIssue("intent", "this"))
		wantErr(t, fmt.Sprintf("CreateKey of %q", id), err, apikey.ErrNotFound)
		_, err = db.IssueByKey(ctx, id, "intent", Now)
		wantErr(t, fmt.Sprintf("IssueByKey of %q", id), err, apikey.ErrNotFound)
	}
}

func testQuota(t *testing.T, db *store.DB) {
	ctx := t.Context()
	user := newUser(t, db, "reader").ID
	_, err := db.CreateKey(ctx, newKey(newUser(t, db, "other").ID, "key of another"), 1, apikey.Issue{})
	must(t, err)

	expired, revoked, expiring := newKey(user, "expired"), newKey(user, "revoked"), newKey(user, "expiring")
	expired.ExpiresAt, revoked.RevokedAt, expiring.ExpiresAt = Now, Now.Add(-time.Hour), Now.Add(time.Microsecond)
	for i, row := range []struct {
		name string
		key  apikey.Key
		err  error
	}{
		{"an expired key", expired, nil},
		{"a revoked key", revoked, nil},
		{"the first live one", newKey(user, "1"), nil},
		{"the second, about to expire", expiring, nil},
		{"the third", newKey(user, "3"), apikey.ErrQuotaExceeded},
	} {
		_, err := db.CreateKey(ctx, row.key, 2, newIssue(fmt.Sprint("intent ", i), "this"))
		wantErr(t, row.name, err, row.err)
		_, err = db.IssueByKey(ctx, user, fmt.Sprint("intent ", i), Now)
		if (err == nil) != (row.err == nil) {
			t.Errorf("%s: kept answer: %v", row.name, err)
		}
	}
}

func testIssues(t *testing.T, db *store.DB) {
	ctx := t.Context()
	user, other := newUser(t, db, "reader").ID, newUser(t, db, "other").ID
	first := newIssue("intent", "this")
	got, err := db.CreateKey(ctx, newKey(user, "1"), 1, first)
	must(t, err)
	wantEqual(t, "the first", got, first)

	kept, err := db.IssueByKey(ctx, user, "intent", Now)
	must(t, err)
	wantEqual(t, "IssueByKey", kept, first)
	_, err = db.IssueByKey(ctx, user, "another", Now)
	wantErr(t, "another key", err, apikey.ErrNotFound)
	_, err = db.IssueByKey(ctx, other, "intent", Now)
	wantErr(t, "another user", err, apikey.ErrNotFound)
	_, err = db.IssueByKey(ctx, user, "intent", first.ExpiresAt)
	wantErr(t, "when it has expired", err, apikey.ErrNotFound)

	again := first
	again.Sealed = []byte("of the second try")
	got, err = db.CreateKey(ctx, newKey(user, "2"), 1, again) // over the quota, too
	must(t, err)
	wantEqual(t, "the second try", got, first)
	_, err = db.KeyByHash(ctx, newKey(user, "2").Hash)
	wantErr(t, "key of the second try", err, apikey.ErrNotFound)

	got, err = db.CreateKey(ctx, newKey(user, "3"), 1, newIssue("intent", "that"))
	wantErr(t, "for something else", err, apikey.ErrReused)
	wantEqual(t, "for something else", got, first)

	late := newKey(user, "4")
	late.CreatedAt = first.ExpiresAt
	anew := newIssue("intent", "that")
	anew.ExpiresAt = first.ExpiresAt.Add(time.Hour)
	got, err = db.CreateKey(ctx, late, 2, anew)
	must(t, err)
	wantEqual(t, "when the first has expired", got, anew)
	kept, err = db.IssueByKey(ctx, user, "intent", late.CreatedAt)
	must(t, err)
	wantEqual(t, "kept then", kept, anew)
}
