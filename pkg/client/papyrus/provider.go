package papyrus

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/provisioner/provisioner/pkg/secret"
)

// Status is where a device stands.
type Status string

// The statuses.
const (
	StatusUnknown     Status = "unknown"      // before [AuthProvider.Bootstrap]
	StatusSignedOut   Status = "signed-out"   // nobody is signed in
	StatusSignedIn    Status = "signed-in"    //
	StatusOffline     Status = "offline"      // signed in, as far as is known: the server, or the token's keyring, did not answer
	StatusOfflineMode Status = "offline-mode" // chosen by the person: no tokens, the guest library
)

// State is a status with what belongs to it.
type State struct {
	Status Status
	User   *User // of StatusSignedIn and StatusOffline, else nil; its ID is "" where StatusOffline has no way to know
	Err    error // why, of StatusOffline, and of StatusSignedOut where that was not the person's wish
}

// offlineModeFile is there, in the client's directory, while offline mode is chosen.
const offlineModeFile = "offline-mode"

// AuthProvider is the state machine over an [AuthRepository]. It is safe for concurrent use. What other processes do to the sign-in it
// learns from the next refresh.
type AuthProvider struct {
	repository *AuthRepository
	choice     string // path of the file that is there in offline mode

	mu      sync.Mutex
	state   State
	changed chan struct{} // closed by the next change
}

// NewAuthProvider returns the provider over r, of which it is the only one, with the choice of offline mode in dir.
func NewAuthProvider(r *AuthRepository, dir string) *AuthProvider {
	p := &AuthProvider{
		repository: r, choice: filepath.Join(dir, offlineModeFile),
		state: State{Status: StatusUnknown}, changed: make(chan struct{}),
	}
	r.observe = p.note
	r.entering = func() error { return p.choose(false) }
	return p
}

// Bootstrap finds out where the device stands: it refreshes a stored token, and sends nothing where there is none or offline mode is
// chosen. A server that is out of reach is a state and no error.
func (p *AuthProvider) Bootstrap(ctx context.Context) error {
	chosen, err := p.chosen()
	if err != nil {
		return err
	}
	if chosen {
		// A crash, or a locked keyring, may have left a token. One that cannot be cleared now is used by nobody while the choice stands.
		_ = p.repository.forgetIf(ctx, p.chosen)
		if chosen, err = p.chosen(); err != nil { // somebody may have signed in meanwhile
			return err
		}
	}
	if chosen {
		p.set(State{Status: StatusOfflineMode})
		return ctx.Err()
	}
	_, _ = p.repository.Bootstrap(ctx) // note has what came of it
	return ctx.Err()
}

// Login signs in with a password, which ends offline mode.
func (p *AuthProvider) Login(ctx context.Context, email string, password secret.Text) error {
	_, err := p.repository.Login(ctx, email, password)
	return err
}

// Register makes an account and signs in to it, which ends offline mode.
func (p *AuthProvider) Register(ctx context.Context, in Registration) error {
	_, err := p.repository.Register(ctx, in)
	return err
}

// LoginWithGoogle signs in through the browser, which ends offline mode: see [AuthRepository.LoginWithGoogle].
func (p *AuthProvider) LoginWithGoogle(ctx context.Context, open func(url string) error) error {
	_, err := p.repository.LoginWithGoogle(ctx, open)
	return err
}

// Logout signs out here, and at the server if that can be reached: see [AuthRepository.Logout].
func (p *AuthProvider) Logout(ctx context.Context) error { return p.repository.Logout(ctx) }

// SetOfflineMode chooses whether to work without an account, which outlives this process. To switch it on signs out, and makes do with
// less where the server cannot be told.
func (p *AuthProvider) SetOfflineMode(ctx context.Context, on bool) error {
	if !on {
		return p.endOfflineMode(ctx)
	}
	if err := p.choose(true); err != nil {
		return err
	}
	err := p.repository.Logout(ctx)
	p.set(State{Status: StatusOfflineMode})
	if errors.Is(err, ErrUnreachable) {
		return nil
	}
	return err
}

// endOfflineMode signs nobody in: a token that could not be cleared before has to go first.
func (p *AuthProvider) endOfflineMode(ctx context.Context) error {
	chosen, err := p.chosen()
	if err != nil || !chosen {
		return err
	}
	if err := p.repository.forgetIf(ctx, p.chosen); err != nil {
		return err
	}
	if err := p.choose(false); err != nil {
		return err
	}
	p.set(State{Status: StatusSignedOut})
	return nil
}

// IsOfflineMode reports whether offline mode is chosen.
func (p *AuthProvider) IsOfflineMode() bool { return p.State().Status == StatusOfflineMode }

// State returns where the device stands.
func (p *AuthProvider) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// Changes returns a channel that is sent the state at once and after each change; who receives late gets the latest. It is closed when
// ctx ends.
func (p *AuthProvider) Changes(ctx context.Context) <-chan State {
	states := make(chan State)
	go func() {
		defer close(states)
		for {
			p.mu.Lock()
			state, changed := p.state, p.changed
			p.mu.Unlock()
			select {
			case states <- state:
			case <-changed:
				continue
			case <-ctx.Done():
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return states
}

// note takes over what the repository found.
func (p *AuthProvider) note(o outcome) {
	switch chosen, err := p.chosen(); {
	case o.err == nil:
		p.set(State{Status: StatusSignedIn, User: &o.user})
	case !errors.Is(o.err, ErrSignedOut):
		if before := p.State().User; before != nil && o.user.ID == "" {
			o.user = *before
		}
		p.set(State{Status: StatusOffline, User: &o.user, Err: o.err})
	case err == nil && chosen:
		p.set(State{Status: StatusOfflineMode})
	case o.err == ErrSignedOut: //nolint:errorlint // bare: nobody was signed in, or they signed out
		p.set(State{Status: StatusSignedOut})
	default:
		p.set(State{Status: StatusSignedOut, Err: o.err})
	}
}

func (p *AuthProvider) set(s State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s
	close(p.changed)
	p.changed = make(chan struct{})
}

// chosen reports whether offline mode is chosen.
func (p *AuthProvider) chosen() (bool, error) {
	_, err := os.Stat(p.choice)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (p *AuthProvider) choose(on bool) error {
	if !on {
		return remove(p.choice)
	}
	file, err := os.OpenFile(p.choice, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), syncDir(filepath.Dir(p.choice)))
}
