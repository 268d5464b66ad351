package supabaseapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/ratelimit"
)

// targets are the endpoints that read a body.
var targets = []string{
	"/auth/v1/signup", "/auth/v1/token?grant_type=password", "/auth/v1/token?grant_type=refresh_token", "/auth/v1/token",
	"/auth/v1/recover", createPath,
}

// hostile are bodies that no endpoint takes, and none may stumble over.
var hostile = map[string]string{
	"nothing":                     ``,
	"white space":                 " \n\t",
	"a NUL":                       "\x00",
	"null":                        `null`,
	"a list":                      `[]`,
	"a string":                    `"{}"`,
	"a number":                    `1e999`,
	"half an object":              `{"email":"a@example.com","password":`,
	"two objects":                 `{}{}`,
	"something after the object":  `{} x`,
	"no quotes":                   `{email:1}`,
	"a comma too many":            `{"email":"a@example.com",}`,
	"a member twice":              `{"email":"a@example.com","email":"b@example.com","password":"correct horse battery","name":"a","name":"b"}`,
	"a member twice, deep down":   `{"data":{"display_name":"a","display_name":"b"}}`,
	"a byte order mark":           "\ufeff{}",
	"broken UTF-8":                "{\"email\":\"\xff@example.com\",\"name\":\"\xff\"}",
	"half a surrogate pair":       `{"email":"\ud800@example.com","name":"\ud800"}`,
	"a raw NUL in a string":       "{\"email\":\"a\x00@example.com\",\"name\":\"a\x00\"}",
	"escaped NULs":                `{"email":"a\u0000@example.com","password":"\u0000","refresh_token":"\u0000","name":"\u0000","tier":"\u0000"}`,
	"members of other types":      `{"email":1,"password":[],"refresh_token":{},"name":true,"tier":1.5}`,
	"members that are null":       `{"email":null,"password":null,"refresh_token":null,"data":null,"name":null,"tier":null}`,
	"unknown members alone":       `{"__proto__":{},"constructor":1,"":""}`,
	"members in other letters":    `{"Email":"a@example.com","PASSWORD":"correct horse battery","NAME":"a","TIER":"new"}`,
	"data that is a string":       `{"email":"a@example.com","password":"correct horse battery","data":"x"}`,
	"data that is a list":         `{"email":"a@example.com","password":"correct horse battery","data":[1]}`,
	"an object, 10,000 deep":      strings.Repeat(`{"a":`, 10_000) + `1` + strings.Repeat(`}`, 10_000),
	"a list, 30,000 deep":         `{"email":` + strings.Repeat(`[`, 30_000) + strings.Repeat(`]`, 30_000) + `}`,
	"a list that is never closed": `{"email":` + strings.Repeat(`[`, 60_000),
	"a number of 60,000 digits":   `{"email":` + strings.Repeat(`9`, 60_000) + `}`,
	"an e-mail of 60,000 letters": `{"email":"` + strings.Repeat(`a`, 60_000) + `@example.com","password":"correct horse battery"}`,
	"a name of 60,000 letters":    `{"name":"` + strings.Repeat(`a`, 60_000) + `","tier":"new"}`,
	"a token of 60,000 letters":   `{"refresh_token":"` + strings.Repeat(`a`, 60_000) + `"}`,
	"SQL":                         `{"email":"' OR 1=1; --","password":"' OR 1=1; --","refresh_token":"' OR 1=1","name":"a","tier":"' OR 1=1"}`,
	"a form":                      `email=a%40example.com&password=correct+horse+battery`,
}

func TestHostileBodies(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	g := r.mustSignUp(t, email)
	for name, body := range hostile {
		for _, target := range targets {
			t.Run(name+" for "+target, func(t *testing.T) {
				checkRefusal(t, target, r.do("POST", target, body, "Authorization", g.bearer()))
			})
		}
	}
}

// checkRefusal wants a 4xx in the dialect of the path, which shows nothing of what was sent.
func checkRefusal(t *testing.T, target string, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code < 400 || w.Code >= 500 {
		t.Fatalf("%d %.200s", w.Code, w.Body)
	}
	if kind := w.Header().Get("Content-Type"); kind != "application/json; charset=utf-8" {
		t.Errorf("Content-Type %q", kind)
	}
	if w.Body.Len() > 200 {
		t.Errorf("the answer has %d bytes", w.Body.Len())
	}
	o := object(t, w)
	if strings.HasPrefix(target, "/functions/v1") {
		if text, _ := o["error"].(string); text == "" || o["code"] == "" || len(o) != 2 {
			t.Errorf("not in the sender's shape: %s", w.Body)
		}
		return
	}
	if code, _ := o["error_code"].(string); code == "" || o["code"] != float64(w.Code) || o["msg"] == "" || len(o) != 3 {
		t.Errorf("not in Supabase's shape: %s", w.Body)
	}
}

func TestBodyLimit(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	g := r.mustSignUp(t, email)
	for _, target := range targets {
		want := `{"code":413,"error_code":"body_too_large","msg":"the body is too large"}`
		if target == createPath {
			want = `{"error":"the body is too large","code":"BODY_TOO_LARGE"}`
		}
		for name, size := range map[string]int{"a byte over the limit": bodyLimit + 1, "a megabyte": 1 << 20} {
			t.Run(fmt.Sprintf("%s for %s", name, target), func(t *testing.T) {
				body := `{"email":"` + strings.Repeat("a", size-12) + `"}`
				check(t, r.do("POST", target, body, "Authorization", g.bearer()), 413, want)

				chunked := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
				chunked.ContentLength = -1
				chunked.Header.Set("Authorization", g.bearer())
				w := httptest.NewRecorder()
				r.ServeHTTP(w, chunked)
				check(t, w, 413, want)
			})
		}
	}
}

func TestHostileBodiesOfLogout(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	r.mustSignUp(t, email)
	for name, body := range hostile {
		t.Run(name, func(t *testing.T) {
			g := mustGrant(t, r.signIn(email, right))
			check(t, r.do("POST", "/auth/v1/logout?scope=local", body, "Authorization", g.bearer()), 204, "")
		})
	}
}
