package mail

import (
	"errors"
	"fmt"
	"net/textproto"

	gomail "github.com/wneessen/go-mail"
	gosmtp "github.com/wneessen/go-mail/smtp"
)

// What a server says in words stays out of errors, because it repeats what was said to it: the recipient's address, and at
// the worst what we signed in with. Its codes say enough (RFC 5321 §4.2.3, RFC 3463).

// connectError says why there is no connection that is signed in. Nothing about it is the mail's fault.
func connectError(err error) error {
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		return fmt.Errorf("connect to the mail server: it answers %d", answer.Code)
	}
	_, garbled := errors.AsType[textproto.ProtocolError](err)
	if garbled || errors.Is(err, gosmtp.ErrUnexpectedServerResponse) {
		return errors.New("connect to the mail server: it does not keep to the protocol")
	}
	return fmt.Errorf("connect to the mail server: %w", err)
}

// deliveryError says why a server that let us in did not take the mail.
func deliveryError(err error) error {
	refusal, ok := errors.AsType[*gomail.SendError](err)
	switch {
	case !ok:
		return errors.New("hand over mail: no reason given")
	case refusal.ErrorCode() == 0:
		return fmt.Errorf("hand over mail: %s: the connection broke, or the answer is late", refusal.Reason)
	}
	err = fmt.Errorf("hand over mail: %s: answer %d %s", refusal.Reason, refusal.ErrorCode(), refusal.EnhancedStatusCode())
	if refusal.ErrorCode() >= 500 && refusal.Reason != gomail.ErrSMTPMailFrom { // MAIL FROM is about us: a setting to mend
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}
