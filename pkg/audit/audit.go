// Package audit keeps the record of security events: who signed in, was refused, changed a password, made or revoked a key. An
// entry is written in the transaction of the change that it tells of; entries are never changed. It holds no secret.
package audit

import (
	"context"
	"time"
)

// Kind says what happened.
type Kind string

// The kinds of entries. A released kind keeps its meaning.
const (
	Registered          Kind = "account.registered"
	Disabled            Kind = "account.disabled"
	Enabled             Kind = "account.enabled"
	Deleted             Kind = "account.deleted"
	PlanSet             Kind = "account.plan_set"
	SignedIn            Kind = "signin.accepted"
	SignInRefused       Kind = "signin.refused"
	RegistrationRefused Kind = "account.refused" // the e-mail has an account
	SignedOut           Kind = "signout"
	SessionRevoked      Kind = "session.revoked"
	SessionReused       Kind = "session.reused" // a refresh token that was used before: the session is revoked
	PasswordChanged     Kind = "password.changed"
	PasswordRefused     Kind = "password.refused" // a wrong current password
	ResetRequested      Kind = "password.reset_requested"
	VerificationSent    Kind = "email.verification_sent"
	ResetDone           Kind = "password.reset"
	ResetRefused        Kind = "password.reset_refused" // the token is unknown, used or expired
	EmailVerified       Kind = "email.verified"
	VerificationRefused Kind = "email.verification_refused" // as with ResetRefused
	IdentityLinked      Kind = "identity.linked"
	IdentityRemoved     Kind = "identity.removed" // with a reset of an account whose e-mail was not verified
	IdentityRefused     Kind = "identity.refused"
	KeyIssued           Kind = "key.issued"
	KeyRevoked          Kind = "key.revoked"
	KeyRotated          Kind = "key.rotated"
	SigningKeyAdded     Kind = "signing_key.added"
	SigningKeyGone      Kind = "signing_key.removed"
	DatabaseAdopted     Kind = "database.adopted"
	UploadRejected      Kind = "sync.upload_rejected" // the changes of a device, kept as a dead letter
	DeadLetterReplayed  Kind = "sync.dead_letter_replayed"
	DeadLetterDropped   Kind = "sync.dead_letter_dropped"
	RefusalsOverflow    Kind = "refusals.overflow" // more refusals in a minute than are told apart
)

// Kinds are all kinds, in the order of their declaration.
var Kinds = []Kind{
	Registered, Disabled, Enabled, Deleted, PlanSet, SignedIn, SignInRefused, RegistrationRefused, SignedOut, SessionRevoked, SessionReused,
	PasswordChanged, PasswordRefused, ResetRequested, VerificationSent, ResetDone, ResetRefused, EmailVerified,
	VerificationRefused, IdentityLinked, IdentityRemoved, IdentityRefused, KeyIssued, KeyRevoked, KeyRotated, SigningKeyAdded, SigningKeyGone, DatabaseAdopted,
	UploadRejected, DeadLetterReplayed, DeadLetterDropped, RefusalsOverflow,
}

// Entry is one event, or for refusals all equal ones of a minute.
type Entry struct {
	ID        int64 // in the order of writing
	At        time.Time
	Kind      Kind
	UserID    string // whom it concerns; "" for nobody that is known
	SessionID string
	KeyID     string
	Network   string // of the client: an IPv4 address or an IPv6 /64; "" for a command on this machine
	RequestID string
	Detail    string // more of it, such as the provider of an identity; for people
	Count     int    // of equal refusals; 1 for all else
}

// Origin is where a request came from.
type Origin struct {
	Network   string
	RequestID string
}

type originKey struct{}

// WithOrigin returns a context of a request from o.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// New returns the entry of an event in the request of ctx.
func New(ctx context.Context, at time.Time, kind Kind, userID string) Entry {
	o, _ := ctx.Value(originKey{}).(Origin)
	return Entry{At: at, Kind: kind, UserID: userID, Network: o.Network, RequestID: o.RequestID, Count: 1}
}

// Filter narrows a listing; zero fields take all.
type Filter struct {
	Kind   Kind
	UserID string
	Since  time.Time
	Until  time.Time
	Before int64 // id of the last entry of the page before; 0 for the first page
	Limit  int   // at most so many; 0 means all
}

// Store keeps entries. Methods are atomic and safe for concurrent use; times are UTC, to the microsecond.
type Store interface {
	// AppendAudit keeps entries that belong to no other change.
	AppendAudit(ctx context.Context, entries ...Entry) error
	// AuditEntries lists entries, the newest first.
	AuditEntries(ctx context.Context, f Filter) ([]Entry, error)
}
