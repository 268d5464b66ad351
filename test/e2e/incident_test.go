package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/smtp"
)

// TestMailIgnoresForwardedHosts is named after GHSA-3529-5m8x-rpv3, in which the link of a reset mail led to the host that the request
// named: whoever asked for a victim's mail got the victim's token.
func TestMailIgnoresForwardedHosts(t *testing.T) {
	const evil = "evil.example.net"
	server := smtp.Start(t)
	p := start(t, "papyrus", mailing(server).With(program.Settings{"TRUSTED_PROXIES": "127.0.0.0/8"})) // even where a proxy is believed
	papyrus := p.URL("papyrus")
	headers := []string{
		"X-Forwarded-Host", evil, "X-Forwarded-Server", evil, "X-Host", evil, "X-Original-Host", evil, "X-Forwarded-Proto", "http",
		"X-Forwarded-Prefix", "//" + evil, "Forwarded", "host=" + evil + ";proto=http", "Referer", "http://" + evil + "/",
	}
	for i, forgot := range []string{"/v1/auth/forgot-password", "/auth/v1/recover"} {
		r := &reader{t: t, email: fmt.Sprintf("reader%d@example.com", i), password: record.NewSecret("password")}
		r.take(mustPost(t, papyrus+"/v1/auth/register", r.registration(), headers...), http.StatusCreated)
		server.Await(2*i + 1)
		succeed(t, mustPost(t, papyrus+forgot, fmt.Sprintf(`{"email":%q}`, r.email), headers...), http.StatusOK)
		for n, page := range []string{"verify-email", "reset-password"} {
			m := server.Await(2*i + 2)[2*i+n]
			tokenIn(t, m, r, page) // whose link leads to the app
			if strings.Contains(m.Raw+m.Text+m.HTML, evil) {
				t.Errorf("%s names the host of the request:\n%s", m.Subject(), m.Text)
			}
		}
	}
}
