package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
)

// installation is the three services in three processes that share a data directory.
type installation struct{ papyrus, receiver, sender *program.Process }

// between says what stands between two services: it is given the base URL of one, and returns the one to call in its place.
type between func(url string) string

func direct(url string) string { return url }

// install starts an installation. The receiver calls papyrus, and the sender the receiver, through what is between them.
func install(t testing.TB, s program.Settings, toPapyrus, toReceiver between) installation {
	t.Helper()
	s = program.Settings{"DATA_DIR": filepath.Join(t.TempDir(), "data"), "SUPABASE_ANON_KEY": record.NewSecret("anon key")}.With(s)
	var in installation
	in.papyrus = start(t, "papyrus", s)
	papyrus := in.papyrus.URL("papyrus")
	in.receiver = start(t, "receiver", s.With(program.Settings{"SUPABASE_URL": toPapyrus(papyrus)}))
	in.sender = start(t, "sender", s.With(program.Settings{
		"SUPABASE_URL": papyrus, "RECEIVER_WORKER_URL": toReceiver(in.receiver.URL("receiver")),
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
				record.Keep("signature", signature)
			}
			next.ServeHTTP(w, r)
		})
	}
}
