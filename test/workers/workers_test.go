package workers_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/test/workers"
)

const (
	event = `{"userId":"u1","action":"ping","sentAt":"2026-03-20T10:15:30.000Z"}`
	keys  = `{"k1":"0123456789abcdef0123456789abcdef","k2":"fedcba9876543210fedcba9876543210"}`
)

func TestSenderToReceiver(t *testing.T) {
	tests := []struct {
		name             string
		sender, receiver workers.Bindings
		status           int
		body             string
	}{
		{
			"one shared secret",
			workers.Bindings{SharedSecret: "0123456789abcdef0123456789abcdef"},
			workers.Bindings{SharedSecret: "0123456789abcdef0123456789abcdef"},
			http.StatusOK, `{"ok":true,"received":` + event + `}`,
		},
		{
			"the active key of several",
			workers.Bindings{SigningKeys: keys, ActiveKeyID: "k2"},
			workers.Bindings{SigningKeys: keys},
			http.StatusOK, `{"ok":true,"received":` + event + `}`,
		},
		{
			"two different secrets",
			workers.Bindings{SharedSecret: "0123456789abcdef0123456789abcdef"},
			workers.Bindings{SharedSecret: "fedcba9876543210fedcba9876543210"},
			http.StatusUnauthorized, `{"error":"invalid signature","code":"INVALID_SIGNATURE"}`,
		},
		{
			"no key id where keys have ids",
			workers.Bindings{SharedSecret: "0123456789abcdef0123456789abcdef"},
			workers.Bindings{SigningKeys: keys},
			http.StatusUnauthorized, `{"error":"invalid signature","code":"INVALID_SIGNATURE"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.sender.ReceiverWorkerURL = workers.StartReceiver(t, tt.receiver)
			status, body := post(t, workers.StartSender(t, tt.sender)+"/send", event)
			if status != tt.status || body != tt.body {
				t.Errorf("POST /send = %d %s, want %d %s", status, body, tt.status, tt.body)
			}
		})
	}
}

func TestProvision(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /auth/v1/user", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer a.b.c" || r.Header.Get("Apikey") != "anon" {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	mux.HandleFunc("POST /functions/v1/api-keys-create", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != `{"name":"laptop","tier":"new"}` || r.Header.Get("Idempotency-Key") != "intent-1" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, `{"token":"obtk_1","keyId":"id1","prefix":"obtk_1","tier":"new"}`)
	})
	supabase := httptest.NewServer(mux)
	t.Cleanup(supabase.Close)

	receiver := workers.StartReceiver(t, workers.Bindings{
		SigningKeys: keys, SupabaseURL: supabase.URL, SupabaseAnonKey: "anon",
	})
	sender := workers.StartSender(t, workers.Bindings{SigningKeys: keys, ActiveKeyID: "k1", ReceiverWorkerURL: receiver})

	tests := []struct {
		name, jwt string
		status    int
		body      string
	}{
		{"a good token", "a.b.c", http.StatusOK, `{"ok":true,"token":"obtk_1","keyId":"id1","prefix":"obtk_1","tier":"new"}`},
		{"a bad token", "x.y.z", http.StatusUnauthorized, `{"error":"invalid or expired token","code":"INVALID_AUTH"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			request := `{"action":"provision_api_key","jwt":"` + tt.jwt + `","name":"laptop","tier":"new"}`
			status, body := post(t, sender+"/send", request, "Idempotency-Key", "intent-1")
			if status != tt.status || body != tt.body {
				t.Errorf("POST /send = %d %s, want %d %s", status, body, tt.status, tt.body)
			}
		})
	}
}

// post sends body with header, a list of names and values, and returns the status and body of the answer.
func post(t *testing.T, url, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}
