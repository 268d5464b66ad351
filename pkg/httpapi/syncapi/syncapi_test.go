package syncapi_test

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/syncstream"
)

const (
	checkpoint = `{"checkpoint":{"last_op_id":"0","buckets":[{"bucket":"1#user_books|0[\"u1\"]","checksum":0,"count":0,"priority":1,"subscriptions":[{"default":0}]}],"streams":[{"name":"user_books","is_default":true,"errors":[]}]}}` + "\n"
	complete   = `{"checkpoint_complete":{"last_op_id":"0"}}` + "\n"
)

func refused(status int, code, description, name string) string {
	return fmt.Sprintf(`%d {"error":{"code":%q,"status":%d,"description":%q,"name":%q}}`, status, code, status, description, name)
}

func TestAnswers(t *testing.T) {
	const stream, step, raise = "/sync/stream", "/write-checkpoint2.json?client_id=c1", "/sync/checkpoint-request"
	unauthorized := func(code, description string) string { return refused(401, code, description, "AuthorizationError") }
	malformed := refused(400, "JSON_PARSE_ERROR", "The body must be one JSON object of the protocol, in UTF-8, with no name twice", "ServiceError")
	invalid := func(description string) string { return refused(400, "INVALID_FIELD", description, "ServiceError") }
	noRequestID := invalid("checkpoint_request_id must be a positive decimal number")
	noClient := invalid("client_id must be text of at most 255 bytes without NUL")
	r := newRig(t)
	for _, tt := range []struct{ name, method, path, authorization, body, want string }{
		{"no token", "POST", stream, "", "{}", unauthorized("PSYNC_S2106", "A token is needed")},
		{"another scheme", "POST", stream, "Basic dTE6", "{}", unauthorized("PSYNC_S2106", "A token is needed")},
		{"a forged token", "POST", stream, "Token forged", "{}", unauthorized("PSYNC_S2101", "The token is invalid")},
		{"an expired token", "POST", stream, "Bearer expired", "{}", unauthorized("PSYNC_S2103", "The token has expired")},
		{"a token that is good for too long", "POST", stream, "Token endless", "{}", unauthorized("PSYNC_S2104", "The token is good for more than a day")},
		{"a token for another", "POST", stream, "Token elsewhere", "{}", unauthorized("PSYNC_S2105", "The token is for another audience")},
		{"an account that is gone", "POST", stream, "Token gone", "{}", unauthorized("PSYNC_S2101", "The account is gone or disabled")},
		{"no keys to look at tokens with", "POST", stream, "Token outage", "{}", refused(503, "PSYNC_S2003", "the store is unavailable, try again", "ServiceError")},
		{"no object", "POST", stream, "Token u1", "[]", malformed},
		{"a member of another type", "POST", stream, "Token u1", `{"buckets":{}}`, malformed},
		{"a name twice", "POST", stream, "Token u1", `{"client_id":"a","client_id":"b"}`, malformed},
		{"a client of NUL", "POST", stream, "Token u1", `{"client_id":"\u0000"}`, noClient},
		{"a position that is none", "POST", stream, "Token u1", `{"buckets":[{"name":"b","after":"-1"}]}`, invalid("after must be a decimal number")},
		{"a flood of buckets", "POST", stream, "Token u1", `{"buckets":[` + strings.Repeat(`{"after":"1"},`, 1000) + `{"after":"1"}]}`, invalid("There are too many buckets or subscriptions")},
		{"a body over the limit", "POST", stream, "Token u1", `{"app_metadata":"` + strings.Repeat("x", 1<<20) + `"}`, refused(413, "BODY_TOO_LARGE", "the body is too large", "ServiceError")},
		{"another method", "GET", stream, "Token u1", "", refused(405, "METHOD_NOT_ALLOWED", "method not allowed", "ServiceError")},
		{"another path", "GET", "/probes/nonsense", "", "", refused(404, "PSYNC_S2002", "not found", "ServiceError")},

		{"the first write checkpoint", "GET", step, "Bearer u1", "", `200 {"data":{"write_checkpoint":"1"}}`},
		{"the second", "GET", step, "Bearer u1", "", `200 {"data":{"write_checkpoint":"2"}}`},
		{"of another user", "GET", step, "Bearer u2", "", `200 {"data":{"write_checkpoint":"1"}}`},
		{"of no client in particular", "GET", "/write-checkpoint2.json", "Bearer u1", "", `200 {"data":{"write_checkpoint":"1"}}`},
		{"without a token", "GET", step, "", "", unauthorized("PSYNC_S2106", "A token is needed")},
		{"of nobody", "GET", step, "Token gone", "", unauthorized("PSYNC_S2101", "The account is gone or disabled")},
		{"of a client with a long name", "GET", step + strings.Repeat("x", 254), "Token u1", "", noClient},

		{"a request raises it", "POST", raise, "Bearer u1", `{"client_id":"c1","checkpoint_request_id":"9"}`, `200 {"data":{"checkpoint_request_id":"9"}}`},
		{"and never lowers it", "POST", raise, "Bearer u1", `{"client_id":"c1","checkpoint_request_id":"3"}`, `200 {"data":{"checkpoint_request_id":"9"}}`},
		{"both count in one", "GET", step, "Bearer u1", "", `200 {"data":{"write_checkpoint":"10"}}`},
		{"a request of zero", "POST", raise, "Token u1", `{"client_id":"c1","checkpoint_request_id":"0"}`, noRequestID},
		{"a request beyond numbers", "POST", raise, "Token u1", `{"client_id":"c1","checkpoint_request_id":"9223372036854775807"}`, noRequestID},
		{"a request that is no text", "POST", raise, "Token u1", `{"client_id":"c1","checkpoint_request_id":3}`, malformed},
		{"a request without a token", "POST", raise, "", `{}`, unauthorized("PSYNC_S2106", "A token is needed")},
		{"a request of nobody", "POST", raise, "Token gone", `{"client_id":"c1","checkpoint_request_id":"3"}`, unauthorized("PSYNC_S2101", "The account is gone or disabled")},

		{"started", "GET", "/probes/startup", "", "", `200 {"data":{}}`},
		{"alive", "GET", "/probes/liveness", "", "", `200 {"data":{}}`},
		{"ready", "GET", "/probes/readiness", "", "", `200 {"data":{}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := r.ask(t, tt.method, tt.path, tt.authorization, tt.body)
			if got := fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String())); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if w.Code == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Error("401 without WWW-Authenticate")
			}
		})
	}
}

func TestUnready(t *testing.T) {
	r := newRig(t)
	r.ready = errors.New("draining")
	w := r.ask(t, "GET", "/probes/readiness", "", "")
	if got := fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String())); got != refused(503, "PSYNC_S2003", "The service is not ready", "ServiceError") || w.Header().Get("Retry-After") != "5" {
		t.Errorf("got %s, Retry-After %q", got, w.Header().Get("Retry-After"))
	}
	r.streams.Drain(0)
	if w := r.ask(t, "POST", "/sync/stream", "Token u1", "{}"); w.Code != 503 || w.Header().Get("Retry-After") != "5" {
		t.Errorf("a stream while draining: %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
}

func TestStreamOverTCP(t *testing.T) {
	for _, tt := range []struct{ name, accept, encoding, wantType, wantEncoding string }{
		{"no wishes", "", "", "application/x-ndjson", ""},
		{"anything", "*/*", "*", "application/x-ndjson", ""},
		{"as devices ask", "application/vnd.powersync.bson-stream;q=0.9,application/x-ndjson;q=0.8", "gzip, deflate", "application/vnd.powersync.bson-stream", "gzip"},
		{"either", "application/x-ndjson, application/vnd.powersync.bson-stream", "", "application/vnd.powersync.bson-stream", ""},
		{"rather lines", "application/x-ndjson, application/vnd.powersync.bson-stream;q=0.5", "br;q=1, gzip;q=0.1", "application/x-ndjson", "gzip"},
		{"no BSON", "application/vnd.powersync.bson-stream;q=0", "gzip;q=0", "application/x-ndjson", ""},
		{"a weight that is none", "application/vnd.powersync.bson-stream;q=x", "gzip; q=x", "application/x-ndjson", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // the ends of streams are spread over a second
			r := newRig(t)
			s := r.serve(t, func(*http.Server) {})
			resp := r.open(t, s, http.Header{"Accept": {tt.accept}, "Accept-Encoding": {tt.encoding}, "Origin": {origin}}, `{"raw_data":true,"app_metadata":{}}`)
			got := [...]string{
				resp.Header.Get("Content-Type"), resp.Header.Get("Content-Encoding"), resp.Header.Get("Cache-Control"),
				resp.Header.Get("X-Accel-Buffering"), resp.Header.Get("Access-Control-Allow-Origin"),
			}
			if want := [...]string{tt.wantType, tt.wantEncoding, "no-store", "no", origin}; got != want {
				t.Fatalf("header %q, want %q", got, want)
			}

			var body io.Reader = resp.Body
			if tt.wantEncoding == "gzip" {
				unzipped, err := gzip.NewReader(body)
				must(t, err)
				body = unzipped
			}
			lines := bufio.NewReader(body)
			if tt.wantType == "application/x-ndjson" {
				first, err := lines.ReadString('\n')
				must(t, err)
				second, err := lines.ReadString('\n')
				must(t, err)
				if first+second != checkpoint+complete {
					t.Errorf("got %s%s", first, second)
				}
			} else {
				first, err := lines.Peek(16)
				must(t, err)
				if !strings.HasSuffix(string(first), "\x00\x00\x03checkpoint\x00") {
					t.Errorf("got %q", first)
				}
			}
			r.store.commit(syncstream.NewPut("books", "b1", []byte(`{"title":"the next line comes without delay"}`)))
			for text := ""; !strings.Contains(text, "the next line comes"); {
				more, err := lines.ReadString('}')
				must(t, err)
				text += more
			}
			r.streams.Drain(0)
			_ = readAll(t, lines) // the body ends as it should
		})
	}
}

func TestTooManyStreams(t *testing.T) {
	r := newRig(t)
	s := r.serve(t, func(*http.Server) {})
	first := r.open(t, s, nil, "{}")
	second := r.open(t, s, nil, "{}")
	if got := readAll(t, second.Body); second.StatusCode != http.StatusTooManyRequests || second.Header.Get("Retry-After") != "5" || !strings.Contains(got, `"PSYNC_S2304"`) {
		t.Errorf("%d %s", second.StatusCode, got)
	}
	_ = first.Body.Close()
	eventually(t, "the server sees that the device has gone", func() bool { return r.streams.Counts().Open == 0 })
	if third := r.open(t, s, nil, "{}"); third.StatusCode != http.StatusOK {
		t.Errorf("after the first has ended: %d", third.StatusCode)
	}
}

// TestStreamOutlivesTimeouts waits for the server to cut off a connection that was opened later, by timeouts as long as the stream's.
func TestStreamOutlivesTimeouts(t *testing.T) {
	r := newRig(t)
	s := r.serve(t, func(c *http.Server) {
		c.ReadTimeout, c.WriteTimeout, c.ReadHeaderTimeout = 50*time.Millisecond, 50*time.Millisecond, 100*time.Millisecond
	})
	resp := r.open(t, s, nil, "{}")
	lines := bufio.NewReader(resp.Body)
	for range 2 {
		_, err := lines.ReadString('\n')
		must(t, err)
	}
	silent, err := net.Dial("tcp", s.Listener.Addr().String())
	must(t, err)
	defer func() { _ = silent.Close() }()
	_, _ = silent.Write([]byte("GET / HTTP/1.1\r\n"))
	_, _ = io.ReadAll(silent)

	r.store.commit(syncstream.NewPut("books", "b1", []byte(`{}`)))
	if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, `{"checkpoint_diff"`) {
		t.Errorf("after the timeouts: %q, %v", line, err)
	}
}

func TestStreamsAreNoRequests(t *testing.T) {
	r := newRig(t)
	s := r.serve(t, func(*http.Server) {})
	resp := r.open(t, s, nil, "{}")
	_, err := bufio.NewReader(resp.Body).ReadString('\n')
	must(t, err)
	inFlight, err := r.metrics.Gather()
	must(t, err)
	for _, f := range inFlight {
		if f.GetName() == "provisioner_bound_limit" {
			continue
		}
		for _, m := range f.GetMetric() {
			if n := m.GetGauge().GetValue(); n != 0 {
				t.Errorf("%s%v is %v while a stream is open", f.GetName(), m.GetLabel(), n)
			}
		}
	}
	r.streams.Drain(0)
	_ = readAll(t, resp.Body)
	_ = r.ask(t, "POST", "/sync/stream", "", "{}")
	families, err := r.metrics.Gather()
	must(t, err)
	var counted []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if h := m.GetHistogram(); h != nil {
				counted = append(counted, fmt.Sprint(m.GetLabel()[2].GetValue(), " ", m.GetLabel()[3].GetValue(), " ", h.GetSampleCount()))
			}
		}
	}
	if diff := cmp.Diff([]string{"papyrus 401 1"}, counted); diff != "" {
		t.Errorf("timed requests (-want +got):\n%s", diff)
	}
}
