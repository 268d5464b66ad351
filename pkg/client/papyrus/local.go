package papyrus

import (
	"context"
	"errors"
)

// errNotAsked is why a state is offline that [AuthProvider.Restore] found.
var errNotAsked = errors.New("the server was not asked")

// Restore finds out where the device stands from what it keeps, without a request: who is signed in is offline until a call has reached
// the server.
func (p *AuthProvider) Restore(ctx context.Context) error {
	chosen, err := p.chosen()
	if err != nil {
		return err
	}
	if chosen {
		return p.Bootstrap(ctx) // sends nothing
	}
	account, err := p.repository.store.Load(ctx)
	switch {
	case err == nil && !account.RefreshToken.IsSet():
		p.set(State{Status: StatusSignedOut})
	case err == nil:
		p.set(State{Status: StatusOffline, User: &account.User, Err: errNotAsked})
	case account.User.ID != "":
		p.set(State{Status: StatusOffline, User: &account.User, Err: err})
	default:
		return err
	}
	return nil
}

// While runs work if the user of that id is who is signed in on this device, "" for nobody, and keeps it so meanwhile, in all processes;
// else it returns [ErrOtherUser]. Work must not sign in or out.
func (r *AuthRepository) While(ctx context.Context, userID string, work func() error) error {
	unlock, err := r.store.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	account, err := r.store.Load(ctx)
	switch {
	case err != nil && userID == "": // offline mode, beside a keyring that does not answer: its token is used by nobody
	case err != nil && account.User.ID == "":
		return err
	case account.User.ID != userID:
		return ErrOtherUser
	}
	return work()
}
