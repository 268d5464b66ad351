package storetest

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
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
	_, err := db.CreateKey(ctx, k, 1, apikey.Issue{}, entry(audit.KeyIssued))
	must(t, err)

	got, err := db.KeyByHash(ctx, k.Hash)
	must(t, err)
	wantEqual(t, "KeyByHash", got, k)
	_, err = db.KeyByHash(ctx, sha256.Sum256([]byte("another")))
	wantErr(t, "KeyByHash of no key", err, apikey.ErrNotFound)

	unused := newKey(k.UserID, "unused")
	_, err = db.CreateKey(ctx, unused, 2, apikey.Issue{}, entry(audit.KeyIssued))
	must(t, err)
	must(t, db.KeysUsed(ctx, nil))
	must(t, db.KeysUsed(ctx, map[string]time.Time{k.ID: Now.Add(time.Minute), "nobody": Now}))
	must(t, db.KeysUsed(ctx, map[string]time.Time{k.ID: Now, unused.ID: Now})) // a replica whose clock is behind
	k.LastUsedAt = Now.Add(time.Minute)
	got, err = db.KeyByHash(ctx, k.Hash)
	must(t, err)
	wantEqual(t, "after use", got, k)

	must(t, db.SetDisabled(ctx, k.UserID, Now.Add(time.Hour), entry(audit.Disabled)))
	got, err = db.KeyByHash(ctx, k.Hash)
	must(t, err)
	wantEqual(t, "RevokedAt while the account is disabled", got.RevokedAt, Now.Add(time.Hour))
	must(t, db.SetDisabled(ctx, k.UserID, time.Time{}, entry(audit.Enabled)))
	got, err = db.KeyByHash(ctx, k.Hash)
	must(t, err)
	wantEqual(t, "enabled again", got, k)

	for _, id := range strangers {
		must(t, db.KeysUsed(ctx, map[string]time.Time{id: Now}))
		_, err := db.CreateKey(ctx, newKey(id, "token of "+id), 1, newIssue("intent", "this"), entry(audit.KeyIssued))
		wantErr(t, fmt.Sprintf("CreateKey of %q", id), err, apikey.ErrNotFound)
		_, err = db.IssueByKey(ctx, id, "intent", Now)
		wantErr(t, fmt.Sprintf("IssueByKey of %q", id), err, apikey.ErrNotFound)
	}
}

func testQuota(t *testing.T, db *store.DB) {
	ctx := t.Context()
	user := newUser(t, db, "reader").ID
	_, err := db.CreateKey(ctx, newKey(newUser(t, db, "other").ID, "key of another"), 1, apikey.Issue{}, entry(audit.KeyIssued))
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
		_, err := db.CreateKey(ctx, row.key, 2, newIssue(fmt.Sprint("intent ", i), "this"), entry(audit.KeyIssued))
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
	got, err := db.CreateKey(ctx, newKey(user, "1"), 1, first, entry(audit.KeyIssued))
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
	got, err = db.CreateKey(ctx, newKey(user, "2"), 1, again, entry(audit.KeyIssued)) // over the quota, too
	must(t, err)
	wantEqual(t, "the second try", got, first)
	_, err = db.KeyByHash(ctx, newKey(user, "2").Hash)
	wantErr(t, "key of the second try", err, apikey.ErrNotFound)

	got, err = db.CreateKey(ctx, newKey(user, "3"), 1, newIssue("intent", "that"), entry(audit.KeyIssued))
	wantErr(t, "for something else", err, apikey.ErrReused)
	wantEqual(t, "for something else", got, first)

	late := newKey(user, "4")
	late.CreatedAt = first.ExpiresAt
	anew := newIssue("intent", "that")
	anew.ExpiresAt = first.ExpiresAt.Add(time.Hour)
	got, err = db.CreateKey(ctx, late, 2, anew, entry(audit.KeyIssued))
	must(t, err)
	wantEqual(t, "when the first has expired", got, anew)
	kept, err = db.IssueByKey(ctx, user, "intent", late.CreatedAt)
	must(t, err)
	wantEqual(t, "kept then", kept, anew)
}

func issue(t *testing.T, db *store.DB, k apikey.Key) {
	t.Helper()
	_, err := db.CreateKey(t.Context(), k, 100, apikey.Issue{}, entry(audit.KeyIssued))
	must(t, err)
}

func testListKeys(t *testing.T, db *store.DB) {
	ctx := t.Context()
	user := newUser(t, db, "reader").ID
	issue(t, db, newKey(newUser(t, db, "other").ID, "key of another"))
	keys := make([]apikey.Key, 4)
	for i := range keys {
		keys[i] = newKey(user, fmt.Sprint(i))
		keys[i].CreatedAt = Now.Add(-time.Duration(i) * time.Second)
	}
	keys[2].CreatedAt = keys[1].CreatedAt // in the same microsecond
	if keys[1].ID < keys[2].ID {
		keys[1], keys[2] = keys[2], keys[1]
	}
	keys[3].RevokedAt, keys[0].ExpiresAt = Now, Now
	for _, k := range keys {
		issue(t, db, k)
	}

	for _, row := range []struct {
		name   string
		filter apikey.Filter
		want   []apikey.Key
	}{
		{"all, the newest first", apikey.Filter{}, keys},
		{"a page", apikey.Filter{Limit: 2}, keys[:2]},
		{"the next page", apikey.Filter{After: keys[1].ID, Limit: 2}, keys[2:]},
		{"after the last", apikey.Filter{After: keys[3].ID}, nil},
	} {
		got, err := db.Keys(ctx, user, row.filter)
		must(t, err)
		wantEqual(t, row.name, got, row.want)
	}
	got, err := db.KeyByID(ctx, user, keys[3].ID)
	must(t, err)
	wantEqual(t, "KeyByID", got, keys[3])

	for _, id := range strangers {
		none, err := db.Keys(ctx, id, apikey.Filter{})
		must(t, err)
		wantEqual(t, "keys of a stranger", len(none), 0)
		_, err = db.KeyByID(ctx, id, keys[0].ID)
		wantErr(t, "key for a stranger", err, apikey.ErrNotFound)
		_, err = db.KeyByID(ctx, user, id)
		wantErr(t, "unknown key", err, apikey.ErrNotFound)
		if id != "" {
			_, err = db.Keys(ctx, user, apikey.Filter{After: id})
			wantErr(t, "after an unknown key", err, apikey.ErrNotFound)
		}
	}
}

func testRevokeKey(t *testing.T, db *store.DB) {
	ctx := t.Context()
	user, other := newUser(t, db, "reader").ID, newUser(t, db, "other").ID
	k := newKey(user, "token")
	issue(t, db, k)
	wantErr(t, "by another", db.RevokeKey(ctx, other, k.ID, entry(audit.KeyRevoked)), apikey.ErrNotFound)
	for _, id := range strangers {
		wantErr(t, "by a stranger", db.RevokeKey(ctx, id, k.ID, entry(audit.KeyRevoked)), apikey.ErrNotFound)
		wantErr(t, "an unknown key", db.RevokeKey(ctx, user, id, entry(audit.KeyRevoked)), apikey.ErrNotFound)
	}
	later := entry(audit.KeyRevoked)
	later.At = Now.Add(time.Hour)
	for _, e := range []audit.Entry{entry(audit.KeyRevoked), later} {
		must(t, db.RevokeKey(ctx, user, k.ID, e))
		k.RevokedAt = Now
		got, err := db.KeyByHash(ctx, k.Hash)
		must(t, err)
		wantEqual(t, "revoked: the first time counts", got, k)
		revoked := entry(audit.KeyRevoked)
		revoked.UserID, revoked.KeyID = user, k.ID
		wantAudit(t, db, user, revoked)
	}
}

func testRotateKey(t *testing.T, db *store.DB) {
	hour := Now.Add(time.Hour)
	for _, row := range []struct {
		name    string
		prepare func(old *apikey.Key)
		until   time.Time
		err     error
		expires time.Time // the old one, afterwards
		revoked time.Time
	}{
		{"with grace", func(*apikey.Key) {}, hour, nil, hour, time.Time{}},
		{"without grace", func(*apikey.Key) {}, Now, nil, time.Time{}, Now},
		{"with grace past its own end", func(k *apikey.Key) { k.ExpiresAt = Now.Add(time.Minute) }, hour, nil, Now.Add(time.Minute), time.Time{}},
		{"with grace before its own end", func(k *apikey.Key) { k.ExpiresAt = Now.Add(day) }, hour, nil, hour, time.Time{}},
		{"of an expired key", func(k *apikey.Key) { k.ExpiresAt = Now }, hour, apikey.ErrNotRotatable, Now, time.Time{}},
		{"of a revoked key", func(k *apikey.Key) { k.RevokedAt = Now }, hour, apikey.ErrNotRotatable, time.Time{}, Now},
	} {
		t.Run(row.name, func(t *testing.T) {
			user := newUser(t, db, fmt.Sprintf("%x", row.name)).ID
			old, next := newKey(user, row.name), newKey(user, "next of "+row.name)
			old.Name, old.Tier, next.Name, next.Tier = "laptop", "pro", "", ""
			row.prepare(&old)
			issue(t, db, old)
			_, err := db.RotateKey(t.Context(), old.ID, next, row.until, apikey.Issue{}, entry(audit.KeyRotated))
			wantErr(t, "RotateKey", err, row.err)

			old.ExpiresAt, old.RevokedAt = row.expires, row.revoked
			got, err := db.KeyByHash(t.Context(), old.Hash)
			must(t, err)
			wantEqual(t, "the old key", got, old)
			got, err = db.KeyByHash(t.Context(), next.Hash)
			if row.err != nil {
				wantErr(t, "the new key", err, apikey.ErrNotFound)
				return
			}
			must(t, err)
			next.Name, next.Tier = "laptop", "pro"
			wantEqual(t, "the new key", got, next)
			rotated := entry(audit.KeyRotated)
			rotated.UserID, rotated.KeyID = user, old.ID
			wantAudit(t, db, user, rotated)
			_, err = db.RotateKey(t.Context(), old.ID, newKey(user, "other next"), row.until, apikey.Issue{}, entry(audit.KeyRotated))
			wantErr(t, "RotateKey again", err, apikey.ErrNotRotatable)
		})
	}
	testRotateTwice(t, db)
}

func testRotateTwice(t *testing.T, db *store.DB) {
	t.Helper()
	ctx := t.Context()
	user, other := newUser(t, db, "reader").ID, newUser(t, db, "other").ID
	first, second, third := newKey(user, "1"), newKey(user, "2"), newKey(user, "3")
	issue(t, db, first)
	rotate := func(old string, k apikey.Key, i apikey.Issue) (apikey.Issue, error) {
		return db.RotateKey(ctx, old, k, Now.Add(time.Hour), i, entry(audit.KeyRotated))
	}
	_, err := rotate(first.ID, second, newIssue("intent", "this"))
	must(t, err)
	kept, err := rotate(first.ID, third, newIssue("intent", "this"))
	must(t, err)
	wantEqual(t, "the answer to a retry", kept, newIssue("intent", "this"))
	_, err = rotate(first.ID, third, newIssue("intent", "that"))
	wantErr(t, "the same idempotency key for another rotation", err, apikey.ErrReused)
	_, err = db.KeyByHash(ctx, third.Hash)
	wantErr(t, "key of a retry", err, apikey.ErrNotFound)

	_, err = rotate(second.ID, third, apikey.Issue{})
	must(t, err)
	for _, row := range []struct {
		name string
		key  apikey.Key
		live bool
	}{{"two rotations ago", first, false}, {"in its grace", second, true}, {"the newest", third, true}} {
		got, err := db.KeyByHash(ctx, row.key.Hash)
		must(t, err)
		wantEqual(t, row.name, got.Live(Now), row.live)
	}
	revoked, err := db.AuditEntries(ctx, audit.Filter{UserID: user, Kind: audit.KeyRevoked})
	must(t, err)
	if len(revoked) != 1 || revoked[0].KeyID != first.ID {
		t.Errorf("audited of the key of two rotations ago: %+v", revoked)
	}
	for _, id := range strangers {
		_, err := rotate(id, newKey(user, "4"), apikey.Issue{})
		wantErr(t, "an unknown key", err, apikey.ErrNotFound)
		_, err = rotate(third.ID, newKey(id, "4"), apikey.Issue{})
		wantErr(t, "by a stranger", err, apikey.ErrNotFound)
	}
	_, err = rotate(third.ID, newKey(other, "4"), apikey.Issue{})
	wantErr(t, "by another", err, apikey.ErrNotFound)
}

// testQuotaOfRotated wants a key in its grace to take no place, unless its successor has given up its own.
func testQuotaOfRotated(t *testing.T, db *store.DB) {
	ctx := t.Context()
	user := newUser(t, db, "reader").ID
	first, second := newKey(user, "1"), newKey(user, "2")
	issue(t, db, first)
	_, err := db.RotateKey(ctx, first.ID, second, Now.Add(time.Hour), apikey.Issue{}, entry(audit.KeyRotated))
	must(t, err)
	_, err = db.CreateKey(ctx, newKey(user, "3"), 1, apikey.Issue{}, entry(audit.KeyIssued))
	wantErr(t, "beside the new key", err, apikey.ErrQuotaExceeded)
	third := newKey(user, "3")
	_, err = db.CreateKey(ctx, third, 2, apikey.Issue{}, entry(audit.KeyIssued))
	wantErr(t, "beside the new key, where two may be", err, nil)
	must(t, db.RevokeKey(ctx, user, third.ID, entry(audit.KeyRevoked)))
	must(t, db.RevokeKey(ctx, user, second.ID, entry(audit.KeyRevoked)))
	_, err = db.CreateKey(ctx, newKey(user, "4"), 1, apikey.Issue{}, entry(audit.KeyIssued))
	wantErr(t, "in place of the new key, while the old one is in its grace", err, apikey.ErrQuotaExceeded)
}
