package strictjson_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/strictjson"
)

type person struct {
	Name strictjson.Text `json:"name"`
}

func TestUnmarshalObject(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		want       strictjson.Text
		err        error
	}{
		{"a string", `{"name":"Zoë 🔑"}`, strictjson.Text{Value: "Zoë 🔑", Present: true, Valid: true}, nil},
		{"escapes", `{"name":"a\u0000\n"}`, strictjson.Text{Value: "a\x00\n", Present: true, Valid: true}, nil},
		{"white space around it", " \r\n{\"name\":\"a\"}\t", strictjson.Text{Value: "a", Present: true, Valid: true}, nil},
		{"missing", `{"other":1}`, strictjson.Text{}, nil},
		{"null", `{"name":null}`, strictjson.Text{Present: true}, nil},
		{"a number", `{"name":5}`, strictjson.Text{Present: true}, nil},
		{"an object", `{"name":{"a":[1]}}`, strictjson.Text{Present: true}, nil},
		{"another case is another name", `{"Name":"a"}`, strictjson.Text{}, nil},
		{"empty", ``, strictjson.Text{}, strictjson.ErrNotObject},
		{"null alone", `null`, strictjson.Text{}, strictjson.ErrNotObject},
		{"an array", `[{"name":"a"}]`, strictjson.Text{}, strictjson.ErrNotObject},
		{"a string alone", `"name"`, strictjson.Text{}, strictjson.ErrNotObject},
		{"two objects", `{}{}`, strictjson.Text{}, strictjson.ErrNotObject},
		{"cut off", `{"name":"a"`, strictjson.Text{}, strictjson.ErrNotObject},
		{"a name twice", `{"name":"a","name":"b"}`, strictjson.Text{}, strictjson.ErrNotObject},
		{"a name twice, once escaped", `{"name":"a","n\u0061me":"b"}`, strictjson.Text{}, strictjson.ErrNotObject},
		{"a name twice, deep inside", `{"x":{"a":1,"a":2}}`, strictjson.Text{}, strictjson.ErrNotObject},
		{"not UTF-8", "{\"name\":\"\xff\"}", strictjson.Text{}, strictjson.ErrNotObject},
		{"half a surrogate pair", `{"name":"\ud800"}`, strictjson.Text{}, strictjson.ErrNotObject},
		{"a byte order mark", "\xef\xbb\xbf{}", strictjson.Text{}, strictjson.ErrNotObject},
		{"a trailing comma", `{"name":"a",}`, strictjson.Text{}, strictjson.ErrNotObject},
		{"a comment", `{/**/}`, strictjson.Text{}, strictjson.ErrNotObject},
		{"nested too deep", strings.Repeat(`{"x":`, 20000) + "1" + strings.Repeat("}", 20000), strictjson.Text{}, strictjson.ErrNotObject},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got person
			err := strictjson.UnmarshalObject([]byte(tt.data), &got)
			if !errors.Is(err, tt.err) || got.Name != tt.want {
				t.Errorf("UnmarshalObject() = %+v, %v; want %+v, %v", got.Name, err, tt.want, tt.err)
			}
		})
	}
}

func FuzzUnmarshalObject(f *testing.F) {
	for _, seed := range []string{`{"name":"a"}`, `{"name":null}`, `null`, `{"a":1,"a":2}`, "{\"name\":\"\xff\"}", `{"name":"\ud83d\ude00"}`, `{"a":1e999}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got person
		if strictjson.UnmarshalObject(data, &got) != nil {
			return
		}
		var reference map[string]json.RawMessage // numbers are not looked at: JSON has those that no float64 can hold
		if err := json.Unmarshal(data, &reference); err != nil {
			t.Fatalf("accepted %q, which encoding/json refuses: %v", data, err)
		}
		var want string
		_ = json.Unmarshal(reference["name"], &want) // what is no string is ""
		if got.Name.Value != want {
			t.Errorf("decoded %q, encoding/json %q", got.Name.Value, want)
		}
	})
}
