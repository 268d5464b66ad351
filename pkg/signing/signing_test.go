package signing_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/signing"
	"github.com/provisioner/provisioner/test/vectors"
)

const (
	secretA = "0123456789abcdef0123456789abcdef"
	secretB = "fedcba9876543210fedcba9876543210"
	window  = 5 * time.Minute
)

var (
	sent = time.UnixMilli(1700000000000)
	body = []byte(`{"action":"ping"}`)
)

// TestGoldenVectors has the three of the contract; test/vectors runs all.
func TestGoldenVectors(t *testing.T) {
	for _, v := range vectors.Load[vectors.Signing](t, "signing.json")[:3] {
		t.Run(v.Name, func(t *testing.T) {
			ring, err := signing.NewSingleKey([]byte(v.Secret))
			if err != nil {
				t.Fatal(err)
			}
			got, err := ring.Sign(time.UnixMilli(v.Now), v.Bytes())
			if want := v.Signed(t); err != nil || got.Signature != want["x-signature"] || got.Timestamp != want["x-timestamp"] {
				t.Errorf("Sign() = %+v, %v; want %v", got, err, want)
			}
		})
	}
}

func newRing(t testing.TB, active string) *signing.Keyring {
	t.Helper()
	ring, err := signing.NewKeyring([]signing.Key{{ID: "k1", Secret: []byte(secretA)}, {ID: "k2", Secret: []byte(secretB)}}, active)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func at(now time.Time) func() time.Time { return func() time.Time { return now } }

func TestVerify(t *testing.T) {
	keep := func(*signing.Headers) {}
	setTimestamp := func(ts string) func(*signing.Headers) {
		return func(h *signing.Headers) {
			h.Timestamp = ts
			h.Signature = bareSignature(secretA, ts, body)
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*signing.Headers)
		now    time.Time
		want   error
	}{
		{"as signed", keep, sent, nil},
		{"at the late edge of the window", keep, sent.Add(window), nil},
		{"at the early edge of the window", keep, sent.Add(-window), nil},
		{"one millisecond too old", keep, sent.Add(window + time.Millisecond), signing.ErrTimestamp},
		{"one millisecond too far in the future", keep, sent.Add(-window - time.Millisecond), signing.ErrTimestamp},
		{"timestamp with an exponent", setTimestamp("17e11"), sent, signing.ErrTimestamp},
		{"timestamp with a plus sign", setTimestamp("+1700000000000"), sent, signing.ErrTimestamp},
		{"negative timestamp", setTimestamp("-1700000000000"), sent, signing.ErrTimestamp},
		{"timestamp with a space", setTimestamp(" 1700000000000"), sent, signing.ErrTimestamp},
		{"timestamp with a fraction", setTimestamp("1700000000000.0"), sent, signing.ErrTimestamp},
		{"timestamp with a leading zero", setTimestamp("01700000000000"), sent, signing.ErrTimestamp},
		{"hexadecimal timestamp", setTimestamp("0x18bcfe56800"), sent, signing.ErrTimestamp},
		{"timestamp of 30 digits", setTimestamp(strings.Repeat("1", 30)), sent, signing.ErrTimestamp},
		{"timestamp with other digits", setTimestamp("١٧٠٠٠٠٠٠٠٠٠٠٠"), sent, signing.ErrTimestamp},
		{"missing key id", func(h *signing.Headers) { h.KeyID = "" }, sent, signing.ErrUnknownKey},
		{"unknown key id", func(h *signing.Headers) { h.KeyID = "k9" }, sent, signing.ErrUnknownKey},
		{"id of another key", func(h *signing.Headers) { h.KeyID = "k2" }, sent, signing.ErrMismatch},
		{"upper-case hex", func(h *signing.Headers) { h.Signature = strings.ToUpper(h.Signature) }, sent, signing.ErrMalformed},
		{"short signature", func(h *signing.Headers) { h.Signature = h.Signature[:62] }, sent, signing.ErrMalformed},
		{"long signature", func(h *signing.Headers) { h.Signature += "00" }, sent, signing.ErrMalformed},
		{"not hex", func(h *signing.Headers) { h.Signature = strings.Repeat("zz", 32) }, sent, signing.ErrMalformed},
		{"one bit changed", func(h *signing.Headers) { h.Signature = flip(h.Signature) }, sent, signing.ErrMismatch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ring := newRing(t, "k1")
			h, err := ring.Sign(sent, body)
			if err != nil {
				t.Fatal(err)
			}
			tt.change(&h)

			_, err = signing.NewVerifier(ring, window, at(tt.now)).Verify(h, body)
			if !errors.Is(err, tt.want) {
				t.Errorf("Verify(%+v) = %v, want %v", h, err, tt.want)
			}
		})
	}
}

func TestVerifyCoversEveryByteOfTheBody(t *testing.T) {
	ring := newRing(t, "k1")
	verifier := signing.NewVerifier(ring, window, at(sent))
	raw := []byte("{\"a\":\"\xff\xfe not UTF-8\"}")
	h, err := ring.Sign(sent, raw)
	if err != nil {
		t.Fatal(err)
	}

	got, err := verifier.Verify(h, raw)
	if err != nil || !got.At.Equal(sent) || hex.EncodeToString(got.Signature[:]) != h.Signature {
		t.Fatalf("Verify() = %+v, %v", got, err)
	}
	for i := range raw {
		changed := append([]byte(nil), raw...)
		changed[i] ^= 1
		if _, err := verifier.Verify(h, changed); !errors.Is(err, signing.ErrMismatch) {
			t.Errorf("byte %d changed: Verify() = %v", i, err)
		}
	}
}

func TestSingleKeyIgnoresKeyIDAndSendsNone(t *testing.T) {
	ring, err := signing.NewSingleKey([]byte(secretA))
	if err != nil {
		t.Fatal(err)
	}
	h, err := ring.Sign(sent, body)
	if err != nil || h.KeyID != "" {
		t.Fatalf("Sign() = %+v, %v; want no key id", h, err)
	}

	h.KeyID = "whatever"
	if _, err := signing.NewVerifier(ring, window, at(sent)).Verify(h, body); err != nil {
		t.Errorf("Verify() = %v", err)
	}
}

func TestNoDowngradeFromKeyringToSingleKey(t *testing.T) {
	single, err := signing.NewSingleKey([]byte(secretA))
	if err != nil {
		t.Fatal(err)
	}
	h, err := single.Sign(sent, body)
	if err != nil {
		t.Fatal(err)
	}

	_, err = signing.NewVerifier(newRing(t, ""), window, at(sent)).Verify(h, body)
	if !errors.Is(err, signing.ErrUnknownKey) {
		t.Errorf("a keyless request on a keyring: Verify() = %v, want ErrUnknownKey", err)
	}
}

func TestKeyringRefusesBadKeys(t *testing.T) {
	good := signing.Key{ID: "k1", Secret: []byte(secretA)}
	for _, tt := range []struct {
		name   string
		keys   []signing.Key
		active string
	}{
		{"no keys", nil, ""},
		{"empty secret", []signing.Key{{ID: "k1"}}, "k1"},
		{"empty id", []signing.Key{{Secret: []byte(secretA)}}, ""},
		{"two keys of one id", []signing.Key{good, good}, "k1"},
		{"active id not in the ring", []signing.Key{good}, "k2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ring := newRing(t, "k1")
			err := ring.Replace(tt.keys, tt.active)
			if err == nil {
				t.Fatal("Replace() accepted the keys")
			}
			if strings.Contains(err.Error(), secretA) {
				t.Errorf("the error shows the secret: %v", err)
			}
			if _, err := ring.Sign(sent, body); err != nil {
				t.Errorf("the old keys are gone: %v", err)
			}
		})
	}
	if _, err := signing.NewSingleKey(nil); err == nil {
		t.Error("NewSingleKey() accepted an empty secret")
	}
	if _, err := newRing(t, "").Sign(sent, body); !errors.Is(err, signing.ErrNoActiveKey) {
		t.Errorf("Sign() without an active key = %v", err)
	}
}

func TestReplaceUnderLoad(t *testing.T) {
	both := []signing.Key{{ID: "k1", Secret: []byte(secretA)}, {ID: "k2", Secret: []byte(secretB)}}
	sender, receiver := newRing(t, "k1"), newRing(t, "")
	verifier := signing.NewVerifier(receiver, window, at(sent))

	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for range 2000 {
				h, err := sender.Sign(sent, body)
				if err != nil {
					t.Error(err)
				}
				if _, err := verifier.Verify(h, body); err != nil {
					t.Errorf("key %s: %v", h.KeyID, err)
				}
			}
		})
	}
	for i := range 200 {
		if err := sender.Replace(both, both[i%2].ID); err != nil {
			t.Error(err)
		}
		if err := receiver.Replace(both, ""); err != nil {
			t.Error(err)
		}
	}
	load.Wait()
}

func TestFromHTTP(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header http.Header
		want   signing.Headers
		err    error
	}{
		{"all there", http.Header{"X-Timestamp": {"1"}, "X-Signature": {"ab"}, "X-Key-Id": {"k"}}, signing.Headers{Timestamp: "1", Signature: "ab", KeyID: "k"}, nil},
		{"without a key id", http.Header{"X-Timestamp": {"1"}, "X-Signature": {"ab"}}, signing.Headers{Timestamp: "1", Signature: "ab"}, nil},
		{"two key ids name no key", http.Header{"X-Timestamp": {"1"}, "X-Signature": {"ab"}, "X-Key-Id": {"k", "k"}}, signing.Headers{Timestamp: "1", Signature: "ab"}, nil},
		{"no timestamp", http.Header{"X-Signature": {"ab"}}, signing.Headers{}, signing.ErrMissingHeaders},
		{"no signature", http.Header{"X-Timestamp": {"1"}}, signing.Headers{}, signing.ErrMissingHeaders},
		{"empty signature", http.Header{"X-Timestamp": {"1"}, "X-Signature": {""}}, signing.Headers{}, signing.ErrMissingHeaders},
		{"two timestamps", http.Header{"X-Timestamp": {"1", "1"}, "X-Signature": {"ab"}}, signing.Headers{}, signing.ErrMissingHeaders},
		{"two signatures", http.Header{"X-Timestamp": {"1"}, "X-Signature": {"ab", "ab"}}, signing.Headers{}, signing.ErrMissingHeaders},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := signing.FromHTTP(tt.header)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("FromHTTP() = %+v, %v; want %+v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	ring := newRing(t, "k1")
	for _, tt := range []struct {
		name   string
		change func(h *signing.Headers, captured *[]byte)
		part   string // the part that does not fit; "" for none
		detail string
	}{
		{"all fits", func(*signing.Headers, *[]byte) {}, "", ""},
		{"an old capture", func(h *signing.Headers, _ *[]byte) { h.Timestamp = "1600000000000" }, "timestamp", "ago"},
		{"seconds for milliseconds", func(h *signing.Headers, _ *[]byte) { h.Timestamp = "1700000000" }, "timestamp", "seconds"},
		{"an unknown key id", func(h *signing.Headers, _ *[]byte) { h.KeyID = "k7" }, "key id", `"k7" is not in the ring`},
		{"no key id", func(h *signing.Headers, _ *[]byte) { h.KeyID = "" }, "key id", "missing"},
		{"the id of another key", func(h *signing.Headers, _ *[]byte) { h.KeyID = "k2" }, "signature", `made with the key "k1"`},
		{"an upper-case signature", func(h *signing.Headers, _ *[]byte) { h.Signature = strings.ToUpper(h.Signature) }, "signature", "upper-case"},
		{"a newline added to the body", func(_ *signing.Headers, b *[]byte) { *b = append(*b, '\n') }, "body", "newline was added"},
		{"another body", func(_ *signing.Headers, b *[]byte) { *b = []byte(`{}`) }, "signature", "matches no key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, err := ring.Sign(sent, body)
			if err != nil {
				t.Fatal(err)
			}
			right, captured := h.Signature, append([]byte(nil), body...)
			tt.change(&h, &captured)

			found := false
			for _, f := range signing.NewVerifier(ring, window, at(sent)).Explain(h, captured) {
				if !f.OK && (tt.part == "" || f.Part == tt.part && strings.Contains(f.Detail, tt.detail)) {
					found = true
				}
				if strings.Contains(f.Detail, secretA) || strings.Contains(f.Detail, right) {
					t.Errorf("the finding gives away too much: %+v", f)
				}
			}
			if found != (tt.part != "") {
				t.Errorf("Explain() says %+v", signing.NewVerifier(ring, window, at(sent)).Explain(h, captured))
			}
		})
	}
}

func FuzzVerify(f *testing.F) {
	for _, v := range vectors.Load[vectors.Signing](f, "signing.json") {
		if v.Kind == "sign" {
			h := v.Signed(f)
			f.Add(h["x-timestamp"], h["x-signature"], "k1", v.Bytes())
		}
	}
	f.Add("1700000000000", strings.Repeat("A", 64), "", []byte("x"))
	ring := newRing(f, "k1")
	verifier := signing.NewVerifier(ring, window, at(sent))

	f.Fuzz(func(t *testing.T, timestamp, signature, keyID string, body []byte) {
		h := signing.Headers{Timestamp: timestamp, Signature: signature, KeyID: keyID}
		got, err := verifier.Verify(h, body)
		verifier.Explain(h, body)
		if err != nil {
			return
		}
		if again, err := ring.Sign(got.At, body); err != nil || again.Timestamp != timestamp {
			t.Errorf("accepted a timestamp that is not canonical: %q", timestamp)
		}
		if want := bareSignature(map[string]string{"k1": secretA, "k2": secretB}[keyID], timestamp, body); signature != want {
			t.Errorf("accepted %q, want only %q", signature, want)
		}
	})
}

func bareSignature(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%s.%s", timestamp, body)
	return hex.EncodeToString(mac.Sum(nil))
}

func flip(signature string) string {
	if signature[0] == '0' {
		return "1" + signature[1:]
	}
	return "0" + signature[1:]
}

func TestVerifySaysHowFarAClockIsOff(t *testing.T) {
	ring := newRing(t, "k1")
	for _, tt := range []struct {
		now  time.Time
		want string
	}{
		{sent.Add(-10 * time.Minute), "the clock that signed is 10m0s ahead of ours"},
		{sent.Add(10 * time.Minute), "the clock that signed is 10m0s behind ours"},
		{sent.AddDate(-40, 0, 0), "the clock that signed is 87600h0m0s ahead of ours"},
	} {
		h, err := ring.Sign(sent, body)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := signing.NewVerifier(ring, window, at(tt.now)).Verify(h, body); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Verify() at %v = %v, want %q", tt.now, err, tt.want)
		}
	}
}
