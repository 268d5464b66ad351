package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/wire"
)

var (
	network = &http.Transport{MaxIdleConnsPerHost: 256}
	client  = wire.Client{Client: &http.Client{
		Transport: validated{network},
		Timeout:   12 * time.Second, // a little more than shipped apps wait
	}}
)

func get(url string) (wire.Answer, error) { return client.Get(url) }

// post sends a JSON body with header, a list of names and values.
func post(url, body string, header ...string) (wire.Answer, error) {
	return client.Post(url, body, header...)
}

// mustPost is post where the connection must hold.
func mustPost(t testing.TB, url, body string, header ...string) wire.Answer {
	t.Helper()
	a, err := post(url, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// signed is a request to /inbox, ready to be sent.
type signed wire.Signed

// sign signs body as the contract says, now.
func sign(keyID, secret, body string) signed {
	return signed(wire.Sign(keyID, secret, body, time.Now()))
}

func (s signed) post(receiver string) (wire.Answer, error) {
	return client.Inbox(receiver, wire.Signed(s))
}

func (s signed) mustPost(t testing.TB, receiver string) wire.Answer {
	t.Helper()
	return mustPost(t, receiver+"/inbox", s.Body, s.Header...)
}

// signUp makes an account by way of a sender, ours or another.
func signUp(t testing.TB, sender string) wire.User {
	t.Helper()
	u, err := client.SignUp(sender)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// keepToken puts the API key of a successful answer on the record and returns it.
func keepToken(t testing.TB, a wire.Answer) string {
	t.Helper()
	token, err := wire.KeepToken(a)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
