package sender_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHealth(t *testing.T) {
	h := newHandler(t, setUp{})
	for method, want := range map[string]string{
		http.MethodGet:  `{"ok":true,"service":"api-provisioning-sender","version":"1.2.3","timestamp":"2026-03-20T10:15:30.007Z"}`,
		http.MethodHead: "",
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/health", http.NoBody))
		check(t, w, 200, want)
	}
}

func TestSuccesses(t *testing.T) {
	const signedIn = `{"jwt":"a.b.c","userId":"u1","email":"reader@example.com","refreshToken":"r1","expiresIn":3600}`
	for _, tt := range []struct {
		name       string
		project    transport
		path, body string
		status     int
		want       string
		cache      string
	}{
		{"sign-up", says(200, sessionJSON), "/signup", credentials, 201, signedIn, "no-store"},
		{"sign-up that is to be confirmed", says(200, userJSON), "/signup", credentials, 201, `{"userId":"u1","email":"reader@example.com","confirmationRequired":true}`, "no-store"},
		{"sign-in", says(200, sessionJSON), "/signin", credentials, 200, signedIn, "no-store"},
		{"sign-in of a plain provider", says(200, `{"access_token":"a.b.c","user":`+userJSON+`}`), "/signin", credentials, 200, `{"jwt":"a.b.c","userId":"u1","email":"reader@example.com"}`, "no-store"},
		{"forgot-password", says(200, `{}`), "/forgot-password", `{"email":"a@b.c"}`, 200, `{"ok":true}`, ""},
		{"send", nil, "/send", eventBody, 200, received, "no-store"},
		{"members that are not known", says(200, sessionJSON), "/signin", `{"email":"a@b.c","password":"p","x":null}`, 200, signedIn, "no-store"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := post(t, newHandler(t, setUp{project: tt.project}), tt.path, tt.body, with("Content-Type", "Application/JSON; Charset=Utf-8"))
				check(t, w, tt.status, tt.want)
				checkHeaders(t, w.Header(), "Cache-Control", tt.cache)
			})
		})
	}
}

// TestForgotPasswordTakesOneTime holds that neither the answer nor its time tells whether there is an account.
func TestForgotPasswordTakesOneTime(t *testing.T) {
	for name, project := range map[string]transport{
		"unknown": says(200, `{}`),
		"known: a mail is sent first": func(r *http.Request) (*http.Response, error) {
			time.Sleep(300 * time.Millisecond) // of the bubble's clock
			return says(200, `{}`)(r)
		},
		"known: a mail was sent already": says(429, `{"error_code":"over_email_send_rate_limit"}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				check(t, post(t, newHandler(t, setUp{project: project}), "/forgot-password", `{"email":"a@b.c"}`), 200, `{"ok":true}`)
				if took := time.Since(start); took != time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestForgotPasswordTakesThatTimeToRefuseToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w := post(t, newHandler(t, setUp{project: says(500, `{}`)}), "/forgot-password", `{"email":"a@b.c"}`)
		if took := time.Since(start); w.Code != http.StatusBadGateway || took != time.Second {
			t.Errorf("%d after %v, want 502 after 1s", w.Code, took)
		}
	})
}

func TestPreflights(t *testing.T) {
	h := newHandler(t, setUp{})
	for _, tt := range []struct {
		name, path, origin string
		want               []string
	}{
		{"an allowed origin", "/send", origin, []string{
			"Access-Control-Allow-Origin", origin, "Access-Control-Allow-Methods", "GET, POST, OPTIONS",
			"Access-Control-Allow-Headers", "content-type, authorization, idempotency-key, x-request-id, traceparent",
			"Access-Control-Max-Age", "86400", "Access-Control-Allow-Credentials", "",
		}},
		{"its own origin", "/signin", "https://example.com", []string{"Access-Control-Allow-Origin", "https://example.com"}},
		{"an unknown path", "/nowhere", origin, []string{"Access-Control-Allow-Origin", origin}},
		{"another origin", "/send", "https://evil.test", []string{"Access-Control-Allow-Origin", "", "Access-Control-Allow-Methods", "", "Access-Control-Max-Age", ""}},
		{"no origin", "/send", "", []string{"Access-Control-Allow-Origin", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := httptest.NewRequest(http.MethodOptions, tt.path, http.NoBody)
			req.Header.Set("Access-Control-Request-Method", "POST")
			if tt.origin != "" {
				req.Header.Set("Origin", tt.origin)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			if w.Code != 204 || w.Body.Len() != 0 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			checkHeaders(t, w.Header(), append(tt.want, "Vary", "Origin")...)
		})
	}
}

// TestSendForwards holds that the receiver gets the body byte for byte, signed, with the headers that go along and no others.
func TestSendForwards(t *testing.T) {
	body := "{ \"action\":\"provision_api_key\",\n \"jwt\":\"a.b.c\",\"name\":\"Zo\u00eb \\ud83d\\udd11\",\"tier\":\"new\", \"sentAt\":1, \"x\": 1.50 }"
	var got http.Header
	var inbox string
	h := newHandler(t, setUp{receiverURL: "http://receiver.test/base/", receiver: transport(func(r *http.Request) (*http.Response, error) {
		sent, _ := io.ReadAll(r.Body)
		if string(sent) != body || r.GetBody != nil {
			t.Errorf("the receiver got %q", sent)
		}
		got, inbox = r.Header, r.Method+" "+r.URL.String()
		return says(422, `{"error":"x",  "code":"IDEMPOTENCY_KEY_REUSED"}`, "Retry-After", "3", "Set-Cookie", "a=b")(r)
	})})

	w := post(t, h, "/send", body, with("Idempotency-Key", "k 1"), with("X-Request-Id", "id-1"), with("Authorization", "Bearer x"), with("Cookie", "a=b"),
		with("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), with("X-Timestamp", "1"), with("X-Signature", "forged"), with("X-Key-Id", "forged"))
	check(t, w, 422, `{"error":"x",  "code":"IDEMPOTENCY_KEY_REUSED"}`)
	checkHeaders(t, w.Header(), "Retry-After", "3", "Set-Cookie", "", "X-Request-Id", "id-1")
	if inbox != "POST http://receiver.test/base/inbox" {
		t.Error(inbox)
	}
	checkHeaders(t, got, "Idempotency-Key", "k 1", "X-Request-Id", "id-1", "Content-Type", "application/json", "X-Key-Id", "k1", "X-Forwarded-For", "192.0.2.1",
		"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Authorization", "", "Cookie", "")
	if len(got["X-Signature"]) != 1 || len(got.Get("X-Signature")) != 64 || got.Get("X-Timestamp") == "1" {
		t.Errorf("signature headers: %v", got)
	}
}

func TestRequestIDs(t *testing.T) {
	h := newHandler(t, setUp{})
	for id, kept := range map[string]bool{"A-z_0.9": true, strings.Repeat("x", 128): true, strings.Repeat("x", 129): false, "a b": false, "": false} {
		got := post(t, h, "/nowhere", `{}`, with("X-Request-Id", id)).Header().Get("X-Request-Id")
		if got == "" || (got == id) != kept {
			t.Errorf("%q is answered with %q", id, got)
		}
	}
}
