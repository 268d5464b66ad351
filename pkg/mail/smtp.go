package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/google/uuid"
	gomail "github.com/wneessen/go-mail"

	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/text"
)

// smtpTimeout bounds connecting and signing in, and once more handing over the mail.
const smtpTimeout = 10 * time.Second

// TLSMode says how a connection to the mail server is protected.
type TLSMode string

// The modes.
const (
	STARTTLS TLSMode = "starttls" // TLS or nothing: a server that does not offer it gets no mail
	TLS      TLSMode = "tls"      // from the first byte, as on port 465
	NoTLS    TLSMode = "none"     // anybody on the way reads the mail, tokens included
)

// SMTPConfig says which mail server to hand mail to, and in whose name.
type SMTPConfig struct {
	Host      string // a name, or an IP address
	Port      int
	Username  string // "" does not sign in
	Password  secret.Text
	FromEmail string
	FromName  string // "" for none
	TLS       TLSMode
	RootCAs   *x509.CertPool // that the server's certificate must go back to; nil for those of the system
}

// SMTP is the [Transport] to a mail server (RFC 5321, RFC 6409). It connects for each mail.
type SMTP struct {
	config SMTPConfig
	from   *netmail.Address
}

// NewSMTP returns an SMTP. It does not connect. It returns an error for a configuration that cannot work, and for one
// that would send the password in the clear: without TLS one signs in to this machine only, as localhost, 127.0.0.1 or ::1.
func NewSMTP(c SMTPConfig) (*SMTP, error) {
	from, ok := address(c.FromEmail)
	switch {
	case c.Host == "" || c.Port < 1 || c.Port > 65535:
		return nil, errors.New("mail server: no host, or no port from 1 to 65535")
	case strings.Contains(c.Host, ":") && net.ParseIP(c.Host) == nil:
		return nil, errors.New("mail server: the host is neither a name nor an IP address; its port goes apart")
	case !ok:
		return nil, errors.New("mail server: the sender is not an e-mail address")
	case c.FromName != "" && !text.IsLine(c.FromName, maxNameLen):
		return nil, fmt.Errorf("mail server: the sender's name must be at most %d characters without control characters", maxNameLen)
	case c.TLS != STARTTLS && c.TLS != TLS && c.TLS != NoTLS:
		return nil, fmt.Errorf("mail server: TLS is starttls, tls or none, not %q", c.TLS)
	case c.Username == "" && c.Password.IsSet():
		return nil, errors.New("mail server: a password without a user name")
	case c.TLS == NoTLS && c.Username != "" && !isThisMachine(c.Host):
		return nil, errors.New("mail server: signing in without TLS would give the password away")
	}
	from.Name = c.FromName
	return &SMTP{config: c, from: from}, nil
}

const maxNameLen = 100

// isThisMachine names the hosts that the library too takes for this machine.
func isThisMachine(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// address returns email as an address if it is one by the letter (RFC 5322 §3.4.1) and needs no quoting, so that it cannot
// end the header or the command that it is put into.
func address(email string) (*netmail.Address, bool) {
	parsed, err := netmail.ParseAddress("<" + email + ">")
	if err != nil || parsed.Address != email || !text.IsEmail(email) {
		return nil, false
	}
	return parsed, true
}

// Send implements [Transport]. An address that is none, and a 5xx answer to the recipient or to the mail, wrap ErrRefused.
// Everything else may pass: a 4xx answer, a broken connection, and a server that refuses us rather than the mail.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	to, ok := address(m.To)
	if !ok {
		return fmt.Errorf("%w: the recipient is not an e-mail address", ErrRefused)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // closes the connection, however far it got
	client, err := gomail.NewClient(s.config.Host, s.options(ctx, to)...)
	if err != nil {
		return fmt.Errorf("prepare mail: %w", err)
	}

	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return connectError(err)
	}
	msg := s.message(to, m)
	if err := client.SendWithSMTPClient(conn, msg); err != nil {
		return deliveryError(err)
	}
	_ = client.CloseWithSMTPClient(conn) // the server has the mail, whatever it says to our goodbye
	return nil
}

func (s *SMTP) options(ctx context.Context, to *netmail.Address) []gomail.Option {
	config := &tls.Config{ServerName: s.config.Host, RootCAs: s.config.RootCAs, MinVersion: tls.VersionTLS12}
	options := []gomail.Option{
		gomail.WithPort(s.config.Port), gomail.WithTimeout(smtpTimeout), gomail.WithTLSConfig(config),
		gomail.WithoutNoop(), gomail.WithoutRset(), gomail.WithDialContextFunc(s.dialer(ctx, config)),
	}
	switch s.config.TLS {
	case STARTTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case TLS:
		options = append(options, gomail.WithSSL())
	case NoTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if s.config.Username != "" {
		options = append(options,
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthPlain, gomail.SMTPAuthLogin),
			gomail.WithUsername(s.config.Username), gomail.WithPassword(s.config.Password.Reveal()))
	}
	if isASCII(to.Address) && isASCII(s.from.Address) {
		options = append(options, gomail.WithoutSMTPUTF8()) // asked for without need, it bounces at servers further on
	}
	return options
}

// dialer returns a function that connects, and closes the connection when life ends: the library leaves it open when
// signing in fails.
func (s *SMTP) dialer(life context.Context, config *tls.Config) gomail.DialContextFunc {
	dial := (&net.Dialer{}).DialContext
	if s.config.TLS == TLS {
		dial = (&tls.Dialer{Config: config}).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(life, func() { _ = conn.Close() })
		return conn, nil
	}
}

func (s *SMTP) message(to *netmail.Address, m Message) *gomail.Msg {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(s.from)
	msg.ToMailAddress(to)
	msg.Subject(m.Subject)
	msg.SetDate()
	_, domain, _ := strings.Cut(s.from.Address, "@")
	msg.SetMessageIDWithValue(uuid.NewString() + "@" + domain)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5: no out-of-office replies
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	return msg
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f })
}
