package storetest

import (
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/store"
)

// newClaim is what owner claims of the intent of a name, to do what.
func newClaim(intent, what, owner string) idempotency.Claim {
	return idempotency.Claim{
		Intent: idempotency.Intent{
			Account: "reader", Key: idempotency.Hash(intent), Fingerprint: idempotency.Hash(what), TTL: time.Hour,
		},
		Owner: owner, UpstreamKey: "key of " + owner,
	}
}

// claimCase tells what b gets some time after a claimed the same intent, and did something with it.
type claimCase struct {
	name  string
	a     func(t *testing.T, db *store.DB, c idempotency.Claim)
	b     idempotency.Claim
	after time.Duration
	want  idempotency.Claim // what b gets
	err   error
}

func testClaim(t *testing.T, db *store.DB) {
	a := newClaim("", "this", "a")
	answered := func(c idempotency.Claim) idempotency.Claim {
		c.Answer = []byte("answer")
		return c
	}
	works := func(*testing.T, *store.DB, idempotency.Claim) {}
	completes := func(t *testing.T, db *store.DB, c idempotency.Claim) {
		t.Helper()
		must(t, db.Complete(t.Context(), answered(c)))
	}
	releases := func(t *testing.T, db *store.DB, c idempotency.Claim) { t.Helper(); must(t, db.Release(t.Context(), c)) }
	abandons := func(t *testing.T, db *store.DB, c idempotency.Claim) {
		t.Helper()
		must(t, db.Abandon(t.Context(), c, Now))
	}
	takenOver := newClaim("", "this", "b")
	takenOver.UpstreamKey = a.UpstreamKey

	for _, row := range []claimCase{
		{"while a works", works, newClaim("", "this", "b"), 0, idempotency.Claim{}, idempotency.ErrBusy},
		{"to the end of the lease", works, newClaim("", "this", "b"), idempotency.Lease - time.Microsecond, idempotency.Claim{}, idempotency.ErrBusy},
		{"after the lease", works, newClaim("", "this", "b"), idempotency.Lease, takenOver, nil},
		{"a itself again", works, newClaim("", "this", "a"), 0, a, nil},
		{"for something else while a works", works, newClaim("", "that", "b"), 0, idempotency.Claim{}, idempotency.ErrReused},
		{"for something else after the lease", works, newClaim("", "that", "b"), time.Minute, idempotency.Claim{}, idempotency.ErrReused},
		{"after completion", completes, newClaim("", "this", "b"), time.Minute, answered(a), nil},
		{"for something else after completion", completes, newClaim("", "that", "b"), time.Minute, idempotency.Claim{}, idempotency.ErrReused},
		{"after the answer is forgotten", completes, newClaim("", "that", "b"), time.Hour, newClaim("", "that", "b"), nil},
		{"after the work is forgotten", works, newClaim("", "this", "b"), time.Hour, newClaim("", "this", "b"), nil},
		{"after release", releases, newClaim("", "that", "b"), 0, newClaim("", "that", "b"), nil},
		{"after abandonment", abandons, newClaim("", "this", "b"), 0, takenOver, nil},
		{"for something else after abandonment", abandons, newClaim("", "that", "b"), 0, idempotency.Claim{}, idempotency.ErrReused},
	} {
		t.Run(row.name, func(t *testing.T) { row.run(t, db) })
	}

	t.Run("the first owner cannot touch what was taken over", func(t *testing.T) { testTakenOver(t, db) })
	t.Run("a short intent is held to the end of its lease", func(t *testing.T) {
		short := newClaim("short", "this", "a")
		short.TTL = time.Second
		_, err := db.Claim(t.Context(), short, Now)
		must(t, err)
		_, err = db.Claim(t.Context(), newClaim("short", "this", "b"), Now.Add(2*time.Second))
		wantErr(t, "second", err, idempotency.ErrBusy)
	})
}

func (row claimCase) run(t *testing.T, db *store.DB) {
	t.Helper()
	a := newClaim(row.name, "this", "a")
	got, err := db.Claim(t.Context(), a, Now)
	must(t, err)
	wantEqual(t, "first claim", got, a)
	row.a(t, db, got)

	row.b.Key, row.want.Key = a.Key, a.Key
	if row.err != nil {
		row.want = idempotency.Claim{}
	}
	got, err = db.Claim(t.Context(), row.b, Now.Add(row.after))
	wantErr(t, "second claim", err, row.err)
	wantEqual(t, "second claim", got, row.want)
}

func testTakenOver(t *testing.T, db *store.DB) {
	t.Helper()
	a, b, c := newClaim("taken", "this", "a"), newClaim("taken", "this", "b"), newClaim("taken", "this", "c")
	_, err := db.Claim(t.Context(), a, Now)
	must(t, err)
	later := Now.Add(idempotency.Lease)
	_, err = db.Claim(t.Context(), b, later)
	must(t, err)

	a.Answer = []byte("late")
	wantErr(t, "an answer that comes too late", db.Complete(t.Context(), a), idempotency.ErrLost)
	must(t, db.Release(t.Context(), a))
	must(t, db.Abandon(t.Context(), a, later))
	_, err = db.Claim(t.Context(), c, later)
	wantErr(t, "claim of a third", err, idempotency.ErrBusy)

	b.Answer = []byte("answer")
	must(t, db.Complete(t.Context(), b))
	must(t, db.Release(t.Context(), b)) // an answer stays
	got, err := db.Claim(t.Context(), c, later)
	must(t, err)
	wantEqual(t, "answer", string(got.Answer), "answer")
}
