package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
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
	"time"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/test/browser"
	"github.com/provisioner/provisioner/test/daemon"
	oidctest "github.com/provisioner/provisioner/test/oidc"
	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
)

// Exit codes of the client's commands.
const (
	done        = 0
	failed      = 1
	signedOut   = 3
	unreachable = 4
)

// desktop is somebody at a terminal: commands of the real program that share one directory, each a process of its own.
type desktop struct {
	t   testing.TB
	dir string
	env program.Settings
}

// newDesktop returns a desktop without a system keyring, whose server is at the base URL api.
func newDesktop(t testing.TB, api string) *desktop {
	t.Helper()
	d := &desktop{t: t, dir: t.TempDir()}
	d.env = program.Settings{
		"PAPYRUS_API_BASE_URL": api, "PROVISIONER_HOME": filepath.Join(d.dir, "home"), "HOME": d.dir, "XDG_RUNTIME_DIR": d.dir,
	}
	return d
}

// result is what a command came to.
type result struct {
	out, errs string
	code      int
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d\n%s%s", r.code, r.out, r.errs)
}

// prepare returns a command that is not started, and where its output goes.
func (d *desktop) prepare(stdin string, args ...string) (cmd *exec.Cmd, out, errs *bytes.Buffer) {
	d.t.Helper()
	cmd = program.Command(d.t, d.dir, d.env, args...)
	out, errs = &bytes.Buffer{}, &bytes.Buffer{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), out, errs
	return cmd, out, errs
}

// run runs a command to its end.
func (d *desktop) run(stdin string, args ...string) result {
	d.t.Helper()
	cmd, out, errs := d.prepare(stdin, args...)
	if _, ok := errors.AsType[*exec.ExitError](cmd.Run()); !ok && cmd.ProcessState == nil {
		d.t.Errorf("%v did not run", args)
		return result{code: -1}
	}
	d.keepToken()
	record.See("output of "+strings.Join(args, " "), out.String()+errs.String())
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// must runs a command that has to end with a code, and returns what it printed.
func (d *desktop) must(code int, stdin string, args ...string) string {
	d.t.Helper()
	r := d.run(stdin, args...)
	if r.code != code {
		d.t.Errorf("%s: %v, want exit code %d", strings.Join(args, " "), r, code)
	}
	return r.out + r.errs
}

// accountFile is what the directory has of the sign-in, "" for nothing.
func (d *desktop) accountFile() string {
	d.t.Helper()
	files, err := filepath.Glob(filepath.Join(d.env["PROVISIONER_HOME"], "account-*.json"))
	if err != nil || len(files) > 1 {
		d.t.Fatal(files, err)
	}
	if len(files) == 0 {
		return ""
	}
	text, err := os.ReadFile(files[0])
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		d.t.Fatal(err)
	}
	return string(text)
}

// keepToken puts the refresh token on the record, if it is in the directory.
func (d *desktop) keepToken() {
	var in struct {
		Token string `json:"papyrus_refresh_token"`
	}
	if json.Unmarshal([]byte(d.accountFile()), &in) == nil && in.Token != "" {
		record.Keep("refresh token of a desktop", in.Token)
	}
}

// register makes an account and returns its e-mail address and password.
func (d *desktop) register() (email, password string) {
	d.t.Helper()
	r := &reader{t: d.t, email: strings.ToLower(rand.Text()) + "@example.com", password: record.NewSecret("password")}
	d.must(done, r.password, "register", r.email)
	return r.email, r.password
}

// TestDesktopsShareASignIn refreshes from many processes at the same moment, of which some are killed on the way: those that live stay
// signed in, and so does the next one.
func TestDesktopsShareASignIn(t *testing.T) {
	const lifetime = 50 * time.Millisecond // about that of a command
	accounts := start(t, "papyrus", nil)
	d := newDesktop(t, accounts.URL("papyrus"))
	d.register()
	for _, tt := range []struct {
		name                      string
		processes, killed, rounds int
	}{
		{"two processes", 2, 0, 25},
		{"eight processes, one of which is killed", 8, 1, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range tt.rounds {
				var all sync.WaitGroup
				for i := range tt.processes {
					cmd, out, errs := d.prepare("", "whoami", "--json")
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					if i < tt.killed {
						time.AfterFunc(mathrand.N(lifetime), func() { _ = cmd.Process.Kill() }) // may have ended already
						all.Go(func() { _ = cmd.Wait() })
						continue
					}
					all.Go(func() {
						if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), `"signed-in"`) {
							t.Errorf("%v\n%s%s", err, out, errs)
						}
					})
				}
				all.Wait()
				d.must(done, "", "sessions")
			}
		})
	}
	t.Run("eight processes that refresh all the time, some of which are killed", d.refreshAllTheTime)
	d.must(done, "", "sessions")

	audit := program.Command(t, d.dir, accounts.Env, "audit", "list", "--kind", "session.reused", "--json")
	if out, err := audit.CombinedOutput(); err != nil || len(out) != 0 {
		t.Errorf("the server has seen tokens reused: %v\n%s", err, out)
	}
}

// refreshAllTheTime has processes of the test binary refresh the desktop's sign-in, each over and over.
func (d *desktop) refreshAllTheTime(t *testing.T) {
	const processes, killed = 8, 2
	var all sync.WaitGroup
	for i := range processes {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(d.env.Environ(), refresherHome+"="+d.env["PROVISIONER_HOME"])
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i < killed {
			time.AfterFunc(mathrand.N(time.Second), func() { _ = cmd.Process.Kill() }) // may have ended already
			all.Go(func() { _ = cmd.Wait() })
			continue
		}
		all.Go(func() {
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v\n%s", err, out.String())
			}
		})
	}
	all.Wait()
}

// refresherHome names, in the environment of the test binary, the directory whose sign-in it is to refresh over and over.
const refresherHome = "E2E_REFRESHER_HOME"

// refreshOften refreshes fifty times and returns an exit code.
func refreshOften(home string) int {
	cfg, err := papyrus.ConfigFromEnvironment(os.Getenv)
	if err != nil {
		panic(err)
	}
	store, err := papyrus.NewDeviceStore(home, cfg.APIBaseURL, nil)
	if err != nil {
		panic(err)
	}
	repository, err := papyrus.NewAuthRepository(cfg, store)
	if err != nil {
		panic(err)
	}
	for n := range 50 {
		if _, err := repository.Refresh(context.Background()); err != nil {
			fmt.Printf("refresh %d: %v\n", n, err)
			return 1
		}
	}
	return 0
}

// TestDesktopKilledBeforeItStores kills a process between the answer to its refresh and the moment when it has stored the new token. The
// one before is still good, whatever happens how often.
func TestDesktopKilledBeforeItStores(t *testing.T) {
	accounts := start(t, "papyrus", nil)
	to, err := url.Parse(accounts.URL("papyrus"))
	if err != nil {
		t.Fatal(err)
	}
	victims := make(chan *os.Process, 1)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = func(resp *http.Response) error {
		select {
		case victim := <-victims:
			if resp.StatusCode != http.StatusOK {
				t.Errorf("refresh: %s", resp.Status)
			}
			return errors.Join(victim.Kill(), errors.New("its client is dead"))
		default:
			return nil
		}
	}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	between := httptest.NewServer(proxy)
	t.Cleanup(between.Close)

	d := newDesktop(t, between.URL)
	d.register()
	before := d.accountFile()
	for range 5 {
		cmd, _, _ := d.prepare("", "whoami")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		victims <- cmd.Process
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the victim ended with %v", err)
		}
		if len(victims) != 0 {
			t.Fatal("it was killed before it asked")
		}
		if d.accountFile() != before {
			t.Fatal("it stored something")
		}
	}
	d.must(done, "", "sessions")
	if d.accountFile() == before {
		t.Error("the next process stored no new token")
	}
	d.must(done, "", "sessions")
}

// TestDesktopInAKeyring signs in beside a real keyring, GNOME's, and with the same sign-in finds it locked.
func TestDesktopInAKeyring(t *testing.T) {
	accounts := start(t, "papyrus", nil)
	d := newDesktop(t, accounts.URL("papyrus"))
	stop := d.openKeyring("printf password | gnome-keyring-daemon --unlock --components=secrets")
	email, _ := d.register()
	if text := d.accountFile(); !strings.Contains(text, `"keyring":"papyrus_refresh_token `+accounts.URL("papyrus")) || strings.Contains(text, "papyrus_refresh_token\":") {
		t.Errorf("the directory has %s", text)
	}
	for range 3 {
		if got := d.must(done, "", "whoami"); !strings.Contains(got, email) || !strings.Contains(got, "signed-in") {
			t.Errorf("whoami: %s", got)
		}
	}
	stop()

	stop = d.openKeyring("gnome-keyring-daemon --start --components=secrets")
	if got := d.must(done, "", "whoami"); !strings.Contains(got, "offline") || !strings.Contains(got, "unlock it") {
		t.Errorf("whoami beside a locked keyring: %s", got)
	}
	d.must(failed, "", "sessions")
	stop()

	stop = d.openKeyring("printf password | gnome-keyring-daemon --unlock --components=secrets")
	defer stop()
	d.must(done, "", "sessions")
	d.must(done, "", "logout")
	d.must(signedOut, "", "whoami")
	if text := d.accountFile(); text != "" {
		t.Errorf("after the sign-out the directory has %s", text)
	}
}

// openKeyring runs a session bus with a keyring, whose files are in the desktop's home, until stop is called or the test binary ends.
func (d *desktop) openKeyring(begin string) (stop func()) {
	d.t.Helper()
	bus := filepath.Join(d.dir, "bus-address")
	cmd := exec.Command("dbus-run-session", "--", "sh", "-c", begin+` >&2 && echo "$DBUS_SESSION_BUS_ADDRESS" > bus-address.new && mv bus-address.new bus-address && exec cat`)
	cmd.Dir, cmd.Env = d.dir, d.env.Environ()
	hold, err := cmd.StdinPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	session, err := daemon.Start(cmd)
	if err != nil {
		d.t.Fatalf("%v: run `make deps`", err)
	}
	stop = func() {
		// The end of its input ends the session, and SIGCONT nothing: all that is left to do is to wait.
		if err := errors.Join(hold.Close(), session.Stop(syscall.SIGCONT), os.Remove(bus)); err != nil {
			d.t.Error(err)
		}
		delete(d.env, "DBUS_SESSION_BUS_ADDRESS")
	}
	var address []byte
	if err := session.Await(func() error { address, err = os.ReadFile(bus); return err }); err != nil {
		d.t.Fatal(err)
	}
	d.env["DBUS_SESSION_BUS_ADDRESS"] = strings.TrimSpace(string(address))
	return stop
}

// TestDesktopSignsInWithGoogle has people sign in with `login --google`, in Chromium, which $BROWSER names.
func TestDesktopSignsInWithGoogle(t *testing.T) {
	in := withProvider(t, app)
	chromium := browser.Start(t)
	d := newDesktop(t, in.public)

	t.Run("in the system's browser", func(t *testing.T) {
		signedIn := d.signIn(chromium.NewProfile(), oidctest.Reader.Subject, "login", "--google")
		shows(t, "the page at the end", signedIn.page, "http://localhost:43821/auth/callback?code=", "You are signed in as "+oidctest.Reader.Email)
		if signedIn.code != done || !strings.Contains(signedIn.out, "signed in as "+oidctest.Reader.Email) {
			t.Errorf("login: %v", signedIn.result)
		}
		if got := d.must(done, "", "whoami"); !strings.Contains(got, oidctest.Reader.Email) {
			t.Errorf("whoami: %s", got)
		}
	})
	t.Run("by a URL that is printed, beside a program at the apps' port", func(t *testing.T) {
		other, err := net.Listen("tcp", "127.0.0.1:43821")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		signedIn := d.signIn(chromium.NewProfile(), oidctest.Reader.Subject, "login", "--google", "--no-browser")
		shows(t, "the page at the end", signedIn.page, "http://127.0.0.1:", "You are signed in as "+oidctest.Reader.Email)
		if signedIn.code != done {
			t.Errorf("login: %v", signedIn.result)
		}
	})
	t.Run("a refusal at the provider", func(t *testing.T) {
		refused := d.signIn(chromium.NewProfile(), oidctest.Refuser.Subject, "login", "--google")
		shows(t, "the page at the end", refused.page, "?error=access_denied", "the sign-in was refused at the provider")
		if refused.code != failed || !strings.Contains(refused.out, "refused at the provider") {
			t.Errorf("login: %v", refused.result)
		}
		d.must(done, "", "sessions") // who was signed in still is
	})
	t.Run("at a server that has no provider, or is not there", func(t *testing.T) {
		elsewhere := newDesktop(t, start(t, "papyrus", nil).URL("papyrus"))
		if got := elsewhere.must(failed, "", "login", "--google"); strings.Contains(got, "browser") {
			t.Errorf("login: %s", got)
		}
		newDesktop(t, program.Nowhere).must(unreachable, "", "login", "--google")
	})
	t.Run("Ctrl-C", func(t *testing.T) {
		cmd, wait, _ := d.beginSignIn("login", "--google")
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if got := wait(); got.code != failed || !strings.Contains(got.out, "interrupted") {
			t.Errorf("login: %v", got)
		}
	})
}

// browsed is a sign-in by the browser that has ended.
type browsed struct {
	result
	page browser.Page
}

// signIn runs a command that has a browser open a URL, has somebody sign in there, and waits for the end of the command.
func (d *desktop) signIn(at *browser.Profile, who string, args ...string) browsed {
	d.t.Helper()
	_, wait, begin := d.beginSignIn(args...)
	at.Visit(begin)
	page := at.Click(who)
	return browsed{wait(), page}
}

// beginSignIn starts a command that has a browser open a URL, and returns that. $BROWSER is a script that hands the URL over.
func (d *desktop) beginSignIn(args ...string) (cmd *exec.Cmd, wait func() result, begin string) {
	d.t.Helper()
	script, handed := filepath.Join(d.dir, "browser"), filepath.Join(d.dir, "handed")
	_ = os.Remove(handed) // of the sign-in before
	if err := os.WriteFile(script, []byte("#!/bin/sh\nprintf %s \"$1\" > "+handed+".new && mv "+handed+".new "+handed+"\n"), 0o755); err != nil {
		d.t.Fatal(err)
	}
	d.env["BROWSER"] = script
	cmd = program.Command(d.t, d.dir, d.env, args...)
	running, err := daemon.Start(cmd)
	if err != nil {
		d.t.Fatal(err)
	}
	wait = func() result {
		if err := running.Stop(syscall.SIGCONT); err != nil { // which it does not notice
			d.t.Error(err)
		}
		d.keepToken()
		record.See("output of "+strings.Join(args, " "), running.Output())
		return result{out: running.Output(), code: cmd.ProcessState.ExitCode()}
	}
	program.Eventually(d.t, "a URL for the browser", func() bool {
		text, err := os.ReadFile(handed)
		if begin = string(text); err != nil {
			begin = urlIn(running.Output())
		}
		return begin != ""
	})
	return cmd, wait, begin
}

// urlIn returns the line of a text that is a URL, "" for none.
func urlIn(text string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "http") && strings.HasSuffix(line, "\n") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// TestDesktop goes through what a person does: flows with a server that goes away and comes back.
func TestDesktop(t *testing.T) {
	accounts := start(t, "papyrus", nil)
	d := newDesktop(t, accounts.URL("papyrus"))
	d.must(signedOut, "", "whoami")
	email, password := d.register()
	elsewhere := newDesktop(t, accounts.URL("papyrus"))
	elsewhere.must(done, password, "login", email)

	accounts.Kill()
	if got := d.must(done, "", "whoami", "--json"); !strings.Contains(got, `"status": "offline"`) || !strings.Contains(got, email) {
		t.Errorf("whoami without a server: %s", got)
	}
	d.must(unreachable, "", "sessions")
	accounts.Start()
	d.must(done, "", "sessions")

	elsewhere.must(done, "", "sessions", "end", "--all")
	if got := d.must(signedOut, "", "sessions"); !strings.Contains(got, "run `provisioner login`") {
		t.Errorf("sessions of an ended session: %s", got)
	}
	if text := d.accountFile(); text != "" {
		t.Errorf("the directory still has %s", text)
	}
}
