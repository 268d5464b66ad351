package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/provisioner/provisioner/test/daemon"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"provisioner": func() { os.Exit(Main()) }})
}

// TestScripts runs the sessions in testdata/script: what a person types, and what comes back.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"freeaddrs": freeAddrs, "upload": upload},
	})
}

// freeAddrs sets the environment so that services listen on free ports, and clients of this machine find them.
func freeAddrs(ts *testscript.TestScript, _ bool, _ []string) {
	for _, name := range []string{"SENDER_ADDR", "RECEIVER_ADDR", "PAPYRUS_ADDR", "ADMIN_ADDR"} {
		port, err := daemon.Port()
		ts.Check(err)
		ts.Setenv(name, "127.0.0.1:"+strconv.Itoa(port))
	}
	ts.Setenv("SENDER_WORKER_URL", "http://"+ts.Getenv("SENDER_ADDR"))
}

// upload signs in at papyrus, sends it a transaction as a device does, and prints the answer: upload EMAIL PASSWORD FILE.
func upload(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: upload email password file")
	}
	credentials, err := json.Marshal(map[string]string{"email": args[0], "password": args[1]})
	ts.Check(err)
	var signedIn struct {
		AccessToken string `json:"access_token"`
	}
	ts.Check(json.Unmarshal(postJSON(ts, "/v1/auth/login", credentials, ""), &signedIn))
	answer := postJSON(ts, "/v1/sync/powersync-upload", []byte(ts.ReadFile(args[2])), signedIn.AccessToken)
	_, err = ts.Stdout().Write(answer)
	ts.Check(err)
}

func postJSON(ts *testscript.TestScript, path string, body []byte, token string) []byte {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+ts.Getenv("PAPYRUS_ADDR")+path, bytes.NewReader(body))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	ts.Check(err)
	return answer
}
