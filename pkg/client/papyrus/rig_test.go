package papyrus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/secret"
)

const (
	ann = "0195b1b2-0000-7000-8000-00000000000a"
	bob = "0195b1b2-0000-7000-8000-00000000000b"
)

// request is one that the server of a rig got.
type request struct{ path, body, bearer string }

// answer is what it says.
type answer struct {
	status int
	body   string
}

const (
	unauthorized = `{"error":{"code":"UNAUTHORIZED","message":"No."}}`
	invalidToken = `{"error":{"code":"INVALID_TOKEN","message":"No."}}`
)

// tokens is an AuthTokens, the nth of a user.
func tokens(userID string, n int) answer {
	return answer{200, fmt.Sprintf(
		`{"access_token":"access-%s-%d","refresh_token":"refresh-%s-%d","token_type":"Bearer","expires_in":3600,"user":{"user_id":%q,"email":"reader@example.com","avatar_url":null}}`,
		userID, n, userID, n, userID)}
}

// rig is a repository with a store in a directory of its own, and a server that answers what the contract says.
type rig struct {
	*papyrus.AuthRepository
	t      testing.TB
	dir    string
	store  *papyrus.DeviceStore
	server *httptest.Server

	mu      sync.Mutex
	seen    []request
	answers map[string][]answer // by path: one after the other, the last for ever
	before  func(r request)     // called before each answer
}

func newRig(t testing.TB, answers map[string][]answer) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), answers: answers, before: func(request) {}}
	r.server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.server.Close)
	r.AuthRepository, r.store = r.device(r.dir)
	return r
}

// device returns a repository and its store in dir, as a process has them.
func (r *rig) device(dir string) (*papyrus.AuthRepository, *papyrus.DeviceStore) {
	r.t.Helper()
	store, err := papyrus.NewDeviceStore(dir, r.server.URL, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	repository, err := papyrus.NewAuthRepository(papyrus.Config{APIBaseURL: r.server.URL}, store)
	if err != nil {
		r.t.Fatal(err)
	}
	return repository, store
}

func (r *rig) serve(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	in := request{req.URL.Path, string(body), req.Header.Get("Authorization")}
	r.mu.Lock()
	r.seen = append(r.seen, in)
	queue := r.answers[in.path]
	if len(queue) > 1 {
		r.answers[in.path] = queue[1:]
	}
	before := r.before
	r.mu.Unlock()

	before(in)
	if len(queue) == 0 {
		http.NotFound(w, req)
		return
	}
	w.WriteHeader(queue[0].status)
	_, _ = io.WriteString(w, queue[0].body)
}

// requests returns the paths that were asked for.
func (r *rig) requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	paths := []string{}
	for _, in := range r.seen {
		paths = append(paths, in.path)
	}
	return paths
}

// presented returns the bearers of the requests for a path.
func (r *rig) presented(path string) (bearers []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, in := range r.seen {
		if in.path == path {
			bearers = append(bearers, in.bearer)
		}
	}
	return bearers
}

// keep stores a refresh token as an earlier process has.
func (r *rig) keep(userID, token string) {
	r.t.Helper()
	save(r.t, r.store, papyrus.Account{RefreshToken: secret.New(token), User: papyrus.User{ID: userID, Email: "reader@example.com"}})
}

func save(t testing.TB, s papyrus.TokenStore, a papyrus.Account) {
	t.Helper()
	unlock, err := s.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if err := s.Save(t.Context(), a); err != nil {
		t.Fatal(err)
	}
}

// kept returns the refresh token that is stored.
func (r *rig) kept() string { return load(r.t, r.store).RefreshToken.Reveal() }

func load(t testing.TB, s papyrus.TokenStore) papyrus.Account {
	t.Helper()
	a, err := s.Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// refreshTokenOf returns the token in the body of a refresh.
func refreshTokenOf(t testing.TB, in request) string {
	t.Helper()
	var body struct {
		Token string `json:"refresh_token"`
	}
	if err := json.Unmarshal([]byte(in.body), &body); err != nil {
		t.Error(err)
	}
	return body.Token
}
