package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestServeAllValidatesJWTsAsConfigured provisions a key with each way of validation.
func TestServeAllValidatesJWTsAsConfigured(t *testing.T) {
	for name, settings := range map[string]map[string]string{
		"remote":            {},
		"remote and cached": {"JWT_CACHE_TTL": "10s"},
		"local":             {"JWT_VALIDATION": "local"},
	} {
		t.Run(name, func(t *testing.T) {
			sender := newAllHandlers(t, settings)["sender"]
			account := post(t, sender, "/signup", `{"email":"reader@example.com","password":"a long password"}`, http.StatusCreated)
			request := fmt.Sprintf(`{"action":"provision_api_key","jwt":%q,"name":"laptop","tier":"new"}`, account["jwt"])
			if key := post(t, sender, "/send", request, http.StatusOK); key["token"] == nil {
				t.Errorf("no key: %v", key)
			}
			forged := fmt.Sprintf(`{"action":"provision_api_key","jwt":%q,"name":"laptop","tier":"new"}`, forge(account["jwt"].(string)))
			post(t, sender, "/send", forged, http.StatusUnauthorized)
		})
	}
}

// forge returns a JWT with another signature.
func forge(jwt string) string { return jwt[:len(jwt)-20] + "AAAAAAAAAAAAAAAAAAAA" }

func post(t *testing.T, h http.Handler, path, body string, want int) map[string]any {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, path, bytes.NewReader([]byte(body)))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	var members map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &members); err != nil || w.Code != want {
		t.Fatalf("POST %s = %d %s, want %d", path, w.Code, w.Body, want)
	}
	return members
}
