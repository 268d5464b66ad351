package e2e_test

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/test/program"
)

// TestMalformedRequests sends what no client library would. All is answered in JSON, and nothing is our fault.
func TestMalformedRequests(t *testing.T) {
	s := program.Keyring("k1").With(program.WithoutIdentity())
	receiver := start(t, "receiver", s)
	sender := start(t, "sender", s.With(program.Settings{"RECEIVER_WORKER_URL": receiver.URL("receiver")}))
	const get = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
	const end = "Host: a\r\nConnection: close\r\n\r\n"
	tests := []struct {
		name, request string
		statuses      []int // of the answers, in their order
	}{
		{"garbage", "\x16\x03\x01\x00\xa5\x01\x00\x00\r\n\r\n", []int{400}},
		{"garbage behind two good requests", get + get + "no such thing\r\n\r\n", []int{200, 200, 400}},
		{"headers of 1 MB", "GET /health HTTP/1.1\r\nHost: a\r\nX-Long: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", []int{431}},
		{"1 MB of short headers", "GET /health HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 1<<20/6) + "\r\n", []int{431}},
		{"a path of 1 MB", "GET /" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\nHost: a\r\n\r\n", []int{431}},
		{"HTTP/1.0", "GET /nothing HTTP/1.0\r\n\r\n", []int{404}},
		{"HTTP/1.0 with a body", "POST /inbox HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}", []int{401, 404}},
		{"HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{404}},
		{"an absolute URI", "GET http://elsewhere.example/admin HTTP/1.1\r\n" + end, []int{404}},
		{"a URI of another scheme", "GET file:///etc/passwd HTTP/1.1\r\n" + end, []int{404}},
		{"CONNECT", "CONNECT elsewhere.example:443 HTTP/1.1\r\n" + end, []int{404, 405}},
		{"an unknown method", "BREW /health HTTP/1.1\r\n" + end, []int{405}},
		{"encoded dots", "POST /%2e%2e/inbox HTTP/1.1\r\n" + end, []int{404}},
		{"plain dots", "POST /x/../inbox HTTP/1.1\r\n" + end, []int{404}},
		{"an encoded slash at the end", "POST /send%2F HTTP/1.1\r\n" + end, []int{404}},
		{"an encoded slash in front", "POST /%2Finbox HTTP/1.1\r\n" + end, []int{404}},
		{"two slashes", "POST //send HTTP/1.1\r\n" + end, []int{404}},
		{"an encoded NUL", "POST /send%00 HTTP/1.1\r\n" + end, []int{404}},
		{"bad encoding", "POST /%zz HTTP/1.1\r\n" + end, []int{400}},
		{"a header without a name", "GET /health HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", []int{400}},
		{"a header over two lines", "GET /nothing HTTP/1.1\r\nX: a\r\n b\r\n" + end, []int{400, 404}},
		{"two hosts", "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", []int{400}},
		{"two lengths", "POST /inbox HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n" + end + "{}", []int{400}},
		{"a negative length", "POST /inbox HTTP/1.1\r\nContent-Length: -1\r\n" + end, []int{400}},
		{"a bad chunk", "POST /send HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n" + end + "zz\r\n", []int{400, 404}},
	}
	for _, p := range []*program.Process{sender, receiver} {
		for _, tt := range tests {
			t.Run(p.Service+": "+tt.name, func(t *testing.T) {
				conn := dial(t, p.Addr(p.Service))
				go func() { _, _ = io.WriteString(conn, tt.request) }() // the answer may come before all is sent
				checkAnswers(t, bufio.NewReader(conn), tt.statuses)
			})
		}
		if err := p.Ready(); err != nil {
			t.Error(err)
		}
	}
}

// checkAnswers reads an answer for each of the statuses; for several client errors, one that is any of them.
func checkAnswers(t *testing.T, in *bufio.Reader, statuses []int) {
	t.Helper()
	good := 0
	for good < len(statuses) && statuses[good] == 200 {
		good++
		if a := readAnswer(t, in); a.Status != 200 {
			t.Fatalf("answer %d: %v", good, a)
		}
	}
	a := readAnswer(t, in)
	wanted := false
	for _, status := range statuses[good:] {
		wanted = wanted || a.Status == status
	}
	if !wanted {
		t.Errorf("answer: %v, want one of %v", a, statuses[good:])
	}
	var body struct{ Error, Code string }
	if a.Header.Get("Content-Type") != "application/json; charset=utf-8" || json.Unmarshal([]byte(a.Body), &body) != nil ||
		body.Error == "" || body.Code == "" {
		t.Errorf("not an error in JSON: %v %v", a.Header, a)
	}
}
