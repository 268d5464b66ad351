package storetest

import (
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/token"
)

func newSigningKey(id string, use token.Use, signsFrom time.Time) token.StoredKey {
	return token.StoredKey{ID: id, Use: use, Sealed: []byte("sealed " + id), PublishedAt: Now, SignsFrom: signsFrom}
}

func testSigningKeys(t *testing.T, db *store.DB) {
	ctx := t.Context()
	a, b := newSigningKey("a", token.Access, Now.Add(time.Hour)), newSigningKey("b", token.Access, Now)
	other := newSigningKey("a", token.PowerSync, Now)
	for _, row := range []struct {
		name string
		key  token.StoredKey
		seen []string
		err  error
	}{
		{"the first", a, nil, nil},
		{"the first of another use", other, nil, nil},
		{"by one who has not seen the first", b, nil, token.ErrKeyExists},
		{"by one who has seen another", b, []string{"c"}, token.ErrKeyExists},
		{"by one who has seen more", b, []string{"a", "c"}, token.ErrKeyExists},
		{"with an id that is taken", a, []string{"a"}, token.ErrKeyExists},
		{"the second", b, []string{"a"}, nil},
	} {
		wantErr(t, row.name, db.AddSigningKey(ctx, row.key, row.seen, entry(audit.SigningKeyAdded)), row.err)
		if row.err == nil {
			added := entry(audit.SigningKeyAdded)
			added.KeyID = row.key.ID
			wantAudit(t, db, "", added)
		}
	}
	wantKeys := func(what string, use token.Use, want ...token.StoredKey) {
		t.Helper()
		got, err := db.SigningKeys(ctx, use)
		must(t, err)
		wantEqual(t, what, got, want)
	}
	wantKeys("by the time that they sign from", token.Access, b, a)
	must(t, db.RemoveSigningKey(ctx, token.Access, "a", entry(audit.SigningKeyGone)))
	removed := entry(audit.SigningKeyGone)
	removed.KeyID = "a"
	for _, unknown := range []string{"a", "nobody", "\x00"} {
		must(t, db.RemoveSigningKey(ctx, token.Access, unknown, entry(audit.KeyRevoked)))
		wantAudit(t, db, "", removed)
	}
	wantKeys("after the removal", token.Access, b)
	wantKeys("of the other use", token.PowerSync, other)
}
