package papyrus_test

import (
	"errors"
	"testing"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
)

// TestRestoreSendsNothing finds out from the device alone who is signed in.
func TestRestoreSendsNothing(t *testing.T) {
	for _, tt := range []struct {
		name    string
		kept    string
		offline bool
		want    papyrus.Status
		user    string
	}{
		{"nobody", "", false, papyrus.StatusSignedOut, ""},
		{"somebody", "refresh-0", false, papyrus.StatusOffline, ann},
		{"offline mode", "", true, papyrus.StatusOfflineMode, ""},
		{"offline mode, and a token that a crash left", "refresh-0", true, papyrus.StatusOfflineMode, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			if err := r.provider().SetOfflineMode(t.Context(), tt.offline); err != nil {
				t.Fatal(err)
			}
			if tt.kept != "" {
				r.keep(ann, tt.kept)
			}
			p := r.provider()
			if err := p.Restore(t.Context()); err != nil {
				t.Error(err)
			}
			wantState(t, p, tt.want, tt.user)
			if len(r.requests()) > 0 {
				t.Errorf("it asked for %v", r.requests())
			}
		})
	}
}

// TestWhileIsOfOneUser does the work for who is signed in, and for nobody else.
func TestWhileIsOfOneUser(t *testing.T) {
	r := newRig(t, nil)
	done := errors.New("done")
	expect := func(userID string, want error) {
		t.Helper()
		if err := r.While(t.Context(), userID, func() error { return done }); !errors.Is(err, want) {
			t.Errorf("While(%q) = %v, want %v", userID, err, want)
		}
	}
	expect("", done)
	expect(ann, papyrus.ErrOtherUser)
	r.keep(ann, "refresh-0")
	expect(ann, done)
	expect("", papyrus.ErrOtherUser)
	expect("somebody else", papyrus.ErrOtherUser)
}

// TestALockedKeyringKeepsNobodyOffline shows that offline mode does not need the token that it could not clear.
func TestALockedKeyringKeepsNobodyOffline(t *testing.T) {
	r := newRig(t, nil)
	k := &ring{entries: map[string]string{}}
	store, err := papyrus.NewDeviceStore(r.dir, r.server.URL, k)
	if err != nil {
		t.Fatal(err)
	}
	repository, err := papyrus.NewAuthRepository(papyrus.Config{APIBaseURL: r.server.URL}, store)
	if err != nil {
		t.Fatal(err)
	}
	r.store = store
	r.keep(ann, "refresh-0")
	k.locked = errors.New("locked")
	for userID, want := range map[string]error{"": nil, ann: nil, "somebody else": papyrus.ErrOtherUser} {
		if err := repository.While(t.Context(), userID, func() error { return nil }); !errors.Is(err, want) {
			t.Errorf("While(%q) = %v, want %v", userID, err, want)
		}
	}
}
