package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
)

func testSessions(t *testing.T, db *store.DB) {
	ctx := t.Context()
	s := newSession(t, db, newUser(t, db, "reader").ID)
	got, err := db.SessionByID(ctx, s.ID)
	must(t, err)
	wantEqual(t, "SessionByID", got, s)

	ended, expired := newSession(t, db, s.UserID), s
	must(t, db.Revoke(ctx, ended.ID, session.Local, entry(audit.SessionRevoked)))
	expired.ID, expired.ExpiresAt = uuid.NewString(), Now.Add(time.Minute)
	seen := newSession(t, db, s.UserID)
	must(t, db.SignIn(ctx, expired, account.Proof{}, entry(audit.SignedIn)))
	seen, err = db.Rotate(ctx, seen.ID, 0, Now.Add(time.Second), seen.ExpiresAt, entry(audit.SessionReused))
	must(t, err)
	newSession(t, db, newUser(t, db, "stranger").ID)
	live, err := db.LiveSessions(ctx, s.UserID, Now.Add(time.Minute))
	must(t, err)
	wantEqual(t, "LiveSessions", live, []session.Session{seen, s})

	_, err = db.AdoptedSession(ctx, sha256.Sum256([]byte("token")))
	wantErr(t, "AdoptedSession where none was adopted", err, session.ErrNotFound)
	adopted, err := db.HasAdoptedSessions(ctx)
	must(t, err)
	wantEqual(t, "HasAdoptedSessions", adopted, false)

	for _, id := range strangers {
		_, err := db.SessionByID(ctx, id)
		wantErr(t, fmt.Sprintf("SessionByID(%q)", id), err, session.ErrNotFound)
		_, err = db.Rotate(ctx, id, 0, Now, Now, entry(audit.SessionReused))
		wantErr(t, fmt.Sprintf("Rotate(%q)", id), err, session.ErrNotFound)
		must(t, db.Revoke(ctx, id, session.Global, entry(audit.SignedOut)))
		of, err := db.LiveSessions(ctx, id, Now)
		must(t, err)
		wantEqual(t, "LiveSessions of a stranger", len(of), 0)
	}
}

func testRotate(t *testing.T, db *store.DB) {
	user := newUser(t, db, "reader").ID
	later, expires := Now.Add(time.Hour), Now.Add(40*24*time.Hour)

	for _, row := range []struct {
		name      string
		presented []uint64
		counter   uint64 // after the last
		err       error  // of the last
	}{
		{"the current one steps", []uint64{0}, 1, nil},
		{"the predecessor does not step", []uint64{0, 0, 0}, 1, nil},
		{"the successor steps again", []uint64{0, 0, 1}, 2, nil},
		{"the predecessor of that", []uint64{0, 1, 1}, 2, nil},
		{"older is reuse", []uint64{0, 1, 0}, 0, session.ErrReused},
		{"after reuse nothing works", []uint64{0, 1, 0, 2}, 0, session.ErrNotFound},
		{"one that was never issued", []uint64{1}, 0, session.ErrNotFound},
		{"one out of range", []uint64{math.MaxUint64}, 0, session.ErrNotFound},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSession(t, db, user)
			var got session.Session
			var err error
			for _, counter := range row.presented {
				got, err = db.Rotate(t.Context(), s.ID, counter, later, expires, entry(audit.SessionReused))
			}
			wantErr(t, "Rotate", err, row.err)
			wantRevoked(t, db, s.ID, errors.Is(row.err, session.ErrReused) || len(row.presented) == 4)
			if errors.Is(row.err, session.ErrReused) {
				want := entry(audit.SessionReused)
				want.UserID, want.SessionID = user, s.ID
				wantAudit(t, db, user, want)
			}
			if row.err != nil {
				return
			}
			s.Counter, s.LastSeenAt, s.ExpiresAt = row.counter, later, expires
			wantEqual(t, "Rotate", got, s)
			kept, err := db.SessionByID(t.Context(), s.ID)
			must(t, err)
			wantEqual(t, "kept", kept, s)
		})
	}

	for _, row := range []struct {
		name string
		end  func(s *session.Session)
	}{
		{"expired", func(s *session.Session) { s.ExpiresAt = later }},
		{"at its absolute end", func(s *session.Session) { s.EndsAt = later }},
		{"revoked", func(s *session.Session) { s.RevokedAt = Now }},
	} {
		s := session.Session{
			ID: uuid.NewString(), UserID: user, Counter: 5, ClientType: "web",
			CreatedAt: Now, LastSeenAt: Now, ExpiresAt: expires, EndsAt: expires,
		}
		row.end(&s)
		must(t, db.SignIn(t.Context(), s, account.Proof{}, entry(audit.SignedIn)))
		for _, counter := range []uint64{5, 4, 3} {
			_, err := db.Rotate(t.Context(), s.ID, counter, later, expires, entry(audit.SessionReused))
			wantErr(t, fmt.Sprintf("%s, counter %d", row.name, counter), err, session.ErrNotFound)
		}
		kept, err := db.SessionByID(t.Context(), s.ID)
		must(t, err)
		wantEqual(t, row.name, kept, s)
	}
}

func testRevoke(t *testing.T, db *store.DB) {
	for _, row := range []struct {
		name          string
		scope         session.Scope
		mine, mineToo bool // revoked
	}{
		{"local", session.Local, true, false},
		{"others", session.Others, false, true},
		{"global", session.Global, true, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			user := newUser(t, db, row.name).ID
			mine, too := newSession(t, db, user), newSession(t, db, user)
			stranger := newSession(t, db, newUser(t, db, row.name+"-stranger").ID)
			must(t, db.Revoke(t.Context(), mine.ID, row.scope, entry(audit.SignedOut)))
			done := entry(audit.SignedOut)
			done.UserID, done.SessionID = user, mine.ID
			wantAudit(t, db, user, done)
			wantRevoked(t, db, mine.ID, row.mine)
			wantRevoked(t, db, too.ID, row.mineToo)
			wantRevoked(t, db, stranger.ID, false)

			later := entry(audit.SessionRevoked)
			later.At = Now.Add(time.Hour)
			must(t, db.Revoke(t.Context(), mine.ID, session.Global, later))
			must(t, db.Revoke(t.Context(), mine.ID, session.Global, later))
			revoked, err := db.AuditEntries(t.Context(), audit.Filter{UserID: user, Kind: audit.SessionRevoked})
			must(t, err)
			if len(revoked) > 1 {
				t.Errorf("revoking what is revoked was audited: %+v", revoked)
			}
			if s, err := db.SessionByID(t.Context(), mine.ID); err != nil || row.mine && !s.RevokedAt.Equal(Now) {
				t.Errorf("revoked again at %v, %v: the first time counts", s.RevokedAt, err)
			}
		})
	}
}

func wantRevoked(t *testing.T, db *store.DB, id string, want bool) {
	t.Helper()
	s, err := db.SessionByID(t.Context(), id)
	must(t, err)
	if s.RevokedAt.IsZero() == want {
		t.Errorf("session revoked at %v, want revoked = %t", s.RevokedAt, want)
	}
}
