package mail_test

import (
	"bufio"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/mail"
)

// What a mail server of our own would not say.
func TestSendToAnOddServer(t *testing.T) {
	const hello, ok, data = "220 hello", "250 fine", "354 go on"
	for _, tt := range []struct {
		name    string
		answers []string // to the connection, EHLO, MAIL, RCPT, DATA, and the mail; then it hangs up
		want    string
		refused bool
	}{
		{"no mail server", []string{"HTTP/1.1 400 " + reader}, "does not keep to the protocol", false},
		{"one that is busy", []string{"421 later, " + reader}, "answers 421", false},
		{"one that hangs up at once", nil, "connect to the mail server", false},
		{"a sender that it does not know", []string{hello, ok, "553 not you"}, "MAIL FROM command: answer 553", false},
		{"one that hangs up on the recipient", []string{hello, ok, ok}, "the connection broke", false},
		{"a mail refused before it is told", []string{hello, ok, ok, ok, "554 no"}, "answer 554", true},
		{"a mail that is put off", []string{hello, ok, ok, ok, data, "451 greylisted"}, "answer 451", false},
		{"a mail that it takes for spam", []string{hello, ok, ok, ok, data, "554 spam for " + reader}, "answer 554", true},
		{"one that hangs up on the mail", []string{hello, ok, ok, ok, data}, "the connection broke", false},
		{"one that takes it and hangs up", []string{hello, ok, ok, ok, data, ok}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := mail.SMTPConfig{Host: "127.0.0.1", Port: script(t, tt.answers), FromEmail: "a@b.example", TLS: mail.NoTLS}
			err := newSMTP(t, config).Send(t.Context(), greeting)
			if tt.want == "" {
				if err != nil {
					t.Errorf("Send() = %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, mail.ErrRefused) != tt.refused {
				t.Fatalf("Send() = %v, want %q, refused for good: %v", err, tt.want, tt.refused)
			}
			if strings.Contains(err.Error(), reader) {
				t.Errorf("the error tells the address: %v", err)
			}
		})
	}
}

// script serves one connection with these answers, whatever is asked, and returns its port.
func script(t *testing.T, answers []string) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }() // the client may have hung up first
		told := bufio.NewScanner(conn)
		for _, answer := range answers {
			if _, err := conn.Write([]byte(answer + "\r\n")); err != nil || !told.Scan() {
				return
			}
			for strings.HasPrefix(answer, "354") && told.Text() != "." { // the lines of the mail
				if !told.Scan() {
					return
				}
			}
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}
