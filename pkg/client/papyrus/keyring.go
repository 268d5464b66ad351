package papyrus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/provisioner/provisioner/pkg/secret"
)

// keyringService is the service under which tokens are in a keyring.
const keyringService = "provisioner"

// keyringWait is how long a keyring may take: long enough for a person to type its password, if it asks for one.
const keyringWait = 20 * time.Second

// errKeyringSilent is the error of a keyring that did not answer in time. What it was asked for may still happen.
var errKeyringSilent = errors.New("it does not answer")

// Keyring keeps texts by service and user. Get returns [keyring.ErrNotFound] where there is none.
type Keyring interface {
	Set(service, user, text string) error
	Get(service, user string) (string, error)
	Delete(service, user string) error
}

// SystemKeyring is the keyring of the operating system: the Secret Service on Linux, Keychain on macOS, the Credential Manager on Windows.
type SystemKeyring struct{}

// Set implements [Keyring].
func (SystemKeyring) Set(service, user, text string) error { return keyring.Set(service, user, text) }

// Get implements [Keyring].
func (SystemKeyring) Get(service, user string) (string, error) { return keyring.Get(service, user) }

// Delete implements [Keyring].
func (SystemKeyring) Delete(service, user string) error { return keyring.Delete(service, user) }

// boundedKeyring is a keyring that may hang, as one does that is locked and has nobody to ask for its password. A nil one refuses all.
type boundedKeyring struct {
	keyring Keyring
	wait    time.Duration
}

// answers reports whether the keyring can be asked, which unlocks it if it can be unlocked.
func (k *boundedKeyring) answers(ctx context.Context, entry string) bool {
	_, err := k.get(ctx, entry)
	return err == nil
}

// get returns a text, "" where there is none.
func (k *boundedKeyring) get(ctx context.Context, entry string) (text string, err error) {
	answer := make(chan string, 1)
	err = k.bound(ctx, func() error {
		text, err := k.keyring.Get(keyringService, entry)
		answer <- text
		return err
	})
	if err != nil {
		return "", err
	}
	return <-answer, nil
}

func (k *boundedKeyring) set(ctx context.Context, entry string, token secret.Text) error {
	return k.bound(ctx, func() error { return k.keyring.Set(keyringService, entry, token.Reveal()) })
}

func (k *boundedKeyring) delete(ctx context.Context, entry string) error {
	return k.bound(ctx, func() error { return k.keyring.Delete(keyringService, entry) })
}

// bound waits for work, which cannot be interrupted, as long as a keyring may take. What is not there is no error.
func (k *boundedKeyring) bound(ctx context.Context, work func() error) error {
	if k == nil {
		return errors.New("it is switched off, or this session has none")
	}
	done := make(chan error, 1)
	go func() { done <- work() }()
	timer := time.NewTimer(k.wait)
	defer timer.Stop()
	select {
	case err := <-done:
		if errors.Is(err, keyring.ErrNotFound) {
			return nil
		}
		return err
	case <-timer.C:
		return fmt.Errorf("%w within %v", errKeyringSilent, k.wait)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errKeyringSilent, ctx.Err())
	}
}
