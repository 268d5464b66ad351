package papyrus_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
	"github.com/provisioner/provisioner/pkg/library"
)

// events are the Events of a user, and then an error if there is one.
type events struct {
	of   string
	list []event.Event
	err  error
}

func (e events) Events(_ context.Context, f event.Filter) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		for _, event := range e.list {
			if f.UserID == e.of && !yield(event, nil) {
				return
			}
		}
		if e.err != nil {
			yield(event.Event{}, e.err)
		}
	}
}

func TestExport(t *testing.T) {
	r := newRig(t)
	g := mustGrant(t, r.send("POST", "/v1/auth/register", registration(email), "X-Request-Id", "first"))
	r.mustRegister(t, "stranger@example.com")
	check(t, r.call("PUT", "/users/me/preferences", `{"theme":"dark"}`, g.Access), 200, `{"theme":"dark"}`)
	r.user = g.User.ID
	key, _ := r.mustKeep(t, func(*apikey.Key) {})
	r = r.with(func(c *papyrus.Config) {
		c.Events = events{of: g.User.ID, list: []event.Event{
			{ID: 7, UserID: g.User.ID, Action: "book_opened", SentAt: noon, ReceivedAt: noon.Add(time.Second), Verified: true, Body: []byte(`{"action":"book_opened"}`)},
		}}
	})
	subject, err := r.tokens.Verify(t.Context(), g.Access)
	must(t, err)

	check(t, r.upload(g, operation("11", "PUT", bookID, `{"title":"Book"}`)), 200, `{"applied_count":1}`)
	r.upload(g, `5`)
	r.accounts.Refusals.Flush(t.Context())

	w := r.send("GET", "/v1/users/me/export", "", "Authorization", "Bearer "+g.Access)
	var got map[string]any
	must(t, json.Unmarshal(w.Body.Bytes(), &got))
	for _, entry := range got["audit"].([]any) {
		delete(entry.(map[string]any), "id")
	}
	letter := got["dead_letters"].([]any)[0].(map[string]any)
	delete(letter, "id")
	const at = "2026-03-20T12:00:00Z"
	entry := func(kind, sessionID, keyID, network, requestID string) any {
		return map[string]any{"at": at, "kind": kind, "session_id": sessionID, "key_id": keyID, "network": network, "request_id": requestID, "detail": "", "count": 1.0}
	}
	rejected := entry("sync.upload_rejected", subject.SessionID, "", "192.0.2.1", "")
	rejected.(map[string]any)["detail"] = "UNKNOWN_OP"
	book := map[string]any{"id": bookID, "book_id": bookID, "owner_user_id": g.User.ID}
	for _, c := range library.Books.Columns {
		book[c.Name] = nil
	}
	const since = "2026-03-20T12:00:00.000000Z"
	book["title"], book["is_favorite"], book["added_at"], book["updated_at"] = "Book", 0.0, since, since
	want := map[string]any{
		"user": map[string]any{
			"user_id": g.User.ID, "email": email, "display_name": "Zoë", "avatar_url": nil, "email_verified": false, "created_at": at, "last_login_at": at,
		},
		"preferences": map[string]any{"theme": "dark"},
		"identities":  []any{},
		"sessions": []any{map[string]any{
			"session_id": subject.SessionID, "client_type": "unknown", "device_label": "", "created_at": at, "last_seen_at": at,
			"expires_at": "2026-04-19T12:00:00Z", "current": true,
		}},
		"api_keys": []any{map[string]any{
			"key_id": key.ID, "name": "Zoë 🔑", "prefix": key.Prefix, "tier": "new", "created_at": at, "last_used_at": nil, "expires_at": nil, "revoked_at": nil,
		}},
		"events": []any{map[string]any{
			"id": 7.0, "action": "book_opened", "sent_at": at, "received_at": "2026-03-20T12:00:01Z", "verified": true,
			"body": map[string]any{"action": "book_opened"},
		}},
		"books": []any{book},
		"dead_letters": []any{map[string]any{
			"received_at": at, "size": 13.0, "whole": true, "body": map[string]any{"batch": []any{5.0}},
			"rejected": []any{map[string]any{"op_id": nil, "id": "", "code": "UNKNOWN_OP", "message": "The operation is none of PUT, PATCH and DELETE"}},
		}},
		"audit": []any{rejected, entry("key.issued", "", key.ID, "", ""), entry("account.registered", subject.SessionID, "", "192.0.2.1", "first")},
	}
	if diff := cmp.Diff(want, got); diff != "" || w.Code != 200 {
		t.Errorf("%d, export (-want +got):\n%s", w.Code, diff)
	}
	checkNoStore(t, w)
	if got := w.Header().Get("Content-Disposition"); got != `attachment; filename="papyrus-export.json"` {
		t.Errorf("Content-Disposition %q", got)
	}
	check(t, r.call("HEAD", "/users/me/export", "", g.Access), 200, ``)
}

// entries are the pages of n audit entries.
type entries struct {
	audit.Store
	n int
}

func (e entries) AuditEntries(_ context.Context, f audit.Filter) ([]audit.Entry, error) {
	first := int64(e.n)
	if f.Before > 0 {
		first = f.Before - 1
	}
	var page []audit.Entry
	for id := first; id > 0 && len(page) < f.Limit; id-- {
		page = append(page, audit.Entry{ID: id, UserID: f.UserID, Count: 1})
	}
	return page, nil
}

func TestExportPages(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	r.user = g.User.ID
	for range 120 {
		r.mustKeep(t, func(k *apikey.Key) { k.RevokedAt = noon })
	}
	for _, n := range []int{0, 1, 499, 500, 501, 1500} {
		r := r.with(func(c *papyrus.Config) { c.Audit = entries{n: n} })
		var got struct {
			Keys  []struct{} `json:"api_keys"`
			Audit []struct{ ID int }
		}
		w := r.call("GET", "/users/me/export", "", g.Access)
		must(t, json.Unmarshal(w.Body.Bytes(), &got))
		if len(got.Keys) != 120 || len(got.Audit) != n || n > 0 && got.Audit[n-1].ID != 1 {
			t.Errorf("%d of 120 keys, %d of %d entries", len(got.Keys), len(got.Audit), n)
		}
	}
}

// TestExportBreaksOff has the database fail when half of the answer is sent: the client must not take it for the whole.
func TestExportBreaksOff(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	r = r.with(func(c *papyrus.Config) { c.Events = events{err: errors.New("the database is gone")} })
	server := httptest.NewServer(r)
	defer server.Close()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/users/me/export", http.NoBody)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+g.Access)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return // not even the head arrived
	}
	defer resp.Body.Close()
	var whole any
	if err := json.NewDecoder(resp.Body).Decode(&whole); err == nil {
		t.Errorf("the client took %v for the whole", whole)
	}
}
