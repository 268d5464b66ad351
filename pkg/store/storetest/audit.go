package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/store"
)

func testAudit(t *testing.T, db *store.DB) {
	ctx := t.Context()
	full := audit.Entry{
		At: Now, Kind: audit.KeyRevoked, UserID: "reader", SessionID: "session", KeyID: "key", Network: "2001:db8::/64",
		RequestID: "request", Detail: "detail", Count: 1,
	}
	later := audit.Entry{At: Now.Add(time.Hour), Kind: audit.KeyIssued, UserID: "reader", Count: 1}
	other := audit.Entry{At: Now.Add(time.Minute), Kind: audit.KeyIssued, UserID: "other", Count: 1}
	for _, e := range []audit.Entry{full, later, other} {
		must(t, db.AppendAudit(ctx, e))
	}
	must(t, db.AppendAudit(ctx))

	for _, row := range []struct {
		name   string
		filter audit.Filter
		want   []audit.Entry
	}{
		{"all, the last written first", audit.Filter{}, []audit.Entry{other, later, full}},
		{"a page", audit.Filter{Limit: 2}, []audit.Entry{other, later}},
		{"of a kind", audit.Filter{Kind: audit.KeyIssued}, []audit.Entry{other, later}},
		{"of a user", audit.Filter{UserID: "reader"}, []audit.Entry{later, full}},
		{"of a user and a kind", audit.Filter{UserID: "reader", Kind: audit.KeyRevoked}, []audit.Entry{full}},
		{"since a time", audit.Filter{Since: other.At}, []audit.Entry{other, later}},
		{"before a time", audit.Filter{Until: other.At}, []audit.Entry{full}},
		{"of nobody that is known", audit.Filter{UserID: "\x00"}, nil},
	} {
		got, err := db.AuditEntries(ctx, row.filter)
		must(t, err)
		wantEqual(t, row.name, withoutIDs(got), row.want)
	}

	page, err := db.AuditEntries(ctx, audit.Filter{Limit: 1})
	must(t, err)
	next, err := db.AuditEntries(ctx, audit.Filter{Before: page[0].ID})
	must(t, err)
	wantEqual(t, "the next page", withoutIDs(next), []audit.Entry{later, full})

	u := newUser(t, db, "reader")
	hostile := entry(audit.PlanSet)
	hostile.Detail, hostile.RequestID = "a\x00b\xff"+strings.Repeat("c", 10_000), "\x00"
	must(t, db.SetPlan(ctx, u.ID, "pro", hostile))
	kept, err := db.AuditEntries(ctx, audit.Filter{UserID: u.ID, Limit: 1})
	must(t, err)
	if len(kept) != 1 || !strings.HasPrefix(kept[0].Detail, "abccc") || len(kept[0].Detail) > 512 {
		t.Errorf("an entry with hostile texts: %+v", kept)
	}
	wantErr(t, "a change that fails", db.SetPlan(ctx, strangers[3], "pro", entry(audit.PlanSet)), account.ErrNotFound)
	wantAudit(t, db, "", kept0(kept))
}

// kept0 returns the one entry without its id.
func kept0(entries []audit.Entry) audit.Entry {
	return withoutIDs(entries)[0]
}

func withoutIDs(entries []audit.Entry) []audit.Entry {
	var bare []audit.Entry
	for _, e := range entries {
		e.ID = 0
		bare = append(bare, e)
	}
	return bare
}

func testRefusals(t *testing.T, db *store.DB) {
	ctx := t.Context()
	refused := func(user string, minute, count int) audit.Entry {
		return audit.Entry{
			At: Now.Truncate(time.Minute).Add(time.Duration(minute) * time.Minute), Kind: audit.SignInRefused, UserID: user,
			Network: "192.0.2.1", Count: count,
		}
	}
	must(t, db.AppendAudit(ctx, refused("a", 0, 2), refused("b", 0, 1), refused("a", 0, 3)))
	must(t, db.AppendAudit(ctx, refused("a", 0, 5), refused("a", 1, 1)))
	for user, want := range map[string][]audit.Entry{
		"a": {refused("a", 1, 1), refused("a", 0, 10)},
		"b": {refused("b", 0, 1)},
	} {
		got, err := db.AuditEntries(ctx, audit.Filter{UserID: user})
		must(t, err)
		wantEqual(t, "refusals of "+user, withoutIDs(got), want)
	}
}
