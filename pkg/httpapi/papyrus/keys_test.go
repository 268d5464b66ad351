package papyrus_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/apikey"
)

const noKey = `{"error":{"code":"NOT_FOUND","message":"There is no such key","details":{}}}`

// mustOwn keeps a key of a user that change makes different.
func (r rig) mustOwn(t *testing.T, userID string, change func(*apikey.Key)) (apikey.Key, string) {
	t.Helper()
	return r.mustKeep(t, func(k *apikey.Key) { k.UserID = userID; change(k) })
}

func same(*apikey.Key) {}

// verify returns the status of a verification of a key.
func (r rig) verify(token string) int {
	return r.do("GET", verifyPath, "Authorization", "Bearer "+token).Code
}

func TestKeys(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	empty := r.call("GET", "/keys", "", g.Access)
	check(t, empty, 200, `{"keys":[],"next_cursor":null}`)
	checkNoStore(t, empty)

	r.mustOwn(t, r.user, same) // somebody else's
	plain, token := r.mustOwn(t, g.User.ID, same)
	ended, _ := r.mustOwn(t, g.User.ID, func(k *apikey.Key) {
		k.CreatedAt, k.LastUsedAt, k.Tier = noon.Add(time.Second), noon.Add(1500*time.Millisecond), "pro"
		k.ExpiresAt, k.RevokedAt = noon.Add(time.Hour), noon.Add(time.Minute)
	})
	want := fmt.Sprintf(`{"keys":[`+
		`{"key_id":%q,"name":"Zoë 🔑","prefix":%q,"tier":"pro","created_at":"2026-03-20T12:00:01Z","last_used_at":"2026-03-20T12:00:01.5Z","expires_at":"2026-03-20T13:00:00Z","revoked_at":"2026-03-20T12:01:00Z"},`+
		`{"key_id":%q,"name":"Zoë 🔑","prefix":%q,"tier":"new","created_at":"2026-03-20T12:00:00Z","last_used_at":null,"expires_at":null,"revoked_at":null}`+
		`],"next_cursor":null}`, ended.ID, ended.Prefix, plain.ID, plain.Prefix)
	w := r.call("GET", "/keys", "", g.Access)
	check(t, w, 200, want)
	if strings.Contains(w.Body.String(), token) {
		t.Error("the listing shows a token")
	}
	check(t, r.call("HEAD", "/keys", "", g.Access), 200, "")
}

// page is what a test reads of a listing.
type page struct {
	Keys []struct {
		ID string `json:"key_id"`
	} `json:"keys"`
	Next *string `json:"next_cursor"`
}

func TestKeysInPages(t *testing.T) {
	const keys = 205
	r := newRig(t)
	g := r.mustRegister(t, email)
	var want []string // the newest first
	for i := range keys {
		k, _ := r.mustOwn(t, g.User.ID, func(k *apikey.Key) {
			k.CreatedAt, k.RevokedAt = noon.Add(time.Duration(i/2)*time.Second), noon // two at the same time
		})
		want = append(want, k.ID)
	}

	var sizes []int
	seen := map[string]bool{}
	for cursor := ""; ; {
		w := r.call("GET", "/keys?cursor="+cursor, "", g.Access)
		var p page
		must(t, json.Unmarshal(w.Body.Bytes(), &p))
		for _, k := range p.Keys {
			seen[k.ID] = true
		}
		sizes = append(sizes, len(p.Keys))
		if p.Next == nil {
			break
		}
		cursor = *p.Next
	}
	if fmt.Sprint(sizes) != "[100 100 5]" || len(seen) != len(want) {
		t.Errorf("pages of %v with %d keys of %d", sizes, len(seen), len(want))
	}
}

func TestKeysRefusals(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	foreign, _ := r.mustOwn(t, r.user, same)
	badCursor := invalid("cursor", "must be the next_cursor of a page of these keys")
	for _, tt := range []struct {
		name, method, endpoint, body string
		status                       int
		want                         string
	}{
		{"a cursor of nothing", "GET", "/keys?cursor=" + uuid.NewString(), "", 422, badCursor},
		{"a cursor that is none", "GET", "/keys?cursor=%27%20OR%201%3D1", "", 422, badCursor},
		{"a cursor with a NUL", "GET", "/keys?cursor=%00", "", 422, badCursor},
		{"a cursor of another user", "GET", "/keys?cursor=" + foreign.ID, "", 422, badCursor},
		{"revoking another user's", "DELETE", "/keys/" + foreign.ID, "", 404, noKey},
		{"revoking one that never was", "DELETE", "/keys/" + uuid.NewString(), "", 404, noKey},
		{"revoking what is no id", "DELETE", "/keys/%00", "", 404, noKey},
		{"rotating another user's", "POST", "/keys/" + foreign.ID + "/rotate", `{}`, 404, noKey},
		{"rotating one that never was", "POST", "/keys/" + uuid.NewString() + "/rotate", `{}`, 404, noKey},
		{"rotating what is no id", "POST", "/keys/x/rotate", "", 404, noKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, r.call(tt.method, tt.endpoint, tt.body, g.Access), tt.status, tt.want)
		})
	}
	for _, tt := range []struct{ method, endpoint string }{
		{"GET", "/keys"}, {"DELETE", "/keys/" + foreign.ID}, {"POST", "/keys/" + foreign.ID + "/rotate"},
	} {
		check(t, r.call(tt.method, tt.endpoint, "", ""), 401, noToken)
	}
}

func TestRevokeKey(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	k, token := r.mustOwn(t, g.User.ID, same)
	if got := r.verify(token); got != 200 { // which is remembered
		t.Fatalf("before it is revoked: %d", got)
	}
	check(t, r.call("DELETE", "/keys/"+k.ID, "", g.Access), 204, "")
	check(t, r.do("GET", verifyPath, "Authorization", "Bearer "+token), 401, `{"valid":false,"code":"REVOKED"}`)
	check(t, r.call("DELETE", "/keys/"+k.ID, "", g.Access), 204, "")
}

func TestRotateKey(t *testing.T) {
	form := regexp.MustCompile(`^\{"token":"obtk_[0-9a-f]{64}","key_id":"[0-9a-f-]{36}","prefix":"obtk_[0-9a-f]{3}","tier":"new"\}\n$`)
	for _, tt := range []struct {
		name, body string
		grace      time.Duration
	}{
		{"without a body", "", 0},
		{"without a grace period", "{}", 0},
		{"with null", `{"grace_seconds":null}`, 0},
		{"with none", `{"grace_seconds":0}`, 0},
		{"with a minute", `{"grace_seconds": 60, "unknown": true}`, time.Minute},
		{"with a day", `{"grace_seconds":86400}`, 24 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			g := r.mustRegister(t, email)
			old, token := r.mustOwn(t, g.User.ID, same)
			w := r.call("POST", "/keys/"+old.ID+"/rotate", tt.body, g.Access)
			if w.Code != 200 || !form.Match(w.Body.Bytes()) {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			checkNoStore(t, w)
			next := rotated(t, w)
			if next == token || r.verify(next) != 200 {
				t.Error("the new key does not work")
			}
			if tt.grace > 0 {
				r.clock.Time = noon.Add(tt.grace - time.Second)
				if got := r.verify(token); got != 200 {
					t.Errorf("the old one within its grace: %d", got)
				}
			}
			r.clock.Time = noon.Add(tt.grace)
			if got := r.verify(token); got != 401 {
				t.Errorf("the old one afterwards: %d", got)
			}
		})
	}
}

// rotated returns the token of a new key.
func rotated(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var k struct{ Token string }
	must(t, json.Unmarshal(w.Body.Bytes(), &k))
	return k.Token
}

func TestRotateKeyRefusals(t *testing.T) {
	const notRotatable = `{"error":{"code":"CONFLICT","message":"The key is revoked, has expired or was rotated before","details":{}}}`
	r := newRig(t)
	g := r.mustRegister(t, email)
	good, _ := r.mustOwn(t, g.User.ID, same)
	revoked, _ := r.mustOwn(t, g.User.ID, func(k *apikey.Key) { k.RevokedAt = noon })
	expired, _ := r.mustOwn(t, g.User.ID, func(k *apikey.Key) { k.ExpiresAt = noon })
	before, _ := r.mustOwn(t, g.User.ID, same)
	if w := r.call("POST", "/keys/"+before.ID+"/rotate", `{"grace_seconds":60}`, g.Access); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	badGrace := invalid("grace_seconds", "must be 0 to 86400")
	for _, tt := range []struct {
		name   string
		key    apikey.Key
		body   string
		status int
		want   string
	}{
		{"a grace below zero", good, `{"grace_seconds":-1}`, 422, badGrace},
		{"a second more than a day", good, `{"grace_seconds":86401}`, 422, badGrace},
		{"a grace that wraps", good, `{"grace_seconds":18446744073709551616}`, 422, badGrace},
		{"a grace that wraps as a duration", good, `{"grace_seconds":18446744074}`, 422, badGrace},
		{"half a second", good, `{"grace_seconds":0.5}`, 422, badGrace},
		{"a string", good, `{"grace_seconds":"60"}`, 422, badGrace},
		{"a list", good, `{"grace_seconds":[60]}`, 422, badGrace},
		{"true", good, `{"grace_seconds":true}`, 422, badGrace},
		{"no object", good, `[]`, 422, notObject},
		{"half an object", good, `{"grace_seconds":`, 422, notObject},
		{"a member twice", good, `{"grace_seconds":0,"grace_seconds":1}`, 422, notObject},
		{"a revoked key", revoked, `{}`, 409, notRotatable},
		{"an expired key", expired, `{}`, 409, notRotatable},
		{"a key that was rotated", before, `{}`, 409, notRotatable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, r.call("POST", "/keys/"+tt.key.ID+"/rotate", tt.body, g.Access), tt.status, tt.want)
		})
	}
}

func TestRotateKeyOnceForAnIntent(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	k, _ := r.mustOwn(t, g.User.ID, same)
	other, _ := r.mustOwn(t, g.User.ID, same)
	rotate := func(id, body string, intents ...string) *httptest.ResponseRecorder {
		headers := []string{"Authorization", "Bearer " + g.Access}
		for _, intent := range intents {
			headers = append(headers, "Idempotency-Key", intent)
		}
		return r.send("POST", "/v1/keys/"+id+"/rotate", body, headers...)
	}
	first := rotate(k.ID, `{}`, "intent 1")
	if first.Code != 200 {
		t.Fatalf("%d %s", first.Code, first.Body)
	}
	check(t, rotate(k.ID, `{"grace_seconds":0}`, "intent 1"), 200, strings.TrimSpace(first.Body.String()))

	const reused = `{"error":{"code":"CONFLICT","message":"The idempotency key was used for another request","details":{}}}`
	badIntent := invalid("Idempotency-Key", "must be one header of 1 to 255 printable ASCII characters")
	check(t, rotate(k.ID, `{"grace_seconds":60}`, "intent 1"), 409, reused)
	check(t, rotate(other.ID, `{}`, "intent 1"), 409, reused)
	check(t, rotate(other.ID, `{}`, ""), 422, badIntent)
	check(t, rotate(other.ID, `{}`, "Zoë"), 422, badIntent)
	check(t, rotate(other.ID, `{}`, strings.Repeat("k", 256)), 422, badIntent)
	check(t, rotate(other.ID, `{}`, "a", "b"), 422, badIntent)
}
