package papyrus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gofrs/flock"

	"github.com/provisioner/provisioner/pkg/secret"
)

// tokenKey names the refresh token in a keyring and in the file, as the Flutter apps do.
const tokenKey = "papyrus_refresh_token"

const (
	lockWait = time.Minute // more than a refresh takes that nothing answers
	lockPoll = 10 * time.Millisecond
)

// DeviceStore is the [TokenStore] of a desktop: a file in the client's directory and, where there is one, the system keyring.
//
// One rule decides where the refresh token is: the file says it. It is chosen when somebody signs in: the keyring, if it answers a
// question and takes the token, else the file itself. From then on the token is there until the sign-out, whether the keyring answers or
// not: a keyring that is locked is an error, not a reason to use the file. The file is written before a token goes into the keyring and
// removed after it has left it, so that no keyring holds a token of which no file knows. Where there is no file, nobody is signed in, and
// no keyring is asked.
type DeviceStore struct {
	dir, server string
	path        string // of the file; its name has the server, of which a directory may know several
	keyring     *boundedKeyring
}

// NewDeviceStore returns the store of the server at base URL server in dir, which it makes, for its owner alone, if it is missing. A nil
// keyring leaves all in the file.
func NewDeviceStore(dir, server string, keyring Keyring) (*DeviceStore, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte(server))
	s := &DeviceStore{dir: dir, server: server, path: filepath.Join(dir, "account-"+hex.EncodeToString(hash[:6])+".json")}
	if keyring != nil {
		s.keyring = &boundedKeyring{keyring, keyringWait}
	}
	return s, nil
}

// kept is the file.
type kept struct {
	Server  string `json:"server"`
	User    User   `json:"user"`
	Keyring string `json:"keyring,omitempty"`               // the name under which the token is in the keyring, "" if it is here
	Token   string `json:"papyrus_refresh_token,omitempty"` // see tokenKey
}

// Lock takes the lock of a file beside the account's, waiting up to a minute.
func (s *DeviceStore) Lock(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	lock := flock.New(s.path + ".lock")
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for other processes: lock %s: %w", lock.Path(), err), lock.Close())
	}
	return func() { _ = lock.Unlock() }, nil
}

// Load returns the account. A keyring that holds its token and does not answer is an error.
func (s *DeviceStore) Load(ctx context.Context) (Account, error) {
	file, err := s.read()
	if err != nil || file == nil {
		return Account{}, err
	}
	token := file.Token
	if file.Keyring != "" {
		token, err = s.inKeyring(ctx, file.Keyring)
	}
	if err != nil {
		return Account{User: file.User}, err
	}
	if token == "" {
		return Account{}, nil
	}
	return Account{secret.New(token), file.User}, nil
}

// Save replaces the account.
func (s *DeviceStore) Save(ctx context.Context, a Account) error {
	old, err := s.read()
	if err != nil {
		return err
	}
	if old != nil && old.User.ID != a.User.ID { // no moment may have one's token under the other's name
		if err := s.Clear(ctx); err != nil {
			return err
		}
		old = nil
	}
	next := kept{Server: s.server, User: a.User}
	switch {
	case old != nil && old.Keyring != "":
		next.Keyring = old.Keyring
	case old == nil && s.keyring.answers(ctx, s.entry()):
		next.Keyring = s.entry()
	}
	if next.Keyring == "" {
		next.Token = a.RefreshToken.Reveal()
		return s.write(next)
	}
	return s.saveInKeyring(ctx, old, next, a.RefreshToken)
}

// saveInKeyring writes the file, then the keyring. A keyring that refuses the first token leaves it to the file.
func (s *DeviceStore) saveInKeyring(ctx context.Context, old *kept, next kept, token secret.Text) error {
	if old == nil || *old != next {
		if err := s.write(next); err != nil {
			return err
		}
	}
	err := s.keyring.set(ctx, next.Keyring, token)
	if err != nil && old == nil && !errors.Is(err, errKeyringSilent) {
		next.Keyring, next.Token = "", token.Reveal()
		return s.write(next)
	}
	if err != nil {
		return s.explain(err)
	}
	return nil
}

// Clear forgets the account. A keyring that holds its token and does not answer is an error, and nothing is forgotten.
func (s *DeviceStore) Clear(ctx context.Context) error {
	file, err := s.read()
	if err != nil {
		return err
	}
	if file != nil && file.Keyring != "" {
		if err := s.keyring.delete(ctx, file.Keyring); err != nil {
			return s.explain(err)
		}
	}
	if err := errors.Join(remove(s.next()), remove(s.path)); err != nil {
		return err
	}
	return syncDir(s.dir)
}

// entry is the name for the keyring. It is that of no other server and no other directory.
func (s *DeviceStore) entry() string { return tokenKey + " " + s.server + " " + s.dir }

func (s *DeviceStore) inKeyring(ctx context.Context, entry string) (string, error) {
	token, err := s.keyring.get(ctx, entry)
	if err != nil {
		return "", s.explain(err)
	}
	return token, nil
}

func (s *DeviceStore) explain(err error) error {
	return fmt.Errorf("the sign-in of this device is in the system keyring: %w; unlock it, or give the sign-in up by removing %s", err, s.path)
}

// read returns the file, nil where there is none.
func (s *DeviceStore) read() (*kept, error) {
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no file is no account
	}
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 { // there it says nothing
		return nil, fmt.Errorf("%s is open to others than its owner: run chmod 600 on it", s.path)
	}
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // as above
	}
	if err != nil {
		return nil, err
	}
	var file kept
	if json.Unmarshal(text, &file) != nil { // whose error may quote the token
		return nil, fmt.Errorf("%s is damaged: remove it and sign in again", s.path)
	}
	return &file, nil
}

// write puts a file for its owner alone in place of the one there is, whole and on the disk when it returns, or leaves that as it is.
func (s *DeviceStore) write(file kept) error {
	text, err := json.Marshal(file)
	if err != nil {
		return err
	}
	if err := remove(s.next()); err != nil {
		return err
	}
	next, err := os.OpenFile(s.next(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = next.Write(text)
	if err := errors.Join(err, next.Sync(), next.Close()); err != nil {
		return errors.Join(err, remove(s.next()))
	}
	if err := os.Rename(s.next(), s.path); err != nil {
		return errors.Join(err, remove(s.next()))
	}
	return syncDir(s.dir)
}

// next is the file that is written. It has one name, under which a process that is killed leaves a token to be written over.
func (s *DeviceStore) next() string { return s.path + ".new" }

// remove removes a file that need not be there.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncDir has the names in a directory survive a loss of power, where the system can.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir) //nolint:gosec // the client's directory
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
