package papyrus_test

import (
	"context"
	"errors"
	"testing"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/secret"
)

const loginPath = "/v1/auth/login"

func (r *rig) provider() *papyrus.AuthProvider {
	r.AuthRepository, _ = r.device(r.dir) // each provider has its own, as each process has
	return papyrus.NewAuthProvider(r.AuthRepository, r.dir)
}

// wantState checks a state. A user is wanted by id, "" for none. What is offline says why.
func wantState(t *testing.T, p *papyrus.AuthProvider, status papyrus.Status, userID string) {
	t.Helper()
	s := p.State()
	id := ""
	if s.User != nil {
		id = s.User.ID
	}
	if s.Status != status || id != userID || s.Err == nil && status == papyrus.StatusOffline || s.Err != nil && s.Status == papyrus.StatusSignedIn {
		t.Errorf("State() = %s of %q (%v), want %s of %q", s.Status, id, s.Err, status, userID)
	}
}

func TestProviderBootstrap(t *testing.T) {
	for _, tt := range []struct {
		name   string
		kept   string
		answer answer
		want   papyrus.Status
		user   string
	}{
		{"nobody", "", answer{}, papyrus.StatusSignedOut, ""},
		{"somebody", "refresh-0", tokens(ann, 1), papyrus.StatusSignedIn, ann},
		{"somebody whose session has ended", "refresh-0", answer{401, unauthorized}, papyrus.StatusSignedOut, ""},
		{"somebody, while the server is out of reach", "refresh-0", answer{503, ""}, papyrus.StatusOffline, ann},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, map[string][]answer{refreshPath: {tt.answer}})
			if tt.kept != "" {
				r.keep(ann, tt.kept)
			}
			p := r.provider()
			wantState(t, p, papyrus.StatusUnknown, "")
			if err := p.Bootstrap(t.Context()); err != nil {
				t.Error(err)
			}
			wantState(t, p, tt.want, tt.user)
		})
	}
}

// TestProviderFollowsRefreshes goes offline and comes back with what the calls of a long-lived process find.
func TestProviderFollowsRefreshes(t *testing.T) {
	r := newRig(t, map[string][]answer{refreshPath: {tokens(ann, 1), {503, ""}, tokens(ann, 2), {401, unauthorized}}})
	r.keep(ann, "refresh-0")
	p := r.provider()
	if err := p.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		want papyrus.Status
		user string
	}{{papyrus.StatusOffline, ann}, {papyrus.StatusSignedIn, ann}, {papyrus.StatusSignedOut, ""}} {
		_, _ = r.Refresh(t.Context())
		wantState(t, p, step.want, step.user)
	}
}

func TestOfflineModeOutlivesTheProcessAndSendsNothing(t *testing.T) {
	r := newRig(t, map[string][]answer{refreshPath: {tokens(ann, 1)}, logoutPath: {{204, ""}}, loginPath: {tokens(ann, 2)}})
	r.keep(ann, "refresh-0")
	p := r.provider()
	if err := errors.Join(p.Bootstrap(t.Context()), p.SetOfflineMode(t.Context(), true)); err != nil {
		t.Fatal(err)
	}
	wantState(t, p, papyrus.StatusOfflineMode, "")
	if r.kept() != "" {
		t.Errorf("kept %q", r.kept())
	}

	sent := len(r.requests())
	next := r.provider()
	if err := next.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantState(t, next, papyrus.StatusOfflineMode, "")
	if got := r.requests()[sent:]; len(got) != 0 {
		t.Errorf("asked for %v", got)
	}

	if err := next.Login(t.Context(), "reader@example.com", secret.New("a long password")); err != nil {
		t.Fatal(err)
	}
	wantState(t, next, papyrus.StatusSignedIn, ann)
	last := r.provider()
	if err := last.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantState(t, last, papyrus.StatusSignedIn, ann)
}

func TestOfflineModeWithoutANetwork(t *testing.T) {
	r := newRig(t, nil)
	r.keep(ann, "refresh-0")
	r.server.Close()
	p := r.provider()
	if err := errors.Join(p.Bootstrap(t.Context()), p.SetOfflineMode(t.Context(), true)); err != nil {
		t.Error(err)
	}
	wantState(t, p, papyrus.StatusOfflineMode, "")
	if r.kept() != "" {
		t.Errorf("kept %q", r.kept())
	}
	if err := p.SetOfflineMode(t.Context(), false); err != nil {
		t.Error(err)
	}
	wantState(t, p, papyrus.StatusSignedOut, "")
}

// TestCrashOnTheWayOffline leaves a token beside the choice.
func TestCrashOnTheWayOffline(t *testing.T) {
	r := newRig(t, nil)
	p := r.provider()
	if err := p.SetOfflineMode(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	r.keep(ann, "refresh-0")
	if err := r.provider().Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.kept() != "" || len(r.requests()) != 0 {
		t.Errorf("kept %q, asked for %v", r.kept(), r.requests())
	}
}

// TestOfflineModeBesideALockedKeyring cannot clear the token at once: nobody uses it, and offline mode does not end before it is gone.
func TestOfflineModeBesideALockedKeyring(t *testing.T) {
	r := newRig(t, map[string][]answer{refreshPath: {tokens(ann, 1)}, logoutPath: {{204, ""}}})
	k := &ring{entries: map[string]string{}}
	provider := func() *papyrus.AuthProvider {
		store, err := papyrus.NewDeviceStore(r.dir, r.server.URL, k)
		if err != nil {
			t.Fatal(err)
		}
		r.store = store
		repository, err := papyrus.NewAuthRepository(papyrus.Config{APIBaseURL: r.server.URL}, store)
		if err != nil {
			t.Fatal(err)
		}
		return papyrus.NewAuthProvider(repository, r.dir)
	}
	p := provider()
	r.keep(ann, "refresh-0")
	k.locked = errors.New("locked")
	if err := p.SetOfflineMode(t.Context(), true); err == nil {
		t.Error("SetOfflineMode(true) does not say that the token is still there")
	}
	next := provider()
	if err := next.Bootstrap(t.Context()); err != nil {
		t.Error(err)
	}
	wantState(t, next, papyrus.StatusOfflineMode, "")
	if err := next.SetOfflineMode(t.Context(), false); err == nil {
		t.Error("SetOfflineMode(false) would sign in again")
	}
	k.locked = nil
	if err := next.SetOfflineMode(t.Context(), false); err != nil {
		t.Error(err)
	}
	wantState(t, next, papyrus.StatusSignedOut, "")
	if r.kept() != "" || len(r.requests()) != 0 {
		t.Errorf("kept %q, asked for %v", r.kept(), r.requests())
	}
}

// stuck is a store that keeps what it has.
type stuck struct{ papyrus.TokenStore }

func (stuck) Clear(context.Context) error { return errors.New("locked") }

// TestAServerOutOfReachIsNoExcuse fails to forget the account, beside a server that cannot be told: nobody is to hear that this device has
// forgotten it.
func TestAServerOutOfReachIsNoExcuse(t *testing.T) {
	r := newRig(t, nil)
	r.keep(ann, "refresh-0")
	r.server.Close()
	repository, err := papyrus.NewAuthRepository(papyrus.Config{APIBaseURL: r.server.URL}, stuck{r.store})
	if err != nil {
		t.Fatal(err)
	}
	p := papyrus.NewAuthProvider(repository, r.dir)
	for name, err := range map[string]error{"Logout()": p.Logout(t.Context()), "SetOfflineMode(true)": p.SetOfflineMode(t.Context(), true)} {
		if err == nil || errors.Is(err, papyrus.ErrUnreachable) {
			t.Errorf("%s = %v, want why the account is there", name, err)
		}
	}
}

// signsInMeanwhile is a store at which somebody else is first.
type signsInMeanwhile struct {
	papyrus.TokenStore
	signIn func()
}

func (s *signsInMeanwhile) Lock(ctx context.Context) (func(), error) {
	s.signIn()
	s.signIn = func() {}
	return s.TokenStore.Lock(ctx)
}

// TestWhoEndsOfflineModeStaysSignedIn signs in from another process, right after one has found offline mode chosen: that one must clear
// nothing any more.
func TestWhoEndsOfflineModeStaysSignedIn(t *testing.T) {
	for name, do := range map[string]func(p *papyrus.AuthProvider) error{
		"any command": func(p *papyrus.AuthProvider) error { return p.Bootstrap(t.Context()) },
		"offline off": func(p *papyrus.AuthProvider) error { return p.SetOfflineMode(t.Context(), false) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, map[string][]answer{loginPath: {tokens(ann, 1)}, refreshPath: {tokens(ann, 2)}})
			if err := r.provider().SetOfflineMode(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			store := &signsInMeanwhile{r.store, func() {
				if err := r.provider().Login(t.Context(), "reader@example.com", secret.New("a long password")); err != nil {
					t.Error(err)
				}
			}}
			repository, err := papyrus.NewAuthRepository(papyrus.Config{APIBaseURL: r.server.URL}, store)
			if err != nil {
				t.Fatal(err)
			}
			if err := do(papyrus.NewAuthProvider(repository, r.dir)); err != nil {
				t.Error(err)
			}
			if r.kept() == "" {
				t.Error("the sign-in is gone")
			}
		})
	}
}

func TestFailedLoginChangesNothing(t *testing.T) {
	r := newRig(t, map[string][]answer{refreshPath: {tokens(ann, 1)}, loginPath: {{401, unauthorized}}})
	r.keep(ann, "refresh-0")
	p := r.provider()
	if err := p.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Login(t.Context(), "bob@example.com", secret.New("wrong")); err == nil {
		t.Error("Login() is no error")
	}
	wantState(t, p, papyrus.StatusSignedIn, ann)
	if r.kept() == "" {
		t.Error("the refresh token is gone")
	}
}

func TestChangesHasTheLatest(t *testing.T) {
	r := newRig(t, map[string][]answer{loginPath: {tokens(ann, 1)}, logoutPath: {{204, ""}}})
	p := r.provider()
	ctx, stop := context.WithCancel(t.Context())
	changes := p.Changes(ctx)
	if s := <-changes; s.Status != papyrus.StatusUnknown {
		t.Errorf("at once %s", s.Status)
	}
	if err := errors.Join(p.Bootstrap(t.Context()), p.Login(t.Context(), "reader@example.com", secret.New("a long password"))); err != nil {
		t.Fatal(err)
	}
	for s := range changes {
		if s.Status == papyrus.StatusSignedIn {
			break
		}
	}
	stop()
	for range changes { // it is closed
	}
}
