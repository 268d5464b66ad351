package bare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// anonKey is what the Supabase project of the benchmark takes.
const anonKey = "anon"

type provision struct {
	JWT  string `json:"jwt"`
	Name string `json:"name"`
	Tier string `json:"tier"`
}

type key struct {
	OK     bool   `json:"ok,omitempty"`
	Token  string `json:"token"`
	KeyID  string `json:"keyId"`
	Prefix string `json:"prefix"`
	Tier   string `json:"tier"`
}

// ProvisionKey asks the Supabase project at the base URL whose the JWT is, has it make a key, and answers as our receiver does.
// A retry makes another key.
func ProvisionKey(supabase string, transport http.RoundTripper) Work {
	client := &http.Client{Transport: transport}
	return func(r *http.Request, body []byte) ([]byte, error) {
		var in provision
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		var user struct{ ID string }
		if err := call(client, r, http.MethodGet, supabase+"/auth/v1/user", in.JWT, nil, &user); err != nil {
			return nil, err
		}
		if user.ID == "" {
			return nil, errors.New("no user")
		}
		wanted := map[string]string{"name": in.Name, "tier": in.Tier}
		made := key{OK: true}
		if err := call(client, r, http.MethodPost, supabase+"/functions/v1/api-keys-create", in.JWT, wanted, &made); err != nil {
			return nil, err
		}
		return json.Marshal(made)
	}
}

// call makes a request on behalf of another, with in as JSON, nil for none, and decodes the answer into out.
func call(client *http.Client, of *http.Request, method, url, jwt string, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(of.Context(), method, url, &body)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+jwt)
	r.Header.Set("Apikey", anonKey)
	r.Header.Set("Content-Type", "application/json")
	if key := of.Header.Get("Idempotency-Key"); key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(out)
}
