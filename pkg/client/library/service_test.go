package library_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/client/library"
	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/client/powersync"
	"github.com/provisioner/provisioner/pkg/secret"
)

// device is one on which nobody is signed in.
type device struct {
	dir        string
	tokens     *papyrus.DeviceStore
	repository *papyrus.AuthRepository
	service    *library.Service
}

func newDevice(t *testing.T, dir string) *device {
	t.Helper()
	return newDeviceOf(t, dir, "http://127.0.0.1:9") // discards
}

func newDeviceOf(t *testing.T, dir, server string, options ...library.Option) *device {
	t.Helper()
	cfg := papyrus.Config{APIBaseURL: server, PowerSyncURL: server + "/"} // the slash is none of the endpoint's
	tokens, err := papyrus.NewDeviceStore(dir, cfg.APIBaseURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	repository, err := papyrus.NewAuthRepository(cfg, tokens)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{dir, tokens, repository, library.Open(dir, repository, options...)}
	t.Cleanup(func() { _ = d.service.Close() })
	return d
}

var (
	ada     = papyrus.User{ID: "a0a0a0a0-0000-4000-8000-000000000001", Email: "ada@example.com"}
	bob     = papyrus.User{ID: "b0b0b0b0-0000-4000-8000-000000000002", Email: "bob@example.com"}
	nobody  = papyrus.State{Status: papyrus.StatusSignedOut}
	offline = papyrus.State{Status: papyrus.StatusOfflineMode}
)

func signedIn(u papyrus.User) papyrus.State {
	return papyrus.State{Status: papyrus.StatusSignedIn, User: &u}
}

// away is the state of a user whose network is away.
func away(u papyrus.User) papyrus.State {
	return papyrus.State{Status: papyrus.StatusOffline, User: &u, Err: papyrus.ErrUnreachable}
}

// enter has the device keep the sign-in of a user, the zero one for nobody, and apply a state.
func (d *device) enter(t *testing.T, u papyrus.User, s papyrus.State) {
	t.Helper()
	var err error
	if u.ID == "" {
		err = d.tokens.Clear(t.Context())
	} else {
		err = d.tokens.Save(t.Context(), papyrus.Account{RefreshToken: secret.New("token of " + u.Email), User: u})
	}
	if err == nil {
		err = d.service.Apply(t.Context(), s)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (d *device) store(t *testing.T) *library.DataStore {
	t.Helper()
	s, err := d.service.Store()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (d *device) add(t *testing.T, titles ...string) {
	t.Helper()
	for _, title := range titles {
		if _, err := d.store(t).Add(t.Context(), library.Book{Title: title}); err != nil {
			t.Fatal(err)
		}
	}
}

// expect fails unless the open library has these titles, and that many transactions wait.
func (d *device) expect(t *testing.T, queued int, titles ...string) {
	t.Helper()
	snapshot, err := d.store(t).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range snapshot.Books {
		got = append(got, b.Title)
	}
	if diff := cmp.Diff(titles, got); diff != "" {
		t.Errorf("the titles differ (-want +got):\n%s", diff)
	}
	if n, err := d.service.Queued(t.Context()); err != nil || n != queued {
		t.Errorf("%d changes wait, %v; want %d", n, err, queued)
	}
}

func TestAGuestsLibraryIsKeptAndNeverMerged(t *testing.T) {
	d := newDevice(t, t.TempDir())
	d.enter(t, papyrus.User{}, offline)
	d.add(t, "Of the guest")
	d.expect(t, 0, "Of the guest") // and nothing is queued

	d.enter(t, ada, signedIn(ada))
	d.expect(t, 0)
	d.add(t, "Of Ada")
	d.enter(t, papyrus.User{}, offline)
	d.expect(t, 0, "Of the guest")
	d.enter(t, papyrus.User{}, nobody)
	d.enter(t, papyrus.User{}, offline)
	d.expect(t, 0, "Of the guest")
}

func TestAnAccountsLibraryIsKeptWhileTheNetworkIsAway(t *testing.T) {
	d := newDevice(t, t.TempDir())
	d.enter(t, ada, signedIn(ada))
	d.add(t, "One")
	d.enter(t, ada, away(ada))
	d.add(t, "Two")
	d.enter(t, ada, signedIn(ada))
	d.expect(t, 2, "One", "Two")

	again := newDevice(t, d.dir) // another process
	again.enter(t, ada, away(ada))
	again.expect(t, 2, "One", "Two")
}

func TestAnAccountsLibraryIsClearedWhenItsUserGoes(t *testing.T) {
	for name, next := range map[string]struct {
		user  papyrus.User
		state papyrus.State
		crash bool // after the tokens were cleared, and before the library was: the next process has only the state
	}{
		"signed out":                             {papyrus.User{}, nobody, false},
		"offline mode":                           {papyrus.User{}, offline, false},
		"somebody else comes":                    {bob, signedIn(bob), false},
		"somebody else comes, without a network": {bob, away(bob), false},
		"crashed while signing out":              {papyrus.User{}, nobody, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(t, t.TempDir())
			d.enter(t, ada, signedIn(ada))
			d.add(t, "A title that is nobody else's business")
			if next.crash {
				if err := d.service.Close(); err != nil {
					t.Fatal(err)
				}
				d = newDevice(t, d.dir)
			}
			d.enter(t, next.user, next.state)
			if next.user.ID != "" {
				d.expect(t, 0)
			}
			d.enter(t, ada, signedIn(ada))
			d.expect(t, 0)
			if err := d.service.Close(); err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(d.service.Path(library.Account))
			if err != nil || strings.Contains(string(content), "nobody else's business") {
				t.Errorf("the file still has the title (%v)", err)
			}
		})
	}
}

// TestAStoreIsOfItsUserAlone shows that a process which has not noticed that somebody else has signed in sees and does nothing.
func TestAStoreIsOfItsUserAlone(t *testing.T) {
	d := newDevice(t, t.TempDir())
	d.enter(t, ada, signedIn(ada))
	d.add(t, "Of Ada")
	late := newDevice(t, d.dir)
	late.enter(t, ada, signedIn(ada))
	store := late.store(t)
	changes := store.Changes(t.Context())
	<-changes

	d.enter(t, bob, signedIn(bob))
	d.add(t, "Of Bob")
	if snapshot, err := store.Snapshot(t.Context()); !errors.Is(err, library.ErrNotYours) {
		t.Errorf("Snapshot = %v, %v", snapshot, err)
	}
	if _, err := store.Add(t.Context(), library.Book{Title: "Late"}); !errors.Is(err, library.ErrNotYours) {
		t.Errorf("Add = %v", err)
	}
	for range changes { // ends
	}
	for name, state := range map[string]papyrus.State{"Ada's": signedIn(ada), "nobody's": nobody, "offline mode": offline} {
		if err := late.service.Apply(t.Context(), state); !errors.Is(err, papyrus.ErrOtherUser) {
			t.Errorf("applying the late state %s: %v", name, err)
		}
	}
	d.expect(t, 1, "Of Bob")
}

// TestALibraryOutlivesWhatOthersCleared shows that a process goes on after another one has signed the same user out and in again, or has
// deleted the guest's books.
func TestALibraryOutlivesWhatOthersCleared(t *testing.T) {
	d := newDevice(t, t.TempDir())
	other := newDevice(t, d.dir)
	d.enter(t, ada, signedIn(ada))
	d.add(t, "Lost at the sign-out")
	other.enter(t, papyrus.User{}, nobody)
	other.enter(t, ada, signedIn(ada))
	d.enter(t, ada, signedIn(ada))
	d.add(t, "One")
	other.expect(t, 1, "One")

	d.enter(t, papyrus.User{}, offline)
	d.add(t, "Deleted by the guest")
	if err := other.service.DeleteGuest(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.enter(t, papyrus.User{}, offline)
	d.add(t, "Two")
	d.expect(t, 0, "Two")
}

// TestTheSameStateAgainChangesNothing shows that a store stays good, and its watchers are not sent away.
func TestTheSameStateAgainChangesNothing(t *testing.T) {
	d := newDevice(t, t.TempDir())
	for _, step := range []struct {
		user  papyrus.User
		state papyrus.State
	}{{ada, signedIn(ada)}, {papyrus.User{}, offline}} {
		d.enter(t, step.user, step.state)
		store := d.store(t)
		changes := store.Changes(t.Context())
		<-changes
		d.enter(t, step.user, step.state)
		if _, err := store.Add(t.Context(), library.Book{Title: "One"}); err != nil {
			t.Errorf("%s: %v", step.state.Status, err)
		}
		seen := false
		for snapshot := range changes {
			if seen = len(snapshot.Books) == 1; seen {
				break
			}
		}
		if !seen {
			t.Errorf("%s: the watcher was sent away", step.state.Status)
		}
	}
}

// TestServersAreApart shows that a command which is meant for another server, where nobody is signed in, clears nothing.
func TestServersAreApart(t *testing.T) {
	d := newDevice(t, t.TempDir())
	d.enter(t, ada, signedIn(ada))
	d.add(t, "One")
	other := newDeviceOf(t, d.dir, "http://127.0.0.1:10")
	other.enter(t, papyrus.User{}, nobody)
	other.enter(t, bob, signedIn(bob))
	other.add(t, "Two")
	d.expect(t, 1, "One")
}

func TestWithoutASignInThereIsNoLibrary(t *testing.T) {
	d := newDevice(t, t.TempDir())
	d.enter(t, papyrus.User{}, nobody)
	if _, err := d.service.Store(); !errors.Is(err, library.ErrNoLibrary) {
		t.Errorf("Store = %v", err)
	}
	if err := d.service.Connect(); !errors.Is(err, library.ErrNoLibrary) {
		t.Errorf("Connect = %v", err)
	}
	if err := d.service.Apply(t.Context(), away(papyrus.User{})); !errors.Is(err, library.ErrUnknownUser) {
		t.Errorf("applying the state of a user who is not known: %v", err)
	}
	if files, err := filepath.Glob(filepath.Join(d.dir, "*", "*.db")); err != nil || len(files) > 0 {
		t.Errorf("it made %v, %v", files, err)
	}
}

func TestAGuestDeletesTheLibrary(t *testing.T) {
	d := newDevice(t, t.TempDir())
	if err := d.service.DeleteGuest(t.Context()); err != nil {
		t.Errorf("deleting what is not there: %v", err)
	}
	for _, open := range []bool{true, false} {
		d.enter(t, papyrus.User{}, offline)
		d.add(t, "Of the guest")
		if !open {
			d.enter(t, ada, signedIn(ada))
		}
		if err := d.service.DeleteGuest(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.enter(t, papyrus.User{}, offline)
		d.expect(t, 0)
	}
}

var _ powersync.Connector = (*library.Connector)(nil)
