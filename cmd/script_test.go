package cmd

import (
	"net"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"provisioner": func() { os.Exit(Main()) }})
}

// TestScripts runs the sessions in testdata/script: what a person types, and what comes back.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"freeaddrs": freeAddrs},
	})
}

// freeAddrs sets the environment so that services listen on free ports, and clients of this machine find them.
func freeAddrs(ts *testscript.TestScript, _ bool, _ []string) {
	for _, name := range []string{"SENDER_ADDR", "RECEIVER_ADDR", "PAPYRUS_ADDR", "ADMIN_ADDR"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer func() { _ = l.Close() }()
		ts.Setenv(name, l.Addr().String())
	}
	ts.Setenv("SENDER_WORKER_URL", "http://"+ts.Getenv("SENDER_ADDR"))
}
