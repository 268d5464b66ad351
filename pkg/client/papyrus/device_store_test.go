package papyrus_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/zalando/go-keyring"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/secret"
)

const server = "https://api.example.com"

// ring is a keyring in memory. One that is locked refuses everything, as one does that nobody unlocks; a silent one never answers.
type ring struct {
	entries     map[string]string
	locked      error
	full        error         // of Set alone
	silent      chan struct{} // what it waits for before it answers; nil for nothing
	asked       int
	checkBefore func() // of each call
}

func (r *ring) ask() error {
	r.asked++
	if r.checkBefore != nil {
		r.checkBefore()
	}
	if r.silent != nil {
		<-r.silent
	}
	return r.locked
}

func (r *ring) Set(service, user, text string) error {
	if err := errors.Join(r.ask(), r.full); err != nil {
		return err
	}
	r.entries[service+"|"+user] = text
	return nil
}

func (r *ring) Get(service, user string) (string, error) {
	if err := r.ask(); err != nil {
		return "", err
	}
	text, ok := r.entries[service+"|"+user]
	if !ok {
		return "", keyring.ErrNotFound
	}
	return text, nil
}

func (r *ring) Delete(service, user string) error {
	if _, err := r.Get(service, user); err != nil {
		return err
	}
	delete(r.entries, service+"|"+user)
	return nil
}

func newStore(t *testing.T, dir string, k papyrus.Keyring) *papyrus.DeviceStore {
	t.Helper()
	s, err := papyrus.NewDeviceStore(dir, server, k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func account(userID, token string) papyrus.Account {
	return papyrus.Account{RefreshToken: secret.New(token), User: papyrus.User{ID: userID, Email: "reader@example.com"}}
}

// inFiles reports whether a text is anywhere in the files of a directory.
func inFiles(t *testing.T, dir, text string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), text) {
			return true
		}
	}
	return false
}

// isOnlyIn checks that a token is in one place and not in the other.
func isOnlyIn(t *testing.T, place, dir string, k *ring, token string) {
	t.Helper()
	inRing := slices.Contains(slices.Collect(maps.Values(k.entries)), token)
	if inFile := inFiles(t, dir, token); inRing != (place == "keyring") || inFile != (place == "file") {
		t.Errorf("in the keyring %v, in a file %v, want it in the %s alone", inRing, inFile, place)
	}
}

func TestPlaceOfTheToken(t *testing.T) {
	locked := errors.New("locked")
	for _, tt := range []struct {
		name, want string
		ring       *ring
	}{
		{"a keyring that answers", "keyring", &ring{entries: map[string]string{}}},
		{"one that refuses", "file", &ring{locked: locked}},
		{"one that takes nothing", "file", &ring{entries: map[string]string{}, full: errors.New("full")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := newStore(t, dir, tt.ring)
			save(t, s, account(ann, "the first token"))
			isOnlyIn(t, tt.want, dir, tt.ring, "the first token")

			tt.ring.full = nil // what can be later changes nothing: the place is chosen
			if tt.want == "file" {
				tt.ring.locked, tt.ring.entries = nil, map[string]string{}
			}
			save(t, s, account(ann, "the second token"))
			isOnlyIn(t, tt.want, dir, tt.ring, "the second token")
			if got := load(t, newStore(t, dir, tt.ring)); got.RefreshToken.Reveal() != "the second token" || got.User.ID != ann {
				t.Errorf("Load() = %+v", got)
			}
			if err := s.Clear(t.Context()); err != nil {
				t.Fatal(err)
			}
			isOnlyIn(t, "", dir, tt.ring, "the second token")
		})
	}
}

func TestNoKeyringIsAskedWhereNobodyIsSignedIn(t *testing.T) {
	k := &ring{entries: map[string]string{}}
	s := newStore(t, t.TempDir(), k)
	if got := load(t, s); got.RefreshToken.IsSet() || k.asked != 0 {
		t.Errorf("Load() = %+v after %d questions", got, k.asked)
	}
	if err := s.Clear(t.Context()); err != nil || k.asked != 0 {
		t.Errorf("Clear() = %v after %d questions", err, k.asked)
	}
}

// TestLockedKeyringIsAnErrorAndNoFile has the keyring of a sign-in refuse later: nothing may be kept elsewhere, or forgotten.
func TestLockedKeyringIsAnErrorAndNoFile(t *testing.T) {
	dir := t.TempDir()
	k := &ring{entries: map[string]string{}}
	s := newStore(t, dir, k)
	save(t, s, account(ann, "the first token"))
	k.locked = errors.New("locked")

	got, err := s.Load(t.Context())
	if err == nil || got.RefreshToken.IsSet() || got.User.ID != ann {
		t.Errorf("Load() = %+v, %v, want an error that still knows the user", got, err)
	}
	for _, user := range []string{ann, bob} {
		if err := s.Save(t.Context(), account(user, "the second token")); err == nil || strings.Contains(err.Error(), "token\"") {
			t.Errorf("Save() = %v, want an error", err)
		}
	}
	if err := s.Clear(t.Context()); err == nil {
		t.Error("Clear() forgot what it could not delete")
	}
	k.locked = nil
	if got := load(t, s); got.RefreshToken.Reveal() != "the first token" {
		t.Errorf("Load() = %+v", got)
	}
	isOnlyIn(t, "keyring", dir, k, "the first token")
}

// TestKeyringThatHangsIsNotWaitedFor goes by the clock of a bubble.
func TestKeyringThatHangsIsNotWaitedFor(t *testing.T) {
	t.Run("at the sign-in", func(t *testing.T) {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			k := &ring{entries: map[string]string{}, silent: make(chan struct{})}
			save(t, newStore(t, dir, k), account(ann, "the token"))
			isOnlyIn(t, "file", dir, k, "the token")
			close(k.silent)
			synctest.Wait()
			isOnlyIn(t, "file", dir, k, "the token") // also once it answers
		})
	})
	t.Run("afterwards", func(t *testing.T) {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			k := &ring{entries: map[string]string{}}
			s := newStore(t, dir, k)
			save(t, s, account(ann, "the token"))
			k.silent = make(chan struct{})
			if _, err := s.Load(context.Background()); err == nil || !strings.Contains(err.Error(), "unlock it") {
				t.Errorf("Load() = %v, want an error that says what to do", err)
			}
			close(k.silent)
		})
	})
}

// TestNoTokenInTheKeyringOfWhichNoFileKnows looks at the directory whenever the keyring is asked to change.
func TestNoTokenInTheKeyringOfWhichNoFileKnows(t *testing.T) {
	dir := t.TempDir()
	k := &ring{entries: map[string]string{}}
	s := newStore(t, dir, k)
	save(t, s, account(ann, "the first token")) // the first question comes before the choice
	k.checkBefore = func() {
		if !inFiles(t, dir, `"keyring":"papyrus_refresh_token `+server) {
			t.Error("no file names the entry")
		}
	}
	save(t, s, account(ann, "the second token"))
	if err := s.Clear(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestNobodyGetsAnothersToken crashes between the file and the keyring while somebody else signs in.
func TestNobodyGetsAnothersToken(t *testing.T) {
	k := &ring{entries: map[string]string{}}
	s := newStore(t, t.TempDir(), k)
	save(t, s, account(ann, "the token of ann"))
	k.full = errors.New("gone")
	_ = s.Save(t.Context(), account(bob, "the token of bob"))
	if got := load(t, s); got.RefreshToken.Reveal() == "the token of ann" {
		t.Errorf("ann's token under the name of %s", got.User.ID)
	}
}

func TestStoresAreKeptApart(t *testing.T) {
	k := &ring{entries: map[string]string{}}
	one, two := t.TempDir(), t.TempDir()
	save(t, newStore(t, one, k), account(ann, "the token of ann"))
	save(t, newStore(t, two, k), account(bob, "the token of bob"))
	other, err := papyrus.NewDeviceStore(one, "http://localhost:8080", k)
	if err != nil {
		t.Fatal(err)
	}
	save(t, other, account(bob, "another token of bob"))
	if got := load(t, newStore(t, one, k)); got.RefreshToken.Reveal() != "the token of ann" {
		t.Errorf("Load() = %+v", got)
	}
	if len(k.entries) != 3 {
		t.Errorf("%d entries", len(k.entries))
	}
}

func TestFileIsForItsOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	s := newStore(t, dir, nil)
	save(t, s, account(ann, "the token"))
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has the mode %v, %v", info.Mode(), err)
	}
	name := file(t, dir)
	if err := os.Chmod(name, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("Load() = %v, want an error that says what to do", err)
	}
}

func TestDamagedFileIsNotQuoted(t *testing.T) {
	dir := t.TempDir()
	s := newStore(t, dir, nil)
	save(t, s, account(ann, "the token"))
	if err := os.WriteFile(file(t, dir), []byte(`{"papyrus_refresh_token":the token}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context()); err == nil || strings.Contains(err.Error(), "the token") {
		t.Errorf("Load() = %v", err)
	}
}

// accountFile is the name of the file with the account of a server.
func accountFile(server string) string {
	hash := sha256.Sum256([]byte(server))
	return "account-" + hex.EncodeToString(hash[:6]) + ".json"
}

// file returns the one account of a directory.
func file(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "account-*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	return files[0]
}

// TestReadersNeverSeeHalfAFile reads while others write.
func TestReadersNeverSeeHalfAFile(t *testing.T) {
	s := newStore(t, t.TempDir(), nil)
	save(t, s, account(ann, "token 0"))
	ctx, stop := context.WithCancel(t.Context())
	var reader, writers sync.WaitGroup
	reader.Go(func() {
		for ctx.Err() == nil {
			if a, err := s.Load(t.Context()); err != nil || !strings.HasPrefix(a.RefreshToken.Reveal(), "token ") {
				t.Errorf("Load() = %+v, %v", a, err)
				return
			}
		}
	})
	for range 4 {
		writers.Go(func() {
			for range 25 {
				save(t, s, account(ann, "token "+strings.Repeat("x", 1000)))
			}
		})
	}
	writers.Wait()
	stop()
	reader.Wait()
}

// TestNothingIsLeftOfAProcessThatWasKilled finds what one has written and not put in place.
func TestNothingIsLeftOfAProcessThatWasKilled(t *testing.T) {
	dir := t.TempDir()
	s := newStore(t, dir, nil)
	for name, do := range map[string]func() error{
		"Save()":  func() error { return s.Save(t.Context(), account(ann, "another token")) },
		"Clear()": func() error { return s.Clear(t.Context()) },
	} {
		save(t, s, account(ann, "the token"))
		if err := os.WriteFile(file(t, dir)+".new", []byte("a token that a crash left"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := do(); err != nil || inFiles(t, dir, "crash") {
			t.Errorf("%s = %v, and what was left is there: %v", name, err, inFiles(t, dir, "crash"))
		}
	}
}

// TestLockHoldsEverybody counts who is inside.
func TestLockHoldsEverybody(t *testing.T) {
	dir := t.TempDir()
	var inside atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		s := newStore(t, dir, nil)
		all.Go(func() {
			for range 5 {
				unlock, err := s.Lock(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d inside", n)
				}
				inside.Add(-1)
				unlock()
			}
		})
	}
	all.Wait()
}
