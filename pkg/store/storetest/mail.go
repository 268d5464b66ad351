package storetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/store"
)

// newJob is a mail that is due.
func newJob(kind mail.Kind, email string) mail.Job {
	return mail.Job{ID: uuid.NewString(), Kind: kind, Email: email, CreatedAt: Now, NextTryAt: Now}
}

func testMail(t *testing.T, db *store.DB) {
	ctx := t.Context()
	first, second := newJob(mail.KindVerifyEmail, "a@example.com"), newJob(mail.KindResetPassword, "a@example.com")
	second.NextTryAt = Now.Add(-time.Second)
	later := newJob(mail.KindVerifyEmail, "b@example.com")
	later.NextTryAt = Now.Add(time.Microsecond)
	for _, j := range []mail.Job{first, second, later, newJob(first.Kind, first.Email)} { // the last is one too many
		must(t, db.EnqueueMail(ctx, j))
	}
	until := Now.Add(time.Minute)
	leased := func(j mail.Job, attempts int, until time.Time) mail.Job {
		j.Attempts, j.NextTryAt = attempts, until
		return j
	}
	lease := func(what string, now, until time.Time, limit int, want ...mail.Job) {
		t.Helper()
		got, err := db.LeaseMail(ctx, now, until, limit)
		must(t, err)
		byAddress := func(a, b mail.Job) int { return strings.Compare(a.Email+string(b.Kind), b.Email+string(a.Kind)) }
		slices.SortFunc(got, byAddress)
		wantEqual(t, what, got, want)
	}

	lease("the longest due first", Now, until, 1, leased(second, 1, until))
	lease("the rest that is due", Now, until, 10, leased(first, 1, until))
	lease("nothing is due", Now, until, 10)
	must(t, db.EnqueueMail(ctx, newJob(first.Kind, first.Email)))
	lease("nor by asking again while a job is leased", Now, until, 10)
	must(t, db.DropMail(ctx, second.ID))
	must(t, db.RetryMail(ctx, first.ID, Now.Add(2*time.Minute)))
	lease("one that was put off waits", until, until.Add(time.Minute), 10, leased(later, 1, until.Add(time.Minute)))
	again := Now.Add(4 * time.Minute)
	lease("and what nobody finished is due again", Now.Add(3*time.Minute), again, 10, leased(first, 2, again), leased(later, 2, again))

	for _, id := range strangers {
		must(t, db.DropMail(ctx, id))
		must(t, db.RetryMail(ctx, id, Now))
	}
}
