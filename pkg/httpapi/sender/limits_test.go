package sender_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/provisioner/provisioner/pkg/binding"
	"github.com/provisioner/provisioner/pkg/ratelimit"
)

var twoIn10m = ratelimit.Limit{Count: 2, Period: 10 * time.Minute}

// limited is a sender's set-up with limits, and a clock that stands still.
func limited(auth, send ratelimit.Limit) setUp {
	return setUp{auth: auth, send: send, limiter: ratelimit.NewMemory(func() time.Time { return time.Unix(1_700_000_000, 0) })}
}

// publicPaths are the counted endpoints, each with a well-formed body.
var publicPaths = map[string]string{
	"/signup": credentials, "/signin": credentials, "/forgot-password": `{"email":"a@b.c"}`, "/send": eventBody,
}

func TestLimitsOfOneNetwork(t *testing.T) {
	for path, body := range publicPaths {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			h := newHandler(t, limited(twoIn10m, twoIn10m))
			for range 5 { // none of these is well-formed
				post(t, h, path, `{}`)
				post(t, h, path, `null`)
				post(t, h, path, body, with("Content-Type", "text/plain"))
				post(t, h, path, body, with("Origin", "https://evil.test"))
			}
			for range 2 {
				if w := post(t, h, path, body); w.Code > 201 {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			w := post(t, h, path, body, with("Origin", origin))
			check(t, w, 429, rateLimited)
			checkHeaders(t, w.Header(), "Retry-After", "300", "RateLimit-Limit", "2", "RateLimit-Remaining", "0", "RateLimit-Reset", "600",
				"Access-Control-Allow-Origin", origin)

			for other := range publicPaths { // each has a bucket of its own
				if other != path {
					if w := post(t, h, other, publicPaths[other]); w.Code > 201 {
						t.Errorf("%s is limited by %s: %d", other, path, w.Code)
					}
				}
			}
		})
	}
}

func TestNetworks(t *testing.T) {
	for _, tt := range []struct {
		name          string
		first, second string
		same          bool
	}{
		{"an IPv4 address", "203.0.113.1", "203.0.113.1", true},
		{"two IPv4 addresses", "203.0.113.1", "203.0.113.2", false},
		{"an IPv4 address in IPv6", "203.0.113.1", "::ffff:203.0.113.1", true},
		{"one /64", "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
		{"two /64", "2001:db8:0:1::1", "2001:db8:0:2::1", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHandler(t, limited(twoIn10m, ratelimit.Limit{Count: 1, Period: time.Minute}))
			post(t, h, "/send", eventBody, from(tt.first))
			if w := post(t, h, "/send", eventBody, from(tt.second)); (w.Code == 429) != tt.same {
				t.Errorf("%d, counted together: want %t", w.Code, tt.same)
			}
		})
	}
}

func TestLimitsThatAreOff(t *testing.T) {
	h := newHandler(t, setUp{project: says(400, `{"error_code":"invalid_credentials"}`)})
	for range 30 {
		if w := post(t, h, "/signin", credentials); w.Code != 401 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}

func TestRateLimitOfTheProvider(t *testing.T) {
	s := limited(twoIn10m, twoIn10m)
	s.project = says(429, `{"code":429,"error_code":"over_request_rate_limit","msg":"x"}`, "Retry-After", "7")
	for _, path := range []string{"/signup", "/signin", "/forgot-password"} {
		w := post(t, newHandler(t, s), path, credentials)
		check(t, w, 429, rateLimited)
		checkHeaders(t, w.Header(), "Retry-After", "7", "RateLimit-Limit", "2", "RateLimit-Remaining", "0", "RateLimit-Reset", "7")
	}
}

// guesses is a project that knows one password.
func guesses(r *http.Request) (*http.Response, error) {
	var body bytes.Buffer
	_, _ = body.ReadFrom(r.Body)
	if strings.Contains(body.String(), "right") {
		return says(200, sessionJSON)(r)
	}
	return says(400, `{"code":400,"error_code":"invalid_credentials","msg":"Invalid login credentials"}`)(r)
}

func guess(account, password string) string {
	return fmt.Sprintf(`{"email":%q,"password":%q}`, account, password)
}

func TestFailedSignInsOfOneAccountFromOneNetwork(t *testing.T) {
	limiter := ratelimit.NewMemory(time.Now) // outside the bubble, for the goroutine that it keeps
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, setUp{project: transport(guesses), auth: ratelimit.Limit{Count: 100, Period: 10 * time.Minute}, limiter: limiter})
		signIn := func(account, password, address string) int {
			return post(t, h, "/signin", guess(account, password), from(address)).Code
		}
		for i := range 10 {
			if i == 5 && signIn("a@b.c", "right", "203.0.113.1") != 200 {
				t.Error("a success in between is refused")
			}
			if got := signIn("a@b.c", "wrong", "203.0.113.1"); got != 401 {
				t.Fatalf("guess %d: %d", i+1, got)
			}
		}
		w := post(t, h, "/signin", guess("A@B.C", "right"), from("203.0.113.1"))
		check(t, w, 429, rateLimited)
		checkHeaders(t, w.Header(), "RateLimit-Limit", "10", "RateLimit-Remaining", "0")
		if w.Header().Get("Retry-After") == "" || w.Header().Get("RateLimit-Reset") == "" {
			t.Errorf("headers: %v", w.Header())
		}
		if got := signIn("a@b.c", "right", "203.0.113.2"); got != 200 {
			t.Errorf("the account is locked for another network: %d", got)
		}
		if got := signIn("other@b.c", "right", "203.0.113.1"); got != 200 {
			t.Errorf("another account is locked: %d", got)
		}
	})
}

func TestFailedSignInsOfOneAccountFromManyNetworks(t *testing.T) {
	limiter := ratelimit.NewMemory(time.Now)
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, setUp{project: transport(guesses), auth: ratelimit.Limit{Count: 100, Period: 10 * time.Minute}, limiter: limiter})
		longest := time.Duration(0)
		for i := range 40 {
			start := time.Now()
			w := post(t, h, "/signin", guess("a@b.c", "wrong"), from(fmt.Sprintf("203.0.113.%d", i)))
			took := time.Since(start)
			if w.Code != 401 || i < 5 && took != 0 || i == 5 && took != 500*time.Millisecond || took > 5*time.Second {
				t.Errorf("guess %d: %d after %v", i+1, w.Code, took)
			}
			longest = max(longest, took)
		}
		if longest != 5*time.Second {
			t.Errorf("the longest delay was %v", longest)
		}
		if w := post(t, h, "/signin", guess("a@b.c", "right"), from("198.51.100.1")); w.Code != 200 {
			t.Errorf("the account is locked: %d", w.Code)
		}
	})
}

func TestClientAddresses(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48")}
	for _, tt := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "203.0.113.9", nil, "203.0.113.9"},
		{"a header of a stranger", "203.0.113.9", []string{"198.51.100.1"}, "203.0.113.9"},
		{"a header of a private peer that is not trusted", "192.168.0.1", []string{"198.51.100.1"}, "192.168.0.1"},
		{"a trusted proxy", "10.0.0.1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"a trusted proxy that says nothing", "10.0.0.1", nil, "10.0.0.1"},
		{"what the client wrote before the proxy", "10.0.0.1", []string{"127.0.0.1, 198.51.100.1"}, "198.51.100.1"},
		{"two trusted proxies", "10.0.0.1", []string{"127.0.0.1, 198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"two headers", "10.0.0.1", []string{"127.0.0.1", "198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"none but proxies", "10.0.0.1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"nonsense", "10.0.0.1", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		{"nonsense before a proxy", "10.0.0.1", []string{"unknown, 10.0.0.2"}, "10.0.0.2"},
		{"IPv6", "2001:db8:ffff::1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv4 in IPv6", "::ffff:10.0.0.1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got string
			h := newHandler(t, setUp{proxies: trusted, receiver: transport(func(r *http.Request) (*http.Response, error) {
				got = strings.Join(r.Header.Values("X-Forwarded-For"), "|")
				return says(200, received)(r)
			})})
			post(t, h, "/send", eventBody, from(tt.peer), with("X-Forwarded-For", tt.forwarded...))
			if got != tt.want {
				t.Errorf("the client is %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAnUntrustedPrivateProxyIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	h := newHandler(t, setUp{log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	post(t, h, "/send", eventBody, from("203.0.113.9"), with("X-Forwarded-For", "198.51.100.1"))
	if log.Len() != 0 {
		t.Errorf("a stranger's header is logged: %s", log.String())
	}
	for range 3 {
		post(t, h, "/send", eventBody, from("10.0.0.1"), with("X-Forwarded-For", "198.51.100.1"))
	}
	if got := strings.Count(log.String(), "TRUSTED_PROXIES"); got != 1 {
		t.Errorf("logged %d times: %s", got, log.String())
	}
}

// TestBoundServicesAreTrusted holds that what comes through a binding brings its client's address, and is not counted again.
func TestBoundServicesAreTrusted(t *testing.T) {
	s := limited(twoIn10m, twoIn10m)
	var got string
	s.project = transport(func(r *http.Request) (*http.Response, error) {
		got = r.Header.Get("X-Forwarded-For")
		return nil, errors.New("down")
	})
	bound := &http.Client{Transport: binding.NewTransport(newHandler(t, s))}
	for i := range 5 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://sender.internal/signin", strings.NewReader(credentials))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Forwarded-For", "198.51.100.1")
		resp, err := bound.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadGateway || got != "198.51.100.1" {
			t.Errorf("request %d: %d for %q", i+1, resp.StatusCode, got)
		}
	}
}
