package store_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/revocation"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/test/postgres"
)

// watched is a database whose feed is up, and what is heard of it.
func watched(t *testing.T, c store.Config) (db *store.DB, notices <-chan revocation.Notice) {
	t.Helper()
	db = open(t, c)
	heard := make(chan revocation.Notice, 1000)
	db.Subscribe(func(n revocation.Notice) { heard <- n })
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := db.Watch(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); watching.Wait() })
	await(t, "the feed is up", db.Up)
	wantNotice(t, heard, revocation.Notice{})
	return db, heard
}

func await(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !isSo() {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func wantNotice(t *testing.T, heard <-chan revocation.Notice, want revocation.Notice) {
	t.Helper()
	select {
	case got := <-heard:
		if got != want {
			t.Errorf("heard %v, want %v", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("%v was not heard", want)
	}
}

// newAccount returns the id of an account that it makes.
func newAccount(t testing.TB, db *store.DB) string {
	t.Helper()
	id := uuid.NewString()
	u := account.User{ID: id, Email: id + "@example.com", DisplayName: "r", Plan: "new", CreatedAt: time.Now()}
	if err := db.CreateUser(t.Context(), account.Addition{User: u}); err != nil {
		t.Fatal(err)
	}
	return id
}

func disable(t *testing.T, db *store.DB, id string) {
	t.Helper()
	if err := db.SetDisabled(t.Context(), id, time.Now(), audit.New(t.Context(), time.Now(), audit.Disabled, id)); err != nil {
		t.Fatal(err)
	}
}

// TestCommandTells has a command, which opens the store, changes something and closes it, be heard by a server.
func TestCommandTells(t *testing.T) {
	for name, config := range engines {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			server, heard := watched(t, c)
			id := newAccount(t, server)
			command, err := store.Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			disable(t, command, id)
			if err := command.Close(); err != nil {
				t.Error(err)
			}
			want := revocation.Notice{Kind: revocation.User, ID: id}
			if c.Engine == store.SQLite {
				want = revocation.Notice{} // it sees that, not what, another process wrote
			}
			wantNotice(t, heard, want)
		})
	}
}

func TestWatchLeaksNothing(t *testing.T) {
	for name, config := range engines {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			before := goleak.IgnoreCurrent()
			t.Run("watch", func(t *testing.T) {
				db, _ := watched(t, c)
				disable(t, db, newAccount(t, db))
			})
			goleak.VerifyNone(t, before)
		})
	}
}

func TestWatchOutage(t *testing.T) {
	server := postgres.StartServer(t)
	db, heard := watched(t, store.Config{Engine: store.Postgres, URL: secret.New(server.NewDatabase())})
	server.Stop()
	await(t, "the feed is down", func() bool { return !db.Up() })
	server.Start()
	wantNotice(t, heard, revocation.Notice{}) // what was missed is not known
	await(t, "the feed is up again", db.Up)
	eventually(t, db.Ping) // the pool has connections of before
	id := newAccount(t, db)
	disable(t, db, id)
	for range 2 { // at once, and from the server
		wantNotice(t, heard, revocation.Notice{Kind: revocation.User, ID: id})
	}
}

// TestWatchSilence has a peer go away without a word, as behind a broken network.
func TestWatchSilence(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(postgres.NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	network := newNetwork(t, address.Host)
	address.Host = network.address
	db, _ := watched(t, store.Config{Engine: store.Postgres, URL: secret.New(address.String())})
	network.silent.Store(true)
	await(t, "the feed is down", func() bool { return !db.Up() })
	network.silent.Store(false)
	await(t, "the feed is up again", db.Up)
}

// network passes on what is sent, but swallows it while it is silent.
type network struct {
	address string
	silent  atomic.Bool
}

func newNetwork(t *testing.T, to string) *network {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{address: listener.Addr().String()}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	t.Cleanup(func() { cancel(); _ = listener.Close(); all.Wait() })
	all.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			context.AfterFunc(ctx, func() { _, _ = near.Close(), far.Close() })
			all.Go(func() { n.pass(near, far) })
			all.Go(func() { n.pass(far, near) })
		}
	})
	return n
}

func (n *network) pass(from, to net.Conn) {
	defer func() { _ = to.Close() }()
	_, _ = io.Copy(writerFunc(func(p []byte) (int, error) {
		if n.silent.Load() {
			return len(p), nil
		}
		return to.Write(p)
	}), from)
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestPoolSize(t *testing.T) {
	address := postgres.NewDatabase(t)
	db := openOnly(t, store.Config{Engine: store.Postgres, URL: secret.New(address + "&pool_max_conns=3")})
	if err := db.Ping(t.Context()); err != nil {
		t.Errorf("with a size in the URL: %v", err)
	}
	for _, size := range []string{"0", "-1", "many", ""} {
		c := store.Config{Engine: store.Postgres, URL: secret.New(address + "&pool_max_conns=" + size)}
		if _, err := store.Open(t.Context(), c); err == nil {
			t.Errorf("a pool of %q connections was opened", size)
		}
	}
}
