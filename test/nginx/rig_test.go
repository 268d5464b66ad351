package nginx_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/provisioner/provisioner/test/daemon"
	"github.com/provisioner/provisioner/test/nginx"
)

// perMinute is how many requests a key of these tests may make.
const perMinute = 3

// seen is a request as a server got it.
type seen struct {
	method, path string
	header       http.Header
	body         string
}

// requests are those that a server got.
type requests struct {
	mu   sync.Mutex
	list []seen
}

// record has h answer what it records.
func (r *requests) record(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		r.list = append(r.list, seen{req.Method, req.URL.RequestURI(), req.Header.Clone(), string(body)})
		r.mu.Unlock()
		req.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, req)
	})
}

// take returns what was recorded and forgets it.
func (r *requests) take() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.list
	r.list = nil
	return list
}

// rig is an API behind nginx with the shipped configuration, and provisioner beside it.
type rig struct {
	url         string // of nginx
	provisioner *daemon.Daemon
	papyrus     string   // its base URL
	verify, api requests // that provisioner got from nginx, and the API
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{}
	r.serve(t)
	target, err := url.Parse(r.papyrus)
	must(t, err)
	verify := httptest.NewServer(r.verify.record(httputil.NewSingleHostReverseProxy(target)))
	t.Cleanup(verify.Close)
	api := httptest.NewServer(r.api.record(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot) // so that nobody else can have said it
		_, _ = io.WriteString(w, "the API")
	})))
	t.Cleanup(api.Close)

	addr := nginx.Addr(t)
	r.url = "http://" + addr
	nginx.Start(t, addr, shipped(t, map[string]string{
		"127.0.0.1:8080": strings.TrimPrefix(verify.URL, "http://"),
		"127.0.0.1:3000": strings.TrimPrefix(api.URL, "http://"),
		"127.0.0.1:8000": addr,
	}))
	return r
}

// shipped returns the configuration that we ship, with other addresses.
func shipped(t *testing.T, addrs map[string]string) string {
	t.Helper()
	text, err := os.ReadFile("../../config/nginx/forward-auth.conf")
	must(t, err)
	var swap []string
	for documented, addr := range addrs {
		if strings.Count(string(text), documented) != 1 {
			t.Fatalf("the configuration does not have %s once", documented)
		}
		swap = append(swap, documented, addr)
	}
	return strings.NewReplacer(swap...).Replace(string(text))
}

// serve runs the accounts service until t ends.
func (r *rig) serve(t *testing.T) {
	t.Helper()
	dir, addr := t.TempDir(), nginx.Addr(t)
	program := filepath.Join(dir, "provisioner")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/provisioner/provisioner").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	cmd := exec.Command(program, "serve", "papyrus")
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "PAPYRUS_ADDR=" + addr, "ADMIN_ADDR=" + nginx.Addr(t), "DATA_DIR=" + filepath.Join(dir, "data"),
		fmt.Sprintf(`TIERS=[{"name":"new","keys":9,"per_minute":%d}]`, perMinute), "DRAIN_DELAY=0s", "PUBLIC_BASE_URL=http://" + addr,
	}
	process, err := daemon.Start(cmd)
	must(t, err)
	r.provisioner, r.papyrus = process, "http://"+addr
	t.Cleanup(r.stop(t))
	must(t, process.Await(func() error {
		answer, err := http.Get(r.papyrus + "/health")
		if err != nil {
			return err
		}
		return answer.Body.Close()
	}))
}

// stop returns a function that ends the accounts service.
func (r *rig) stop(t *testing.T) func() {
	t.Helper()
	return func() {
		if err := r.provisioner.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   string
}

// do makes a request with headers, a name and a value each.
func do(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	text, err := io.ReadAll(res.Body)
	must(t, err)
	must(t, res.Body.Close())
	return answer{res.StatusCode, res.Header, string(text)}
}

// owner is an account with its access token.
type owner struct {
	id, access string
}

func (r *rig) mustSignUp(t *testing.T) owner {
	t.Helper()
	a := do(t, "POST", r.papyrus+"/auth/v1/signup", `{"email":"reader@example.com","password":"correct horse battery"}`)
	var session struct {
		Access string `json:"access_token"`
		User   struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	if err := json.Unmarshal([]byte(a.body), &session); err != nil || session.Access == "" {
		t.Fatalf("sign-up: %d %s, %v", a.status, a.body, err)
	}
	return owner{session.User.ID, session.Access}
}

// key is an API key with its token.
type key struct {
	ID    string `json:"keyId"`
	Token string `json:"token"`
}

func (r *rig) mustKey(t *testing.T, o owner) key {
	t.Helper()
	a := do(t, "POST", r.papyrus+"/functions/v1/api-keys-create", `{"name":"laptop","tier":"new"}`, "Authorization", "Bearer "+o.access)
	var k key
	if err := json.Unmarshal([]byte(a.body), &k); err != nil || k.Token == "" {
		t.Fatalf("key: %d %s, %v", a.status, a.body, err)
	}
	return k
}
