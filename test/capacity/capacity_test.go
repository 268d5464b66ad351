package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const page = "../../docs/capacity.md"

var update = flag.Bool("update", false, "write the tables of docs/capacity.md anew")

// session is a command of the page with what it prints.
var session = regexp.MustCompile("(?s)\\$ go run ./test/capacity([^\n]*)\n(.*?)```")

// TestPage has the page show what the program prints.
func TestPage(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	sessions := 0
	shown := session.ReplaceAllFunc(text, func(found []byte) []byte {
		sessions++
		args := string(session.FindSubmatch(found)[1])
		var out bytes.Buffer
		if err := run(strings.Fields(args), &out, io.Discard); err != nil {
			t.Error(err)
		}
		return []byte("$ go run ./test/capacity" + args + "\n" + out.String() + "```")
	})
	if sessions < 2 {
		t.Fatalf("the page shows %d runs of the program", sessions)
	}
	if *update {
		if err := os.WriteFile(page, shown, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(text, shown) {
		t.Error("docs/capacity.md does not show what the program prints: go test ./test/capacity -update")
	}
}

func TestNeeds(t *testing.T) {
	load := Load{Users: 86400, Active: 1, Peak: 2, Events: 1, Keys: 1, SignIns: 1, Refreshes: 1, Uploads: 1, Devices: 2, Online: 0.5}
	costs := Costs{
		Event: 1e6, Key: 3e6, SignIn: 1e6, Refresh: 1e6, Upload: 1e6, Stream: 1000, PostgresEvent: 1e6, PostgresKey: 1e6,
		PostgresRefresh: 1e6, PostgresUpload: 1e6, EventBytes: 10, UserBytes: 100,
	}
	machines := Machines{
		Cores: 1, Memory: 1e6, Utilisation: 0.5, Pool: 10, Retention: 5, PostgresCores: 160, PostgresConnections: 100,
		PostgresBytes: 1e6, PostgresCommits: 100, RedisOperations: 1000,
	}
	got := needs(load, costs, machines)
	want := Needs{
		Active: 86400, Streams: 86400,
		Services: []Service{
			{"sender", 4, 3, 0, 6},         // two events and two keys a second: 1 and 2 cores, half used
			{"receiver", 4, 3, 0, 6},       // the same
			{"papyrus", 8, 8, 86.4e6, 173}, // streams need more replicas than cores do
		},
		Bounds: []Bound{
			{"Postgres: connections", 1790, 100, ""},
			{"Postgres: disk", 86400*5*10 + 86400*100, 1e6, "B"},
			{"Postgres: commits", 2 + 2*3 + 2 + 2 + 2, 100, "/s"},
			{"Postgres: processors", 16, 160, " cores"},
			{"Redis: operations", 2 + 2 + 6 + 2, 1000, "/s"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("needs() (-want +got):\n%s", diff)
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.4: "0.4", 9.96: "10", 42: "42", 999: "999", 999.6: "1.0 k", 1000: "1 k", 1500: "1.5 k", 18_518: "19 k", 4e12: "4 T",
	} {
		if got := short(v); got != want {
			t.Errorf("short(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestFigures(t *testing.T) {
	for _, args := range []string{"-users 0", "-users many", "-active -1", "1000000", "-unknown 1"} {
		var out bytes.Buffer
		if err := run(strings.Fields(args), &out, io.Discard); err == nil || out.Len() > 0 {
			t.Errorf("%s is taken", args)
		}
	}
}
