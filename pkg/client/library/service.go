package library

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/client/powersync"
)

// Kind is which of the two libraries.
type Kind string

// The libraries.
const (
	Guest   Kind = "guest"   // of offline mode: on this device alone, kept until it is deleted by name
	Account Kind = "account" // of a user: synced, and cleared when the user goes
)

// ErrNoLibrary is the error of what needs a library while nobody is signed in and offline mode is not chosen.
var ErrNoLibrary = errors.New("no library is open")

// ErrUnknownUser is the error of opening an account's library before it could be found out whose it is.
var ErrUnknownUser = errors.New("it is not known whose library this is")

// Service opens the database that the state of a sign-in asks for, and syncs that of an account (PapyrusPowerSyncService of the app). It
// is safe for concurrent use, and several processes may have a Service of one directory.
type Service struct {
	dir     string
	auth    *papyrus.AuthRepository
	options []powersync.Option
	notify  func(Upload)

	mu     sync.Mutex
	db     *powersync.DB // of the open library; nil while there is none
	kind   Kind
	userID string
}

// Option changes a default of a Service.
type Option func(*Service)

// WithUploadHook has f told of uploads that the server did not take as they were, so that a person hears of them. It is a part of syncing,
// and must not call the Service, which may be waiting for syncing to end.
func WithUploadHook(f func(Upload)) Option { return func(s *Service) { s.notify = f } }

// WithPowerSync passes options to the databases.
func WithPowerSync(options ...powersync.Option) Option {
	return func(s *Service) { s.options = append(s.options, options...) }
}

// Open returns the service of the databases in dir, none of which is open before [Service.Apply].
func Open(dir string, auth *papyrus.AuthRepository, options ...Option) *Service {
	s := &Service{dir: dir, auth: auth, notify: func(Upload) {}, options: []powersync.Option{powersync.WithContentChecksums()}}
	for _, option := range options {
		option(s)
	}
	return s
}

// Apply brings the databases in line with the state of the sign-in. Signed in, also while the network is away, the account's is open,
// cleared first if it was another user's. Signed out, or in offline mode, the account's is cleared, also of what was not uploaded and of
// what a crash left; offline mode opens the guest's. Neither is ever merged into the other. It fails with [papyrus.ErrOtherUser], and
// changes nothing, if the state is no longer that of this device.
func (s *Service) Apply(ctx context.Context, state papyrus.State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state.Status {
	case papyrus.StatusSignedIn, papyrus.StatusOffline:
		if state.User == nil || state.User.ID == "" {
			return ErrUnknownUser
		}
		return s.auth.While(ctx, state.User.ID, func() error { return s.activate(ctx, state.User.ID) })
	case papyrus.StatusSignedOut:
		return s.auth.While(ctx, "", func() error { return errors.Join(s.clearAccount(ctx), s.close()) })
	case papyrus.StatusOfflineMode:
		return s.auth.While(ctx, "", func() error { return errors.Join(s.clearAccount(ctx), s.open(ctx, Guest)) })
	default:
		return nil
	}
}

// activate opens the account's database for a user.
func (s *Service) activate(ctx context.Context, userID string) error {
	if err := s.open(ctx, Account); err != nil {
		return err
	}
	if err := s.claim(ctx, userID); err != nil {
		return errors.Join(err, s.close())
	}
	s.userID = userID
	return nil
}

// claim makes the open database the user's. One that is somebody else's is cleared, and so is one that is nobody's.
func (s *Service) claim(ctx context.Context, userID string) error {
	var is string
	err := s.db.Read(ctx, func(tx *sql.Tx) (err error) {
		is, err = ownerOf(ctx, tx)
		return err
	})
	if err != nil || is == userID {
		return err
	}
	if err := s.db.Clear(ctx); err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO owner (id, user_id) VALUES ('owner', ?)`, userID)
		return err
	})
}

// clearAccount clears the account's database if it may hold anything.
func (s *Service) clearAccount(ctx context.Context) (err error) {
	db := s.db
	if s.kind != Account {
		if _, err := os.Stat(s.Path(Account)); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if db, err = powersync.Open(ctx, s.Path(Account), schemaOf(Account), s.options...); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
	}
	db.Disconnect()
	dirty, err := isDirty(ctx, db)
	if err != nil || !dirty {
		return err
	}
	return db.Clear(ctx)
}

// isDirty reports whether a database has an owner, rows or a queue.
func isDirty(ctx context.Context, db *powersync.DB) (dirty bool, err error) {
	queued, err := db.Queued(ctx)
	if err != nil || queued > 0 {
		return true, err
	}
	err = db.Read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM owner) OR EXISTS (SELECT 1 FROM books)`).Scan(&dirty)
	})
	return dirty, err
}

// open opens the database of a kind in place of the one that is open, unless that is it. One that another process has cleared is opened
// again: it is written no more.
func (s *Service) open(ctx context.Context, kind Kind) error {
	if s.db != nil && s.kind == kind {
		if _, _, err := s.db.NextTransaction(ctx); !errors.Is(err, powersync.ErrCleared) {
			return err
		}
	}
	if err := s.close(); err != nil {
		return err
	}
	db, err := powersync.Open(ctx, s.Path(kind), schemaOf(kind), s.options...)
	if err != nil {
		return err
	}
	s.db, s.kind = db, kind
	return nil
}

func (s *Service) close() error {
	if s.db == nil {
		return nil
	}
	err := s.db.Close()
	s.db, s.kind, s.userID = nil, "", ""
	return err
}

// Close closes what is open. What waits to be uploaded waits on.
func (s *Service) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.close()
}

// Path returns where a library is kept. That of an account is in a directory of its server's: who goes from one server to another, and
// back, finds it again.
func (s *Service) Path(kind Kind) string {
	if kind == Guest {
		return filepath.Join(s.dir, GuestFile)
	}
	hash := sha256.Sum256([]byte(s.auth.Server()))
	return filepath.Join(s.dir, "account-"+hex.EncodeToString(hash[:6]), AccountFile)
}

// Kind returns which library is open, "" for none.
func (s *Service) Kind() Kind {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kind
}

// Store returns the books of the open library, or [ErrNoLibrary].
func (s *Service) Store() (*DataStore, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil, ErrNoLibrary
	}
	return &DataStore{db: s.db, owner: s.userID, now: time.Now}, nil
}

// Connect begins to sync the account's library, in the background, until [Service.Disconnect] or the next [Service.Apply] that closes it.
// A guest's is never synced.
func (s *Service) Connect() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil || s.kind != Account {
		return ErrNoLibrary
	}
	s.db.Connect(NewConnector(s.auth, s.userID, s.notify))
	return nil
}

// Disconnect ends syncing.
func (s *Service) Disconnect() {
	if db := s.account(); db != nil {
		db.Disconnect()
	}
}

// AwaitSynced returns when all that was queued has been uploaded, and all that the server had at the time of this call is here; or with
// the error of ctx, and what keeps it.
func (s *Service) AwaitSynced(ctx context.Context) error {
	db := s.account()
	if db == nil {
		return ErrNoLibrary
	}
	return db.AwaitSynced(ctx)
}

// Status is how it goes with syncing the account's library; of a guest's it is the zero Status.
func (s *Service) Status() powersync.Status {
	if db := s.account(); db != nil {
		return db.Status()
	}
	return powersync.Status{}
}

// StatusChanges is to Status what [powersync.DB.StatusChanges] is; nil where no account's library is open.
func (s *Service) StatusChanges(ctx context.Context) <-chan struct{} {
	if db := s.account(); db != nil {
		return db.StatusChanges(ctx)
	}
	return nil
}

// Queued is how many changes of books wait to be uploaded, of whichever user's: they are lost if the account's library is cleared now.
func (s *Service) Queued(ctx context.Context) (int, error) {
	if db := s.account(); db != nil {
		return db.Queued(ctx)
	}
	return 0, nil
}

// account returns the account's database if it is open, else nil.
func (s *Service) account() *powersync.DB {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kind != Account {
		return nil
	}
	return s.db
}

// DeleteGuest deletes the guest's library, whether it is open or not.
func (s *Service) DeleteGuest(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kind == Guest {
		return s.db.Clear(ctx)
	}
	if _, err := os.Stat(s.Path(Guest)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, err := powersync.Open(ctx, s.Path(Guest), schemaOf(Guest), s.options...)
	if err != nil {
		return err
	}
	return errors.Join(db.Clear(ctx), db.Close())
}

// schemaOf is that of a kind's database. Nothing in a guest's is queued: it never leaves the device.
func schemaOf(kind Kind) powersync.Schema {
	s := Schema()
	s[0].LocalOnly = kind == Guest
	return s
}
