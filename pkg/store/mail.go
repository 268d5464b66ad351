package store

import (
	"context"
	"time"

	"github.com/provisioner/provisioner/pkg/mail"
)

const (
	mailColumns = `job_id, kind, email, created_at, next_try_at, attempts`
	// A job that is kept is written anew as it is, with its indexes: that there is one, because the address has an account and the mail
	// is still on its way, must not be heard in the time that a commit takes.
	insertMail = `INSERT INTO mail_outbox (` + mailColumns + `) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (email, kind) DO UPDATE SET job_id = mail_outbox.job_id, kind = mail_outbox.kind, email = mail_outbox.email,
		next_try_at = mail_outbox.next_try_at`
	selectDue = `SELECT job_id FROM mail_outbox WHERE next_try_at <= $1 ORDER BY next_try_at LIMIT $3`
	dropMail  = `DELETE FROM mail_outbox WHERE job_id = $1`
	retryMail = `UPDATE mail_outbox SET next_try_at = $2 WHERE job_id = $1`
)

// EnqueueMail implements [mail.Store].
func (db *DB) EnqueueMail(ctx context.Context, j mail.Job) error {
	_, err := db.exec(ctx, "enqueue mail", insertMail, db.mailRow(j)...)
	return err
}

// mailRow returns the columns of a job, in the order of mailColumns.
func (db *DB) mailRow(j mail.Job) []any {
	return []any{j.ID, string(j.Kind), j.Email, db.at(j.CreatedAt), db.at(j.NextTryAt), j.Attempts}
}

// LeaseMail implements [mail.Store].
func (db *DB) LeaseMail(ctx context.Context, now, leaseUntil time.Time, limit int) ([]mail.Job, error) {
	return changeAll(ctx, db, "lease mail", scanMail, leaseMail(db.dialect), db.at(now), db.at(leaseUntil), limit)
}

// leaseMail puts at most $3 jobs that are due at $1 off to $2. That they are chosen once, however the update is run, takes an
// expression of its own.
func leaseMail(d dialect) string {
	return `WITH due AS MATERIALIZED (` + selectDue + d.skipLocked + `) UPDATE mail_outbox SET next_try_at = $2, attempts = attempts + 1
		WHERE job_id IN (SELECT job_id FROM due) RETURNING ` + mailColumns
}

func scanMail(r row) (mail.Job, error) {
	var j mail.Job
	err := r.Scan(&j.ID, &j.Kind, &j.Email, timeInto(&j.CreatedAt), timeInto(&j.NextTryAt), &j.Attempts)
	return j, err
}

// DropMail implements [mail.Store].
func (db *DB) DropMail(ctx context.Context, id string) error {
	if !isID(id) {
		return nil
	}
	_, err := db.exec(ctx, "drop mail", dropMail, id)
	return err
}

// RetryMail implements [mail.Store].
func (db *DB) RetryMail(ctx context.Context, id string, at time.Time) error {
	if !isID(id) {
		return nil
	}
	_, err := db.exec(ctx, "retry mail", retryMail, id, db.at(at))
	return err
}
