// Package revocation lets replicas remember, and forget at once what was revoked (contract: papyrus, section 3). Who revokes
// gives a [Notice] after its commit; how notices travel is the business of a [Feed].
package revocation

// Kind is a kind of thing that can be revoked.
type Kind string

// The kinds. A notice of a user concerns its sessions and keys too.
const (
	Session Kind = "session"
	User    Kind = "user"
	Key     Kind = "key"
)

// Notice says that what is remembered of one thing is no longer true. The zero Notice says so of everything: notices may have
// been missed.
type Notice struct {
	Kind Kind
	ID   string
}

// Feed brings notices, its own at once, those of other replicas within a quarter of a second.
type Feed interface {
	// Subscribe has f called with each notice from now on, in no particular order, possibly by several goroutines at once.
	Subscribe(f func(Notice))
	// Up reports whether notices of other replicas arrive. While they do not, nothing may be remembered.
	Up() bool
}
