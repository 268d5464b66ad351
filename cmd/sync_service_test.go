package cmd

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/token"
)

func TestWhereDevicesSync(t *testing.T) {
	for _, tt := range []struct {
		name     string
		settings map[string]string
		want     string
	}{
		{"here, unless something else is said", map[string]string{}, `"PSYNC_S2106","status":401`},
		{"nowhere, without tokens", map[string]string{"POWERSYNC_JWT_AUDIENCE": ""}, `"PSYNC_S2002","status":404`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			newAllHandlers(t, tt.settings)["papyrus"].ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/sync/stream", http.NoBody))
			if !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("POST /sync/stream = %d %s, want %s", w.Code, w.Body, tt.want)
			}
		})
	}
}

func TestAnotherServiceSyncs(t *testing.T) {
	s := &services{cfg: &config.Config{
		PublicBaseURL: &url.URL{Scheme: "https", Host: "papyrus.example.com"},
		PowerSync:     config.PowerSync{URL: &url.URL{Scheme: "https", Host: "sync.example.com"}},
	}}
	if c := s.sync(new(token.PowerSyncIssuer)); c.Streams != nil {
		t.Error("the embedded service is there too")
	}
	if len(s.workers) != 1 {
		t.Error("buckets are not looked after")
	}
}
