package supabaseapi_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/ratelimit"
)

// verification is the job of a mail that verifies an address.
func verification(email string) mail.Job { return mail.Job{Kind: mail.KindVerifyEmail, Email: email} }

// tokenIn returns the verification token of a mail's text.
func tokenIn(t *testing.T, text string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if token, ok := strings.CutPrefix(strings.TrimSpace(line), "Verification token: "); ok {
			return token
		}
	}
	t.Fatalf("no token in:\n%s", text)
	return ""
}

func TestRecoverMailsWhateverTheAddress(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	r.mustSignUp(t, email)
	for _, address := range []string{" Reader@Example.com", "stranger@example.com"} {
		check(t, r.do("POST", "/auth/v1/recover", `{"email":"`+address+`"}`), 200, `{}`)
	}
	want := []string{"reset_password to reader@example.com", "reset_password to stranger@example.com"}
	if diff := cmp.Diff(want, r.outbox.mailed); diff != "" {
		t.Errorf("mailed (-want +got):\n%s", diff)
	}
}

func TestRecoverWhereNoMailIsSent(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	r := newRigWith(t, ratelimit.Limit{}, log, func(c *account.Config) { c.Outbox = nil })
	for range 3 {
		check(t, r.do("POST", "/auth/v1/recover", `{"email":"reader@example.com"}`), 200, `{}`)
	}
	check(t, r.do("POST", "/auth/v1/recover", `{"email":"reader"}`), 400, invalidEmail)
	if lines := strings.Count(out.String(), "\n"); lines != 1 || strings.Contains(out.String(), "reader") {
		t.Errorf("three requests are %d lines of log:\n%s", lines, out.String())
	}
}
