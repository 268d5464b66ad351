package papyrus_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/library"
)

// optional are the endpoints that need no body.
var optional = map[string]bool{
	"POST /v1/auth/logout": true, "POST /v1/auth/logout-all": true, "POST /v1/auth/powersync-token": true, "DELETE /v1/users/me": true,
	"POST /v1/keys/:key_id/rotate": true,
}

// long is the endpoint whose bodies may be longer than all others'; TestHostileUploads and package library have those that are too long.
const long = "POST /v1/sync/powersync-upload"

// bodiless are the endpoints that read no body.
var bodiless = map[string]bool{"DELETE /v1/auth/sessions/:id": true, "DELETE /v1/keys/:key_id": true}

// hostile are bodies that no endpoint takes, and none may stumble over.
var hostile = map[string]string{
	"a NUL":                      "\x00",
	"null":                       `null`,
	"a list":                     `[]`,
	"a list of what is wanted":   `[{"email":"a@example.com","password":"correct horse battery"}]`,
	"a string":                   `"{}"`,
	"a number":                   `1e999`,
	"half an object":             `{"email":"a@example.com","password":`,
	"two objects":                `{}{}`,
	"something after the object": `{} x`,
	"no quotes":                  `{email:1}`,
	"a comma too many":           `{"email":"a@example.com",}`,
	"a member twice":             `{"email":"a@example.com","email":"b@example.com"}`,
	"a member twice, deep down":  `{"x":{"y":1,"y":2}}`,
	"a byte order mark":          "\ufeff{}",
	"broken UTF-8":               "{\"email\":\"\xff@example.com\"}",
	"half a surrogate pair":      `{"email":"\ud800@example.com"}`,
	"a raw NUL in a string":      "{\"email\":\"a\x00@example.com\"}",
	"a comment":                  `{/* */}`,
	"an object, 20,000 deep":     strings.Repeat(`{"a":`, 10_500) + `1` + strings.Repeat(`}`, 10_500),
	"a list, 30,000 deep":        `{"email":` + strings.Repeat(`[`, 30_000) + strings.Repeat(`]`, 30_000) + `}`,
	"a list that never ends":     `{"email":` + strings.Repeat(`[`, 60_000),
	"a form":                     `email=a%40example.com&password=correct+horse+battery`,
	"XML":                        `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "a">]><x>&a;</x>`,
	"a script":                   `<script>alert(1)</script>`,
}

// strange are objects whose members are not as they should be. Endpoints that need a member refuse them; the others may ignore
// what they do not know.
var strange = map[string]string{
	"nothing":                     `{}`,
	"members of other types":      every(`1`),
	"members that are lists":      every(`[]`),
	"members that are objects":    every(`{"$ne":null}`),
	"members that are null":       every(`null`),
	"members that are true":       every(`true`),
	"members that are empty":      every(`""`),
	"NULs":                        every(`"\u0000"`),
	"SQL":                         every(`"' OR 1=1; --"`),
	"members of 2,000 letters":    every(`"` + strings.Repeat("a", 2_000) + `"`),
	"members of 2,000 emoji":      every(`"` + strings.Repeat("🔑", 700) + `"`),
	"numbers of 2,000 digits":     every(strings.Repeat("9", 2_000)),
	"unknown members alone":       `{"__proto__":{},"constructor":1,"":""}`,
	"members in other letters":    `{"Email":"a@example.com","PASSWORD":"correct horse battery","Display_Name":"a","TOKEN":"a","Code":"a","REFRESH_TOKEN":"a"}`,
	"an e-mail of 60,000 letters": `{"email":"` + strings.Repeat(`a`, 60_000) + `@example.com"}`,
}

// every returns an object of all members that any endpoint knows, with one value.
func every(value string) string {
	var members []string
	for _, name := range []string{
		"email", "password", "display_name", "client_type", "device_label", "refresh_token", "all_devices", "code", "code_verifier",
		"redirect_uri", "code_challenge", "code_challenge_method", "token", "avatar_url", "current_password", "new_password", "grace_seconds",
	} {
		members = append(members, `"`+name+`":`+value)
	}
	return "{" + strings.Join(members, ",") + "}"
}

func TestHostileBodies(t *testing.T) {
	r := newRig(t, withProvider(t))
	g := r.mustRegister(t, email)
	for _, route := range r.routes() {
		endpoint := route.Method + " " + route.Path
		if route.Method == http.MethodGet || route.Method == http.MethodHead || bodiless[endpoint] {
			continue
		}
		for name, body := range hostile {
			t.Run(name+" for "+endpoint, func(t *testing.T) {
				w := r.send(route.Method, route.Path, body, "Authorization", "Bearer "+g.Access)
				checkRefusal(t, w)
				if w.Code != 422 {
					t.Errorf("%d, want 422", w.Code)
				}
			})
		}
		for name, size := range map[string]int{"a byte over the limit": bodyLimit + 1, "a megabyte": 1 << 20} {
			t.Run(name+" for "+endpoint, func(t *testing.T) {
				body := `{"email":"` + strings.Repeat("a", size-12) + `"}`
				status, tooLarge := 413, refused("PAYLOAD_TOO_LARGE", "the body is too large")
				if endpoint == long {
					status, tooLarge = 422, noUpload
				}
				check(t, r.send(route.Method, route.Path, body, "Authorization", "Bearer "+g.Access), status, tooLarge)

				chunked := httptest.NewRequest(route.Method, route.Path, strings.NewReader(body))
				chunked.ContentLength = -1
				chunked.Header.Set("Authorization", "Bearer "+g.Access)
				w := httptest.NewRecorder()
				r.ServeHTTP(w, chunked)
				check(t, w, status, tooLarge)
			})
		}
		if optional[endpoint] || strings.HasSuffix(route.Path, "/preferences") || route.Method == http.MethodPatch {
			continue
		}
		for name, body := range strange {
			t.Run(name+" for "+endpoint, func(t *testing.T) {
				checkRefusal(t, r.send(route.Method, route.Path, body, "Authorization", "Bearer "+g.Access))
			})
		}
		t.Run("an empty body for "+endpoint, func(t *testing.T) {
			want := notObject
			if endpoint == long {
				want = noUpload
			}
			check(t, r.send(route.Method, route.Path, ``, "Authorization", "Bearer "+g.Access), 422, want)
		})
	}
	check(t, r.call("GET", "/users/me", ``, g.Access), 200, wantUser(g.User.ID, email))
}

// TestStrangeBodies sends them where a body is not needed: whatever comes of it, it is no fault of ours.
func TestStrangeBodies(t *testing.T) {
	r := newRig(t)
	r.mustRegister(t, email)
	for endpoint := range optional {
		for name, body := range strange {
			t.Run(name+" for "+endpoint, func(t *testing.T) {
				method, path, _ := strings.Cut(endpoint, " ")
				w := r.send(method, path, body, "Authorization", "Bearer "+r.mustLogIn(t, email).Access)
				if w.Code >= 400 {
					checkRefusal(t, w)
				}
			})
		}
	}
}

// TestHostileUploads wants that no device is ever wedged: whatever stands in a batch is answered, and the next upload goes on.
func TestHostileUploads(t *testing.T) {
	r := newRig(t)
	r.Handler = r.api // who reads the document cannot read all of these
	g := r.mustRegister(t, email)
	elements := map[string]string{"many elements of no kind": strings.Repeat("0,", 20_000) + "0", "an element, 9,000 deep": strings.Repeat(`[`, 9_000) + strings.Repeat(`]`, 9_000)}
	for name, body := range hostile {
		if json.Valid([]byte(body)) {
			elements[name] = body
		}
	}
	for name, body := range strange {
		elements[name] = body
		for _, op := range []string{"PUT", "PATCH", "DELETE"} {
			elements[name+" to "+op] = operation("7", op, bookID, body)
		}
	}
	for _, column := range library.Books.Columns {
		for _, value := range []string{`1e999`, `"\u0000"`, `"\ud800"`, `{}`, `[[]]`, `-1`, `""`, `"' OR 1=1; --"`, `"` + strings.Repeat("🔑", 50_000) + `"`, strings.Repeat("9", 50_000)} {
			elements[fmt.Sprintf("%.30s for %s", value, column.Name)] = operation("8", "PUT", bookID, `{"`+column.Name+`":`+value+`}`)
		}
	}
	for name, element := range elements {
		t.Run(name, func(t *testing.T) {
			w := r.post("/sync/powersync-upload", `{"batch":[`+element+`]}`, g.Access)
			if w.Code != 200 || !json.Valid(w.Body.Bytes()) || w.Body.Len() > 20_000 || strings.Contains(w.Body.String(), "OR 1=1") {
				t.Errorf("%d %.1000s", w.Code, w.Body)
			}
			next := operation(`9`, "PUT", "00000000-0000-4000-8000-000000000000", `{"title":"next"}`)
			check(t, r.post("/sync/powersync-upload", `{"batch":[`+next+`]}`, g.Access), 200, `{"applied_count":1}`)
		})
	}
}

// checkRefusal wants a 4xx of the one shape, which shows nothing of what was sent.
func checkRefusal(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code < 400 || w.Code >= 500 {
		t.Fatalf("%d %.200s", w.Code, w.Body)
	}
	if kind := w.Header().Get("Content-Type"); kind != "application/json; charset=utf-8" {
		t.Errorf("Content-Type %q", kind)
	}
	var answer struct {
		Error struct {
			Code, Message string
			Details       map[string]any
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Error.Code == "" || answer.Error.Message == "" || answer.Error.Details == nil {
		t.Errorf("not in the shape of errors: %.200s", w.Body)
	}
	if w.Body.Len() > 900 || strings.Contains(w.Body.String(), "OR 1=1") || strings.Contains(w.Body.String(), "aaaa") {
		t.Errorf("the answer shows what was sent: %.900s", w.Body)
	}
	if _, listed := answer.Error.Details["fields"]; listed != (w.Code == 422) {
		t.Errorf("%d with details %v", w.Code, answer.Error.Details)
	}
}

// TestUnknownMethodsAndPaths wants JSON from around every route.
func TestUnknownMethodsAndPaths(t *testing.T) {
	r := newRig(t)
	known := map[string]bool{}
	for _, route := range r.routes() {
		known[route.Method+" "+route.Path] = true
	}
	for _, route := range r.routes() {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "BREW"} {
			if known[method+" "+route.Path] {
				continue
			}
			t.Run(method+" "+route.Path, func(t *testing.T) {
				want := refused("METHOD_NOT_ALLOWED", "method not allowed")
				if method == "HEAD" {
					want = ""
				}
				check(t, r.do(method, route.Path), 405, want)
			})
		}
		if route.Method == http.MethodGet && !known["HEAD "+route.Path] {
			t.Errorf("%s has no HEAD", route.Path)
		}
		for _, path := range []string{strings.Replace(route.Path, "/v1/", "/v1/nothing/", 1), strings.ToUpper(route.Path), strings.Replace(route.Path, "/v1/", "/v1//", 1), strings.Replace(route.Path, "/v1/", "/v1%2F", 1)} {
			t.Run(fmt.Sprintf("%s %s", route.Method, path), func(t *testing.T) {
				want := refused("NOT_FOUND", "not found")
				if route.Method == http.MethodHead {
					want = ""
				}
				check(t, r.do(route.Method, path), 404, want)
			})
		}
	}
}

// FuzzForm sends any body to an endpoint that knows most kinds of members.
func FuzzForm(f *testing.F) {
	for _, body := range hostile {
		f.Add([]byte(body))
	}
	for _, body := range strange {
		f.Add([]byte(body))
	}
	f.Add([]byte(registration(email)))
	r := newRig(f)
	r.Handler = r.api // a fuzz target may not report to f
	f.Fuzz(func(t *testing.T, body []byte) {
		w := r.post("/auth/register", string(body), "")
		if w.Code != 201 && w.Code != 409 && w.Code != 413 && w.Code != 422 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%q: %d %s", body, w.Code, w.Body)
		}
	})
}
