package peer_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/signing"
	"github.com/provisioner/provisioner/test/bench/peer"
	"github.com/provisioner/provisioner/test/program"
)

// TestMain is the bare peers too, as the benchmark is.
func TestMain(m *testing.M) {
	if err := peer.Serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// start runs all peers of all suites until t ends. The ring has their key.
func start(t *testing.T) (peers []*peer.Peer, ring *signing.Keyring) {
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
	ring, err = signing.NewKeyring([]signing.Key{{ID: peer.KeyID, Secret: []byte(rig.Secret)}}, peer.KeyID)
	if err != nil {
		t.Fatal(err)
	}
	return peers, ring
}

const (
	event     = `{"userId":"r0-00000000","action":"reading.progress","sentAt":"2026-03-20T10:15:30.000Z","book":"b-1","page":201}`
	provision = `{"action":"provision_api_key","jwt":"e30.dXNlcg.c2ln","name":"My reader","tier":"new"}`
)

// TestPeersDoTheSameWork protects the comparison: every peer gives the answer of the contract, and takes no signature but the right
// one, or it is not what it is compared as.
func TestPeersDoTheSameWork(t *testing.T) {
	peers, ring := start(t)
	for _, p := range peers {
		t.Run(p.Name, func(t *testing.T) {
			body := event
			if strings.HasSuffix(p.Name, "provision") {
				body = provision
			}
			answers(t, p, p.URL, body, http.Header{})
			if p.Inbox != "" {
				verifies(t, p, body, ring)
			}
			measures(t, p)
		})
	}
}

// answers posts a body and checks the answer.
func answers(t *testing.T, p *peer.Peer, url, body string, headers http.Header) {
	t.Helper()
	want := `{"ok":true,"received":` + body + `}`
	if body == provision {
		want = `{"ok":true,"token":"obtk_`
		headers.Set("Idempotency-Key", p.Name)
	}
	if status, got := post(t, url, body, headers); status != http.StatusOK || !strings.HasPrefix(got, want) {
		t.Errorf("POST %s = %d %s, want 200 %s", url, status, got, want)
	}
}

// verifies checks that the receiver, asked directly, takes what package signing signs, and neither a forged signature nor none, nor
// a right one that is old.
func verifies(t *testing.T, p *peer.Peer, body string, ring *signing.Keyring) {
	t.Helper()
	now := time.Now()
	right := signed(t, ring, now, body)
	answers(t, p, p.Inbox, body, right)
	for name, headers := range map[string]http.Header{
		"the signature of another body": signed(t, ring, now, body+" "),
		"an old one":                    signed(t, ring, now.Add(-10*time.Minute), body),
		"one of tomorrow":               signed(t, ring, now.Add(24*time.Hour), body),
		"none":                          {},
	} {
		if status, got := post(t, p.Inbox, body, headers); status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s, want 401", name, status, got)
		}
	}
}

func signed(t *testing.T, ring *signing.Keyring, now time.Time, body string) http.Header {
	t.Helper()
	h, err := ring.Sign(now, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	headers := http.Header{}
	h.Apply(headers)
	return headers
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
