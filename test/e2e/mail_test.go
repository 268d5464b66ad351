package e2e_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/smtp"
	"github.com/provisioner/provisioner/test/wire"
)

const app = "https://app.example.com"

// mailing are settings for a papyrus that sends its mail to a server.
func mailing(server *smtp.Server) program.Settings {
	return program.Settings{
		"SMTP_HOST": server.Host(), "SMTP_PORT": strconv.Itoa(server.Port()), "SMTP_TLS": "none", "SMTP_FROM_EMAIL": "accounts@example.com",
		"SMTP_FROM_NAME": "Papyrus", "APP_PUBLIC_BASE_URL": app,
	}
}

// TestVerifyEmail registers, and verifies the address with the token of the mail, which is good once.
func TestVerifyEmail(t *testing.T) {
	server := smtp.Start(t)
	p := start(t, "papyrus", mailing(server))
	papyrus := p.URL("papyrus")
	r := register(t, papyrus)
	m := server.Await(1)[0]
	token := tokenIn(t, m, r, "verify-email")
	if line := "Verification token: " + token; !strings.Contains("\n"+m.Text+"\n", "\n"+line+"\n") {
		t.Errorf("the mail has no line with the token:\n%s", m.Text)
	}
	if r.verified(papyrus) {
		t.Error("the address is verified before anybody has read its mail")
	}

	body := fmt.Sprintf(`{"token":%q}`, token)
	succeed(t, mustPost(t, papyrus+"/v1/auth/verify-email", body), http.StatusOK)
	if !r.verified(papyrus) {
		t.Error("the address is not verified")
	}
	if a := mustPost(t, papyrus+"/v1/auth/verify-email", body); nested(a) != "400 VALIDATION_ERROR" {
		t.Errorf("the token again: %v", a)
	}
}

// TestResetPassword sets another password with the token of a mail: the old one, and all sessions, are worth nothing any more. Who
// asks for an address without an account hears the same, and nothing is sent.
func TestResetPassword(t *testing.T) {
	server := smtp.Start(t)
	p := start(t, "papyrus", mailing(server))
	papyrus := p.URL("papyrus")
	r := register(t, papyrus)
	other := r.elsewhere(papyrus)
	server.Await(1) // to verify the address
	forgot := func(email string) wire.Answer {
		t.Helper()
		return mustPost(t, papyrus+"/v1/auth/forgot-password", fmt.Sprintf(`{"email":%q}`, email))
	}

	unknown := forgot("nobody@example.com")
	known := forgot(r.email)
	if unknown.Status != http.StatusOK || unknown.Body != known.Body {
		t.Errorf("for an unknown address: %v; for a known: %v", unknown, known)
	}
	messages := server.Await(2)
	program.Eventually(t, "no mail waits", func() bool { return rows(t, p, "mail_outbox") == 0 })
	if n := len(server.Messages()); n != 2 {
		t.Errorf("%d mails, want none for the unknown address", n-1)
	}

	token, old := tokenIn(t, messages[1], r, "reset-password"), *r
	r.password = record.NewSecret("password")
	body := fmt.Sprintf(`{"token":%q,"password":%q}`, token, r.password)
	succeed(t, mustPost(t, papyrus+"/v1/auth/reset-password", body), http.StatusOK)
	for _, tt := range []struct {
		name string
		got  wire.Answer
		want string
	}{
		{"the token again", mustPost(t, papyrus+"/v1/auth/reset-password", body), "400 VALIDATION_ERROR"},
		{"the old password", mustPost(t, papyrus+"/v1/auth/login", old.credentials()), "401 UNAUTHORIZED"},
		{"a session from before", r.call(http.MethodGet, papyrus+"/v1/users/me", ""), "401 SESSION_REVOKED"},
		{"another session from before", other.call(http.MethodGet, papyrus+"/v1/users/me", ""), "401 SESSION_REVOKED"},
		{"a refresh of a session from before", mustRefresh(t, papyrus, other.refreshToken), "401 UNAUTHORIZED"},
	} {
		if nested(tt.got) != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, tt.got, tt.want)
		}
	}
	r.elsewhere(papyrus)
}

// TestMailSurvives registers while the mail server is down, and kills papyrus: the mail is sent once when both are there again.
func TestMailSurvives(t *testing.T) {
	server := smtp.Start(t)
	p := start(t, "papyrus", mailing(server))
	server.Stop()
	r := register(t, p.URL("papyrus"))
	program.Eventually(t, "a first attempt has failed", func() bool { return strings.Contains(p.Output(), "mail not sent yet") })

	p.Crash()
	if n := rows(t, p, "mail_outbox"); n != 1 {
		t.Fatalf("%d mails wait, want 1", n)
	}
	p.Kill()
	server.Start()
	makeMailDue(t, p)
	p.Start()
	token := tokenIn(t, server.Await(1)[0], r, "verify-email")
	program.Eventually(t, "no mail waits", func() bool { return rows(t, p, "mail_outbox") == 0 })
	if n := len(server.Messages()); n != 1 {
		t.Errorf("%d mails arrived, want 1", n)
	}
	succeed(t, mustPost(t, p.URL("papyrus")+"/v1/auth/verify-email", fmt.Sprintf(`{"token":%q}`, token)), http.StatusOK)
}

// makeMailDue ends the pause after a failed attempt to send a mail.
func makeMailDue(t *testing.T, p *program.Process) {
	t.Helper()
	changeRows(t, p, "UPDATE mail_outbox SET next_try_at = created_at")
}

// changeRows runs a statement on p's SQLite database.
func changeRows(t *testing.T, p *program.Process, statement string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+p.Env["DATA_DIR"]+"/provisioner.db?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)")
	if err != nil {
		t.Fatal(err)
	}
	result, err := db.ExecContext(t.Context(), statement, args...)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := result.RowsAffected(); n != 1 || err != nil {
		t.Fatalf("%s: %d rows, %v", statement, n, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// tokenIn returns the token of a mail to a reader, of which the link leads to a page of the app.
func tokenIn(t *testing.T, m smtp.Message, r *reader, page string) string {
	t.Helper()
	if len(m.To) != 1 || m.To[0] != r.email || m.From != "accounts@example.com" {
		t.Fatalf("a mail from %q to %d others than the reader", m.From, len(m.To))
	}
	link := app + "/" + page + "?token="
	_, rest, ok := strings.Cut(m.Text, link)
	token, _, _ := strings.Cut(rest, "\n")
	if !ok || len(token) < 40 || !strings.Contains(m.HTML, link+token) {
		t.Fatalf("a mail without %s…:\n%s\n%s", link, m.Text, m.HTML)
	}
	record.Keep("token of a mail", token)
	return token
}

// verified reports whether the reader's address is verified, as the reader's own profile says.
func (r *reader) verified(papyrus string) bool {
	r.t.Helper()
	var profile struct {
		EmailVerified bool `json:"email_verified"`
	}
	if err := decode(r.call(http.MethodGet, papyrus+"/v1/users/me", ""), &profile); err != nil {
		r.t.Fatal(err)
	}
	return profile.EmailVerified
}
