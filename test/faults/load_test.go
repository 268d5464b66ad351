package faults_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/wire"
)

// load is clients that report events, have keys made, upload books and renew their sessions. What fails they send again, the very same,
// until it is acknowledged. Beside them somebody sends what must never pass.
type load struct {
	*ledger
	target
	t       testing.TB
	name    string // in all that it makes, to tell it from what other loads made
	client  wire.Client
	clients int           // each sends its next request when it has the answer to the last
	pause   time.Duration // of each client between two requests
	ended   chan struct{}
	next    atomic.Int64
	all     sync.WaitGroup
}

// target is the services that a load asks.
type target struct {
	sender, papyrus, receiver string // base URLs
	key                       string // the signing secret
}

// startLoad starts a load on s that ends with stop, or with the test.
func (s *system) startLoad(clients int) *load {
	s.t.Helper()
	return startLoad(s.t, target{s.senders.url(), s.papyri.url(), s.receivers.url(), s.settings.Key("k1")}, clients, 0)
}

// startLoad starts a load of so many clients.
func startLoad(t testing.TB, at target, clients int, pause time.Duration) *load {
	t.Helper()
	l := &load{
		ledger: newLedger(), target: at, t: t, name: rand.Text(), client: newClient(), clients: clients, pause: pause,
		ended: make(chan struct{}),
	}
	users := make([]*reader, clients)
	for i := range users {
		users[i] = l.register()
	}
	for _, r := range users {
		l.all.Go(func() { l.ask(r) })
	}
	l.all.Go(l.attack)
	t.Cleanup(l.stop)
	return l
}

// stop ends the load when the requests under way are answered. Stopping twice does nothing.
func (l *load) stop() {
	select {
	case <-l.ended:
	default:
		close(l.ended)
	}
	l.all.Wait()
}

func (l *load) over() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// goOn returns when so many more requests have been answered.
func (l *load) goOn(more int) {
	l.t.Helper()
	before, _ := l.counts()
	program.Eventually(l.t, fmt.Sprintf("%d more requests are answered", more), func() bool {
		now, _ := l.counts()
		return now >= before+more
	})
}

// recover returns when many requests in a row have succeeded.
func (l *load) recover() {
	l.t.Helper()
	row := 4 * l.clients
	requests, failed := l.counts()
	program.Eventually(l.t, fmt.Sprintf("%d requests in a row succeed", row), func() bool {
		now, nowFailed := l.counts()
		if nowFailed > failed {
			requests, failed = now, nowFailed
		}
		return now >= requests+row
	})
}

// reader is somebody with an account and a library.
type reader struct{ email, access, refresh string }

func (l *load) register() *reader {
	l.t.Helper()
	r := &reader{email: strings.ToLower(rand.Text()) + "@example.com"}
	record.Keep("e-mail address", r.email)
	body := fmt.Sprintf(`{"email":%q,"password":%q,"display_name":"Reader","client_type":"mobile","device_label":"a phone"}`,
		r.email, record.NewSecret("password"))
	a, err := l.client.Post(l.papyrus+"/v1/auth/register", body)
	if err != nil || !r.take(a) {
		l.t.Fatalf("register: %v, %v", a, err)
	}
	return r
}

// take replaces the tokens by those of an answer.
func (r *reader) take(a wire.Answer) bool {
	var in struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if json.Unmarshal([]byte(a.Body), &in) != nil || in.Access == "" || in.Refresh == "" {
		return false
	}
	record.Keep("access token", in.Access)
	record.Keep("refresh token", in.Refresh)
	r.access, r.refresh = in.Access, in.Refresh
	return true
}

// ask is the life of a client: of 20 requests 14 are events, three ask for a key, two upload a book, one renews the session.
func (l *load) ask(r *reader) {
	for !l.over() {
		switch n := int(l.next.Add(1)); n % 20 {
		case 3, 9, 15:
			l.mint(r, fmt.Sprintf("%s-%d", l.name, n))
		case 5, 12:
			l.upload(r, n)
		case 18:
			l.renew(r)
		default:
			l.report(l.event(strconv.Itoa(n)))
		}
	}
}

// until sends a request again and again until it is answered with a 200, and returns the answer; false when the load ended before,
// or when the answer is the client's own fault, which it is not.
func (l *load) until(url, body string, header ...string) (wire.Answer, bool) {
	for !l.over() {
		began := time.Now()
		a, err := l.client.Post(url, body, header...)
		l.note(outcome(a, err), err != nil || a.Status >= http.StatusInternalServerError, time.Since(began))
		switch {
		case err == nil && a.Status == http.StatusOK:
			l.rest(l.pause)
			return a, true
		case err == nil && a.Status < http.StatusInternalServerError:
			l.fault("%s: %v", url, a)
			return a, false
		}
		l.rest(20 * time.Millisecond)
	}
	return wire.Answer{}, false
}

func (l *load) rest(d time.Duration) {
	if d == 0 {
		return
	}
	select {
	case <-l.ended:
	case <-time.After(d):
	}
}

// event returns the body of an event that differs from all others with another text.
func (l *load) event(text string) string {
	return fmt.Sprintf(`{"userId":"reader","action":"page_turned","sentAt":"2026-03-20T10:15:30.000Z","load":%q,"n":%q}`, l.name, text)
}

func (l *load) report(body string) {
	if _, ok := l.until(l.sender+"/send", body); ok {
		l.tell(func() { l.acknowledged[body] = true })
	}
}

func (l *load) mint(r *reader, name string) {
	u := wire.User{JWT: r.access}
	a, ok := l.until(l.sender+"/send", u.KeyRequest(name), "Idempotency-Key", name)
	if !ok {
		return
	}
	if _, err := wire.KeepToken(a); err != nil {
		l.fault("%v", err)
		return
	}
	l.tell(func() {
		if l.minted[name] == nil {
			l.minted[name] = map[string]bool{}
		}
		l.minted[name][a.Member("keyId")] = true
	})
	// As a client whose connection broke when the answer was on its way: the same key, whoever answers.
	if again, ok := l.until(l.sender+"/send", u.KeyRequest(name), "Idempotency-Key", name); ok {
		l.tell(func() { l.minted[name][again.Member("keyId")] = true })
	}
}

func (l *load) upload(r *reader, n int) {
	id := uuid.NewString()
	body := fmt.Sprintf(`{"batch":[{"op_id":%d,"tx_id":%d,"op":"PUT","type":"books","id":%q,"data":{"title":"The Metamorphosis"}}]}`, n, n, id)
	if _, ok := l.until(l.papyrus+"/v1/sync/powersync-upload", body, "Authorization", "Bearer "+r.access); ok {
		l.tell(func() { l.uploaded[id] = true })
	}
}

func (l *load) renew(r *reader) {
	a, ok := l.until(l.papyrus+"/v1/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, r.refresh))
	if ok && !r.take(a) {
		l.fault("no tokens: %v", a)
	}
}

// attack sends what must not pass: without a signature, with a forged one, with one for another body, with one of the day before,
// and again and again the one request of somebody who listened.
func (l *load) attack() {
	const attackPause = 50 * time.Millisecond
	overheard := l.signed("overheard", time.Now())
	passed := 0
	for n := 0; !l.over(); n++ {
		body := fmt.Sprintf("hostile-%d", n)
		forged := l.signed(body, time.Now())
		switch n % 5 {
		case 0:
			forged.Header = nil
		case 1:
			forged = wire.Sign("k1", rand.Text()+rand.Text(), forged.Body, time.Now())
		case 2:
			forged.Body = l.signed(body+"-other", time.Now()).Body
		case 3:
			forged = l.signed(body, time.Now().Add(-24*time.Hour))
		case 4:
			forged = overheard
		}
		a, err := l.client.Inbox(l.receiver, forged)
		switch {
		case err != nil || a.Status != http.StatusOK:
		case n%5 == 4:
			if passed++; passed > 1 {
				l.fault("a replayed request passed %d times", passed)
			}
		default:
			l.fault("a forged request passed: %v", a)
		}
		l.rest(attackPause)
	}
}

// signed returns an event that the sender might have signed at a time.
func (l *load) signed(text string, at time.Time) wire.Signed {
	return wire.Sign("k1", l.key, l.event(text), at)
}

// outcome is the status and code of an answer, or that there was none.
func outcome(a wire.Answer, err error) string {
	if err != nil {
		return "no answer"
	}
	return strings.TrimSpace(strconv.Itoa(a.Status) + " " + a.Code())
}

// finish ends the load when every replica is ready, and compares what clients were told with what there is.
func (l *load) finish(s *system) {
	l.t.Helper()
	s.awaitReady()
	l.recover()
	l.stop()
	l.check(l.t, s.database)
}
