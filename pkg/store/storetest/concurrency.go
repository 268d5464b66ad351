package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/oidc"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/token"
)

// RunConcurrency asks two handles of one database, as two replicas have them, for the same things at once. Open returns
// the handles of an empty, migrated database of its own for each call.
func RunConcurrency(t *testing.T, open func(t *testing.T) (a, b *store.DB)) {
	t.Helper()
	for _, suite := range []struct {
		name string
		run  func(t *testing.T, replicas [2]*store.DB)
	}{
		{"each nonce is new once", testAdmitAtOnce},
		{"a refresh token has one successor", testRotateAtOnce},
		{"a claim has one owner", testClaimAtOnce},
		{"an e-mail gets one account", testCreateUserAtOnce},
		{"keys stay within the quota", testCreateKeyAtOnce},
		{"one idempotency key issues one key", testIssueAtOnce},
		{"a code and a state are taken once", testTakeAtOnce},
		{"an action token is spent once", testSpendAtOnce},
		{"a mail is leased once", testLeaseAtOnce},
		{"a key has one successor", testRotateKeyAtOnce},
		{"one signing key is added", testAddSigningKeyAtOnce},
		{"no refusal is lost", testRefuseAtOnce},
		{"an identity gets one account", testLinkAtOnce},
		{"no sign-in escapes the disabling", testSignInAtOnce},
		{"notices travel", testNoticesTravel},
		{"changes travel", testChangesTravel},
		{"buckets are compacted under way", testCompactAtOnce},
		{"operations show in the order of their IDs", testUploadAtOnce},
		{"a new book becomes one user's", testOwnersAtOnce},
		{"purges do not fail each other", testPurgeAtOnce},
	} {
		t.Run(suite.name, func(t *testing.T) {
			a, b := open(t)
			suite.run(t, [2]*store.DB{a, b})
		})
	}
}

// atOnce runs work n times, on both replicas in turn.
func atOnce(replicas [2]*store.DB, n int, work func(i int, db *store.DB)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { work(i, replicas[i%2]) })
	}
	all.Wait()
}

func testAdmitAtOnce(t *testing.T, replicas [2]*store.DB) {
	const nonces, batches, batchLen = 200, 40, 50
	var fresh [nonces]atomic.Int64
	atOnce(replicas, batches, func(i int, db *store.DB) {
		batch := make([]replay.Admission, batchLen)
		at := func(j int) int { return (i*7 + j*11) % nonces } // every batch in another order
		for j := range batch {
			batch[j] = admission(fmt.Sprint(at(j)), fmt.Sprint(at(j)%20))
		}
		got, err := db.Admit(t.Context(), batch)
		if err != nil {
			t.Errorf("batch %d: %v", i, err)
			return
		}
		for j, isFresh := range got {
			if isFresh {
				fresh[at(j)].Add(1)
			}
		}
	})
	for i := range fresh {
		if n := fresh[i].Load(); n != 1 {
			t.Errorf("nonce %d was new %d times", i, n)
		}
	}
	wantEqual(t, "events", len(events(t, replicas[0], event.Filter{})), 20)
}

func testRotateAtOnce(t *testing.T, replicas [2]*store.DB) {
	s := newSession(t, replicas[0], newUser(t, replicas[0], "reader").ID)
	for round := range uint64(2) {
		atOnce(replicas, 1000, func(_ int, db *store.DB) {
			got, err := db.Rotate(t.Context(), s.ID, round, Now, s.ExpiresAt, entry(audit.SessionReused))
			if err != nil || got.Counter != round+1 {
				t.Errorf("round %d: counter %d, %v", round, got.Counter, err)
			}
		})
	}
	_, err := replicas[0].Rotate(t.Context(), s.ID, 0, Now, s.ExpiresAt, entry(audit.SessionReused))
	wantErr(t, "the first token after the second round", err, session.ErrReused)
}

func testClaimAtOnce(t *testing.T, replicas [2]*store.DB) {
	for round, when := range []time.Time{Now, Now.Add(idempotency.Lease)} { // new, then to be taken over
		var owners atomic.Int64
		atOnce(replicas, 50, func(i int, db *store.DB) {
			c := newClaim("intent", "this", fmt.Sprintf("%d of round %d", i, round))
			got, err := db.Claim(t.Context(), c, when)
			switch {
			case err == nil && got.Owner == c.Owner:
				owners.Add(1)
			case !errors.Is(err, idempotency.ErrBusy):
				t.Errorf("claim %d: %+v, %v", i, got, err)
			}
		})
		wantEqual(t, "owners", owners.Load(), int64(1))
	}
}

func testCreateUserAtOnce(t *testing.T, replicas [2]*store.DB) {
	var created atomic.Int64
	atOnce(replicas, 20, func(_ int, db *store.DB) {
		u := account.User{ID: uuid.NewString(), Email: "reader@example.com", DisplayName: "r", Plan: "new", CreatedAt: Now}
		switch err := create(t, db, u); {
		case err == nil:
			created.Add(1)
		case !errors.Is(err, account.ErrEmailTaken):
			t.Error(err)
		}
	})
	wantEqual(t, "accounts", created.Load(), int64(1))
}

func testCreateKeyAtOnce(t *testing.T, replicas [2]*store.DB) {
	const quota = 3
	user := newUser(t, replicas[0], "reader").ID
	var created atomic.Int64
	atOnce(replicas, 30, func(i int, db *store.DB) {
		switch _, err := db.CreateKey(t.Context(), newKey(user, fmt.Sprint(i)), quota, apikey.Issue{}, entry(audit.KeyIssued)); {
		case err == nil:
			created.Add(1)
		case !errors.Is(err, apikey.ErrQuotaExceeded):
			t.Error(err)
		}
	})
	wantEqual(t, "keys", created.Load(), int64(quota))
}

func testIssueAtOnce(t *testing.T, replicas [2]*store.DB) {
	user := newUser(t, replicas[0], "reader").ID
	var answers sync.Map
	atOnce(replicas, 30, func(i int, db *store.DB) {
		issue := newIssue("intent", "this")
		issue.Sealed = fmt.Append(nil, "answer ", i)
		got, err := db.CreateKey(t.Context(), newKey(user, fmt.Sprint(i)), 5, issue, entry(audit.KeyIssued))
		if err != nil {
			t.Error(err)
		}
		answers.Store(string(got.Sealed), true)
	})
	n := 0
	answers.Range(func(any, any) bool { n++; return true })
	wantEqual(t, "different answers", n, 1)
}

// once wants one of many calls to end without an error, all others with want.
func once(t *testing.T, replicas [2]*store.DB, want error, call func(i int, db *store.DB) error) {
	t.Helper()
	var done atomic.Int64
	atOnce(replicas, 20, func(i int, db *store.DB) {
		switch err := call(i, db); {
		case err == nil:
			done.Add(1)
		case !errors.Is(err, want):
			t.Error(err)
		}
	})
	wantEqual(t, "calls that succeeded", done.Load(), int64(1))
}

func testTakeAtOnce(t *testing.T, replicas [2]*store.DB) {
	ctx := t.Context()
	code, state := newCode(newUser(t, replicas[0], "reader").ID, "code"), newState("", "state")
	must(t, replicas[0].CreateExchangeCode(ctx, code))
	must(t, replicas[0].CreateState(ctx, state))
	once(t, replicas, account.ErrNotFound, func(_ int, db *store.DB) error {
		_, err := db.TakeExchangeCode(ctx, code.Hash, Now)
		return err
	})
	once(t, replicas, oidc.ErrNotFound, func(_ int, db *store.DB) error {
		_, err := db.TakeState(ctx, state.Hash, Now)
		return err
	})
}

func testSpendAtOnce(t *testing.T, replicas [2]*store.DB) {
	token := newToken(newUser(t, replicas[0], "reader").ID, mail.KindResetPassword, "token")
	must(t, replicas[0].CreateActionToken(t.Context(), token, entry(audit.ResetRequested)))
	once(t, replicas, account.ErrNotFound, func(i int, db *store.DB) error {
		return db.ResetPassword(t.Context(), token.Hash, fmt.Sprint(i), entry(audit.ResetDone))
	})
}

func testLeaseAtOnce(t *testing.T, replicas [2]*store.DB) {
	const jobs = 50
	for i := range jobs {
		must(t, replicas[0].EnqueueMail(t.Context(), newJob(mail.KindVerifyEmail, fmt.Sprintf("%d@example.com", i))))
	}
	var leased atomic.Int64
	atOnce(replicas, 20, func(_ int, db *store.DB) {
		for {
			got, err := db.LeaseMail(t.Context(), Now, Now.Add(time.Hour), 4)
			if err != nil {
				t.Error(err)
			}
			leased.Add(int64(len(got)))
			if len(got) == 0 {
				return
			}
		}
	})
	wantEqual(t, "leased", leased.Load(), int64(jobs))

	must(t, replicas[0].EnqueueMail(t.Context(), newJob(mail.KindResetPassword, "a@example.com")))
	atOnce(replicas, 10, func(_ int, db *store.DB) {
		if err := db.EnqueueMail(t.Context(), newJob(mail.KindResetPassword, "a@example.com")); err != nil {
			t.Error(err)
		}
	})
	got, err := replicas[0].LeaseMail(t.Context(), Now, Now.Add(time.Hour), 100)
	must(t, err)
	wantEqual(t, "mails of one kind to one address", len(got), 1)
}

func testRotateKeyAtOnce(t *testing.T, replicas [2]*store.DB) {
	old := newKey(newUser(t, replicas[0], "reader").ID, "old")
	issue(t, replicas[0], old)
	once(t, replicas, apikey.ErrNotRotatable, func(i int, db *store.DB) error {
		_, err := db.RotateKey(
			t.Context(), old.ID, newKey(old.UserID, fmt.Sprint(i)), Now.Add(time.Hour), apikey.Issue{}, entry(audit.KeyRotated))
		return err
	})
}

func testAddSigningKeyAtOnce(t *testing.T, replicas [2]*store.DB) {
	once(t, replicas, token.ErrKeyExists, func(i int, db *store.DB) error {
		return db.AddSigningKey(t.Context(), newSigningKey(fmt.Sprint(i), token.Access, Now), nil, entry(audit.SigningKeyAdded))
	})
}

func testRefuseAtOnce(t *testing.T, replicas [2]*store.DB) {
	const flushes, users = 20, 50
	atOnce(replicas, flushes, func(i int, db *store.DB) {
		var batch []audit.Entry
		for j := range users { // every batch in another order
			batch = append(batch, audit.Entry{At: Now, Kind: audit.SignInRefused, UserID: fmt.Sprint((i*7 + j*11) % users), Count: 1})
		}
		if err := db.AppendAudit(t.Context(), batch...); err != nil {
			t.Error(err)
		}
	})
	got, err := replicas[0].AuditEntries(t.Context(), audit.Filter{})
	must(t, err)
	wantEqual(t, "entries", len(got), users)
	for _, e := range got {
		wantEqual(t, "refusals of "+e.UserID, e.Count, flushes)
	}
}

func testLinkAtOnce(t *testing.T, replicas [2]*store.DB) {
	once(t, replicas, account.ErrIdentityTaken, func(i int, db *store.DB) error {
		a := newAddition(fmt.Sprint(i))
		a.Identity.Subject = "subject"
		return db.CreateUser(t.Context(), a)
	})
}

func testSignInAtOnce(t *testing.T, replicas [2]*store.DB) {
	user := newUser(t, replicas[0], "reader").ID
	atOnce(replicas, 40, func(i int, db *store.DB) {
		if i == 20 {
			if err := db.SetDisabled(t.Context(), user, Now, entry(audit.Disabled)); err != nil {
				t.Error(err)
			}
			return
		}
		s := session.Session{
			ID: uuid.NewString(), UserID: user, ClientType: "web", CreatedAt: Now, LastSeenAt: Now, ExpiresAt: Now.Add(day), EndsAt: Now.Add(day),
		}
		if err := db.SignIn(t.Context(), s, account.Proof{}, entry(audit.SignedIn)); err != nil && !errors.Is(err, account.ErrNotFound) {
			t.Error(err)
		}
	})
	live, err := replicas[0].LiveSessions(t.Context(), user, Now)
	must(t, err)
	wantEqual(t, "sessions of a disabled account", len(live), 0)
}

func testPurgeAtOnce(t *testing.T, replicas [2]*store.DB) {
	const n = 1200 // more than a chunk
	var batch []replay.Admission
	for i := range n {
		batch = append(batch, admission(fmt.Sprint(i), fmt.Sprint(i)))
	}
	for part := range slices.Chunk(batch, 250) {
		_, err := replicas[0].Admit(t.Context(), part)
		must(t, err)
	}

	var deleted atomic.Int64
	atOnce(replicas, 4, func(i int, db *store.DB) {
		if i == 3 { // the same bodies come again meanwhile
			for j := range batch {
				batch[j].Nonce[0]++
				batch[j].Event = newEvent(fmt.Sprint(n-j), Now.Add(2*day))
			}
			for part := range slices.Chunk(batch, 250) {
				if _, err := db.Admit(t.Context(), part); err != nil {
					t.Error(err)
				}
			}
			return
		}
		p, err := db.Purge(t.Context(), Now.Add(day), store.Retention{})
		if err != nil {
			t.Error(err)
		}
		deleted.Add(p.Nonces)
	})
	if got := deleted.Load(); got < n {
		t.Errorf("%d nonces deleted, want %d", got, n)
	}
}
