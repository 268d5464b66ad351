package papyrus_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/secret"
)

const (
	refreshPath = "/v1/auth/refresh"
	tokenPath   = "/v1/auth/powersync-token"
	uploadPath  = "/v1/sync/powersync-upload"
	logoutPath  = "/v1/auth/logout"
)

func TestBootstrapWithoutATokenSendsNothing(t *testing.T) {
	r := newRig(t, nil)
	if _, err := r.Bootstrap(t.Context()); !errors.Is(err, papyrus.ErrSignedOut) {
		t.Errorf("Bootstrap() = %v, want ErrSignedOut", err)
	}
	if got := r.requests(); len(got) != 0 {
		t.Errorf("asked for %v", got)
	}
}

func TestSignInsReplaceWhatIsKept(t *testing.T) {
	password := secret.New("a long password")
	for _, tt := range []struct {
		name, path string
		do         func(r *rig) (papyrus.User, error)
		body       map[string]string
	}{
		{
			"login", "/v1/auth/login",
			func(r *rig) (papyrus.User, error) { return r.Login(t.Context(), "reader@example.com", password) },
			map[string]string{"email": "reader@example.com", "password": "a long password", "client_type": "desktop", "device_label": "provisioner"},
		},
		{
			"register", "/v1/auth/register",
			func(r *rig) (papyrus.User, error) {
				return r.Register(t.Context(), papyrus.Registration{Email: "reader@example.com", DisplayName: "Ann", Password: password})
			},
			map[string]string{"email": "reader@example.com", "display_name": "Ann", "password": "a long password", "client_type": "desktop", "device_label": "provisioner"},
		},
		{
			"refresh", refreshPath,
			func(r *rig) (papyrus.User, error) { return r.Refresh(t.Context()) },
			map[string]string{"refresh_token": "before"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, map[string][]answer{tt.path: {tokens(ann, 1)}})
			r.keep(bob, "before")
			user, err := tt.do(r)
			if err != nil || user.ID != ann {
				t.Errorf("%+v, %v", user, err)
			}
			var body map[string]string
			if err := json.Unmarshal([]byte(r.seen[0].body), &body); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.body, body); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			if got := load(t, r.store); got.RefreshToken.Reveal() != "refresh-"+ann+"-1" || got.User.ID != ann {
				t.Errorf("kept %q of %s", got.RefreshToken.Reveal(), got.User.ID)
			}
		})
	}
}

// TestSignInEndsTheSessionBefore has somebody sign in where somebody is signed in: that session ends at the server once the new tokens are
// stored, and whatever goes wrong with that is no failure of the sign-in.
func TestSignInEndsTheSessionBefore(t *testing.T) {
	for _, tt := range []struct {
		name            string
		who             string
		refresh, logout answer
		want            []string
	}{
		{"of the same user", ann, tokens(ann, 1), answer{204, ""}, []string{loginPath, refreshPath, logoutPath}},
		{"of another", bob, tokens(bob, 1), answer{204, ""}, []string{loginPath, refreshPath, logoutPath}},
		{"which has ended", ann, answer{401, unauthorized}, answer{}, []string{loginPath, refreshPath}},
		{"at a server that is busy", ann, answer{503, ""}, answer{}, []string{loginPath, refreshPath}},
		{"which the server does not end", bob, tokens(bob, 1), answer{500, ""}, []string{loginPath, refreshPath, logoutPath}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, map[string][]answer{loginPath: {tokens(ann, 2)}, refreshPath: {tt.refresh}, logoutPath: {tt.logout}, tokenPath: {{200, `{"token":"jwt","expires_in":300}`}}})
			r.keep(tt.who, "before")
			r.before = func(in request) {
				if stored := r.kept(); (stored == "before") != (in.path == loginPath) {
					t.Errorf("%s while %q is stored", in.path, stored)
				}
			}
			user, err := r.Login(t.Context(), "reader@example.com", secret.New("a long password"))
			if err != nil || user.ID != ann || r.kept() != "refresh-"+ann+"-2" {
				t.Errorf("Login() = %+v, %v, kept %q", user, err, r.kept())
			}
			if diff := cmp.Diff(tt.want, r.requests()); diff != "" {
				t.Errorf("asked for (-want +got):\n%s", diff)
			}
			if ended := r.presented(logoutPath); len(ended) > 0 && ended[0] != "Bearer access-"+tt.who+"-1" {
				t.Errorf("ended the session of %q", ended[0])
			}
			if _, err := r.CreatePowerSyncToken(t.Context()); err != nil || r.presented(tokenPath)[0] != "Bearer access-"+ann+"-2" {
				t.Errorf("afterwards: %v with %v", err, r.presented(tokenPath))
			}
		})
	}
}

// TestSignInThatCannotBeKeptLeavesNoSession fails to store what the server gave: nobody else has its tokens.
func TestSignInThatCannotBeKeptLeavesNoSession(t *testing.T) {
	r := newRig(t, map[string][]answer{loginPath: {tokens(ann, 1)}, logoutPath: {{204, ""}}})
	r.before = func(in request) {
		if in.path != loginPath {
			return
		}
		if err := os.WriteFile(filepath.Join(r.dir, accountFile(r.server.URL)), []byte("{"), 0o600); err != nil {
			t.Error(err)
		}
	}
	login := func() error {
		_, err := r.Login(t.Context(), "reader@example.com", secret.New("a long password"))
		return err
	}
	if err := login(); err == nil {
		t.Error("Login() is no error")
	}
	if diff := cmp.Diff([]string{"Bearer access-" + ann + "-1"}, r.presented(logoutPath)); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
	sent := len(r.requests())
	if err := login(); err == nil || len(r.requests()) != sent {
		t.Errorf("Login() = %v, having asked for %v where nothing can be kept", err, r.requests()[sent:])
	}
}

// TestRefreshKeepsOrClears is the rule of section 10: a definite refusal clears the token, and nothing else does.
func TestRefreshKeepsOrClears(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer answer
		want   error
	}{
		{"401", answer{401, unauthorized}, papyrus.ErrSignedOut},
		{"401 without a body", answer{401, ""}, papyrus.ErrSignedOut},
		{"403", answer{403, `{"error":{"code":"ACCOUNT_DISABLED","message":"No."}}`}, papyrus.ErrSignedOut},
		{"403 of a proxy", answer{403, "<html>Blocked</html>"}, papyrus.ErrUnreachable},
		{"429", answer{429, `{"error":{"code":"RATE_LIMITED","message":"Later."}}`}, papyrus.ErrUnreachable},
		{"500", answer{500, `{"error":{"code":"INTERNAL_ERROR","message":"Oh."}}`}, papyrus.ErrUnreachable},
		{"503 without a body", answer{503, ""}, papyrus.ErrUnreachable},
		{"200 of a network's sign-in page", answer{200, "<html>Welcome to our hotel</html>"}, papyrus.ErrUnreachable},
		{"200 without tokens", answer{200, `{}`}, papyrus.ErrUnreachable},
		{"200 with an empty refresh token", answer{200, `{"access_token":"a","refresh_token":"","user":{"user_id":"u"}}`}, papyrus.ErrUnreachable},
		{"200 with a refresh token of two lines", answer{200, `{"access_token":"a","refresh_token":"a\nb","user":{"user_id":"u"}}`}, papyrus.ErrUnreachable},
		{"an answer without end", answer{200, strings.Repeat(" ", 9<<20)}, papyrus.ErrUnreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, map[string][]answer{refreshPath: {tt.answer}})
			r.keep(ann, "presented")
			_, err := r.Refresh(t.Context())
			if !errors.Is(err, tt.want) || strings.Contains(err.Error(), "presented") {
				t.Errorf("Refresh() = %v, want %v", err, tt.want)
			}
			want := "presented"
			if errors.Is(tt.want, papyrus.ErrSignedOut) {
				want = ""
			}
			if got := r.kept(); got != want {
				t.Errorf("kept %q, want %q", got, want)
			}
		})
	}
}

func TestRefreshWithoutANetworkKeepsTheToken(t *testing.T) {
	r := newRig(t, nil)
	r.keep(ann, "presented")
	r.server.Close()
	if _, err := r.Refresh(t.Context()); !errors.Is(err, papyrus.ErrUnreachable) {
		t.Errorf("Refresh() = %v, want ErrUnreachable", err)
	}
	if r.kept() != "presented" {
		t.Errorf("kept %q", r.kept())
	}
}

func TestRefusalOfAnOldTokenKeepsTheNewOne(t *testing.T) {
	r := newRig(t, map[string][]answer{refreshPath: {{401, unauthorized}}})
	r.keep(ann, "old")
	r.before = func(request) { // somebody who knows no lock
		if err := r.store.Save(context.Background(), papyrus.Account{RefreshToken: secret.New("new"), User: papyrus.User{ID: ann}}); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Refresh(t.Context()); !errors.Is(err, papyrus.ErrSignedOut) {
		t.Errorf("Refresh() = %v", err)
	}
	if r.kept() != "new" {
		t.Errorf("kept %q, want the new one", r.kept())
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		t.Errorf("%s came along with %v", req.URL, req.Header)
	}))
	t.Cleanup(elsewhere.Close)
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(server.Close)
	store, err := papyrus.NewDeviceStore(t.TempDir(), server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := papyrus.NewAuthRepository(papyrus.Config{APIBaseURL: server.URL}, store)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Login(t.Context(), "reader@example.com", secret.New("a long password")); err == nil {
		t.Error("Login() is no error")
	}
}

// TestCallsAreRetriedOnceAfter401 holds for the two calls of sync: other failures are not retried, and a second 401 clears nothing.
func TestCallsAreRetriedOnceAfter401(t *testing.T) {
	calls := []struct {
		path, good string
		do         func(r *rig) error
	}{
		{tokenPath, `{"token":"jwt","expires_in":300}`, func(r *rig) error { _, err := r.CreatePowerSyncToken(t.Context()); return err }},
		{uploadPath, `{"applied_count":0}`, func(r *rig) error { _, err := r.UploadPowerSyncBatch(t.Context(), nil); return err }},
	}
	first, second := "Bearer access-"+ann+"-1", "Bearer access-"+ann+"-2"
	for _, call := range calls {
		for _, tt := range []struct {
			name    string
			answers []answer
			want    int // the status of the error, 0 for none
			bearers []string
		}{
			{"good at once", []answer{{200, call.good}}, 0, []string{first}},
			{"401, then good", []answer{{401, invalidToken}, {200, call.good}}, 0, []string{first, second}},
			{"401 twice", []answer{{401, invalidToken}, {401, invalidToken}, {200, call.good}}, 401, []string{first, second}},
			{"403", []answer{{403, `{}`}, {200, call.good}}, 403, []string{first}},
			{"422", []answer{{422, `{}`}, {200, call.good}}, 422, []string{first}},
			{"429", []answer{{429, `{}`}, {200, call.good}}, 429, []string{first}},
			{"500", []answer{{500, `{}`}, {200, call.good}}, 500, []string{first}},
		} {
			t.Run(call.path+" "+tt.name, func(t *testing.T) {
				r := newRig(t, map[string][]answer{refreshPath: {tokens(ann, 1), tokens(ann, 2)}, call.path: tt.answers})
				r.keep(ann, "refresh-0")
				status := 0
				if e, ok := errors.AsType[*papyrus.Error](call.do(r)); ok {
					status = e.Status
				}
				if status != tt.want {
					t.Errorf("status %d, want %d", status, tt.want)
				}
				if diff := cmp.Diff(tt.bearers, r.presented(call.path)); diff != "" {
					t.Errorf("asked with (-want +got):\n%s", diff)
				}
				if r.kept() == "" {
					t.Error("the refresh token is gone")
				}
			})
		}
	}
}

// TestRefusedAccessIsNoSignOut has many callers whose access tokens are refused, however fresh: none of them is signed out by what another
// finds.
func TestRefusedAccessIsNoSignOut(t *testing.T) {
	r := newRig(t, map[string][]answer{refreshPath: {tokens(ann, 1)}, tokenPath: {{401, invalidToken}}})
	r.keep(ann, "refresh-0")
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 10 {
				if _, err := r.CreatePowerSyncToken(t.Context()); err == nil || errors.Is(err, papyrus.ErrSignedOut) {
					t.Errorf("CreatePowerSyncToken() = %v, want the refusal", err)
				}
			}
		})
	}
	all.Wait()
}

func TestRefusedRefreshAfter401SignsOut(t *testing.T) {
	r := newRig(t, map[string][]answer{refreshPath: {tokens(ann, 1), {401, unauthorized}}, tokenPath: {{401, invalidToken}}})
	r.keep(ann, "refresh-0")
	if _, err := r.CreatePowerSyncToken(t.Context()); !errors.Is(err, papyrus.ErrSignedOut) {
		t.Errorf("CreatePowerSyncToken() = %v, want ErrSignedOut", err)
	}
	if r.kept() != "" {
		t.Errorf("kept %q", r.kept())
	}
}

func TestUploadIsWhatTheContractSays(t *testing.T) {
	r := newRig(t, map[string][]answer{refreshPath: {tokens(ann, 1)}, uploadPath: {{
		200,
		`{"applied_count":0,"rejected":[{"op_id":11,"id":"x","code":"FORBIDDEN","message":"No."}],"warnings":[{"op_id":12,"field":"f","message":"Hm."}]}`,
	}}})
	r.keep(ann, "refresh-0")
	got, err := r.UploadPowerSyncBatch(t.Context(), []papyrus.Mutation{
		{OpID: 11, TxID: 22, Op: "PUT", Type: "books", ID: "b1", Data: json.RawMessage(`{"title":"Book"}`)},
		{OpID: 12, TxID: 22, Op: "DELETE", Type: "books", ID: "b2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := papyrus.UploadResult{
		Rejected: []papyrus.Rejected{{OpID: 11, ID: "x", Code: "FORBIDDEN", Message: "No."}},
		Warnings: []papyrus.Warning{{OpID: 12, Field: "f", Message: "Hm."}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	const body = `{"batch":[{"op_id":11,"op":"PUT","type":"books","id":"b1","tx_id":22,"data":{"title":"Book"}},{"op_id":12,"op":"DELETE","type":"books","id":"b2","tx_id":22}]}`
	if last := r.seen[len(r.seen)-1]; last.body != body {
		t.Errorf("sent %s", last.body)
	}
}

// TestRefreshesShareAFlight has many callers without an access token at once: one refresh serves them all.
func TestRefreshesShareAFlight(t *testing.T) {
	const callers = 32
	r := newRig(t, map[string][]answer{refreshPath: {tokens(ann, 1), tokens(ann, 2)}, tokenPath: {{200, `{"token":"jwt","expires_in":300}`}}})
	r.keep(ann, "refresh-0")
	gate := make(chan struct{})
	r.before = func(in request) {
		if in.path == refreshPath {
			<-gate
		}
	}
	var started, all sync.WaitGroup
	started.Add(callers)
	for range callers {
		all.Go(func() {
			started.Done()
			if _, err := r.CreatePowerSyncToken(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	started.Wait()
	close(gate)
	all.Wait()
	if got := r.presented(refreshPath); len(got) != 1 { // who comes late finds the access token
		t.Errorf("%d refreshes", len(got))
	}
}

// TestCallerWhoGivesUpLeavesTheRefreshToOthers cancels one of two callers.
func TestCallerWhoGivesUpLeavesTheRefreshToOthers(t *testing.T) {
	r := newRig(t, map[string][]answer{refreshPath: {tokens(ann, 1)}})
	r.keep(ann, "refresh-0")
	asked, gate := make(chan struct{}), make(chan struct{})
	begin := sync.OnceFunc(func() { close(asked) })
	r.before = func(request) { begin(); <-gate }
	impatient, giveUp := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := r.Refresh(impatient); !errors.Is(err, context.Canceled) {
			t.Errorf("Refresh() = %v, want Canceled", err)
		}
		close(gate)
	})
	<-asked
	all.Go(func() {
		if _, err := r.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	})
	giveUp()
	all.Wait()
	if len(r.requests()) != 1 && len(r.requests()) != 2 { // the patient one may have come after the flight
		t.Errorf("asked for %v", r.requests())
	}
}

// TestDevicesOfOneStoreTakeTurns refreshes from many repositories, as many processes have them, and hands each the token that the one
// before was given.
func TestDevicesOfOneStoreTakeTurns(t *testing.T) {
	const devices = 8
	var answers []answer
	for n := range devices {
		answers = append(answers, tokens(ann, n+1))
	}
	r := newRig(t, map[string][]answer{refreshPath: answers})
	r.keep(ann, "refresh-"+ann+"-0")
	var mu sync.Mutex
	seen := map[string]int{}
	r.before = func(in request) {
		mu.Lock()
		defer mu.Unlock()
		seen[refreshTokenOf(t, in)]++
	}
	var all sync.WaitGroup
	for range devices {
		repository, _ := r.device(r.dir)
		all.Go(func() {
			if _, err := repository.Refresh(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for token, times := range seen {
		if times != 1 {
			t.Errorf("%s was presented %d times", token, times)
		}
	}
	if len(seen) != devices {
		t.Errorf("presented %v", seen)
	}
}

// TestOneUsersUploadNeverGoesToAnother signs somebody else in from another process while a session is at work.
func TestOneUsersUploadNeverGoesToAnother(t *testing.T) {
	r := newRig(t, map[string][]answer{
		refreshPath: {tokens(ann, 1), tokens(bob, 2)}, uploadPath: {{401, invalidToken}, {200, `{"applied_count":1}`}},
	})
	r.keep(ann, "refresh-0")
	r.before = func(in request) {
		if in.path == uploadPath {
			r.keep(bob, "refresh-1")
		}
	}
	session := r.As(ann)
	for range 2 {
		if _, err := session.UploadPowerSyncBatch(t.Context(), nil); !errors.Is(err, papyrus.ErrOtherUser) {
			t.Errorf("UploadPowerSyncBatch() = %v, want ErrOtherUser", err)
		}
	}
	if diff := cmp.Diff([]string{"Bearer access-" + ann + "-1"}, r.presented(uploadPath)); diff != "" {
		t.Errorf("uploaded with (-want +got):\n%s", diff)
	}
}

func TestLogout(t *testing.T) {
	for _, tt := range []struct {
		name   string
		logout answer
		want   error
	}{
		{"is told to the server", answer{204, ""}, nil},
		{"of a session that has ended", answer{401, invalidToken}, nil},
		{"of which the server knows nothing", answer{503, ""}, papyrus.ErrUnreachable},
		{"which something else confirms", answer{200, "<html>Welcome to our hotel</html>"}, papyrus.ErrUnreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, map[string][]answer{refreshPath: {tokens(ann, 1)}, logoutPath: {tt.logout}})
			r.keep(ann, "refresh-0")
			if err := r.Logout(t.Context()); !errors.Is(err, tt.want) {
				t.Errorf("Logout() = %v, want %v", err, tt.want)
			}
			if r.kept() != "" {
				t.Errorf("kept %q", r.kept())
			}
			if _, err := r.CreatePowerSyncToken(t.Context()); !errors.Is(err, papyrus.ErrSignedOut) {
				t.Errorf("afterwards: %v, want ErrSignedOut", err)
			}
		})
	}
}

// TestOnlyTheRefreshTokenIsWritten looks for the access token in all that is on the disk.
func TestOnlyTheRefreshTokenIsWritten(t *testing.T) {
	r := newRig(t, map[string][]answer{refreshPath: {tokens(ann, 1)}})
	r.keep(ann, "refresh-0")
	if _, err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(r.dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", name, info.Mode())
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "access-"+ann) {
			t.Errorf("the access token is in %s", name)
		}
	}
}

// TestNothingIsDoneUnlessTheServerSaysSo takes no answer of something else for one of papyrus: no upload is completed, no key is taken for
// made or revoked, and no list for empty.
func TestNothingIsDoneUnlessTheServerSaysSo(t *testing.T) {
	for _, tt := range []struct {
		path string
		do   func(r *rig) error
	}{
		{uploadPath, func(r *rig) error { _, err := r.UploadPowerSyncBatch(t.Context(), nil); return err }},
		{tokenPath, func(r *rig) error { _, err := r.CreatePowerSyncToken(t.Context()); return err }},
		{"/v1/users/me", func(r *rig) error { _, err := r.Me(t.Context()); return err }},
		{"/v1/auth/sessions", func(r *rig) error { _, err := r.Devices(t.Context()); return err }},
		{"/v1/auth/logout-all", func(r *rig) error { return r.EndAllDevices(t.Context()) }},
		{"/v1/keys", func(r *rig) error { _, err := r.Keys(t.Context()); return err }},
		{"/v1/keys/k1", func(r *rig) error { return r.RevokeKey(t.Context(), "k1") }},
	} {
		for _, body := range []string{`{}`, `{"status":"ok"}`, `{"applied_count":null,"keys":null}`, `null`, `[]`, ``} {
			r := newRig(t, map[string][]answer{refreshPath: {tokens(ann, 1)}, tt.path: {{200, body}}})
			r.keep(ann, "refresh-0")
			if err := tt.do(r); !errors.Is(err, papyrus.ErrUnreachable) {
				t.Errorf("%s answered with %q: %v, want ErrUnreachable", tt.path, body, err)
			}
			if r.kept() == "" {
				t.Errorf("%s answered with %q clears the token", tt.path, body)
			}
		}
	}
}

func TestServersWordsAreMadeSafe(t *testing.T) {
	r := newRig(t, map[string][]answer{"/v1/auth/login": {{
		422,
		`{"error":{"code":"VALIDATION_ERROR","message":"\u001b[2Jgone","details":{"fields":[{"field":"password","message":"is\u0007 too common"}]}}}`,
	}}})
	_, err := r.Login(t.Context(), "reader@example.com", secret.New("password"))
	if err == nil || err.Error() != "password: is too common" {
		t.Errorf("Login() = %q", err)
	}
}

func TestPowerSyncURL(t *testing.T) {
	for _, tt := range []struct {
		name, configured, settings, want string
	}{
		{"configured", "https://sync.example.com/", "", "https://sync.example.com"},
		{"of the server", "", `{"data_sync_url":"https://sync.example.com/"}`, "https://sync.example.com"},
		{"of the server, without TLS", "", `{"data_sync_url":"http://sync.example.com"}`, ""},
		{"none", "", `{}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, map[string][]answer{"/v1/sync/settings": {{200, tt.settings}}})
			repository, err := papyrus.NewAuthRepository(papyrus.Config{APIBaseURL: r.server.URL, PowerSyncURL: tt.configured}, r.store)
			if err != nil {
				t.Fatal(err)
			}
			got, err := repository.PowerSyncURL(t.Context())
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("PowerSyncURL() = %q, %v, want %q", got, err, tt.want)
			}
			if tt.configured != "" && len(r.requests()) != 0 {
				t.Errorf("asked for %v", r.requests())
			}
		})
	}
}

func TestConfigFromEnvironment(t *testing.T) {
	for _, tt := range []struct{ raw, want string }{
		{"", "http://localhost:8080"},
		{"https://api.example.com", "https://api.example.com"},
		{"HTTPS://API.example.com/", "https://api.example.com"},
		{"https://example.com/papyrus/", "https://example.com/papyrus"},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"http://[::1]:8080", "http://[::1]:8080"},
		{"http://api.example.com", ""},
		{"http://localhost.example.com", ""},
		{"http://10.0.0.1", ""},
		{"https://user:secret-word@api.example.com", ""},
		{"https://api.example.com/?q", ""},
		{"https://api.example.com/#f", ""},
		{"ftp://localhost", ""},
		{"api.example.com", ""},
		{"localhost:8080", ""},
		{"https://", ""},
		{"://", ""},
	} {
		got, err := papyrus.ConfigFromEnvironment(func(name string) string {
			return map[string]string{"PAPYRUS_API_BASE_URL": tt.raw, "POWERSYNC_SERVICE_URL": tt.raw}[name]
		})
		if tt.want == "" {
			if err == nil || strings.Contains(err.Error(), "secret-word") {
				t.Errorf("%q: %v, want an error", tt.raw, err)
			}
			continue
		}
		if err != nil || got.APIBaseURL != tt.want {
			t.Errorf("%q: %q, %v, want %q", tt.raw, got.APIBaseURL, err, tt.want)
		}
	}
}
