package library_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/library"
)

const (
	notInteger = "must be a whole number of 32 bits"
	notReal    = "must be a finite number"
	notBoolean = "must be true or false"
	notTime    = "must be a time such as 2026-01-02T03:04:05Z"
	notList    = "must be a list of texts"
	notObject  = "must be a JSON object"
	notText    = "must be text"
	notKept    = "must be JSON of at most 262144 bytes, nested at most 100 deep"
)

// values are what devices give for a column, and what becomes of it; a fault leaves out the value.
var values = []struct {
	name, column, given string
	want                any
	fault               string
}{
	{"a text", "author", `"Zoë 🔑 李"`, "Zoë 🔑 李", ""},
	{"an empty text", "author", `""`, "", ""},
	{"null", "author", `null`, nil, ""},
	{"NULs go", "author", `"\u0000a\u0000b"`, "ab", ""},
	{"half a surrogate pair is replaced", "author", `"a\ud800b"`, "a\ufffdb", ""},
	{"escapes", "author", `"a\n\t\"\\\u00e9\ud83d\ude00"`, "a\n\t\"\\é😀", ""},
	{"an ISBN without quotes", "isbn", `9781234567890`, "9781234567890", ""},
	{"an ISBN field of 45", "isbn13", quote(strings.Repeat("978-1", 9)), strings.Repeat("978-1", 9), ""},
	{"a language of 24", "language", `"Brazilian Portuguese, ab"`, "Brazilian Portuguese, ab", ""},
	{"an author of 2,000", "author", quote(strings.Repeat("ö", 2000)), strings.Repeat("ö", 2000), ""},
	{"text at its limit", "author", quote(strings.Repeat("🔑", 10_000)), strings.Repeat("🔑", 10_000), ""},
	{"text over its limit is left out", "author", quote(strings.Repeat("a", 10_001)), nil, "must have at most 10000 characters"},
	{"a description of 1 MiB", "description", quote(strings.Repeat("ü", 1<<20)), strings.Repeat("ü", 1<<20), ""},
	{"a boolean for a text", "author", `true`, nil, notText},
	{"a list for a text", "author", `["a"]`, nil, notText},
	{"a known reading status", "reading_status", `"inProgress"`, "inProgress", ""},
	{"any reading status", "reading_status", `"on the shelf"`, "on the shelf", ""},
	{"a reading status of 65", "reading_status", quote(strings.Repeat("a", 65)), nil, "must have at most 64 characters"},
	{"a title over its limit is cut", "title", quote(strings.Repeat("ü", 10_001)), strings.Repeat("ü", 10_000), "was cut to 10000 characters"},
	{"an empty title", "title", `""`, "Untitled Book", ""},
	{"a title of NULs", "title", `"\u0000"`, "Untitled Book", ""},
	{"no title", "title", `null`, "Untitled Book", ""},
	{"a number for a title", "title", `1984`, "1984", ""},

	{"an integer", "page_count", `320`, int64(320), ""},
	{"an integral float", "page_count", `320.0`, int64(320), ""},
	{"an integer with an exponent", "page_count", `3.2e2`, int64(320), ""},
	{"a numeric string", "page_count", `"320"`, int64(320), ""},
	{"a numeric string with a fraction of nothing", "page_count", `" 320.00 "`, int64(320), ""},
	{"the least integer", "page_count", `-2147483648`, int64(math.MinInt32), ""},
	{"the greatest integer", "page_count", `2147483647`, int64(math.MaxInt32), ""},
	{"beyond 32 bits", "page_count", `2147483648`, nil, notInteger},
	{"64 bits", "page_count", `9223372036854775807`, nil, notInteger},
	{"beyond all bits", "page_count", `1e999`, nil, notInteger},
	{"a fraction", "page_count", `3.5`, nil, notInteger},
	{"letters", "page_count", `"many"`, nil, notInteger},
	{"hexadecimal", "page_count", `"0x10"`, nil, notInteger},
	{"an empty numeric string", "page_count", `""`, nil, notInteger},
	{"a boolean for an integer", "rating", `true`, nil, notInteger},
	{"null for an integer", "rating", `null`, nil, ""},

	{"a real", "current_position", `0.25`, 0.25, ""},
	{"a whole real", "current_position", `1`, 1.0, ""},
	{"a real in text", "current_position", `"0.5"`, 0.5, ""},
	{"minus nothing is nothing", "current_position", `-0.0`, 0.0, ""},
	{"too small to be told from nothing", "current_position", `1e-999`, 0.0, ""},
	{"NaN in text", "current_position", `"NaN"`, nil, notReal},
	{"infinity in text", "current_position", `"Infinity"`, nil, notReal},
	{"not finite", "current_position", `1e999`, nil, notReal},
	{"null for a real", "current_position", `null`, nil, ""},

	{"true", "is_favorite", `true`, int64(1), ""},
	{"false", "is_favorite", `false`, int64(0), ""},
	{"one", "is_favorite", `1`, int64(1), ""},
	{"zero", "is_favorite", `0`, int64(0), ""},
	{"one point zero", "is_favorite", `1.0`, int64(1), ""},
	{"true in text", "is_favorite", `"true"`, int64(1), ""},
	{"zero in text", "is_favorite", `"0"`, int64(0), ""},
	{"null is false", "is_favorite", `null`, int64(0), ""},
	{"two", "is_favorite", `2`, int64(0), notBoolean},
	{"yes", "is_favorite", `"yes"`, int64(0), notBoolean},

	{"a time in UTC", "added_at", `"2026-01-02T03:04:05Z"`, "2026-01-02T03:04:05.000000Z", ""},
	{"a time of milliseconds", "added_at", `"2026-01-02T03:04:05.678Z"`, "2026-01-02T03:04:05.678000Z", ""},
	{"a time of nanoseconds", "added_at", `"2026-01-02T03:04:05.678912345Z"`, "2026-01-02T03:04:05.678912Z", ""},
	{"a time with a zone", "added_at", `"2026-01-02T03:04:05+05:30"`, "2026-01-01T21:34:05.000000Z", ""},
	{"a time with a short zone", "added_at", `"2026-01-02 03:04:05.5-08"`, "2026-01-02T11:04:05.500000Z", ""},
	{"a time without zone is in UTC", "added_at", `"2026-01-02T03:04:05.678"`, "2026-01-02T03:04:05.678000Z", ""},
	{"a time without zone and T", "added_at", `"2026-01-02 03:04:05"`, "2026-01-02T03:04:05.000000Z", ""},
	{"a day", "added_at", `"2026-01-02"`, "2026-01-02T00:00:00.000000Z", ""},
	{"the first year", "added_at", `"0001-01-01T00:00:00Z"`, "0001-01-01T00:00:00.000000Z", ""},
	{"the last year", "added_at", `"9999-12-31T23:59:59.999999Z"`, "9999-12-31T23:59:59.999999Z", ""},
	{"before the first year", "added_at", `"0001-01-01T00:00:00+01:00"`, atNoon, notTime},
	{"after the last year", "added_at", `"9999-12-31T23:59:59-01:00"`, atNoon, notTime},
	{"the 30th of February", "added_at", `"2026-02-30"`, atNoon, notTime},
	{"seconds since 1970", "added_at", `1767323045`, atNoon, notTime},
	{"a word for a time", "added_at", `"yesterday"`, atNoon, notTime},
	{"no time", "added_at", `null`, atNoon, ""},
	{"a time of the server's", "updated_at", `"2000-01-01T00:00:00Z"`, atNoon, ""},

	{"a list", "co_authors", `["Ann","Bob"]`, `["Ann", "Bob"]`, ""},
	{"a list in text", "co_authors", `"[\"Ann\",\"Bob\"]"`, `["Ann", "Bob"]`, ""},
	{"an empty list", "co_authors", `[]`, `[]`, ""},
	{"a list with NUL", "co_authors", `["A\u0000nn"]`, `["Ann"]`, ""},
	{"a list of brackets", "co_authors", `["{[1,true]}","\"","\\"]`, `["{[1,true]}", "\"", "\\"]`, ""},
	{"a list with a number", "co_authors", `["Ann",1]`, nil, notList},
	{"a list of lists", "co_authors", `[["Ann"]]`, nil, notList},
	{"a list with null", "co_authors", `[null]`, nil, notList},
	{"an object for a list", "co_authors", `{"a":"b"}`, nil, notList},
	{"text for a list", "co_authors", `"Ann, Bob"`, nil, notList},
	{"half a list in text", "co_authors", `"[\"Ann\""`, nil, notList},
	{"two lists in text", "co_authors", `"[][]"`, nil, notList},
	{"a list over its limit", "co_authors", `["` + strings.Repeat("a", 256<<10) + `"]`, nil, notKept},
	{"null for a list", "co_authors", `null`, nil, ""},

	{"an object", "custom_metadata", `{"b":1,"a":[true,null]}`, `{"a": [true, null], "b": 1}`, ""},
	{"an object in text", "custom_metadata", `"{\"b\":1}"`, `{"b": 1}`, ""},
	{"an empty object", "custom_metadata", `{}`, `{}`, ""},
	{"a list for an object", "custom_metadata", `[1]`, nil, notObject},
	{"half an object in text", "custom_metadata", `"{\"b\""`, nil, notObject},
	{"a number no database takes", "custom_metadata", `{"a":1e999}`, nil, notKept},
	{"an object at the limit of depth", "custom_metadata", nested(100), strings.ReplaceAll(nested(100), ":", ": "), ""},
	{"an object nested too deep", "custom_metadata", nested(101), nil, notKept},
	{"an object over its limit", "custom_metadata", `{"a":"` + strings.Repeat("a", 256<<10) + `"}`, nil, notKept},
	{"an object of far more than its limit", "custom_metadata", `{"a":"` + strings.Repeat(`\u0000`, 1<<19) + `"}`, nil, notKept},
	{"numbers that grow over the limit", "custom_metadata", `{"a":[` + strings.Repeat("1e300,", 1000) + `1]}`, nil, notKept},
}

const atNoon = "2026-03-20T12:00:00.123456Z"

// nested returns objects, so deep in each other.
func nested(depth int) string {
	return strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth)
}

func TestValues(t *testing.T) {
	for _, tt := range values {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig()
			want := `{"applied_count":1}`
			if tt.fault != "" {
				want = fmt.Sprintf(`{"applied_count":1,"warnings":[{"op_id":11,"field":"%s","message":"%s"}]}`, tt.column, tt.fault)
			}
			r.mustUpload(t, batch(operation("11", "PUT", bookA, `{"`+tt.column+`":`+tt.given+`}`)), want)
			r.wantBook(t, bookA, tt.column, tt.want)
		})
	}
}

// TestValuesInAChange wants that what cannot be used leaves what there was.
func TestValuesInAChange(t *testing.T) {
	for _, tt := range values {
		if tt.fault == "" || tt.column == "title" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			r := newRig()
			r.mustUpload(t, batch(operation("11", "PUT", bookA, `{"author":"a","isbn":"1","language":"en","reading_status":"unread","page_count":1,`+
				`"rating":2,"current_position":0.5,"is_favorite":1,"added_at":"2020-01-01","co_authors":["a"],"custom_metadata":{"a":1},"description":"d"}`)), `{"applied_count":1}`)
			before := r.book(bookA, tt.column)
			r.mustUpload(t, batch(operation("12", "PATCH", bookA, `{"`+tt.column+`":`+tt.given+`}`)),
				fmt.Sprintf(`{"applied_count":1,"warnings":[{"op_id":12,"field":"%s","message":"%s"}]}`, tt.column, tt.fault))
			r.wantBook(t, bookA, tt.column, before)
			if len(r.changes) != 0 {
				t.Errorf("changes %v", r.changes)
			}
		})
	}
}

func TestChangesToNull(t *testing.T) {
	r := newRig()
	r.mustUpload(t, batch(operation("11", "PUT", bookA, `{"title":"Book","author":"a","is_favorite":1,"added_at":"2020-01-01","co_authors":["a"],"custom_metadata":{"a":1}}`)), `{"applied_count":1}`)
	r.mustUpload(t, batch(operation("12", "PATCH", bookA, `{"title":null,"author":null,"is_favorite":null,"added_at":null,"co_authors":null,"custom_metadata":null}`)), `{"applied_count":1}`)
	r.wantBook(t, bookA, "title", "Untitled Book", "author", nil, "is_favorite", int64(0), "added_at", "2020-01-01T00:00:00.000000Z", "co_authors", nil, "custom_metadata", nil)
}

// TestAnEmptyObjectIsNotMeant: shipped clients send it in changes of other columns.
func TestAnEmptyObjectIsNotMeant(t *testing.T) {
	r := newRig()
	r.mustUpload(t, batch(operation("11", "PUT", bookA, `{"custom_metadata":{"a":1}}`)), `{"applied_count":1}`)
	for i, empty := range []string{`{}`, `"{}"`, `" { } "`} {
		r.mustUpload(t, batch(operation(fmt.Sprint(12+i), "PATCH", bookA, `{"custom_metadata":`+empty+`}`)), `{"applied_count":1}`)
		r.wantBook(t, bookA, "custom_metadata", `{"a": 1}`)
	}
	r.mustUpload(t, batch(operation("20", "PUT", bookA, `{"custom_metadata":{}}`)), `{"applied_count":1}`)
	r.wantBook(t, bookA, "custom_metadata", `{}`)
}

func TestFieldsThatAreNotKnown(t *testing.T) {
	r := newRig()
	r.mustUpload(t, batch(operation("11", "PUT", bookA, `{"id":"x","book_id":"x","owner_user_id":"`+stranger+`","updated_at":1,"title":"Book","shelf":"top","":1,"a\u0000b":1}`)),
		`{"applied_count":1,"warnings":[{"op_id":11,"field":"shelf","message":"is not known to this server"},`+
			`{"op_id":11,"field":"","message":"is not known to this server"},{"op_id":11,"field":"ab","message":"is not known to this server"}]}`)
	r.wantBook(t, bookA, "title", "Book", "updated_at", atNoon)
	if owner := r.owners[library.Ref{Table: library.Books, ID: bookA}]; owner != reader {
		t.Errorf("owner %s", owner)
	}
}

func TestWarningsAreBounded(t *testing.T) {
	var fields []string
	for i := range 500 {
		fields = append(fields, fmt.Sprintf(`"%s%d":1`, strings.Repeat("ü", 1000), i))
	}
	r := newRig()
	answer, err := r.Upload(t.Context(), device, batch(operation("11", "PUT", bookA, "{"+strings.Join(fields, ",")+"}")))
	if err != nil || strings.Count(string(answer.JSON), "op_id") != 100 || len(answer.JSON) > 20_000 {
		t.Errorf("%d bytes: %.300s, %v", len(answer.JSON), answer.JSON, err)
	}
}
