package apikey

import (
	"context"
	"errors"
	"time"

	"github.com/provisioner/provisioner/pkg/audit"
)

const maxGrace = 24 * time.Hour

// List returns a page of a user's keys, the newest first, and the cursor of the next, "" after the last. It returns
// ErrNotFound for a cursor that is none.
func (s *Service) List(ctx context.Context, userID, cursor string) (page []Key, next string, err error) {
	page, err = s.store.Keys(ctx, userID, Filter{After: cursor, Limit: pageLen + 1})
	if err != nil || len(page) <= pageLen {
		return page, "", err
	}
	page = page[:pageLen]
	return page, page[pageLen-1].ID, nil
}

// Revoke ends a key of a user. It returns ErrNotFound for any other.
func (s *Service) Revoke(ctx context.Context, userID, id string) error {
	return s.store.RevokeKey(ctx, userID, id, s.entry(ctx, audit.KeyRevoked, Key{ID: id, UserID: userID}))
}

// Rotation asks for a key in the place of another.
type Rotation struct {
	UserID         string
	KeyID          string
	Grace          time.Duration // 0 to 24 hours for which the old key still works
	IdempotencyKey string        // as with [Request]
}

// Rotate makes a key of the same name and tier in the place of another, or returns the one that an earlier try with the same
// idempotency key made. It returns ErrInvalidGrace, ErrNotFound, ErrNotRotatable or ErrReused.
func (s *Service) Rotate(ctx context.Context, r Rotation) (Issued, error) {
	if r.Grace < 0 || r.Grace > maxGrace {
		return Issued{}, ErrInvalidGrace
	}
	request := Request{UserID: r.UserID, IdempotencyKey: r.IdempotencyKey, rotates: r.KeyID, grace: r.Grace}
	if kept, err := s.kept(ctx, request); !errors.Is(err, ErrNotFound) {
		return kept, err
	}
	old, err := s.store.KeyByID(ctx, r.UserID, r.KeyID)
	if err != nil {
		return Issued{}, err
	}

	request.Name, request.Tier = old.Name, old.Tier
	made, key := s.make(request)
	issue, err := s.seal(request, made)
	if err != nil {
		return Issued{}, err
	}
	rotated := s.entry(ctx, audit.KeyRotated, old)
	rotated.Detail = "replaced by " + key.ID
	first, err := s.store.RotateKey(ctx, old.ID, key, key.CreatedAt.Add(r.Grace), issue, rotated)
	return s.settle(request, made, first, err)
}
