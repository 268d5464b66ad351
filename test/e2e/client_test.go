package e2e_test

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/record"
)

var (
	network = &http.Transport{MaxIdleConnsPerHost: 256}
	client  = &http.Client{
		Transport: validated{network},
		Timeout:   12 * time.Second, // a little more than shipped apps wait
	}
)

// answer is a whole response.
type answer struct {
	status int
	header http.Header
	body   string
}

// member returns a text of the JSON object that the body is, "" for none.
func (a answer) member(name string) string {
	var members map[string]any
	if json.Unmarshal([]byte(a.body), &members) != nil {
		return ""
	}
	text, _ := members[name].(string)
	return text
}

// is reports whether a has the status and, in the dialect of sender and receiver, the code.
func (a answer) is(status int, code string) bool {
	return a.status == status && a.member("code") == code
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

func get(url string) (answer, error) { return call(http.MethodGet, url, "") }

// post sends a JSON body with header, a list of names and values.
func post(url, body string, header ...string) (answer, error) {
	return call(http.MethodPost, url, body, header...)
}

// mustPost is post where the connection must hold.
func mustPost(t testing.TB, url, body string, header ...string) answer {
	t.Helper()
	a, err := post(url, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// call makes a request. What it is refused with is on the record.
func call(method, url, body string, header ...string) (answer, error) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		record.See(fmt.Sprintf("the %d of %s %s", resp.StatusCode, method, r.URL.Path), string(text))
	}
	return answer{resp.StatusCode, resp.Header, string(text)}, nil
}

// postUntilOK posts as a client that retries does: until a 200, after what is the server's fault. Anything else is an error.
func postUntilOK(ctx context.Context, url, body string, header ...string) (a answer, tries int, err error) {
	for {
		tries++
		a, err = post(url, body, header...)
		switch {
		case err == nil && a.status == http.StatusOK:
			return a, tries, nil
		case err == nil && a.status < http.StatusInternalServerError:
			return a, tries, fmt.Errorf("refused: %v", a)
		}
		select {
		case <-ctx.Done():
			return a, tries, errors.Join(fmt.Errorf("%w; the last answer: %v", ctx.Err(), a), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// each calls do with every number below n, from so many goroutines, and returns when all calls have.
func each(n, goroutines int, do func(i int)) {
	numbers := make(chan int)
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for i := range numbers {
				do(i)
			}
		})
	}
	for i := range n {
		numbers <- i
	}
	close(numbers)
	all.Wait()
}

// event returns the body of an event that differs from all others with another n.
func event(n int) string {
	return `{"userId":"reader","action":"page_turned","sentAt":"2026-03-20T10:15:30.000Z","n":` + strconv.Itoa(n) + `}`
}

// signed is a request to /inbox, ready to be sent.
type signed struct {
	body   string
	header []string
}

// sign signs body as the contract says, now, independently of our own code.
func sign(keyID, secret, body string) signed {
	timestamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "." + body))
	signature := hex.EncodeToString(mac.Sum(nil))
	record.Keep("signature", signature)
	return signed{body, []string{"X-Timestamp", timestamp, "X-Signature", signature, "X-Key-Id", keyID}}
}

func (s signed) post(receiver string) (answer, error) {
	return post(receiver+"/inbox", s.body, s.header...)
}

func (s signed) mustPost(t testing.TB, receiver string) answer {
	t.Helper()
	return mustPost(t, receiver+"/inbox", s.body, s.header...)
}

// user is somebody with an account.
type user struct{ email, password, jwt, refreshToken string }

// signUp makes an account by way of a sender, ours or another.
func signUp(t testing.TB, sender string) user {
	t.Helper()
	u := user{email: strings.ToLower(rand.Text()) + "@example.com", password: record.NewSecret("password")}
	record.Keep("e-mail address", u.email)
	a := mustPost(t, sender+"/signup", u.credentials())
	if a.status != http.StatusCreated {
		t.Fatalf("sign-up: %v", a)
	}
	u.jwt, u.refreshToken = a.member("jwt"), a.member("refreshToken")
	record.Keep("jwt", u.jwt)
	if u.refreshToken != "" {
		record.Keep("refresh token", u.refreshToken)
	}
	return u
}

func (u user) credentials() string {
	return fmt.Sprintf(`{"email":%q,"password":%q}`, u.email, u.password)
}

// keyRequest is the body with which the user asks for an API key.
func (u user) keyRequest(name string) string {
	return fmt.Sprintf(`{"action":"provision_api_key","jwt":%q,"name":%q,"tier":"new"}`, u.jwt, name)
}

// keepToken puts the API key of a successful answer on the record and returns it.
func keepToken(t testing.TB, a answer) string {
	t.Helper()
	token := a.member("token")
	if a.status != http.StatusOK || len(token) < 64 {
		t.Fatalf("no API key: %v", a)
	}
	record.Keep("API key", token)
	return token
}
