package receiver_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/signing"
)

const (
	missingHeaders  = `{"error":"missing auth headers","code":"MISSING_AUTH_HEADERS"}`
	staleTimestamp  = `{"error":"stale or invalid timestamp","code":"STALE_TIMESTAMP"}`
	badSignature    = `{"error":"invalid signature","code":"INVALID_SIGNATURE"}`
	replayed        = `{"error":"replay detected","code":"REPLAY_DETECTED"}`
	invalidJSON     = `{"error":"invalid json","code":"JSON_PARSE_ERROR"}`
	unsupported     = `{"error":"the body must have no content encoding and no trailers","code":"UNSUPPORTED_MEDIA_TYPE"}`
	tooLarge        = `{"error":"the body is too large","code":"BODY_TOO_LARGE"}`
	storeDownAnswer = `{"error":"the store is unavailable, try again","code":"STORE_UNAVAILABLE"}`
)

// resigned signs a request anew with another timestamp, as its text.
func resigned(keys *signing.Keyring, at time.Time) edit {
	return func(r *http.Request) {
		headers, _ := keys.Sign(at, []byte(eventBody))
		headers.Apply(r.Header)
	}
}

// TestSignatureRefusals has a row for every refusal of section 1 of the contract.
func TestSignatureRefusals(t *testing.T) {
	r := newRig(t, newStore(t), setUp{})
	other, err := signing.NewKeyring([]signing.Key{{ID: "k1", Secret: []byte("another secret of thirty-two bytes")}}, "k1")
	if err != nil {
		t.Fatal(err)
	}
	body := func(s string) edit {
		return func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader(s)), int64(len(s)) }
	}
	for _, tt := range []struct {
		name   string
		edit   edit
		status int
		want   string
	}{
		{"no timestamp", with("X-Timestamp"), 401, missingHeaders},
		{"an empty timestamp", with("X-Timestamp", ""), 401, missingHeaders},
		{"two timestamps", with("X-Timestamp", "1", "1"), 401, missingHeaders},
		{"no signature", with("X-Signature"), 401, missingHeaders},
		{"two signatures", with("X-Signature", strings.Repeat("0", 64), strings.Repeat("0", 64)), 401, missingHeaders},
		{"a content encoding", with("Content-Encoding", "gzip"), 415, unsupported},
		{"the identity encoding", with("Content-Encoding", "identity"), 415, unsupported},
		{"declared trailers", func(r *http.Request) { r.Trailer = http.Header{"X-Signature": nil} }, 415, unsupported},
		{"a body over the limit", body(strings.Repeat("x", bodyLimit+1)), 413, tooLarge},
		{"a body over the limit, of unknown length", func(r *http.Request) { body(strings.Repeat("x", bodyLimit+1))(r); r.ContentLength = -1 }, 413, tooLarge},
		{"a body that ends early", func(r *http.Request) { body(eventBody)(r); r.ContentLength++ }, 400, `{"error":"the body ended early","code":"JSON_PARSE_ERROR"}`},

		{"an exponent", with("X-Timestamp", "1e3"), 401, staleTimestamp},
		{"a sign", with("X-Timestamp", "+1"), 401, staleTimestamp},
		{"a space", with("X-Timestamp", " 1"), 401, staleTimestamp},
		{"a fraction", with("X-Timestamp", strconv.FormatInt(noon.UnixMilli(), 10)+".0"), 401, staleTimestamp},
		{"a leading zero", with("X-Timestamp", "0"+strconv.FormatInt(noon.UnixMilli(), 10)), 401, staleTimestamp},
		{"hex", with("X-Timestamp", "0x18"), 401, staleTimestamp},
		{"30 digits", with("X-Timestamp", strings.Repeat("1", 30)), 401, staleTimestamp},
		{"words", with("X-Timestamp", "now"), 401, staleTimestamp},
		{"seconds", with("X-Timestamp", strconv.FormatInt(noon.Unix(), 10)), 401, staleTimestamp},
		{"one millisecond too old", resigned(r.keys, noon.Add(-window-time.Millisecond)), 401, staleTimestamp},
		{"one millisecond too early", resigned(r.keys, noon.Add(window+time.Millisecond)), 401, staleTimestamp},

		{"no key id", with("X-Key-Id"), 401, badSignature},
		{"an empty key id", with("X-Key-Id", ""), 401, badSignature},
		{"an unknown key id", with("X-Key-Id", "k2"), 401, badSignature},
		{"two key ids", with("X-Key-Id", "k1", "k1"), 401, badSignature},
		{"upper-case hex", func(r *http.Request) { r.Header.Set("X-Signature", strings.ToUpper(r.Header.Get("X-Signature"))) }, 401, badSignature},
		{"no hex", with("X-Signature", strings.Repeat("z", 64)), 401, badSignature},
		{"a character too few", func(r *http.Request) { r.Header.Set("X-Signature", r.Header.Get("X-Signature")[1:]) }, 401, badSignature},
		{"a character too many", func(r *http.Request) { r.Header.Set("X-Signature", r.Header.Get("X-Signature")+"0") }, 401, badSignature},
		{"another secret", resigned(other, noon), 401, badSignature},
		{"another body", body(strings.Replace(eventBody, "u1", "u2", 1)), 401, badSignature},
		{"white space more", body(eventBody + " "), 401, badSignature},
		{"another timestamp in the window", with("X-Timestamp", strconv.FormatInt(noon.UnixMilli()-1, 10)), 401, badSignature},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := r.signed(t, eventBody)
			tt.edit(req)
			w := r.do(req)
			check(t, w, tt.status, tt.want)
			if got := w.Header().Get("WWW-Authenticate"); (got == "Signature") != (tt.status == 401) {
				t.Errorf("WWW-Authenticate = %q", got)
			}
		})
	}
}

func TestSignaturesAtTheEdgeOfTheWindow(t *testing.T) {
	r := newRig(t, newStore(t), setUp{})
	for _, at := range []time.Time{noon.Add(-window), noon.Add(window), noon.Add(999 * time.Microsecond)} {
		check(t, r.do(r.signedAt(t, at, eventBody)), 200, `{"ok":true,"received":`+eventBody+`}`)
	}
}

func TestTrailersAreRefused(t *testing.T) {
	r := newRig(t, newStore(t), setUp{})
	srv := httptest.NewServer(r)
	defer srv.Close()
	req := r.signed(t, eventBody)
	req.RequestURI, req.URL.Scheme, req.URL.Host = "", "http", srv.Listener.Addr().String()
	req.ContentLength = -1
	req.Trailer = http.Header{"X-Late": {"1"}}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusUnsupportedMediaType || strings.TrimSpace(string(body)) != unsupported {
		t.Errorf("%d %s %v", resp.StatusCode, body, err)
	}
}

func TestUndeclaredTrailersAreRefused(t *testing.T) {
	r := newRig(t, newStore(t), setUp{})
	srv := httptest.NewServer(r)
	defer srv.Close()
	req := r.signed(t, eventBody)
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST /inbox HTTP/1.1\r\nHost: r\r\nX-Timestamp: %s\r\nX-Signature: %s\r\nX-Key-Id: %s\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX-Late: 1\r\n\r\n", req.Header.Get("X-Timestamp"),
		req.Header.Get("X-Signature"), req.Header.Get("X-Key-Id"), len(eventBody), eventBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil || resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("%v, %v", resp, err)
	}
}

func TestReplays(t *testing.T) {
	db := newStore(t)
	r := newRig(t, db, setUp{})
	for name, body := range map[string]string{"an event": eventBody, "a key": keyBody, "what is no JSON": `null`} {
		first := r.signed(t, body)
		again := r.signed(t, body)
		again.Header = first.Header.Clone()
		again.Header.Set("X-Request-Id", "another")
		r.do(first)
		check(t, r.do(again), 409, replayed)

		restarted := newRig(t, db, setUp{})
		again = r.signed(t, body)
		again.Header = first.Header.Clone()
		if w := restarted.do(again); w.Code != 409 {
			t.Errorf("%s, after a restart: %d %s", name, w.Code, w.Body)
		}
	}
}

// TestRefusedSignaturesTakeNoRoom holds that a nonce is kept only of what was rightly signed: the right request passes after
// its forgeries.
func TestRefusedSignaturesTakeNoRoom(t *testing.T) {
	r := newRig(t, newStore(t), setUp{})
	req := r.signed(t, eventBody)
	forged := r.signed(t, eventBody)
	forged.Header = req.Header.Clone()
	forged.Body, forged.ContentLength = io.NopCloser(strings.NewReader(`{}`)), 2
	check(t, r.do(forged), 401, badSignature)
	check(t, r.do(req), 200, `{"ok":true,"received":`+eventBody+`}`)
}

func TestBodiesAreReadAfterTheNonce(t *testing.T) {
	r := newRig(t, newStore(t), setUp{})
	for name, body := range map[string]string{
		"empty": "", "null": "null", "an array": "[]", "not UTF-8": "{\"action\":\"\xff\"}", "a member twice": `{"action":"ping","action":"ping"}`,
	} {
		t.Run(name, func(t *testing.T) { check(t, r.do(r.signed(t, body)), 400, invalidJSON) })
	}
	for name, edit := range map[string]edit{
		"no content type": with("Content-Type"), "text": with("Content-Type", "text/plain"), "nonsense": with("Content-Type", ";;"),
	} {
		t.Run("with "+name, func(t *testing.T) {
			req := r.signed(t, eventBody)
			edit(req)
			check(t, r.do(req), 200, `{"ok":true,"received":`+eventBody+`}`)
		})
	}
}

// TestCausesOfRefusalsAreInTheLogAlone holds that the operator can tell apart what the caller cannot.
func TestCausesOfRefusalsAreInTheLogAlone(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t, newStore(t), setUp{log: slog.New(slog.NewJSONHandler(&log, nil))})
	for cause, edit := range map[string]edit{
		"timestamp": with("X-Timestamp", "01"),
		"key_id":    with("X-Key-Id", "k2"),
		"malformed": with("X-Signature", "0"),
		"mismatch":  with("X-Signature", strings.Repeat("0", 64)),
	} {
		log.Reset()
		req := r.signed(t, eventBody)
		signature := req.Header.Get("X-Signature")
		edit(req)
		w := r.do(req)
		if !strings.Contains(log.String(), `"cause":"`+cause+`"`) || strings.Contains(w.Body.String(), cause) && cause != "timestamp" {
			t.Errorf("%s: log %s, answer %s", cause, log.String(), w.Body)
		}
		if strings.Contains(log.String(), signature) {
			t.Error("a valid signature is in the log")
		}
	}
}
