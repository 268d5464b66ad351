package smtp

import (
	"errors"
	"io"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
)

// session is one connection, over one envelope after the other.
type session struct {
	server   *Server
	conn     *gosmtp.Conn
	signedIn bool
	from     string
	to       []string
}

var _ gosmtp.AuthSession = (*session)(nil)

func (s *Server) newSession(c *gosmtp.Conn) (gosmtp.Session, error) {
	return &session{server: s, conn: c}, nil
}

// AuthMechanisms implements [gosmtp.AuthSession].
func (s *session) AuthMechanisms() []string {
	if s.server.username == "" {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth implements [gosmtp.AuthSession].
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	if mechanism != sasl.Plain {
		return nil, gosmtp.ErrAuthUnknownMechanism
	}
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != s.server.username || password != s.server.password {
			echo := "neither " + username + " nor " + password // the worst that a server may say
			return &gosmtp.SMTPError{Code: 535, EnhancedCode: gosmtp.EnhancedCode{5, 7, 8}, Message: echo}
		}
		s.signedIn = true
		return nil
	}), nil
}

// Mail implements [gosmtp.Session].
func (s *session) Mail(from string, _ *gosmtp.MailOptions) error {
	if s.server.username != "" && !s.signedIn {
		return gosmtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

// Rcpt implements [gosmtp.Session].
func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	if refusal := s.server.refusal(); refusal != nil {
		refusal.Message = "no mail for " + to
		return refusal
	}
	s.to = append(s.to, to)
	return nil
}

// Data implements [gosmtp.Session].
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m, err := parse(raw)
	if err != nil {
		return errors.Join(errors.New("not a message by RFC 5322"), err)
	}
	m.From, m.To, m.SignedIn = s.from, s.to, s.signedIn
	_, m.TLS = s.conn.TLSConnectionState()
	s.server.take(m)
	return nil
}

// Reset implements [gosmtp.Session].
func (s *session) Reset() { s.from, s.to = "", nil }

// Logout implements [gosmtp.Session].
func (s *session) Logout() error { return nil }
