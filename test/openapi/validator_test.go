package openapi_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/test/openapi"
)

// small is a document with all that the validator looks at.
var small = []byte(`{
  "openapi": "3.0.3",
  "info": {"title": "Books", "version": "1.0.0"},
  "tags": [{"name": "books"}],
  "x-error-shapes": {"/": "Error", "/old": "OldError"},
  "paths": {
    "/books/{id}": {
      "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}}],
      "get": {
        "operationId": "getBook", "tags": ["books"], "summary": "Read a book",
        "responses": {"200": {"$ref": "#/components/responses/Book"}, "404": {"$ref": "#/components/responses/Error"}}
      },
      "put": {
        "operationId": "putBook", "tags": ["books"], "summary": "Write a book",
        "security": [{"bearer": []}],
        "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Book"}}}},
        "responses": {"204": {"description": "Written."}, "4XX": {"$ref": "#/components/responses/Error"}}
      }
    },
    "/books/new": {
      "get": {
        "operationId": "getNewBook", "tags": ["books"], "summary": "Read the newest book", "security": [{"key": []}],
        "responses": {"200": {"$ref": "#/components/responses/Book"}, "404": {"$ref": "#/components/responses/Error"}}
      }
    },
    "/files/{rest}": {
      "x-any-method": true,
      "parameters": [{"name": "rest", "in": "path", "required": true, "x-slashes": true, "schema": {"type": "string"}}],
      "get": {
        "operationId": "getFile", "tags": ["books"], "summary": "Read a file",
        "responses": {"200": {"description": "It.", "content": {"text/plain": {"schema": {"type": "string"}}}}, "404": {"$ref": "#/components/responses/Error"}}
      }
    }
  },
  "components": {
    "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}, "key": {"type": "apiKey", "in": "header", "name": "x-key"}},
    "schemas": {
      "Book": {"type": "object", "required": ["title"], "additionalProperties": false, "properties": {"title": {"type": "string"}}},
      "Error": {"type": "object", "required": ["error"], "additionalProperties": false, "properties": {"error": {"type": "string"}}},
      "OldError": {"type": "object", "required": ["msg"], "additionalProperties": false, "properties": {"msg": {"type": "string"}}}
    },
    "responses": {
      "Book": {
        "description": "A book.",
        "headers": {"X-Shelf": {"required": true, "schema": {"type": "integer"}}},
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Book"}}}
      },
      "Error": {"description": "Not so.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    }
  }
}`)

// reports is a test that keeps what is reported to it.
type reports struct {
	testing.TB
	found []string
}

func (r *reports) Helper() {}

func (r *reports) Errorf(format string, args ...any) {
	r.found = append(r.found, fmt.Sprintf(format, args...))
}

// headers holds names and values by turns.
type headers []string

func (h headers) apply(to http.Header) {
	for i := 0; i < len(h); i += 2 {
		to.Set(h[i], h[i+1])
	}
}

var (
	aBook   = headers{"Content-Type", "application/json; charset=utf-8", "X-Shelf", "7"}
	anError = headers{"Content-Type", "application/json; charset=utf-8"}
	aUser   = headers{"Authorization", "bearer x"}
)

var exchanges = []struct {
	name          string
	method, path  string
	sent          headers
	body          string
	status        int
	header        headers
	answer        string
	wrong         string // a part of what is reported; "" for nothing
	onlyInProcess bool   // a client of net/http would not show it
}{
	{"as documented", "GET", "/books/1", nil, "", 200, aBook, `{"title":"A"}`, "", false},
	{"HEAD of it", "HEAD", "/books/1", nil, "", 200, aBook, ``, "", false},
	{"a documented refusal", "GET", "/books/1", nil, "", 404, anError, `{"error":"x"}`, "", false},
	{"a refusal of a range", "PUT", "/books/1", nil, `[`, 418, anError, `{"error":"x"}`, "", false},
	{"written", "PUT", "/books/1", aUser, `{"title":"A"}`, 204, nil, ``, "", false},
	{"of another content type", "PUT", "/books/1", append(headers{"Content-Type", "text/plain"}, aUser...), `{"title":"A"}`, 204, nil, ``, "", false},
	{"with a key", "GET", "/books/new", headers{"X-Key", "k"}, "", 200, aBook, `{"title":"A"}`, "", false},
	{"any method, with slashes", "PURGE", "/files/a/b%2Fc", nil, "", 200, headers{"Content-Type", "text/plain"}, `any`, "", false},
	{"any method, the path alone", "GET", "/files/", nil, "", 200, headers{"Content-Type", "text/plain"}, `any`, "", false},
	{"an unknown path", "GET", "/nowhere", nil, "", 404, anError, `{"error":"x"}`, "", false},
	{"an unknown path of another shape", "GET", "/old/x", nil, "", 404, anError, `{"msg":"x"}`, "", false},
	{"an unknown method", "POST", "/books/1", nil, "", 405, anError, `{"error":"x"}`, "", false},
	{"a slash more", "GET", "/books/1/2", nil, "", 404, anError, `{"error":"x"}`, "", false},
	{"an origin that is not allowed", "GET", "/nowhere", headers{"Origin", "https://x.test"}, "", 403, anError, `{"error":"x"}`, "", false},
	{"a client that is gone", "GET", "/books/1", nil, "", 499, anError, `{"error":"x"}`, "", false},
	{"a preflight", "OPTIONS", "/books/1", nil, "", 204, nil, ``, "", false},

	{"a status that is not documented", "GET", "/books/1", nil, "", 500, anError, `{"error":"x"}`, "getBook does not document the status 500", false},
	{"a member that is not documented", "GET", "/books/1", nil, "", 200, aBook, `{"title":"A","isbn":"1"}`, `property "isbn" is unsupported`, false},
	{"a member that is missing", "GET", "/books/1", nil, "", 200, aBook, `{}`, `property "title" is missing`, false},
	{"what is no JSON", "GET", "/books/1", nil, "", 200, aBook, `{`, "decode", false},
	{"another content type", "GET", "/books/1", nil, "", 200, headers{"Content-Type", "text/plain", "X-Shelf", "7"}, `A`, `of the type "text/plain"`, false},
	{"no content type", "GET", "/books/1", nil, "", 404, nil, ``, `of the type ""`, false},
	{"a header that is missing", "GET", "/books/1", nil, "", 200, anError, `{"title":"A"}`, `"X-Shelf" missing`, false},
	{"a header that is wrong", "GET", "/books/1", nil, "", 200, headers{"Content-Type", "application/json", "X-Shelf", "x"}, `{"title":"A"}`, `"X-Shelf"`, false},
	{"a body where none is documented", "OPTIONS", "/books/1", nil, "", 200, anError, `{"error":"x"}`, "a preflight was answered with 200", false},
	{"a body for HEAD", "HEAD", "/books/1", nil, "", 200, aBook, `{"title":"A"}`, "has a body of 13 bytes", true},
	{"a body for HEAD of an unknown path", "HEAD", "/nowhere", nil, "", 404, anError, `{"error":"x"}`, "a body of 13 bytes for HEAD", true},
	{"success without credentials", "PUT", "/books/1", nil, `{"title":"A"}`, 204, nil, ``, "no bearer token", false},
	{"success with credentials of another scheme", "PUT", "/books/1", headers{"Authorization", "Basic x"}, `{"title":"A"}`, 204, nil, ``, "no bearer token", false},
	{"success without a key", "GET", "/books/new", nil, "", 200, aBook, `{"title":"A"}`, "no header x-key", false},
	{"success of a request that is not documented", "PUT", "/books/1", aUser, `{"isbn":"1"}`, 204, nil, ``, `property "isbn" is unsupported`, false},
	{"success of a path that is not documented", "GET", "/books/one", nil, "", 200, aBook, `{"title":"A"}`, `"id"`, false},
	{"success on an unknown path", "GET", "/nowhere", nil, "", 200, aBook, `{"title":"A"}`, "does not have it, but it was answered with 200", false},
	{"another shape on an unknown path", "GET", "/nowhere", nil, "", 404, anError, `{"msg":"x"}`, `property "msg" is unsupported`, false},
	{"text on an unknown path", "GET", "/nowhere", nil, "", 404, headers{"Content-Type", "text/plain"}, `x`, `of the type "text/plain"`, false},
	{"forbidden, but not for an origin", "GET", "/nowhere", nil, "", 403, anError, `{"error":"x"}`, "answered with 403", false},
}

func TestHandler(t *testing.T) {
	for _, tt := range exchanges {
		t.Run(tt.name, func(t *testing.T) {
			r := &reports{TB: t}
			h := openapi.NewValidator(r, small).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if got, err := io.ReadAll(r.Body); string(got) != tt.body {
					t.Errorf("the handler got %q, %v", got, err)
				}
				tt.header.apply(w.Header())
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.answer)
			}))
			req := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
			tt.sent.apply(req.Header)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			if w.Code != tt.status || w.Body.String() != tt.answer {
				t.Errorf("the answer came through as %d %s", w.Code, w.Body)
			}
			r.want(t, tt.wrong)
		})
	}
}

func TestTransport(t *testing.T) {
	for _, tt := range exchanges {
		if tt.onlyInProcess {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			r := &reports{TB: t}
			client := http.Client{Transport: openapi.NewValidator(r, small).Transport(network(func(req *http.Request) (*http.Response, error) {
				if got, err := io.ReadAll(req.Body); string(got) != tt.body {
					t.Errorf("the network got %q, %v", got, err)
				}
				resp := &http.Response{StatusCode: tt.status, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(tt.answer))}
				tt.header.apply(resp.Header)
				return resp, nil
			}))}
			req := httptest.NewRequest(tt.method, "http://service.test"+tt.path, strings.NewReader(tt.body))
			req.RequestURI = ""
			tt.sent.apply(req.Header)
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got, _ := io.ReadAll(resp.Body); resp.StatusCode != tt.status || string(got) != tt.answer {
				t.Errorf("the answer came through as %d %s", resp.StatusCode, got)
			}
			r.want(t, tt.wrong)
		})
	}
}

type network func(*http.Request) (*http.Response, error)

func (f network) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTransportWithoutAnAnswer(t *testing.T) {
	lost := errors.New("lost")
	r := &reports{TB: t}
	through := openapi.NewValidator(r, small).Transport(network(func(*http.Request) (*http.Response, error) { return nil, lost }))
	resp, err := through.RoundTrip(httptest.NewRequest(http.MethodGet, "/books/1", http.NoBody))
	if resp != nil || !errors.Is(err, lost) {
		t.Errorf("%v, %v", resp, err)
	}
	r.want(t, "")
}

// want compares what was reported with a part of what should be, "" for nothing.
func (r *reports) want(t *testing.T, part string) {
	t.Helper()
	if got := strings.Join(r.found, "\n"); (part == "") != (got == "") || !strings.Contains(got, part) {
		t.Errorf("reported:\n%s\nwant: %s", got, part)
	}
}

func TestLint(t *testing.T) {
	if found := openapi.Lint(small); len(found) != 0 {
		t.Errorf("in a good document: %v", found)
	}
	for _, tt := range []struct{ name, old, with, want string }{
		{"no JSON", `{`, ``, "not JSON"},
		{"a member twice", `"openapi": "3.0.3",`, `"openapi": "3.0.3", "openapi": "3.0.3",`, "not JSON"},
		{"no document", `"info"`, `"inf"`, "info"},
		{"no operationId", `"operationId": "putBook",`, ``, "PUT /books/{id} has no operationId"},
		{"an operationId twice", `"putBook"`, `"getBook"`, "GET /books/{id} and PUT /books/{id} are both getBook"},
		{"no summary", `"summary": "Write a book",`, ``, "PUT /books/{id} has no summary"},
		{"an unknown tag", `"putBook", "tags": ["books"]`, `"putBook", "tags": ["x"]`, `PUT /books/{id} has the tags ["x"]`},
		{"no success", `"204": {"description": "Written."}, `, ``, "PUT /books/{id} lacks a success"},
		{"no errors", `, "4XX": {"$ref": "#/components/responses/Error"}`, ``, "PUT /books/{id} lacks a success or errors"},
		{"no schema", `{"schema": {"$ref": "#/components/schemas/Error"}}`, `{}`, "application/json has no schema"},
		{"no body", `"200": {"description": "It.", "content": {"text/plain": {"schema": {"type": "string"}}}}`, `"200": {"description": "It."}`, "GET /files/{rest} 200: has a body, false; want true"},
		{"no Retry-After", `"204": {"description": "Written."}`, `"204": {"description": "Written."}, "429": {"$ref": "#/components/responses/Error"}`, "PUT /books/{id} 429 has no Retry-After"},
		{"a reference to elsewhere", `"$ref": "#/components/schemas/Book"`, `"$ref": "https://x.test/book.json"`, "https://x.test/book.json"},
		{"a schema that is not used", `"OldError": {`, `"Film": {"type": "string"}, "OldError": {`, "#/components/schemas/Film is not used"},
		{"a scheme that is not used", `"security": [{"key": []}],`, ``, "#/components/securitySchemes/key is not used"},
		{"no error shapes", `"x-error-shapes": {"/": "Error", "/old": "OldError"},`, ``, "has no x-error-shapes"},
		{"an unknown error shape", `"/old": "OldError"`, `"/old": "Older"`, "there is no schema Older"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := bytes.Replace(small, []byte(tt.old), []byte(tt.with), 1)
			if bytes.Equal(bad, small) {
				t.Fatal("nothing was changed")
			}
			if found := fmt.Sprint(openapi.Lint(bad)); !strings.Contains(found, tt.want) {
				t.Errorf("found %s, want %s", found, tt.want)
			}
		})
	}
}

func TestCompareRoutes(t *testing.T) {
	files := []string{"GET /files/*", "HEAD /files/*", "POST /files/*", "PUT /files/*", "PATCH /files/*", "DELETE /files/*", "OPTIONS /files/*"}
	all := append([]string{"GET /books/:id", "HEAD /books/:id", "PUT /books/:id", "GET /books/new", "HEAD /books/new", "echo_route_not_found /files/*"}, files...)
	for _, tt := range []struct {
		name   string
		routes []string
		want   string
	}{
		{"the same", all, "[]"},
		{"one more", append([]string{"POST /books/:id"}, all...), "[the document has no POST /books/:id]"},
		{"one of any method", append([]string{"PROPFIND /files/*"}, all...), "[]"},
		{"one less", all[1:], "[the service has no GET /books/{id}]"},
		{"no HEAD", append([]string{"GET /books/:id"}, all[2:]...), "[the service has no HEAD /books/{id}]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fmt.Sprint(openapi.CompareRoutes(small, tt.routes)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
