package papyrus_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/secret"
)

// Sign in with a password, stay signed in, and get a token to sync with.
func Example() {
	ctx := context.Background()
	api := somePapyrus()
	defer api.Close()
	dir, _ := os.MkdirTemp("", "client")
	defer func() { _ = os.RemoveAll(dir) }()

	store, err := papyrus.NewDeviceStore(dir, api.URL, nil) // papyrus.SystemKeyring{} for that of the system
	if err != nil {
		fmt.Println(err)
		return
	}
	repository, err := papyrus.NewAuthRepository(papyrus.Config{APIBaseURL: api.URL}, store)
	if err != nil {
		fmt.Println(err)
		return
	}
	auth := papyrus.NewAuthProvider(repository, dir)
	if err := auth.Bootstrap(ctx); err != nil { // signs in again who was signed in before
		fmt.Println(err)
		return
	}
	if auth.State().Status == papyrus.StatusSignedOut {
		if err := auth.Login(ctx, "reader@example.com", secret.New("a long password")); err != nil {
			fmt.Println(err)
			return
		}
	}
	token, err := repository.CreatePowerSyncToken(ctx)
	fmt.Println(auth.State().Status, auth.State().User.Email, token.Token != "", err)
	// Output:
	// signed-in reader@example.com true <nil>
}

// somePapyrus stands for a server, with one account.
func somePapyrus() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/auth/login", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, tokens(ann, 1).body)
	})
	mux.HandleFunc("POST /v1/auth/powersync-token", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"token":"a JWT","expires_in":300}`)
	})
	return httptest.NewServer(mux)
}
