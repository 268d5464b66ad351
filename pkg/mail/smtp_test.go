package mail_test

import (
	"context"
	"errors"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/test/smtp"
)

const (
	reader   = "reader@example.com"
	password = "correct-horse"
)

var greeting = mail.Message{To: reader, Subject: "Grüße", Text: "Hello,\n\nZoë\n", HTML: "<p>Hello, Zoë</p>\n"}

// configFor returns how to reach a server of a test: in the clear, without signing in.
func configFor(s *smtp.Server) mail.SMTPConfig {
	return mail.SMTPConfig{
		Host: s.Host(), Port: s.Port(), FromEmail: "no-reply@books.example", FromName: "Papyrus", TLS: mail.NoTLS, RootCAs: s.Roots(),
	}
}

func newSMTP(t *testing.T, c mail.SMTPConfig) *mail.SMTP {
	t.Helper()
	s, err := mail.NewSMTP(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSend(t *testing.T) {
	server := smtp.Start(t)
	before := time.Now().Truncate(time.Second)
	if err := newSMTP(t, configFor(server)).Send(t.Context(), greeting); err != nil {
		t.Fatal(err)
	}

	got := server.Await(1)[0]
	if got.From != "no-reply@books.example" || !cmp.Equal(got.To, []string{reader}) {
		t.Errorf("the envelope is from %q to %q", got.From, got.To)
	}
	if got.Subject() != greeting.Subject || got.Text != greeting.Text || got.HTML != greeting.HTML {
		t.Errorf("got %q, %q, %q", got.Subject(), got.Text, got.HTML)
	}
	for name, want := range map[string]string{
		"From": `"Papyrus" <no-reply@books.example>`, "To": "<reader@example.com>", "Auto-Submitted": "auto-generated",
		"User-Agent": "", "X-Mailer": "", "Mime-Version": "1.0",
	} {
		if value := got.Header.Get(name); value != want {
			t.Errorf("%s: %q, want %q", name, value, want)
		}
	}
	if date, err := got.Header.Date(); err != nil || date.Before(before) || date.After(time.Now()) {
		t.Errorf("Date: %v, %v", date, err)
	}
	if id := got.Header.Get("Message-Id"); !strings.HasSuffix(id, "@books.example>") || len(id) < 40 {
		t.Errorf("Message-Id: %q", id)
	}
}

func TestSendProtectsTheConnection(t *testing.T) {
	signIn := func(c *mail.SMTPConfig) { c.Username, c.Password = "sender", secret.New(password) }
	starttls := func(c *mail.SMTPConfig) { c.TLS = mail.STARTTLS }
	implicit := func(c *mail.SMTPConfig) { c.TLS = mail.TLS }
	wrong := func(c *mail.SMTPConfig) { signIn(c); c.Password = secret.New(password + "-wrong") }
	strangers := func(c *mail.SMTPConfig) { c.RootCAs = nil }
	auth := smtp.Auth("sender", password)
	for _, tt := range []struct {
		name    string
		server  []smtp.Option
		client  []func(*mail.SMTPConfig)
		refusal string // in the error; "" when the mail arrives
	}{
		{"STARTTLS", []smtp.Option{smtp.STARTTLS()}, []func(*mail.SMTPConfig){starttls}, ""},
		{"STARTTLS, signed in", []smtp.Option{smtp.STARTTLS(), auth}, []func(*mail.SMTPConfig){starttls, signIn}, ""},
		{"TLS", []smtp.Option{smtp.TLS()}, []func(*mail.SMTPConfig){implicit}, ""},
		{"TLS, signed in", []smtp.Option{smtp.TLS(), auth}, []func(*mail.SMTPConfig){implicit, signIn}, ""},
		{"signed in to this machine without TLS", []smtp.Option{auth}, []func(*mail.SMTPConfig){signIn}, ""},
		{"a server without STARTTLS gets no mail", nil, []func(*mail.SMTPConfig){starttls}, "STARTTLS"},
		{"a server without STARTTLS gets no password", []smtp.Option{auth}, []func(*mail.SMTPConfig){starttls, signIn}, "STARTTLS"},
		{"an unknown certificate after STARTTLS", []smtp.Option{smtp.STARTTLS()}, []func(*mail.SMTPConfig){starttls, strangers}, "certificate"},
		{"an unknown certificate", []smtp.Option{smtp.TLS()}, []func(*mail.SMTPConfig){implicit, strangers}, "certificate"},
		{"a wrong password", []smtp.Option{smtp.TLS(), auth}, []func(*mail.SMTPConfig){implicit, wrong}, "answers 535"},
		{"no password where one is needed", []smtp.Option{auth}, nil, "answer 502 5.7.0"},
		{"a server that lets nobody sign in", []smtp.Option{smtp.TLS()}, []func(*mail.SMTPConfig){implicit, signIn}, "AUTH"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := smtp.Start(t, tt.server...)
			config := configFor(server)
			for _, change := range tt.client {
				change(&config)
			}
			err := newSMTP(t, config).Send(t.Context(), greeting)
			if tt.refusal != "" {
				checkRefusal(t, server, err, tt.refusal)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := server.Await(1)[0]; got.TLS != (config.TLS != mail.NoTLS) || got.SignedIn != (config.Username != "") {
				t.Errorf("TLS %v, signed in %v", got.TLS, got.SignedIn)
			}
		})
	}
}

// checkRefusal fails unless nothing came to the server, for a reason that may pass, and that tells no secret.
func checkRefusal(t *testing.T, server *smtp.Server, err error, want string) {
	t.Helper()
	if err == nil || errors.Is(err, mail.ErrRefused) || !strings.Contains(err.Error(), want) {
		t.Fatalf("Send() = %v, want one with %q to try again", err, want)
	}
	if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "sender") || strings.Contains(err.Error(), reader) {
		t.Errorf("the error tells too much: %v", err)
	}
	if n := len(server.Messages()); n != 0 {
		t.Errorf("%d messages arrived", n)
	}
}

func TestSendRefused(t *testing.T) {
	for code, final := range map[int]bool{421: false, 450: false, 452: false, 550: true, 551: true, 554: true} {
		server := smtp.Start(t)
		server.Refuse(1, code)
		err := newSMTP(t, configFor(server)).Send(t.Context(), greeting)
		if err == nil || errors.Is(err, mail.ErrRefused) != final {
			t.Errorf("%d: Send() = %v, refused for good: %v", code, err, final)
		}
		if strings.Contains(err.Error(), reader) {
			t.Errorf("%d: the error tells the address: %v", code, err)
		}
	}
}

func TestSendToNobody(t *testing.T) {
	server := smtp.Start(t)
	config := configFor(server)
	server.Stop()
	err := newSMTP(t, config).Send(t.Context(), greeting)
	if _, ok := errors.AsType[*net.OpError](err); !ok || errors.Is(err, mail.ErrRefused) {
		t.Errorf("Send() = %v, want the error of the network", err)
	}
}

func TestSendIsCutOff(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn, err := silent.Accept()
		if err != nil {
			return
		}
		cancel()
		_, _ = conn.Read(make([]byte, 1)) // until the client closes
	}()
	config := mail.SMTPConfig{Host: "127.0.0.1", Port: silent.Addr().(*net.TCPAddr).Port, FromEmail: reader, TLS: mail.NoTLS}
	if err := newSMTP(t, config).Send(ctx, greeting); err == nil {
		t.Error("a silent server took a mail")
	}
}

func TestSendToHostileAddresses(t *testing.T) {
	server := smtp.Start(t)
	transport := newSMTP(t, configFor(server))
	for _, to := range []string{
		"", "reader", "a@b.example\r\nBcc: c@d.example", "a@b.example\nBcc: c@d.example", "a@b.example, c@d.example",
		"a@b.example,c@d.example", "Reader <a@b.example>", "<a@b.example>", "a@b.example>", "boss>@b.example", "a@b.example (c)",
		"a@b.example> SIZE=1", "a@b.example\x00", "a b@c.example", `"a b"@c.example`, `"a,c@d.example"@b.example`, "\xff@b.example",
	} {
		err := transport.Send(t.Context(), mail.Message{To: to, Subject: "s", Text: "t", HTML: "h"})
		if !errors.Is(err, mail.ErrRefused) || to != "" && strings.Contains(err.Error(), to) {
			t.Errorf("Send to %q = %v, want ErrRefused without the address", to, err)
		}
	}
	if got := server.Messages(); len(got) != 0 {
		t.Errorf("%d messages arrived, the first to %q", len(got), got[0].To)
	}
}

func TestHeadersCannotBeInjected(t *testing.T) {
	server := smtp.Start(t)
	hostile := greeting
	hostile.Subject = "a\r\nBcc: c@d.example\r\n\r\nbody"
	if err := newSMTP(t, configFor(server)).Send(t.Context(), hostile); err != nil {
		t.Fatal(err)
	}
	got := server.Await(1)[0]
	if got.Header.Get("Bcc") != "" || !cmp.Equal(got.To, []string{reader}) || got.Text != greeting.Text {
		t.Errorf("a header was injected:\n%s", got.Raw)
	}
}

func TestSendInternationalAddress(t *testing.T) {
	server := smtp.Start(t)
	m := greeting
	m.To = "zoë@exämple.com"
	if err := newSMTP(t, configFor(server)).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := server.Await(1)[0]
	if to, err := netmail.ParseAddress(got.Header.Get("To")); err != nil || to.Address != m.To || !cmp.Equal(got.To, []string{m.To}) {
		t.Errorf("To: %v, %v; envelope %q", to, err, got.To)
	}
}

func TestNewSMTPRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*mail.SMTPConfig)
	}{
		{"no host", func(c *mail.SMTPConfig) { c.Host = "" }},
		{"a port with the host", func(c *mail.SMTPConfig) { c.Host = "mail.example.com:587" }},
		{"no port", func(c *mail.SMTPConfig) { c.Port = 0 }},
		{"a port that is none", func(c *mail.SMTPConfig) { c.Port = 65536 }},
		{"no sender", func(c *mail.SMTPConfig) { c.FromEmail = "" }},
		{"a sender with a name", func(c *mail.SMTPConfig) { c.FromEmail = "Papyrus <a@b.example>" }},
		{"a line break in the name", func(c *mail.SMTPConfig) { c.FromName = "a\r\nBcc: c@d.example" }},
		{"an unknown TLS mode", func(c *mail.SMTPConfig) { c.TLS = "ssl" }},
		{"no TLS mode", func(c *mail.SMTPConfig) { c.TLS = "" }},
		{"a password without a user", func(c *mail.SMTPConfig) { c.Username = "" }},
		{"a password in the clear", func(c *mail.SMTPConfig) { c.TLS = mail.NoTLS }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := mail.SMTPConfig{
				Host: "mail.example.com", Port: 587, Username: "sender", Password: secret.New(password), FromEmail: "a@b.example", TLS: mail.STARTTLS,
			}
			if _, err := mail.NewSMTP(config); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			tt.change(&config)
			if _, err := mail.NewSMTP(config); err == nil || strings.Contains(err.Error(), password) {
				t.Errorf("NewSMTP() = %v", err)
			}
		})
	}
}
