package peer_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/bench/peer"
	"github.com/provisioner/provisioner/test/program"
)

// TestMain is the bare peers too, as the benchmark is.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == peer.Role {
		fmt.Fprintln(os.Stderr, peer.Serve(os.Args[2]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// start runs all peers of all suites until t ends.
func start(t *testing.T) (peers []*peer.Peer) {
	t.Helper()
	path, err := program.Path()
	if err != nil {
		t.Fatal(err)
	}
	rig, err := peer.NewRig(path, os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rig.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, s := range peer.Suites() {
		started, err := rig.Start(s)
		if err != nil {
			t.Fatal(err)
		}
		peers = append(peers, started...)
	}
	return peers
}

const (
	event     = `{"userId":"r0-00000000","action":"reading.progress","sentAt":"2026-03-20T10:15:30.000Z","book":"b-1","page":201}`
	provision = `{"action":"provision_api_key","jwt":"e30.dXNlcg.c2ln","name":"My reader","tier":"new"}`
)

// TestPeersDoTheSameWork protects the comparison: every peer gives the answer of the contract, or it is not what it is compared as.
func TestPeersDoTheSameWork(t *testing.T) {
	for _, p := range start(t) {
		t.Run(p.Name, func(t *testing.T) {
			if strings.HasSuffix(p.Name, "provision") {
				status, body := post(t, p.URL, provision, http.Header{"Idempotency-Key": {p.Name}})
				if status != http.StatusOK || !strings.HasPrefix(body, `{"ok":true,"token":"obtk_`) {
					t.Errorf("POST /send = %d %s, want a key", status, body)
				}
			} else if status, body := post(t, p.URL, event, nil); status != http.StatusOK || body != `{"ok":true,"received":`+event+`}` {
				t.Errorf("POST /send = %d %s, want the event back", status, body)
			}
			refuses(t, p)
			measures(t, p)
		})
	}
}

// refuses checks that the receiver, asked directly, takes no signature but its own sender's.
func refuses(t *testing.T, p *peer.Peer) {
	t.Helper()
	if p.Inbox == "" {
		return
	}
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	for name, headers := range map[string]http.Header{
		"a forged signature": {"X-Timestamp": {now}, "X-Signature": {strings.Repeat("0", 64)}, "X-Key-Id": {"k1"}},
		"an old one":         {"X-Timestamp": {"1700000000000"}, "X-Signature": {strings.Repeat("0", 64)}, "X-Key-Id": {"k1"}},
		"none":               {},
	} {
		if status, body := post(t, p.Inbox, event, headers); status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s, want 401", name, status, body)
		}
	}
}

// measures checks that what the peer uses is seen, of processes that have done something.
func measures(t *testing.T, p *peer.Peer) {
	t.Helper()
	if m, err := p.Memory(); err != nil || m.Now <= 0 || m.Peak <= 0 {
		t.Errorf("Memory() = %+v, %v", m, err)
	}
	if _, err := p.CPU(); err != nil {
		t.Error(err)
	}
	allocations, err := p.Allocations()
	if isGo := !slices.Contains([]string{"haproxy", "workers", "nginx"}, p.Name); err != nil || isGo != (allocations > 0) {
		t.Errorf("Allocations() = %v, %v", allocations, err)
	}
	if err := p.CutLogs(); err != nil {
		t.Error(err)
	}
}

func post(t *testing.T, url, body string, headers http.Header) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range headers {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
