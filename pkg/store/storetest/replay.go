package storetest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/store"
)

// admission is a request with the nonce of a name and, unless body is empty, an event.
func admission(nonce, body string) replay.Admission {
	a := replay.Admission{Nonce: sha256.Sum256([]byte(nonce)), Expires: Now.Add(time.Hour)}
	if body != "" {
		a.Event = newEvent(body, Now)
	}
	return a
}

func newEvent(body string, received time.Time) *event.Event {
	return &event.Event{
		UserID: "reader", Action: "opened", SentAt: Now.Add(-time.Second), ReceivedAt: received, Verified: true,
		Body: []byte(body),
	}
}

func testAdmit(t *testing.T, db *store.DB) {
	for _, step := range []struct {
		name       string
		admissions []replay.Admission
		fresh      []bool
		events     int // in the store afterwards
	}{
		{"a new nonce", []replay.Admission{admission("a", "")}, []bool{true}, 0},
		{"the same again", []replay.Admission{admission("a", "")}, []bool{false}, 0},
		{"no admissions", nil, []bool{}, 0},
		{
			"new and old, unsorted, the first of equals is new",
			[]replay.Admission{admission("d", ""), admission("a", ""), admission("c", ""), admission("b", ""), admission("c", "")},
			[]bool{true, false, true, true, false},
			0,
		},
		{"with an event", []replay.Admission{admission("e1", "{1}")}, []bool{true}, 1},
		{"a seen nonce writes no event", []replay.Admission{admission("e1", "{2}")}, []bool{false}, 1},
		{"an equal body under a new nonce is new and not written", []replay.Admission{admission("e2", "{1}")}, []bool{true}, 1},
		{
			"equal bodies in one batch are written once",
			[]replay.Admission{admission("e3", "{3}"), admission("e4", "{4}"), admission("e5", "{3}"), admission("e6", "")},
			[]bool{true, true, true, true},
			3,
		},
	} {
		fresh, err := db.Admit(t.Context(), step.admissions)
		must(t, err)
		if !slices.Equal(fresh, step.fresh) {
			t.Errorf("%s: fresh = %v, want %v", step.name, fresh, step.fresh)
		}
		if n := len(events(t, db, event.Filter{})); n != step.events {
			t.Errorf("%s: %d events, want %d", step.name, n, step.events)
		}
	}

	for _, row := range []struct {
		name  string
		later time.Duration
		added int
	}{
		{"just within a day", event.DedupeFor - time.Microsecond, 0},
		{"after a day", event.DedupeFor, 1},
		{"just within a day of the second", 2*event.DedupeFor - time.Microsecond, 0},
	} {
		before := len(events(t, db, event.Filter{}))
		a := admission(row.name, "")
		a.Event = newEvent("{1}", Now.Add(row.later))
		_, err := db.Admit(t.Context(), []replay.Admission{a})
		must(t, err)
		if added := len(events(t, db, event.Filter{})) - before; added != row.added {
			t.Errorf("an equal body %s: %d added, want %d", row.name, added, row.added)
		}
	}
}

func testEvents(t *testing.T, db *store.DB) {
	const n = 600 // more than two pages
	var batch []replay.Admission
	for i := range n {
		a := admission(fmt.Sprint(i), fmt.Sprintf(`{"n":%d}`, i))
		a.Event.ReceivedAt = Now.Add(time.Duration(i/2) * time.Second) // two at a time
		a.Event.UserID = []string{"even", "odd"}[i%2]
		a.Event.Action = []string{"a", "b", "c"}[i%3]
		a.Event.Verified = i%2 == 0
		batch = append(batch, a)
	}
	_, err := db.Admit(t.Context(), batch)
	must(t, err)

	all := events(t, db, event.Filter{})
	for i, e := range all {
		want := *batch[i].Event
		want.ID = e.ID
		wantEqual(t, "event", e, want)
		if i > 0 && e.ID <= all[i-1].ID {
			t.Fatalf("event %d has id %d after %d", i, e.ID, all[i-1].ID)
		}
	}

	for _, row := range []struct {
		name   string
		filter event.Filter
		want   int
	}{
		{"all", event.Filter{}, n},
		{"of one user", event.Filter{UserID: "odd"}, n / 2},
		{"of nobody", event.Filter{UserID: "nobody"}, 0},
		{"of one action", event.Filter{Action: "b"}, n / 3},
		{"of one user and action", event.Filter{UserID: "even", Action: "c"}, n / 6},
		{"since a second is inclusive", event.Filter{Since: Now.Add(299 * time.Second)}, 2},
		{"until a second is exclusive", event.Filter{Until: Now.Add(time.Second)}, 2},
		{"in a span, of a user", event.Filter{Since: Now, Until: Now.Add(10 * time.Second), UserID: "odd"}, 10},
		{"a page", event.Filter{Limit: 256}, 256},
		{"more than a page", event.Filter{Limit: 257}, 257},
		{"more than there are", event.Filter{Limit: n + 1}, n},
	} {
		if got := events(t, db, row.filter); len(got) != row.want {
			t.Errorf("%s: %d events, want %d", row.name, len(got), row.want)
		}
	}

	var read int
	for _, err := range db.Events(t.Context(), event.Filter{}) {
		must(t, err)
		if read++; read == 300 {
			break
		}
	}
	must(t, db.Ping(t.Context())) // a reader that stopped holds nothing
}

func events(t *testing.T, db *store.DB, f event.Filter) []event.Event {
	t.Helper()
	var all []event.Event
	for e, err := range db.Events(t.Context(), f) {
		must(t, err)
		all = append(all, e)
	}
	return all
}
