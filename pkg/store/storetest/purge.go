package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
)

const day = 24 * time.Hour

func testPurge(t *testing.T, db *store.DB) {
	ctx := t.Context()
	user := newUser(t, db, "reader").ID
	_, err := db.Admit(ctx, []replay.Admission{admission("a", "{1}"), admission("b", "")})
	must(t, err)
	_, err = db.Claim(ctx, newClaim("intent", "this", "a"), Now)
	must(t, err)
	_, err = db.CreateKey(ctx, newKey(user, "token"), 1, newIssue("intent", "this"), entry(audit.KeyIssued))
	must(t, err)
	d := newUploader(t, db, user)
	must(t, d.reject(ctx, d.letter(0, "{}"))) // the letter stays, the answer in the ledger does not
	_, err = db.WriteCheckpoint(ctx, user, "phone", 0, Now)
	must(t, err)
	must(t, db.Revoke(ctx, newSession(t, db, user).ID, session.Local, entry(audit.SignedOut)))

	must(t, db.CreateExchangeCode(ctx, newCode(user, "code")))
	must(t, db.CreateState(ctx, newState("", "state")))
	used := newToken(user, mail.KindVerifyEmail, "used")
	must(t, db.CreateActionToken(ctx, used, audit.Entry{}))
	must(t, db.VerifyEmail(ctx, used.Hash, entry(audit.EmailVerified)))
	must(t, db.CreateActionToken(ctx, newToken(user, mail.KindResetPassword, "unused"), audit.Entry{}))

	keep := store.Retention{Events: 30 * day, Sessions: 30 * day, Audit: 90 * day}
	for _, step := range []struct {
		name  string
		after time.Duration
		keep  store.Retention
		want  store.Purged
	}{
		{"nothing has expired", 0, keep, store.Purged{}},
		{"what an app may exchange", time.Minute, keep, store.Purged{ExchangeCodes: 1, States: 1}},
		{"a late claim is held", time.Hour, keep, store.Purged{}},
		{"the claim", time.Hour + idempotency.Lease, keep, store.Purged{Claims: 1}},
		{"to the last microsecond of nonces, for a clock ten minutes ahead", time.Hour + 10*time.Minute - time.Microsecond, keep, store.Purged{}},
		{"nonces", time.Hour + 10*time.Minute, keep, store.Purged{Nonces: 2}},
		{"digests, issues and the token used a day ago", day, keep, store.Purged{EventDigests: 1, Issues: 1, ActionTokens: 1}},
		{"the token that expired a day ago", day + time.Hour, keep, store.Purged{ActionTokens: 1}},
		{"the event, the revoked session and the answer to an upload", 30 * day, keep, store.Purged{Events: 1, Sessions: 1, Uploads: 1}},
		{"to the last microsecond of clients", 90*day - time.Microsecond, store.Retention{}, store.Purged{}},
		{"the client", 90 * day, store.Retention{}, store.Purged{SyncClients: 1}},
		{"zero keeps for good", 1000 * day, store.Retention{}, store.Purged{}},
		{"the expired session", 60 * day, keep, store.Purged{Sessions: 1}},
		{"the audit log", 90 * day, keep, store.Purged{AuditEntries: 6}},
	} {
		got, err := db.Purge(ctx, Now.Add(step.after), step.keep)
		must(t, err)
		wantEqual(t, step.name, got, step.want)
	}
	_, err = db.KeyByHash(ctx, newKey(user, "token").Hash)
	wantErr(t, "a key outlives its answer", err, nil)
}

func testPurgeInChunks(t *testing.T, db *store.DB) {
	const n = 1100 // more than a chunk
	var batch []replay.Admission
	for i := range n {
		batch = append(batch, admission(fmt.Sprint(i), fmt.Sprint(i)))
	}
	for part := range slices.Chunk(batch, 250) {
		_, err := db.Admit(t.Context(), part)
		must(t, err)
	}
	got, err := db.Purge(t.Context(), Now.Add(31*day), store.Retention{Events: day})
	must(t, err)
	wantEqual(t, "purged", got, store.Purged{Nonces: n, EventDigests: n, Events: n})
	wantEqual(t, "events left", len(events(t, db, event.Filter{})), 0)
}
