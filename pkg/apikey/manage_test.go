package apikey_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
)

func TestList(t *testing.T) {
	const keys = 250
	r := newRig(t)
	user := r.mustUser(t)
	r.mustKeep(t, r.mustUser(t), func(*apikey.Key) {})
	var want []string
	for i := range keys {
		id := uuid.NewString()
		r.mustKeep(t, user, func(k *apikey.Key) {
			k.ID, k.CreatedAt, k.RevokedAt = id, start.Add(time.Duration(i)*time.Second), start
		})
		want = append([]string{id}, want...)
	}

	var got []string
	var pages []int
	for cursor := ""; ; {
		page, next, err := r.List(t.Context(), user, cursor)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, len(page))
		for _, k := range page {
			got = append(got, k.ID)
		}
		if next == "" {
			break
		}
		cursor = next
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{100, 100, 50}, pages); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	for _, cursor := range []string{uuid.NewString(), "no uuid"} {
		if _, _, err := r.List(t.Context(), user, cursor); !errors.Is(err, apikey.ErrNotFound) {
			t.Errorf("List(%q) = %v, want ErrNotFound", cursor, err)
		}
	}
	if page, next, err := r.List(t.Context(), r.mustUser(t), ""); len(page) != 0 || next != "" || err != nil {
		t.Errorf("of a user without keys: %v, %q, %v", page, next, err)
	}
}

func TestRevokeRefuses(t *testing.T) {
	r := newRig(t)
	owner, other := r.mustUser(t), r.mustUser(t)
	made := r.mustIssue(t, apikey.Request{UserID: owner, Plan: "new", Name: "laptop", Tier: "new"})
	for _, tt := range []struct{ name, user, id string }{
		{"another user's", other, made.ID},
		{"one that never was", owner, uuid.NewString()},
		{"what is no id", owner, "no uuid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := r.Revoke(t.Context(), tt.user, tt.id); !errors.Is(err, apikey.ErrNotFound) {
				t.Errorf("Revoke() = %v, want ErrNotFound", err)
			}
		})
	}
	if _, err := r.Verify(t.Context(), made.Token.Reveal()); err != nil {
		t.Errorf("afterwards Verify() = %v", err)
	}
	for range 2 {
		if err := r.Revoke(t.Context(), owner, made.ID); err != nil {
			t.Errorf("Revoke() = %v", err)
		}
	}
}

func (r rig) mustRotate(t *testing.T, in apikey.Rotation) apikey.Issued {
	t.Helper()
	made, err := r.Rotate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestRotate(t *testing.T) {
	for _, tt := range []struct {
		name    string
		expires time.Duration // of the old key, 0 for never
		grace   time.Duration
		works   time.Duration // for which it still does
	}{
		{"at once", 0, 0, 0},
		{"with a grace period", 0, time.Hour, time.Hour},
		{"with the longest", 0, 24 * time.Hour, 24 * time.Hour},
		{"never beyond its own expiry", time.Minute, time.Hour, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			user := r.mustUser(t)
			token := r.mustKeep(t, user, func(k *apikey.Key) {
				if tt.expires > 0 {
					k.ExpiresAt = start.Add(tt.expires)
				}
			})
			old, err := r.Verify(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			made := r.mustRotate(t, apikey.Rotation{UserID: user, KeyID: old.ID, Grace: tt.grace})
			next, err := r.Verify(t.Context(), made.Token.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			if next.ID == old.ID || next.Name != old.Name || next.Tier != old.Tier || next.Hash == old.Hash || !next.ExpiresAt.IsZero() && tt.expires == 0 {
				t.Errorf("%+v is in the place of %+v", next, old)
			}
			if tt.works > 0 {
				r.clock.Time = start.Add(tt.works - time.Microsecond)
				if _, err := r.Verify(t.Context(), token); err != nil {
					t.Errorf("the old one within its time: %v", err)
				}
			}
			r.clock.Time = start.Add(tt.works)
			if _, err := r.Verify(t.Context(), token); !errors.Is(err, apikey.ErrExpired) && !errors.Is(err, apikey.ErrRevoked) {
				t.Errorf("the old one afterwards: %v", err)
			}
			entries, err := r.db.AuditEntries(t.Context(), audit.Filter{Kind: audit.KeyRotated})
			if err != nil || len(entries) != 1 || entries[0].UserID != user || entries[0].KeyID != old.ID || !strings.Contains(entries[0].Detail, next.ID) {
				t.Errorf("audited %+v, %v, want which key was replaced by which", entries, err)
			}
		})
	}
}

func TestRotateTakesNoPlaceInTheQuota(t *testing.T) {
	r := newRig(t)
	user := r.mustUser(t)
	var id string
	for range tiers[0].Keys {
		id = r.mustIssue(t, apikey.Request{UserID: user, Plan: "new", Name: "laptop", Tier: "new"}).ID
	}
	for range 3 {
		id = r.mustRotate(t, apikey.Rotation{UserID: user, KeyID: id, Grace: time.Hour}).ID
	}
	page, _, err := r.List(t.Context(), user, "")
	if err != nil {
		t.Fatal(err)
	}
	live := 0
	for _, k := range page {
		if k.Live(start) {
			live++
		}
	}
	if live > tiers[0].Keys+1 { // the one in its grace period
		t.Errorf("rotating one key after the other left %d live ones", live)
	}
}

func TestRotateRefuses(t *testing.T) {
	r := newRig(t)
	user, other := r.mustUser(t), r.mustUser(t)
	keep := func(change func(*apikey.Key)) string {
		id := uuid.NewString()
		r.mustKeep(t, user, func(k *apikey.Key) { k.ID = id; change(k) })
		return id
	}
	good := keep(func(*apikey.Key) {})
	rotated := keep(func(*apikey.Key) {})
	r.mustRotate(t, apikey.Rotation{UserID: user, KeyID: rotated, Grace: time.Hour})
	for _, tt := range []struct {
		name string
		in   apikey.Rotation
		want error
	}{
		{"a negative grace", apikey.Rotation{UserID: user, KeyID: good, Grace: -1}, apikey.ErrInvalidGrace},
		{"more than a day", apikey.Rotation{UserID: user, KeyID: good, Grace: 24*time.Hour + 1}, apikey.ErrInvalidGrace},
		{"another user's", apikey.Rotation{UserID: other, KeyID: good}, apikey.ErrNotFound},
		{"one that never was", apikey.Rotation{UserID: user, KeyID: uuid.NewString()}, apikey.ErrNotFound},
		{"what is no id", apikey.Rotation{UserID: user, KeyID: "no uuid"}, apikey.ErrNotFound},
		{"a revoked one", apikey.Rotation{UserID: user, KeyID: keep(func(k *apikey.Key) { k.RevokedAt = start })}, apikey.ErrNotRotatable},
		{"an expired one", apikey.Rotation{UserID: user, KeyID: keep(func(k *apikey.Key) { k.ExpiresAt = start })}, apikey.ErrNotRotatable},
		{"one that was rotated", apikey.Rotation{UserID: user, KeyID: rotated}, apikey.ErrNotRotatable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if made, err := r.Rotate(t.Context(), tt.in); !errors.Is(err, tt.want) || made.Token.IsSet() {
				t.Errorf("Rotate() = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestRotateIsIdempotent(t *testing.T) {
	r := newRig(t)
	user := r.mustUser(t)
	first := r.mustIssue(t, apikey.Request{UserID: user, Plan: "new", Name: "laptop", Tier: "new", IdempotencyKey: "issue"})
	in := apikey.Rotation{UserID: user, KeyID: first.ID, Grace: time.Minute, IdempotencyKey: "rotate"}
	tokens := make([]string, 4)
	var wg sync.WaitGroup
	for i := range tokens {
		wg.Go(func() {
			made, err := r.Rotate(t.Context(), in)
			if err != nil {
				t.Error(err)
			}
			tokens[i] = made.Token.Reveal()
		})
	}
	wg.Wait()
	if strings.Join(tokens, "") != strings.Repeat(tokens[0], len(tokens)) {
		t.Error("one intent got several keys")
	}
	for name, change := range map[string]func(*apikey.Rotation){
		"another grace":               func(in *apikey.Rotation) { in.Grace = time.Hour },
		"the key of what was issued":  func(in *apikey.Rotation) { in.IdempotencyKey = "issue" },
		"another key with its intent": func(in *apikey.Rotation) { in.KeyID = uuid.NewString() },
	} {
		other := in
		change(&other)
		if _, err := r.Rotate(t.Context(), other); !errors.Is(err, apikey.ErrReused) {
			t.Errorf("%s: %v, want ErrReused", name, err)
		}
	}
}
