package apierror_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/provisioner/provisioner/pkg/apierror"
)

func TestDialects(t *testing.T) {
	teapot := apierror.New(http.StatusTeapot, "SHORT_AND_STOUT", "I'm a teapot")
	detailed := &apierror.Error{Status: 422, Code: "VALIDATION_ERROR", Message: "bad", Details: map[string]int{"n": 1}}
	for _, tt := range []struct {
		name    string
		dialect apierror.Dialect
		err     *apierror.Error
		want    string
	}{
		{"flat has a string error", apierror.Flat, teapot, `{"error":"I'm a teapot","code":"SHORT_AND_STOUT"}`},
		{"nested has details even when there are none", apierror.Nested, teapot, `{"error":{"code":"SHORT_AND_STOUT","message":"I'm a teapot","details":{}}}`},
		{"nested shows details", apierror.Nested, detailed, `{"error":{"code":"VALIDATION_ERROR","message":"bad","details":{"n":1}}}`},
		{"nested has its own name for an outage", apierror.Nested, apierror.Unavailable(nil), `{"error":{"code":"SERVICE_UNAVAILABLE","message":"the store is unavailable, try again","details":{}}}`},
		{"supabase has a numeric code", apierror.Supabase, teapot, `{"code":418,"error_code":"short_and_stout","msg":"I'm a teapot"}`},
		{"powersync has its own code for an outage", apierror.PowerSync, apierror.Unavailable(nil), `{"error":{"code":"PSYNC_S2003","status":503,"description":"the store is unavailable, try again","name":"ServiceError"}}`},
		{"powersync has its own code for a fault of ours", apierror.PowerSync, apierror.Internal(nil), `{"error":{"code":"PSYNC_S2001","status":500,"description":"internal error","name":"InternalServerError"}}`},
		{"powersync keeps a code that it has none for", apierror.PowerSync, teapot, `{"error":{"code":"SHORT_AND_STOUT","status":418,"description":"I'm a teapot","name":"ServiceError"}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := json.Marshal(tt.dialect.Body(tt.err))
			if err != nil || string(got) != tt.want {
				t.Errorf("Body() = %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestFrom(t *testing.T) {
	cause := errors.New("dial 10.0.0.1: refused")
	if got := apierror.From(fmt.Errorf("step: %w", apierror.Unavailable(cause))); got.Status != 503 || !errors.Is(got, cause) {
		t.Errorf("From(wrapped) = %v", got)
	}
	if got := apierror.From(cause); got.Code != apierror.InternalError || got.Message != "internal error" {
		t.Errorf("an unknown error shows as %q %q", got.Code, got.Message)
	}
}
