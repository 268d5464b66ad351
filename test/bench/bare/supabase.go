package bare

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/google/uuid"
)

// NewSupabase returns a stub of a Supabase project that knows everybody: the middle part of a JWT is the user's id.
func NewSupabase() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /auth/v1/user", func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
		if len(parts) != 3 {
			http.Error(w, "no JWT", http.StatusUnauthorized)
			return
		}
		answer(w, map[string]string{
			"id": parts[1], "aud": "authenticated", "role": "authenticated", "email": parts[1] + "@example.com",
		})
	})
	mux.HandleFunc("POST /functions/v1/api-keys-create", func(w http.ResponseWriter, r *http.Request) {
		var wanted struct{ Tier string }
		if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil {
			http.Error(w, "no JSON", http.StatusBadRequest)
			return
		}
		answer(w, newKey(wanted.Tier))
	})
	mux.HandleFunc("GET /metrics", metrics)
	return mux
}

// newKey is of the form of ours: a prefix, and 64 hexadecimal characters.
func newKey(tier string) key {
	id := uuid.NewString()
	hex := strings.ReplaceAll(id, "-", "")
	return key{Token: "obtk_" + hex + hex, KeyID: id, Prefix: "obtk_" + hex[:3], Tier: tier}
}

func answer(w http.ResponseWriter, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, body)
}
