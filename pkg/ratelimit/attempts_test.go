package ratelimit_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/ratelimit"
)

const email = "reader@example.com"

var (
	home = netip.MustParseAddr("192.0.2.1")
	perN = ratelimit.Limit{Count: 100, Period: 10 * time.Minute}
)

func TestNetwork(t *testing.T) {
	for _, tt := range []struct{ name, addr, want string }{
		{"an IPv4 address is one", "192.0.2.1", "192.0.2.1"},
		{"its neighbour another", "192.0.2.2", "192.0.2.2"},
		{"IPv4 in IPv6 is IPv4", "::ffff:192.0.2.1", "192.0.2.1"},
		{"an IPv6 address counts for its /64", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"its neighbour for the same", "2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"},
		{"the next /64 for another", "2001:db8:1:3::1", "2001:db8:1:3::/64"},
		{"a zone does not count", "fe80::1%eth0", "fe80::/64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ratelimit.Network(netip.MustParseAddr(tt.addr)); got != tt.want {
				t.Errorf("Network(%s) = %s, want %s", tt.addr, got, tt.want)
			}
		})
	}
	if got := ratelimit.Network(netip.Addr{}); got == "" {
		t.Error("clients without an address have no network")
	}
}

func TestAdmit(t *testing.T) {
	m, c := newMemory()
	a := ratelimit.NewAttempts(m, ratelimit.Limit{Count: 2, Period: 10 * time.Minute})
	admit := func(b ratelimit.Bucket, client string) bool {
		d, err := a.Admit(t.Context(), b, netip.MustParseAddr(client))
		if err != nil {
			t.Fatal(err)
		}
		return d.Allowed
	}
	for _, step := range []struct {
		name   string
		bucket ratelimit.Bucket
		client string
		want   bool
	}{
		{"the first", ratelimit.SignIn, "2001:db8::1", true},
		{"the second, of the same network", ratelimit.SignIn, "2001:db8::2", true},
		{"the third", ratelimit.SignIn, "2001:db8::3", false},
		{"another network", ratelimit.SignIn, "2001:db8:0:1::1", true},
		{"another bucket", ratelimit.SignUp, "2001:db8::1", true},
		{"one more bucket", ratelimit.ForgotPassword, "2001:db8::1", true},
	} {
		if got := admit(step.bucket, step.client); got != step.want {
			t.Errorf("%s: %v", step.name, got)
		}
	}
	c.wait(5 * time.Minute)
	if !admit(ratelimit.SignIn, "2001:db8::1") {
		t.Error("none came back in half the period")
	}
}

func mustFail(t *testing.T, a *ratelimit.Attempts) {
	t.Helper()
	if err := a.Failed(t.Context(), email); err != nil {
		t.Fatal(err)
	}
}

func mustAdmitSignIn(t *testing.T, a *ratelimit.Attempts, account string, client netip.Addr) (allowed bool, delay time.Duration) {
	t.Helper()
	d, delay, err := a.AdmitSignIn(t.Context(), account, client)
	if err != nil {
		t.Fatal(err)
	}
	return d.Allowed, delay
}

func TestGuessesOfOneNetwork(t *testing.T) {
	m, c := newMemory()
	a := ratelimit.NewAttempts(m, perN)
	wantDelays := []time.Duration{0, 0, 0, 0, 0, 500 * time.Millisecond, time.Second, 1500 * time.Millisecond, 2 * time.Second, 2500 * time.Millisecond}
	for failures, want := range wantDelays {
		if allowed, delay := mustAdmitSignIn(t, a, email, home); !allowed || delay != want {
			t.Errorf("after %d failures: allowed %v, delay %v; want %v", failures, allowed, delay, want)
		}
		mustFail(t, a)
	}
	if allowed, _ := mustAdmitSignIn(t, a, email, home); allowed {
		t.Error("an eleventh guess is allowed")
	}
	if allowed, _ := mustAdmitSignIn(t, a, "  READER@Example.com ", home); allowed {
		t.Error("the account written otherwise is another")
	}
	if allowed, delay := mustAdmitSignIn(t, a, "other@example.com", home); !allowed || delay != 0 {
		t.Errorf("another account: allowed %v, delay %v", allowed, delay)
	}
	if allowed, delay := mustAdmitSignIn(t, a, email, netip.MustParseAddr("192.0.2.2")); !allowed || delay != 3*time.Second {
		t.Errorf("from another network: allowed %v, delay %v; want 3s", allowed, delay)
	}

	c.wait(time.Minute)
	if allowed, _ := mustAdmitSignIn(t, a, email, home); !allowed {
		t.Error("no guess came back in a tenth of the period")
	}
	c.wait(10 * time.Minute)
	if allowed, delay := mustAdmitSignIn(t, a, email, home); !allowed || delay != 0 {
		t.Errorf("ten minutes later: allowed %v, delay %v", allowed, delay)
	}
}

func TestGuessesOfManyNetworksLockNobodyOut(t *testing.T) {
	m, _ := newMemory()
	a := ratelimit.NewAttempts(m, perN)
	for i := range 300 {
		mustAdmitSignIn(t, a, email, netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}))
		mustFail(t, a)
	}
	if allowed, delay := mustAdmitSignIn(t, a, email, home); !allowed || delay != 5*time.Second {
		t.Errorf("after 300 failures elsewhere: allowed %v, delay %v; want 5s", allowed, delay)
	}
}

func TestSuccessesAreNotCounted(t *testing.T) {
	m, _ := newMemory()
	a := ratelimit.NewAttempts(m, perN)
	for range 50 {
		if allowed, delay := mustAdmitSignIn(t, a, email, home); !allowed || delay != 0 {
			t.Fatalf("allowed %v, delay %v", allowed, delay)
		}
		if err := a.Passed(t.Context(), email, home); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGuessesMadeTogetherDoNotPassTogether(t *testing.T) {
	m, _ := newMemory()
	a := ratelimit.NewAttempts(m, perN)
	var admitted atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if d, _, err := a.AdmitSignIn(t.Context(), email, home); err == nil && d.Allowed {
				admitted.Add(1)
			}
		})
	}
	all.Wait()
	if n := admitted.Load(); n != 10 {
		t.Errorf("%d guesses under way at once, want 10", n)
	}
}

func TestAttemptsThatAreOff(t *testing.T) {
	m, _ := newMemory()
	a := ratelimit.NewAttempts(m, ratelimit.Limit{})
	for range 200 {
		mustFail(t, a)
		if d, err := a.Admit(t.Context(), ratelimit.SignIn, home); err != nil || !d.Allowed {
			t.Fatalf("Admit() = %+v, %v", d, err)
		}
	}
	if allowed, delay := mustAdmitSignIn(t, a, email, home); !allowed || delay != 0 {
		t.Errorf("allowed %v, delay %v", allowed, delay)
	}
}

// keys is a limiter that notes its keys.
type keys map[string]bool

func (k keys) Take(_ context.Context, key string, _ ratelimit.Limit, _ int) (ratelimit.Decision, error) {
	k[key] = true
	return ratelimit.Unlimited, nil
}

func TestKeysHoldNoEmail(t *testing.T) {
	seen := keys{}
	a := ratelimit.NewAttempts(seen, perN)
	mustAdmitSignIn(t, a, email, home)
	mustFail(t, a)
	if len(seen) != 2 {
		t.Errorf("keys %v, want one of the account and one of the pair", seen)
	}
	if all := fmt.Sprint(seen); strings.Contains(all, "reader") || strings.Contains(all, "@") {
		t.Errorf("an e-mail shows in %s", all)
	}
}
