package store_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/store/storetest"
	"github.com/provisioner/provisioner/test/postgres"
)

// engines make the configuration of an empty database.
var engines = map[string]func(t testing.TB) store.Config{
	"SQLite": func(t testing.TB) store.Config {
		t.Helper()
		return store.Config{Engine: store.SQLite, Path: filepath.Join(t.TempDir(), "data", "provisioner.db")}
	},
	"Postgres": func(t testing.TB) store.Config {
		t.Helper()
		return store.Config{Engine: store.Postgres, URL: secret.New(postgres.NewDatabase(t))}
	},
}

// open opens a database and migrates it.
func open(t testing.TB, c store.Config) *store.DB {
	t.Helper()
	db := openOnly(t, c)
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

func openOnly(t testing.TB, c store.Config) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestConformance(t *testing.T) {
	for name, config := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) *store.DB {
				t.Helper()
				return open(t, config(t))
			})
		})
	}
}

func TestConcurrency(t *testing.T) {
	for name, config := range engines {
		t.Run(name, func(t *testing.T) {
			storetest.RunConcurrency(t, func(t *testing.T) (a, b *store.DB) {
				t.Helper()
				c := config(t)
				return open(t, c), open(t, c)
			})
		})
	}
}

func TestMigrate(t *testing.T) {
	for name, config := range engines {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			db := openOnly(t, c)
			before, err := db.MigrationStatus(t.Context())
			if err != nil || len(before) == 0 || !before[0].AppliedAt.IsZero() {
				t.Fatalf("before: %+v, %v", before, err)
			}
			if err := db.CheckSchema(t.Context()); !errors.Is(err, store.ErrOutdated) {
				t.Errorf("before: CheckSchema() = %v, want ErrOutdated", err)
			}
			for range 2 {
				if err := db.Migrate(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.CheckSchema(t.Context()); err != nil {
				t.Errorf("after: CheckSchema() = %v", err)
			}
			after, err := db.MigrationStatus(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for i, m := range after {
				if m.AppliedAt.IsZero() || m.Version != int64(i+1) || m.Name != before[i].Name {
					t.Errorf("after: %+v", m)
				}
			}
		})
	}
}

func TestMigrateAtOnce(t *testing.T) {
	for name, config := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(t)
			var all sync.WaitGroup
			for range 8 {
				db := openOnly(t, c)
				all.Go(func() {
					if err := db.Migrate(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if status, err := open(t, c).MigrationStatus(t.Context()); err != nil || status[0].AppliedAt.IsZero() {
				t.Errorf("%+v, %v", status, err)
			}
		})
	}
}

func TestNoncesOutliveTheProcess(t *testing.T) {
	for name, config := range engines {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			seen := []replay.Admission{{Nonce: [32]byte{1}, Expires: time.Now().Add(time.Hour)}}
			for i, want := range []bool{true, false} {
				db, err := store.Open(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				if err := db.Migrate(t.Context()); err != nil {
					t.Fatal(err)
				}
				fresh, err := db.Admit(t.Context(), seen)
				if err != nil || fresh[0] != want {
					t.Errorf("opening %d: fresh = %v, %v", i, fresh, err)
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestPostgresOutage(t *testing.T) {
	server := postgres.StartServer(t)
	db := open(t, store.Config{Engine: store.Postgres, URL: secret.New(server.NewDatabase())})
	guard := replay.NewGuard(db)
	nonce := byte(0)
	admit := func() error {
		nonce++
		return guard.Admit(t.Context(), replay.Admission{Nonce: [32]byte{nonce}, Expires: time.Now().Add(time.Hour)})
	}
	if err := admit(); err != nil {
		t.Fatal(err)
	}

	server.Stop()
	for name, call := range map[string]func() error{
		"Ping":      func() error { return db.Ping(t.Context()) },
		"Admit":     admit,
		"UserByID":  func() error { _, err := db.UserByEmail(t.Context(), "a@example.com"); return err },
		"KeyByHash": func() error { _, err := db.KeyByHash(t.Context(), [32]byte{}); return err },
		"Purge":     func() error { _, err := db.Purge(t.Context(), time.Now(), store.Retention{}); return err },
		"Migrate":   func() error { return db.Migrate(t.Context()) },
		"Events": func() error {
			for _, err := range db.Events(t.Context(), event.Filter{}) {
				return err
			}
			return nil
		},
	} {
		start := time.Now()
		err := call()
		if got := apierror.From(err); err == nil || got.Status != 503 || got.Code != apierror.StoreUnavailable {
			t.Errorf("%s while Postgres is down: %v", name, err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s took %s to fail", name, took)
		}
	}

	server.Start()
	if err := admit(); err != nil {
		t.Errorf("after the outage: %v", err)
	}
	server.Restart() // with connections in the pool
	eventually(t, db.Ping)
	if err := admit(); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

func eventually(t *testing.T, ready func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func TestContext(t *testing.T) {
	for name, config := range engines {
		t.Run(name, func(t *testing.T) {
			db := open(t, config(t))
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
			defer cancel()

			_, err := db.KeyByHash(cancelled, [32]byte{})
			if apierror.From(err).Code != apierror.InternalError || !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
			_, err = db.Admit(late, []replay.Admission{{Nonce: [32]byte{1}, Expires: time.Now()}})
			if apierror.From(err).Code != apierror.StoreUnavailable {
				t.Errorf("too late: %v", err)
			}
		})
	}
}

func TestSQLiteFile(t *testing.T) {
	c := engines["SQLite"](t)
	c.Path = filepath.Join(filepath.Dir(c.Path), "with space & ? # %41", "a.db")
	db := open(t, c)
	if _, err := db.Admit(t.Context(), []replay.Admission{{Nonce: [32]byte{1}, Expires: time.Now()}}); err != nil {
		t.Fatal(err)
	}

	modes := map[string]fs.FileMode{}
	for _, path := range []string{filepath.Dir(c.Path), c.Path, c.Path + "-wal", c.Path + "-shm", c.Path + ".migrate"} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		modes[filepath.Base(path)] = info.Mode().Perm()
	}
	want := map[string]fs.FileMode{
		"with space & ? # %41": 0o700, "a.db": 0o600, "a.db-wal": 0o600, "a.db-shm": 0o600, "a.db.migrate": 0o600,
	}
	if diff := cmp.Diff(want, modes); diff != "" {
		t.Errorf("modes (-want +got):\n%s", diff)
	}
}

func TestSQLiteOutage(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "no.db"), []byte("this is no database, whatever its name says, and it is long"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := openOnly(t, store.Config{Engine: store.SQLite, Path: filepath.Join(dir, "no.db")})
	for name, err := range map[string]error{"Ping": db.Ping(t.Context()), "Migrate": db.Migrate(t.Context())} {
		if apierror.From(err).Code != apierror.StoreUnavailable {
			t.Errorf("%s of a file that is no database: %v", name, err)
		}
	}
}

func TestOpen(t *testing.T) {
	for name, c := range map[string]store.Config{
		"unknown engine":     {Engine: "oracle"},
		"malformed URL":      {Engine: store.Postgres, URL: secret.New("postgres://u:hush@h:port/d")},
		"directory, no file": {Engine: store.SQLite, Path: t.TempDir()},
	} {
		if db, err := store.Open(t.Context(), c); err == nil {
			t.Errorf("%s: opened %v", name, db)
		}
	}
}
