package papyrus_test

import (
	"testing"

	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
)

func TestPowerSyncToken(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	for name, body := range map[string]string{"nothing": ``, "an empty object": `{}`, "an unknown field": `{"sub":"somebody else"}`} {
		t.Run(name, func(t *testing.T) {
			w := r.post("/auth/powersync-token", body, g.Access)
			if w.Code != 200 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			checkNoStore(t, w)
		})
	}
	check(t, r.post("/auth/powersync-token", `[]`, g.Access), 422, notObject)

	off := r.with(func(c *papyrus.Config) { c.PowerSync = nil })
	check(t, off.post("/auth/powersync-token", ``, g.Access), 400, refused("VALIDATION_ERROR", "PowerSync is not configured"))
	check(t, off.post("/auth/powersync-token", ``, ""), 401, noToken)
}

func TestJWKS(t *testing.T) {
	const path = "/v1/auth/jwks"
	r := newRig(t)
	w := r.do("GET", path)
	tag, body := w.Header().Get("ETag"), w.Body.String()
	check(t, w, 200, body)
	if len(tag) != 34 || w.Header().Get("Cache-Control") != "public, max-age=30" {
		t.Errorf("ETag %q, Cache-Control %q", tag, w.Header().Get("Cache-Control"))
	}
	for _, tt := range []struct {
		name, method, header, value string
		status                      int
		want                        string
	}{
		{"again", "GET", "Accept", "*/*", 200, body},
		{"HEAD", "HEAD", "Accept", "*/*", 200, ``},
		{"who has it", "GET", "If-None-Match", tag, 304, ``},
		{"who has it, with HEAD", "HEAD", "If-None-Match", tag, 304, ``},
		{"who has it by a weak comparison", "GET", "If-None-Match", "W/" + tag, 304, ``},
		{"who has it among others", "GET", "If-None-Match", `"a", ` + tag, 304, ``},
		{"who has any", "GET", "If-None-Match", "*", 304, ``},
		{"who has another", "GET", "If-None-Match", `"a"`, 200, body},
		{"who sends no tag", "GET", "If-None-Match", "a", 200, body},
		{"who wants a part", "GET", "Range", "bytes=0-1", 200, body},
		{"who wants a part that is not there", "GET", "Range", "bytes=9000-", 200, body},
		{"a bearer", "GET", "Authorization", "Bearer garbage", 200, body},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := r.do(tt.method, path, tt.header, tt.value)
			check(t, w, tt.status, tt.want)
			if w.Header().Get("ETag") != tag || w.Header().Get("Cache-Control") != "public, max-age=30" {
				t.Errorf("ETag %q, Cache-Control %q", w.Header().Get("ETag"), w.Header().Get("Cache-Control"))
			}
		})
	}
}
