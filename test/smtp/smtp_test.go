package smtp_test

import (
	"crypto/tls"
	"errors"
	"net"
	netsmtp "net/smtp"
	"net/textproto"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/test/smtp"
)

const mail = "From: <a@example.com>\r\nSubject: =?utf-8?q?Caf=C3=A9?=\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/alternative; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ntwo=\r\n gether\r\nlines\r\n" +
	"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+\r\n--b--\r\n"

func TestServerTakesMail(t *testing.T) {
	server := smtp.Start(t)
	mustSend(t, server)
	got := server.Await(1)[0]
	if got.From != "a@example.com" || !cmp.Equal(got.To, []string{"b@example.com"}) || got.TLS || got.SignedIn {
		t.Errorf("envelope: %q to %q, TLS %v, signed in %v", got.From, got.To, got.TLS, got.SignedIn)
	}
	if got.Subject() != "Café" || got.Text != "two gether\nlines" || got.HTML != "<b>" || got.Raw != mail {
		t.Errorf("message: %q, %q, %q in %q", got.Subject(), got.Text, got.HTML, got.Raw)
	}
}

func TestServerOutage(t *testing.T) {
	server := smtp.Start(t)
	server.Stop()
	if conn, err := net.Dial("tcp", server.Addr()); err == nil {
		t.Error("a stopped server takes connections")
		_ = conn.Close()
	}
	server.Start()
	mustSend(t, server)
	server.Await(1)
}

func TestServerRefuses(t *testing.T) {
	server := smtp.Start(t)
	server.Refuse(1, 451)
	answer, ok := errors.AsType[*textproto.Error](send(server, nil, nil))
	if !ok || answer.Code != 451 {
		t.Errorf("refused with %v, want 451", answer)
	}
	mustSend(t, server)
	if n := len(server.Messages()); n != 1 {
		t.Errorf("%d messages, want the second alone", n)
	}
}

func TestServerWithTLSAndAuth(t *testing.T) {
	server := smtp.Start(t, smtp.STARTTLS(), smtp.Auth("sender", "right"))
	trusting := &tls.Config{ServerName: server.Host(), RootCAs: server.Roots()}
	if err := send(server, &tls.Config{ServerName: server.Host()}, nil); err == nil {
		t.Error("strangers trust the certificate")
	}
	if err := send(server, trusting, nil); err == nil {
		t.Error("mail was taken without signing in")
	}
	if err := send(server, trusting, netsmtp.PlainAuth("", "sender", "wrong", server.Host())); err == nil {
		t.Error("a wrong password was taken")
	}
	if err := send(server, trusting, netsmtp.PlainAuth("", "sender", "right", server.Host())); err != nil {
		t.Fatal(err)
	}
	if got := server.Await(1)[0]; !got.TLS || !got.SignedIn {
		t.Errorf("TLS %v, signed in %v", got.TLS, got.SignedIn)
	}
}

func mustSend(t *testing.T, s *smtp.Server) {
	t.Helper()
	if err := send(s, nil, nil); err != nil {
		t.Fatal(err)
	}
}

// send hands the mail over with the client of the standard library.
func send(s *smtp.Server, config *tls.Config, auth netsmtp.Auth) error {
	client, err := netsmtp.Dial(s.Addr())
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // the server may have hung up
	if config != nil {
		if err := client.StartTLS(config); err != nil {
			return err
		}
	}
	if auth != nil {
		if err := client.Auth(auth); err != nil {
			return err
		}
	}
	if err := errors.Join(client.Mail("a@example.com"), client.Rcpt("b@example.com")); err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	_, err = w.Write([]byte(mail))
	return errors.Join(err, w.Close())
}
