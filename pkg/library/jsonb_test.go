package library

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/provisioner/provisioner/test/postgres"
)

func TestCanonical(t *testing.T) {
	for _, tt := range []struct {
		name, raw, want string
		err             error
	}{
		{"an empty object", `{ }`, `{}`, nil},
		{"an empty array", ` [ ] `, `[]`, nil},
		{"members by length and then bytes", `{"bb":1,"a":2,"ba":3,"é":4,"B":5}`, `{"B": 5, "a": 2, "ba": 3, "bb": 1, "é": 4}`, nil},
		{"of equal names the last", `{"a":1,"b":2,"a":3}`, `{"a": 3, "b": 2}`, nil},
		{"of names made equal the last", `{"a\u0000":1,"a":2,"\u0061":3}`, `{"a": 3}`, nil},
		{"deep inside too", `[{"b":{"d":[],"c":{}},"a":[1,[2]]}]`, `[{"a": [1, [2]], "b": {"c": {}, "d": []}}]`, nil},
		{"words", `[true,false,null]`, `[true, false, null]`, nil},
		{"escapes", `["\u0022\\\/\b\f\n\r\t\u0001\u001f\u007f\u00e9<>&\u2028"]`, "[\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\u007fé<>&\u2028\"]", nil},
		{"surrogates", `["\ud83d\ude00\ud800"]`, `["😀�"]`, nil},
		{"broken UTF-8", "[\"a\xffb\"]", "[\"a\ufffdb\"]", nil},
		{"plain numbers as they are", `[1,-1,1.50,0.10,123456789012345678901234567890]`, `[1, -1, 1.50, 0.10, 123456789012345678901234567890]`, nil},
		{"no minus before nothing", `[-0,-0.00,-0e5,-1e-999]`, `[0, 0.00, 0, 0]`, nil},
		{"exponents", `[1e2,1.5E+3,2.5e-3,1e21]`, `[100, 1500, 0.0025, 1000000000000000000000]`, nil},
		{"a number of 300 digits", strings.Repeat("9", 300), strings.Repeat("9", 300), nil},
		{"a number of 301 digits is rounded", "1" + strings.Repeat("0", 299) + ".5", "1" + strings.Repeat("0", 299), nil},
		{"a number of no end", strings.Repeat("9", 400), "", errTooLong},
		{"a number beyond all bits", `1e309`, "", errTooLong},
		{"nothing", ``, "", errNotJSON},
		{"two values", `1 2`, "", errNotJSON},
		{"half a list", `[1`, "", errNotJSON},
		{"half an object", `{"a"`, "", errNotJSON},
		{"a comma too many", `[1,]`, "", errNotJSON},
		{"a bracket of the other kind", `[1}`, "", errNotJSON},
		{"a hundred lists", strings.Repeat("[", 101) + strings.Repeat("]", 101), strings.Repeat("[", 101) + strings.Repeat("]", 101), nil},
		{"more lists", strings.Repeat("[", 102) + strings.Repeat("]", 102), "", errTooDeep},
		{"a list without end", strings.Repeat("[", 100_000), "", errTooDeep},
		{"too long", `"` + strings.Repeat("a", 1000) + `"`, "", errTooLong},
		{"too long for its commas", `[` + strings.Repeat("1,", 400) + `1]`, "", errTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := canonical([]byte(tt.raw), 1000)
			if !errors.Is(err, tt.err) || string(got) != tt.want {
				t.Errorf("canonical(%.200s)\n = %.1000s, %v\nwant %s, %v", tt.raw, got, err, tt.want, tt.err)
			}
		})
	}
}

// TestCanonicalIsAsPostgresPrintsIt has a real one print JSON as it was sent, without what it does not take, and as we keep it.
func TestCanonicalIsAsPostgresPrintsIt(t *testing.T) {
	db, err := pgx.Connect(t.Context(), postgres.NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(t.Context())) }()
	for _, raw := range []string{
		`{}`, `[]`, `{"bb":1,"a":[2,{"d":null,"c":false}],"ba":"x","é":4,"B":5,"":6,"a":7}`, `"\u0022\\\/\b\f\n\r\t\u0001\u001f\u007f\u00e9<>&\u2028😀"`,
		`[-0,-0.00,1.50,0.10,123456789012345678901234567890,1e2,1.5E+3,2.5e-3,1e21,-1e-7,5e-324,1.7976931348623157e308]`,
	} {
		want := ""
		if err := db.QueryRow(t.Context(), `SELECT $1::text::jsonb::text`, raw).Scan(&want); err != nil {
			t.Fatal(err)
		}
		got, err := canonical([]byte(raw), 10_000)
		if err != nil || string(got) != want {
			t.Errorf("canonical(%s)\n = %s, %v\nPostgres %s", raw, got, err, want)
		}
	}
}

// FuzzCanonical wants JSON that is canonical already, without what Postgres does not take.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"b":[1,-0,1e5,"\u0000\ud800"],"a":{"a":1,"a":2}}`, `[[[]]]`, `1e308`, `-0.000`, "[\"\xff\"]", `{"":null}`, `[1,]`, `"\u0000"`,
		strings.Repeat("9", 350), `0.` + strings.Repeat("1", 350), `5e-324`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := canonical(raw, 10_000)
		if err != nil {
			if got != nil {
				t.Errorf("canonical(%q) = %q with %v", raw, got, err)
			}
			return
		}
		if !json.Valid(got) || strings.Contains(string(got), `\u0000`) && !strings.Contains(string(got), `\\u0000`) {
			t.Errorf("canonical(%q) = %q", raw, got)
		}
		again, err := canonical(got, 10_000)
		if err != nil || string(again) != string(got) {
			t.Errorf("canonical(%q) = %q, and of that %q, %v", raw, got, again, err)
		}
	})
}
