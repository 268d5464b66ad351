// Package mail sends the accounts' mail from a durable outbox (contract: papyrus, section 3): what is to be sent survives a
// restart, is tried again with growing pauses, and is sent by one of several replicas. It makes no tokens and knows no
// accounts: whom to write to, and with which token, a [Composer] says at the last moment.
package mail

import (
	"context"
	"errors"
	"time"
)

// Errors of a Composer and of a Transport.
var (
	// ErrNoRecipient says that there is nobody to write to: the address has no account, or needs the mail no more.
	ErrNoRecipient = errors.New("nobody to write to")
	// ErrRefused says that a mail can never be delivered: trying it again would be refused again.
	ErrRefused = errors.New("mail refused for good")
)

// Kind is what a mail is about.
type Kind string

// The kinds.
const (
	KindVerifyEmail   Kind = "verify_email"
	KindResetPassword Kind = "reset_password"
)

// Job is a mail to be composed and sent. It holds no token, so nothing secret lies in the outbox, and it is the same
// whether or not the address has an account.
type Job struct {
	ID        string // a UUID in lower case
	Kind      Kind
	Email     string // as [account.NormalizeEmail] returns it; never logged
	CreatedAt time.Time
	NextTryAt time.Time // due from then on
	Attempts  int       // that were begun, the present one included
}

// Message is a composed mail. It holds a token: it is neither stored nor logged.
type Message struct {
	To      string // one address, without a name
	Subject string
	Text    string // the same as HTML, for readers of plain text
	HTML    string
}

// Composer writes the mail of a job.
type Composer interface {
	// Compose returns what to send now, or an error that wraps ErrNoRecipient. It is called for every attempt, and an
	// earlier one may have been delivered although it seemed to fail: a token that it made before stays good.
	Compose(ctx context.Context, j Job) (Message, error)
}

// Transport delivers mail. It is safe for concurrent use.
type Transport interface {
	// Send hands a mail over to whoever delivers it. After an error that wraps ErrRefused another try is useless; after
	// any other the mail may or may not have been delivered. Errors tell neither addresses nor secrets.
	Send(ctx context.Context, m Message) error
}
