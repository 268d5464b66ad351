package supabase_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/provision"
)

var keyRequest = provision.KeyRequest{JWT: "a.b.c", IdempotencyKey: "k1", Name: "n", Tier: "new"}

func TestCreateKey(t *testing.T) {
	client := newClient(t, answers(http.StatusOK, `{"token":"obtk_0123","keyId":"id1","prefix":"obtk_012","tier":"new"}`))
	key, err := client.CreateKey(t.Context(), keyRequest)
	if err != nil || key.Token.Reveal() != "obtk_0123" || key.ID != "id1" || key.Prefix != "obtk_012" || key.Tier != "new" {
		t.Errorf("CreateKey() = %+v, %v", key, err)
	}
}

func TestCreateKeyRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   *apierror.Error
	}{
		{"unknown tier", 400, `{"error":"x","code":"UNKNOWN_TIER"}`, provision.ErrUnknownTier},
		{"tier not allowed", 403, `{"error":"x","code":"TIER_NOT_ALLOWED"}`, provision.ErrTierNotAllowed},
		{"quota", 403, `{"error":"x","code":"QUOTA_EXCEEDED"}`, provision.ErrQuotaExceeded},
		{"key reused", 422, `{"error":"x","code":"IDEMPOTENCY_KEY_REUSED"}`, provision.ErrIdempotencyKeyReused},
		{"bad name", 400, `{"error":"x","code":"INVALID_NAME"}`, provision.ErrInvalidName},
		{"a code of the contract with another status", 409, `{"code":"QUOTA_EXCEEDED"}`, provision.ErrQuotaExceeded},
		{"401", 401, `{"error":"x","code":"INVALID_AUTH"}`, provision.ErrInvalidAuth},
		{"401 that is no JSON", 401, leak, provision.ErrInvalidAuth},
		{"another code", 409, `{"error":"` + leak + `","code":"DUPLICATE"}`, provision.Refused(409)},
		{"a code that is ours to give", 403, `{"error":"x","code":"FORBIDDEN"}`, provision.Refused(403)},
		{"a code as the error, as edge functions do", 403, `{"error":"QUOTA_EXCEEDED"}`, provision.ErrQuotaExceeded},
		{"no function", 404, `{"code":"NOT_FOUND","message":"Requested function was not found"}`, provision.Refused(404)},
		{"too many", 429, `{}`, provision.Refused(429)},
		{"a 4xx that is no JSON", 418, leak, provision.Refused(418)},
		{"a 5xx", 500, `{"error":"` + leak + `","code":"QUOTA_EXCEEDED"}`, provision.ErrProvisionFailed},
		{"an edge function that ran out of time", 546, `{"code":"WORKER_LIMIT","message":"x"}`, provision.ErrProvisionFailed},
		{"a redirect", 307, ``, provision.ErrProvisionFailed},
		{"a 200 that is no JSON", 200, leak, provision.ErrProvisionFailed},
		{"a 200 without token", 200, `{"keyId":"id1"}`, provision.ErrProvisionFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newClient(t, answers(tt.status, tt.body)).CreateKey(t.Context(), keyRequest)
			e := apierror.From(err)
			if !e.Is(tt.want) || strings.Contains(e.Message, leak) {
				t.Errorf("CreateKey() = %v, want %v", err, tt.want)
			}
		})
	}
}
