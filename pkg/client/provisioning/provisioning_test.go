package provisioning_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/client/provisioning"
)

var ok = status(200, `{"ok":true,"received":{}}`)

func TestTransientFailuresAreRetriedTwice(t *testing.T) {
	for name, tt := range map[string]struct {
		reply reply
		want  provisioning.Error
	}{
		"500":           {status(500, `{"error":"boom"}`), provisioning.Error{Message: provisioning.MessageServer, Status: 500}},
		"504":           {status(504, `{"code":"RECEIVER_TIMEOUT"}`), provisioning.Error{Message: provisioning.MessageServer, Code: "RECEIVER_TIMEOUT", Status: 504}},
		"429":           {status(429, `{"error":"slow down","code":"RATE_LIMITED"}`), provisioning.Error{Message: "slow down", Code: "RATE_LIMITED", Status: 429}},
		"502":           {status(502, `{}`), provisioning.Error{Message: provisioning.MessageUnexpected, Status: 502}},
		"503":           {status(503, `{"error":"busy"}`), provisioning.Error{Message: "busy", Status: 503}},
		"a time-out":    {fails(timeoutError{}), provisioning.Error{Message: provisioning.MessageTimeout}},
		"no connection": {fails(errRefused), provisioning.Error{Message: provisioning.MessageNetwork}},
		"a lost answer": {fails(io.ErrUnexpectedEOF), provisioning.Error{Message: provisioning.MessageNetwork}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig("https://sender.test/", tt.reply)
			got := mustFail(t, r.send(t))
			if got.Err == nil {
				t.Error("nothing is said to logs")
			}
			if got.Err = nil; got != tt.want {
				t.Errorf("the call ends in %+v, want %+v", got, tt.want)
			}
			if len(r.bodies) != 3 || !cmp.Equal(r.delays, []time.Duration{time.Second, 2 * time.Second}) {
				t.Errorf("%d tries with waits of %v, want 3 with 1s and 2s", len(r.bodies), r.delays)
			}
			if len(r.failures) != 1 || r.failures[0].Attempt != 3 || r.failures[0].Call != "ProvisioningService.sendEvent" || r.failures[0].Endpoint != "https://sender.test" {
				t.Errorf("tracked: %+v, want the third try alone", r.failures)
			}

			r = newRig("https://sender.test", tt.reply, ok)
			mustSucceed(t, r.send(t))
			if len(r.bodies) != 2 || len(r.failures) != 0 {
				t.Errorf("%d tries, tracked %v; want the second to succeed, and nothing tracked", len(r.bodies), r.failures)
			}
		})
	}
}

func TestOtherAnswersAreFinal(t *testing.T) {
	for name, tt := range map[string]struct {
		reply reply
		want  provisioning.Error
	}{
		"400":                      {status(400, `{"error":"bad","code":"MISSING_FIELDS"}`), provisioning.Error{Message: "bad", Code: "MISSING_FIELDS", Status: 400}},
		"401":                      {status(401, `{"error":"who?","code":"INVALID_AUTH"}`), provisioning.Error{Message: "who?", Code: "INVALID_AUTH", Status: 401}},
		"409":                      {status(409, `{"error":"taken"}`), provisioning.Error{Message: "taken", Status: 409}},
		"501":                      {status(501, `{}`), provisioning.Error{Message: provisioning.MessageUnexpected, Status: 501}},
		"400 without text":         {status(400, `{}`), provisioning.Error{Message: provisioning.MessageUnexpected, Status: 400}},
		"200 that is not ok":       {status(200, `{"ok":false}`), provisioning.Error{Message: provisioning.MessageUnexpected, Status: 200}},
		"201 for an event":         {status(201, `{"ok":true}`), provisioning.Error{Message: provisioning.MessageUnexpected, Status: 201}},
		"no JSON":                  {status(200, `<html>`), provisioning.Error{Message: provisioning.MessageUnexpected, Status: 200}},
		"null":                     {status(200, `null`), provisioning.Error{Message: provisioning.MessageUnexpected, Status: 200}},
		"more than is ever sent":   {status(200, `{"ok":true,"x":"`+string(make([]byte, 2<<20))+`"}`), provisioning.Error{Message: provisioning.MessageUnexpected, Status: 200}},
		"503 for longer than 30 s": {status(503, `{"error":"busy"}`, "Retry-After", "31"), provisioning.Error{Message: "busy", Status: 503}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig("https://sender.test", tt.reply)
			got := mustFail(t, r.send(t))
			if got.Err = nil; got != tt.want || len(r.bodies) != 1 {
				t.Errorf("%d tries end in %+v, want 1 and %+v", len(r.bodies), got, tt.want)
			}
		})
	}
}

// TestAnswersOfSomethingElseMakeNoAccount has the sign-in page of a network answer, with whatever status.
func TestAnswersOfSomethingElseMakeNoAccount(t *testing.T) {
	for _, code := range []int{200, 201, 202, 204} {
		r := newRig("https://sender.test", status(code, "<html>Welcome to our hotel</html>"), status(code, "{}"))
		for _, got := range []provisioning.Result{r.SignUp(t.Context(), "a@b.test", "pw"), r.SignIn(t.Context(), "a@b.test", "pw")} {
			if failed := mustFail(t, got); failed.Message != provisioning.MessageUnexpected {
				t.Errorf("%d ends in %+v", code, failed)
			}
		}
	}
}

func TestRefusalsAreNotTracked(t *testing.T) {
	r := newRig("https://sender.test", status(400, `{"error":"bad"}`))
	if got := mustFail(t, r.send(t)); got.Err != nil || len(r.failures) != 0 {
		t.Errorf("a refusal: %+v, tracked %v", got, r.failures)
	}
	r = newRig("https://sender.test", status(400, `{"error":{"text":"bad"}}`))
	if got := mustFail(t, r.send(t)); got.Message != provisioning.MessageUnexpected || len(r.failures) != 1 {
		t.Errorf("an error that is no text: %+v, tracked %v", got, r.failures)
	}
}

func TestAPasswordInTheURLIsNotTracked(t *testing.T) {
	for _, baseURL := range []string{"https://user:secret-word@sender.test", "http://user:secret-word@sender.test", "https://user:secret-word@sender.test:port"} {
		r := newRig(baseURL, fails(errRefused))
		failed := mustFail(t, r.send(t))
		if tracked := fmt.Sprint(r.failures, failed); len(r.failures) != 1 || strings.Contains(tracked, "secret-word") {
			t.Errorf("%s: tracked %s", baseURL, tracked)
		}
	}
}

func TestTextsOfTheServerAreSafeToShow(t *testing.T) {
	r := newRig("https://sender.test", status(400, `{"error":"no\u001b[2J\r\nroot@host# `+strings.Repeat("x", 1000)+`","code":"A\u0007"}`))
	got := mustFail(t, r.send(t))
	if strings.ContainsAny(got.Message+got.Code, "\x1b\r\n\a") || len(got.Message) > 500 || !strings.HasPrefix(got.Message, "no") {
		t.Errorf("%q, code %q", got.Message, got.Code)
	}
}

func TestCertificatesThatDoNotFitAreFinal(t *testing.T) {
	r := newRig("https://sender.test", fails(&tls.CertificateVerificationError{Err: errors.New("unknown authority")}))
	if got := mustFail(t, r.send(t)); got.Message != provisioning.MessageNetwork || len(r.bodies) != 1 || len(r.failures) != 1 {
		t.Errorf("%d tries end in %+v, tracked %v", len(r.bodies), got, r.failures)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Now().UTC()
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for name, tt := range map[string]struct {
		header []string
		want   time.Duration
	}{
		"seconds":                      {[]string{"Retry-After", "5"}, 5 * time.Second},
		"less than the second of ours": {[]string{"Retry-After", "0"}, time.Second},
		"a date by the server's clock": {[]string{"Retry-After", date(time.Hour + 7*time.Second), "Date", date(time.Hour)}, 7 * time.Second},
		"a date gone by":               {[]string{"Retry-After", date(-time.Hour)}, time.Second},
		"nonsense":                     {[]string{"Retry-After", "soon"}, time.Second},
		"below nothing":                {[]string{"Retry-After", "-5"}, time.Second},
		"beyond all numbers":           {[]string{"Retry-After", "99999999999999999999"}, 0},
		"a date far away":              {[]string{"Retry-After", date(time.Hour)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig("https://sender.test", status(503, `{}`, tt.header...), ok)
			r.send(t)
			if tt.want == 0 && len(r.delays) == 0 {
				return
			}
			if !cmp.Equal(r.delays, []time.Duration{tt.want}) {
				t.Errorf("waits of %v, want %v", r.delays, tt.want)
			}
		})
	}
}

// TestResultsAreSealed has no third way for a call to end: whoever switches on both has all.
func TestResultsAreSealed(t *testing.T) {
	if m := reflect.TypeFor[provisioning.Result]().Method(0); m.PkgPath == "" {
		t.Errorf("%s is exported: other packages can make Results", m.Name)
	}
}

func TestOneIdempotencyKeyACall(t *testing.T) {
	r := newRig("https://sender.test", status(500, `{}`))
	r.send(t)
	r.send(t)
	if len(r.keys) != 6 || r.keys[0] == "" || r.keys[0] == r.keys[3] {
		t.Fatalf("keys %q, want one for three tries, and another for the next call", r.keys)
	}
	if got := slices.Compact(slices.Clone(r.keys)); len(got) != 2 {
		t.Errorf("keys %q change within a call", r.keys)
	}
	if got := slices.Compact(slices.Clone(r.bodies[:3])); len(got) != 1 {
		t.Errorf("bodies %q change within a call", got)
	}
}

func TestTimestampsAreUTCAsDartWritesThem(t *testing.T) {
	cet := time.FixedZone("CET", 3600)
	for want, sentAt := range map[string]time.Time{
		"2026-03-20T10:15:30.000Z":    time.Date(2026, 3, 20, 11, 15, 30, 0, cet),
		"2026-03-20T10:15:30.120Z":    time.Date(2026, 3, 20, 11, 15, 30, 120e6, cet),
		"2026-03-20T10:15:30.120034Z": time.Date(2026, 3, 20, 11, 15, 30, 120034e3, cet),
		"2026-12-31T23:59:59.999Z":    time.Date(2027, 1, 1, 0, 59, 59, 999e6+999, cet), // nanoseconds are cut off
	} {
		r := newRig("https://sender.test", ok)
		r.SendEvent(t.Context(), provisioning.Event{UserID: "u1", Action: "ping", SentAt: sentAt})
		var body struct{ SentAt string }
		if err := json.Unmarshal([]byte(r.bodies[0]), &body); err != nil || body.SentAt != want {
			t.Errorf("%v is sent as %q, want %q", sentAt, body.SentAt, want)
		}
	}
}

func TestBodies(t *testing.T) {
	for name, tt := range map[string]struct {
		reply reply
		call  func(*rig) provisioning.Result
		want  map[string]any
	}{
		"an event": {
			ok,
			func(r *rig) provisioning.Result {
				return r.SendEvent(t.Context(), provisioning.Event{UserID: "u1", Action: "ping", SentAt: time.UnixMilli(0)})
			},
			map[string]any{"userId": "u1", "action": "ping", "sentAt": "1970-01-01T00:00:00.000Z"},
		},
		"an event of somebody": {
			ok,
			func(r *rig) provisioning.Result {
				return r.SendEvent(t.Context(), provisioning.Event{UserID: "u1", Action: "ping", SentAt: time.UnixMilli(0), JWT: "a.b.c"})
			},
			map[string]any{"userId": "u1", "action": "ping", "sentAt": "1970-01-01T00:00:00.000Z", "jwt": "a.b.c"},
		},
		"a key request": {
			ok,
			func(r *rig) provisioning.Result { return r.ProvisionKey(t.Context(), "a.b.c", "laptop", "new") },
			map[string]any{"action": "provision_api_key", "jwt": "a.b.c", "name": "laptop", "tier": "new"},
		},
		"a sign-up": {
			status(201, `{"userId":"u1","confirmationRequired":true}`),
			func(r *rig) provisioning.Result { return r.SignUp(t.Context(), "a@b.test", "pw") },
			map[string]any{"email": "a@b.test", "password": "pw"},
		},
		"a sign-in": {
			status(200, `{"jwt":"a.b.c","userId":"u1","email":"a@b.test"}`),
			func(r *rig) provisioning.Result { return r.SignIn(t.Context(), "a@b.test", "pw") },
			map[string]any{"email": "a@b.test", "password": "pw"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig("https://sender.test", tt.reply)
			mustSucceed(t, tt.call(r))
			var got map[string]any
			if err := json.Unmarshal([]byte(r.bodies[0]), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlainHTTPLeavesThisMachineOnlyWhereAllowed(t *testing.T) {
	for baseURL, want := range map[string]bool{
		"https://sender.example.com": true, "http://localhost:8787": true, "http://127.0.0.1:8787": true, "http://[::1]:1": true,
		"http://sender.example.com": false, "ftp://localhost": false, "sender.example.com": false, "": false, "http://localhost.example.com": false,
		"http://127.0.0.1.example.com": false, "http://10.0.0.1": false, "://": false,
	} {
		r := newRig(baseURL, status(200, `{"ok":true,"jwt":"a.b.c"}`))
		for call, got := range map[string]provisioning.Result{
			"SignIn": r.SignIn(t.Context(), "a@b.test", "pw"), "CheckHealth": r.CheckHealth(t.Context(), baseURL),
		} {
			if _, ok := got.(provisioning.Success); ok != want {
				t.Errorf("%s at %q succeeds: %v, want %v", call, baseURL, ok, want)
			}
			if failed, ok := got.(provisioning.Error); ok && (!errors.Is(failed.Err, provisioning.ErrInsecureURL) || failed.Message != provisioning.MessageUnexpected) {
				t.Errorf("%s at %q ends in %+v", call, baseURL, failed)
			}
		}
		if !want && len(r.bodies) != 0 {
			t.Errorf("%q was called", baseURL)
		}
	}
	client := provisioning.New("http://sender:8787", provisioning.WithInsecureHTTP(), provisioning.WithHTTPClient(&http.Client{Transport: newRig("", ok)}))
	mustSucceed(t, client.ProvisionKey(t.Context(), "a.b.c", "laptop", "new"))
	mustFail(t, client.CheckHealth(t.Context(), "http://sender:8787"))
}

func TestBaseURLFromEnvironment(t *testing.T) {
	for set, want := range map[string]string{"": provisioning.DefaultBaseURL, "https://sender.example.com": "https://sender.example.com"} {
		if got := provisioning.BaseURLFromEnvironment(func(name string) string { return map[string]string{"SENDER_WORKER_URL": set}[name] }); got != want {
			t.Errorf("with %q: %q", set, got)
		}
	}
}

func TestCheckHealth(t *testing.T) {
	for name, tt := range map[string]struct {
		reply   reply
		want    string // the message; "" for success
		tracked int
	}{
		"ok":             {status(200, `{"ok":true,"service":"receiver-worker"}`), "", 0},
		"papyrus":        {status(200, `{"status":"healthy"}`), "", 0},
		"not ok":         {status(200, `{"ok":false}`), provisioning.MessageServer, 0},
		"no JSON":        {status(200, `<html>`), provisioning.MessageServer, 0},
		"another status": {status(204, ``), provisioning.MessageServer, 0},
		"503":            {status(503, `{"ok":true}`), provisioning.MessageNetwork, 1},
		"a redirect":     {status(302, ``, "Location", "http://elsewhere.test"), provisioning.MessageNetwork, 1},
		"a time-out":     {fails(timeoutError{}), provisioning.MessageNetwork, 1},
		"no connection":  {fails(errRefused), provisioning.MessageNetwork, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig("", tt.reply)
			failed, _ := r.CheckHealth(t.Context(), "https://receiver.test/").(provisioning.Error)
			if failed.Message != tt.want || len(r.bodies) != 1 || len(r.failures) != tt.tracked {
				t.Errorf("%d requests end in %+v, %d tracked; want 1, %q, %d", len(r.bodies), failed, len(r.failures), tt.want, tt.tracked)
			}
		})
	}
}

func TestOptionsOfNothingKeepTheDefaults(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	client := provisioning.New("http://127.0.0.1:1", provisioning.WithHTTPClient(nil), provisioning.WithDelay(nil), provisioning.WithErrorTracking(nil))
	mustFail(t, client.SignIn(ctx, "a@b.test", "pw"))
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	followed := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer elsewhere.Close()
	sender := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer sender.Close()

	for name, client := range map[string]*provisioning.Client{
		"by itself": provisioning.New(sender.URL), "with a client that has no rule": provisioning.New(sender.URL, provisioning.WithHTTPClient(new(http.Client))),
	} {
		if got := mustFail(t, client.SignIn(t.Context(), "a@b.test", "pw")); got.Status != http.StatusTemporaryRedirect || followed {
			t.Errorf("%s: %+v, followed %v", name, got, followed)
		}
	}
}

func Example() {
	sender := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"ok":true,"token":"obtk_…","keyId":"k1","prefix":"obtk_abc","tier":"new"}`)
	}))
	defer sender.Close()

	client := provisioning.New(sender.URL)
	switch r := client.ProvisionKey(context.Background(), "a.b.c", "laptop", "new").(type) {
	case provisioning.Success:
		fmt.Println("key", r.Text("prefix"))
	case provisioning.Error:
		fmt.Println("failed:", r.Message)
	}
	// Output: key obtk_abc
}
