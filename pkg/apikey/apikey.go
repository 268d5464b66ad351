// Package apikey issues and verifies API keys, within the plans of their owners (contract: provisioning, section 3; papyrus,
// section 8). Whose key it is to be, its caller has established.
package apikey

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/bound"
	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/revocation"
	"github.com/provisioner/provisioner/pkg/seal"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/text"
)

// Refusals, beside those of a Store.
var (
	ErrInvalidName    = errors.New("the name must be 1 to 100 characters without control characters")
	ErrUnknownTier    = errors.New("unknown tier")
	ErrInvalidGrace   = errors.New("the grace period must be 0 to 86400 seconds")
	ErrTierNotAllowed = errors.New("the account's plan does not include this tier")
	ErrMalformed      = errors.New("not an API key")
	ErrExpired        = errors.New("the API key has expired")
	ErrRevoked        = errors.New("the API key was revoked")
)

const (
	maxNameLen = 100
	answerTTL  = 24 * time.Hour
	pageLen    = 100 // of a listing
)

// Tier is a plan of accounts and a class of keys.
type Tier struct {
	Name      string
	Keys      int // live keys that an account of this plan may have
	PerMinute int // requests a minute that a key of this tier may make
}

// Service issues and verifies the keys of a store.
type Service struct {
	store  Store
	sealer *seal.Sealer
	prefix string
	tiers  []Tier
	known  *revocation.Cache[[sha256.Size]byte, Key] // by hash
	uses   uses
	now    func() time.Time
	log    *slog.Logger
}

// Config is what a Service is made of; every field is needed.
type Config struct {
	Store  Store
	Sealer *seal.Sealer // of the answers that are kept for retries
	Prefix string       // of new tokens
	Tiers  []Tier       // from lowest to highest
	Now    func() time.Time
	Feed   revocation.Feed
	Log    *slog.Logger
}

// New returns a Service.
func New(c Config) *Service {
	return &Service{
		store: c.Store, sealer: c.Sealer, prefix: c.Prefix, tiers: c.Tiers, now: c.Now, log: c.Log,
		known: revocation.NewCache[[sha256.Size]byte](c.Feed, concerns),
	}
}

// Bounds are how many keys are remembered, and how many uses wait to be written.
func (s *Service) Bounds() []bound.Bound {
	return []bound.Bound{
		s.known.Bound("cached_keys"),
		{Service: "papyrus", What: "key_uses", Limit: maxUses, Used: s.uses.len},
	}
}

func concerns(n revocation.Notice, k Key) bool {
	return n.Kind == revocation.Key && n.ID == k.ID || n.Kind == revocation.User && n.ID == k.UserID
}

// Request asks for a key.
type Request struct {
	UserID         string
	Plan           string // of the user
	Name, Tier     string
	IdempotencyKey string // equal for all tries of one intent; "" for a try that has no second

	rotates string        // id of the key that is to be replaced; "" for a new one
	grace   time.Duration // for which that one still works
}

// Issued is a new key with its token, which is nowhere else.
type Issued struct {
	Token  secret.Text
	ID     string
	Prefix string
	Tier   string
}

// answer is the form in which an Issued is kept, under seal.
type answer struct {
	Token  string `json:"token"`
	ID     string `json:"id"`
	Prefix string `json:"prefix"`
	Tier   string `json:"tier"`
}

// Issue makes a key, or returns the one that an earlier try with the same idempotency key made. Its refusals, in this order:
// ErrReused, ErrInvalidName, ErrUnknownTier, ErrTierNotAllowed, ErrQuotaExceeded.
func (s *Service) Issue(ctx context.Context, r Request) (Issued, error) {
	if kept, err := s.kept(ctx, r); !errors.Is(err, ErrNotFound) {
		return kept, err
	}
	quota, err := s.admit(r)
	if err != nil {
		return Issued{}, err
	}

	made, key := s.make(r)
	issue, err := s.seal(r, made)
	if err != nil {
		return Issued{}, err
	}
	first, err := s.store.CreateKey(ctx, key, quota, issue, s.entry(ctx, audit.KeyIssued, key))
	return s.settle(r, made, first, err)
}

// settle returns what was made, or the answer of an earlier try.
func (s *Service) settle(r Request, made Issued, first Issue, err error) (Issued, error) {
	if err != nil {
		return Issued{}, err
	}
	if r.IdempotencyKey == "" {
		return made, nil
	}
	return s.open(r, first)
}

func (s *Service) entry(ctx context.Context, kind audit.Kind, k Key) audit.Entry {
	e := audit.New(ctx, s.now().UTC(), kind, k.UserID)
	e.KeyID, e.Detail = k.ID, k.Tier
	return e
}

// kept returns the answer of an earlier try, ErrNotFound when there is none.
func (s *Service) kept(ctx context.Context, r Request) (Issued, error) {
	if r.IdempotencyKey == "" {
		return Issued{}, ErrNotFound
	}
	issue, err := s.store.IssueByKey(ctx, r.UserID, r.IdempotencyKey, s.now().UTC())
	if err != nil {
		return Issued{}, err
	}
	if issue.Fingerprint != r.fingerprint() {
		return Issued{}, ErrReused
	}
	return s.open(r, issue)
}

// admit judges a request by the tiers, and returns how many live keys its plan allows.
func (s *Service) admit(r Request) (quota int, err error) {
	if !text.IsLine(r.Name, maxNameLen) {
		return 0, ErrInvalidName
	}
	wanted, plan := s.rank(r.Tier), s.rank(r.Plan)
	switch {
	case wanted < 0:
		return 0, ErrUnknownTier
	case wanted > plan: // also of a plan that is no longer configured: fail closed
		return 0, ErrTierNotAllowed
	}
	return s.tiers[plan].Keys, nil
}

// rank returns the place of a tier from the lowest, -1 for an unknown one.
func (s *Service) rank(name string) int {
	for i, tier := range s.tiers {
		if tier.Name == name {
			return i
		}
	}
	return -1
}

func (s *Service) make(r Request) (Issued, Key) {
	token := newToken(s.prefix)
	key := Key{
		ID: uuid.NewString(), UserID: r.UserID, Name: r.Name, Tier: r.Tier,
		Prefix: token.Reveal()[:prefixLen], Hash: hashOf(token.Reveal()), CreatedAt: s.now().UTC(),
	}
	return Issued{Token: token, ID: key.ID, Prefix: key.Prefix, Tier: key.Tier}, key
}

func (s *Service) seal(r Request, made Issued) (Issue, error) {
	text, err := json.Marshal(answer{Token: made.Token.Reveal(), ID: made.ID, Prefix: made.Prefix, Tier: made.Tier})
	if err != nil {
		return Issue{}, fmt.Errorf("encode answer: %w", err)
	}
	sealed, err := s.sealer.Seal(text, r.intent().What())
	if err != nil {
		return Issue{}, fmt.Errorf("seal answer: %w", err)
	}
	return Issue{
		IdempotencyKey: r.IdempotencyKey, Fingerprint: r.fingerprint(), Sealed: sealed, ExpiresAt: s.now().UTC().Add(answerTTL),
	}, nil
}

func (s *Service) open(r Request, issue Issue) (Issued, error) {
	text, err := s.sealer.Open(issue.Sealed, r.intent().What())
	if err != nil {
		return Issued{}, err
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return Issued{}, fmt.Errorf("decode answer: %w", err)
	}
	return Issued{Token: secret.New(a.Token), ID: a.ID, Prefix: a.Prefix, Tier: a.Tier}, nil
}

func (r Request) fingerprint() [sha256.Size]byte {
	if r.rotates != "" {
		return idempotency.Hash("rotate", r.rotates, r.grace.String())
	}
	return idempotency.Hash(r.Name, r.Tier)
}

func (r Request) intent() idempotency.Intent {
	return idempotency.Intent{Account: r.UserID, Key: idempotency.Hash("issue", r.UserID, r.IdempotencyKey)}
}

// Verify returns the key of a token. It returns ErrMalformed by the token's shape alone, ErrNotFound, ErrRevoked or
// ErrExpired. A key that was good a moment ago is not looked up again, unless it was revoked.
func (s *Service) Verify(ctx context.Context, token string) (Key, error) {
	if !wellFormed(s.prefix, token) {
		return Key{}, ErrMalformed
	}
	hash := hashOf(token)
	key, err := s.known.Get(ctx, hash, func(ctx context.Context) (Key, error) {
		key, err := s.store.KeyByHash(ctx, hash)
		if err == nil && !key.RevokedAt.IsZero() {
			err = ErrRevoked
		}
		return key, err
	})
	if err != nil {
		return Key{}, err
	}
	now := s.now().UTC()
	if !key.Live(now) {
		return Key{}, ErrExpired
	}
	s.uses.note(key.ID, now)
	return key, nil
}

// PerMinute returns how many requests a minute a key of tier may make: none of a tier that is no longer configured.
func (s *Service) PerMinute(tier string) int {
	if i := s.rank(tier); i >= 0 {
		return s.tiers[i].PerMinute
	}
	return 0
}
