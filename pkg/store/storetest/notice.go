package storetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/revocation"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
)

// listener remembers notices.
type listener struct {
	mu      sync.Mutex
	notices []revocation.Notice
}

func listen(db *store.DB) *listener {
	l := &listener{}
	db.Subscribe(func(n revocation.Notice) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.notices = append(l.notices, n)
	})
	return l
}

// heard returns the notices since it was last called.
func (l *listener) heard() []revocation.Notice {
	l.mu.Lock()
	defer l.mu.Unlock()
	notices := l.notices
	l.notices = nil
	return notices
}

// testNotices wants what ends something to be told before it returns, and what fails or ends nothing not to be told.
func testNotices(t *testing.T, db *store.DB) {
	ctx := t.Context()
	l := listen(db)
	of := func(kind revocation.Kind, id string) []revocation.Notice {
		return []revocation.Notice{{Kind: kind, ID: id}}
	}
	u := newUser(t, db, "reader")
	s, reused := newSession(t, db, u.ID), newSession(t, db, u.ID)
	key, second := newKey(u.ID, "1"), newKey(u.ID, "2")
	token := newToken(u.ID, mail.KindResetPassword, "token")
	rotate := func(counter uint64) error {
		_, err := db.Rotate(ctx, reused.ID, counter, Now, Now.Add(day), entry(audit.SessionReused))
		return err
	}

	for _, step := range []struct {
		name string
		do   func() error
		err  error
		want []revocation.Notice
	}{
		{"a token is created", func() error { return db.CreateActionToken(ctx, token, entry(audit.ResetRequested)) }, nil, nil},
		{"a key is issued", func() error { _, err := db.CreateKey(ctx, key, 1, apikey.Issue{}, entry(audit.KeyIssued)); return err }, nil, nil},
		{"a session is refreshed", func() error { return rotate(0) }, nil, nil},
		{"and again", func() error { return rotate(1) }, nil, nil},
		{"its first token is used again", func() error { return rotate(0) }, session.ErrReused, of(revocation.Session, reused.ID)},
		{"a key is rotated", func() error {
			_, err := db.RotateKey(ctx, key.ID, second, Now.Add(time.Hour), apikey.Issue{}, entry(audit.KeyRotated))
			return err
		}, nil, of(revocation.Key, key.ID)},
		{"and again", func() error {
			_, err := db.RotateKey(ctx, second.ID, newKey(u.ID, "3"), Now.Add(time.Hour), apikey.Issue{}, entry(audit.KeyRotated))
			return err
		}, nil, append(of(revocation.Key, second.ID), of(revocation.Key, key.ID)...)},
		{"a key is revoked", func() error { return db.RevokeKey(ctx, u.ID, second.ID, entry(audit.KeyRevoked)) }, nil, of(revocation.Key, second.ID)},
		{"a key of nobody is revoked", func() error {
			return db.RevokeKey(ctx, strangers[3], second.ID, entry(audit.KeyRevoked))
		}, apikey.ErrNotFound, nil},
		{"a session is revoked", func() error { return db.Revoke(ctx, s.ID, session.Local, entry(audit.SignedOut)) }, nil, of(revocation.Session, s.ID)},
		{"the others are", func() error { return db.Revoke(ctx, s.ID, session.Others, entry(audit.SignedOut)) }, nil, of(revocation.User, u.ID)},
		{"all are", func() error { return db.Revoke(ctx, s.ID, session.Global, entry(audit.SignedOut)) }, nil, of(revocation.User, u.ID)},
		{"the password is changed", func() error {
			return db.ChangePassword(ctx, u.ID, "hash of reader", "new", "", entry(audit.PasswordChanged))
		}, nil, of(revocation.User, u.ID)},
		{"it is not", func() error {
			return db.ChangePassword(ctx, u.ID, "hash of reader", "new", "", entry(audit.PasswordChanged))
		}, account.ErrChanged, nil},
		{"the account is disabled", func() error { return db.SetDisabled(ctx, u.ID, Now, entry(audit.Disabled)) }, nil, of(revocation.User, u.ID)},
		{"another plan is set", func() error { return db.SetPlan(ctx, u.ID, "pro", entry(audit.PlanSet)) }, nil, of(revocation.User, u.ID)},
		{"a reset fails", func() error { return db.ResetPassword(ctx, token.Hash, "new", entry(audit.ResetDone)) }, account.ErrNotFound, nil},
		{"the account is deleted", func() error { return db.DeleteUser(ctx, u.ID, entry(audit.Deleted)) }, nil, of(revocation.User, u.ID)},
		{"once more", func() error { return db.DeleteUser(ctx, u.ID, entry(audit.Deleted)) }, account.ErrNotFound, nil},
	} {
		wantErr(t, step.name, step.do(), step.err)
		wantEqual(t, step.name, l.heard(), step.want)
	}
	wantEqual(t, "Up while nothing watches", db.Up(), false)
}

// watch runs Watch until the end of the test, and returns when the feed is up.
func watch(t *testing.T, db *store.DB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := db.Watch(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() { cancel(); watching.Wait() }
	t.Cleanup(stop)
	eventually(t, "the feed is up", db.Up)
	return stop
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !isSo() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// testNoticesTravel wants one replica to hear of what another ends: by name, or that it must forget everything.
func testNoticesTravel(t *testing.T, replicas [2]*store.DB) {
	ctx := t.Context()
	here, there := replicas[0], replicas[1]
	u := newUser(t, here, "reader")
	s := newSession(t, here, u.ID)
	l := listen(there)
	stop := watch(t, there)
	wantEqual(t, "at first everything is forgotten", l.heard(), []revocation.Notice{{}})

	cache := revocation.NewCache[string](there, func(n revocation.Notice, s session.Session) bool {
		return n.ID == s.ID || n.ID == s.UserID
	})
	read := func() session.Session {
		got, err := cache.Get(ctx, s.ID, func(ctx context.Context) (session.Session, error) { return there.SessionByID(ctx, s.ID) })
		must(t, err)
		return got
	}
	wantEqual(t, "live", read().RevokedAt.IsZero(), true)
	must(t, here.Revoke(ctx, s.ID, session.Local, entry(audit.SignedOut)))
	hears := func(n revocation.Notice) func() bool {
		return func() bool {
			heard := l.heard()
			return slices.Contains(heard, n) || slices.Contains(heard, revocation.Notice{})
		}
	}
	eventually(t, "the other replica hears of a session", hears(revocation.Notice{Kind: revocation.Session, ID: s.ID}))
	wantEqual(t, "live, there, although it was remembered", read().RevokedAt.IsZero(), false)

	var ended revocation.Notice
	for i := range 400 { // more than one message holds
		s := newSession(t, here, u.ID)
		must(t, here.Revoke(ctx, s.ID, session.Local, entry(audit.SignedOut)))
		if ended = (revocation.Notice{Kind: revocation.Session, ID: s.ID}); i == 0 {
			l.heard()
		}
	}
	eventually(t, "the other replica hears of the last of many", hears(ended))

	stop()
	wantEqual(t, "Up after Watch", there.Up(), false)
}
