package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"testing"
)

// keyring returns the settings of a ring with the ids, each under a new secret, that signs with the first.
func keyring(ids ...string) settings {
	keys := map[string]string{}
	for _, id := range ids {
		keys[id] = newSecret("signing secret")
	}
	text, err := json.Marshal(keys)
	if err != nil {
		panic(err)
	}
	return settings{"SIGNING_KEYS": string(text), "ACTIVE_KEY_ID": ids[0]}
}

// key returns the secret of a key in the ring.
func (s settings) key(id string) string {
	var keys map[string]string
	if err := json.Unmarshal([]byte(s["SIGNING_KEYS"]), &keys); err != nil {
		panic(err)
	}
	return keys[id]
}

// nowhere is an address that refuses connections: port 1 is nobody's.
const nowhere = "http://127.0.0.1:1"

// withoutIdentity are settings for services that never ask an identity provider.
func withoutIdentity() settings {
	return settings{"SUPABASE_URL": nowhere, "SUPABASE_ANON_KEY": newSecret("anon key")}
}

// installation is the three services in three processes that share a data directory.
type installation struct{ papyrus, receiver, sender *process }

// between says what stands between two services: it is given the base URL of one, and returns the one to call in its place.
type between func(url string) string

func direct(url string) string { return url }

// install starts an installation. The receiver calls papyrus, and the sender the receiver, through what is between them.
func install(t testing.TB, s settings, toPapyrus, toReceiver between) installation {
	t.Helper()
	s = settings{"DATA_DIR": filepath.Join(t.TempDir(), "data"), "SUPABASE_ANON_KEY": newSecret("anon key")}.with(s)
	var in installation
	in.papyrus = start(t, "papyrus", s)
	papyrus := in.papyrus.url("papyrus")
	in.receiver = start(t, "receiver", s.with(settings{"SUPABASE_URL": toPapyrus(papyrus)}))
	in.sender = start(t, "sender", s.with(settings{
		"SUPABASE_URL": papyrus, "RECEIVER_WORKER_URL": toReceiver(in.receiver.url("receiver")),
	}))
	return in
}

// proxy passes requests on to the service at target by calling pass, which gets what does it as next, until t ends.
func proxy(t testing.TB, target string, pass func(w http.ResponseWriter, r *http.Request, next http.Handler)) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	next := httputil.NewSingleHostReverseProxy(u)
	next.Transport = &http.Transport{MaxIdleConnsPerHost: 256}
	next.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { pass(w, r, next) }))
	t.Cleanup(server.Close)
	return server.URL
}

// keepSignatures is a proxy that puts the signature of every request on the record.
func keepSignatures(t testing.TB) between {
	t.Helper()
	return func(receiver string) string {
		return proxy(t, receiver, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if signature := r.Header.Get("X-Signature"); signature != "" {
				run.keep("signature", signature)
			}
			next.ServeHTTP(w, r)
		})
	}
}
