package library_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/library"
)

const (
	applied0 = `{"applied_count":0}`
	applied1 = `{"applied_count":1}`
	applied2 = `{"applied_count":2}`
)

// rejected is the answer to a transaction that one operation rejects.
func rejected(opID, id, code, message string) string {
	return fmt.Sprintf(`{"applied_count":0,"rejected":[{"op_id":%s,"id":"%s","code":"%s","message":"%s"}]}`, opID, id, code, message)
}

func TestUploadOfTheContract(t *testing.T) {
	r := newRig()
	r.mustUpload(t, batch(operation("11", "PUT", bookA, `{"title":"Book"}`)), applied1)
	want := library.Row{
		"Book", nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, int64(0), nil, nil, atNoon, atNoon,
	}
	if diff := cmp.Diff([]library.Change{{Ref: library.Ref{Table: library.Books, ID: bookA}, Row: want}}, r.changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestElements(t *testing.T) {
	for _, tt := range []struct{ name, element, want string }{
		{"table for type", `{"op_id":1,"op":"PUT","table":"books","id":"` + bookA + `","data":{"author":"a"}}`, applied1},
		{"op_data for data", `{"op_id":1,"op":"PUT","type":"books","id":"` + bookA + `","op_data":{"author":"a"}}`, applied1},
		{"opData for data", `{"op_id":1,"op":"PUT","type":"books","id":"` + bookA + `","opData":{"author":"a"}}`, applied1},
		{"an op in small letters", `{"op_id":1,"op":"put","type":"books","id":"` + bookA + `","data":{"author":"a"}}`, applied1},
		{"an op in letters of both cases", `{"op_id":1,"op":"Put","type":"books","id":"` + bookA + `","data":{"author":"a"}}`, applied1},
		{"an id in capitals", `{"op_id":1,"op":"PUT","type":"books","id":"` + strings.ToUpper(bookA) + `","data":{"author":"a"}}`, applied1},
		{"numbers in text", `{"op_id":"1","tx_id":"2","op":"PUT","type":"books","id":"` + bookA + `","data":{"author":"a"}}`, applied1},
		{"no numbers", `{"op":"PUT","type":"books","id":"` + bookA + `","data":{"author":"a"}}`, applied1},
		{"data first", `{"data":{"author":"a"},"id":"` + bookA + `","type":"books","op":"PUT","op_id":1}`, applied1},
		{"null is as good as none", `{"op_id":1,"op":"PUT","table":"books","type":null,"id":"` + bookA + `","data":{"author":"a"},"op_data":null}`, applied1},
		{"of equal names the last counts", `{"op":"SING","op_id":1,"op":"PUT","type":"books","id":"x","id":"` + bookA + `","data":{"author":"b","author":"a"}}`, applied1},
		{"names with escapes", `{"\u006fp":"PUT","op_id":1,"type":"b\u006foks","id":"` + bookA + `","data":{"auth\u006fr":"a"}}`, applied1},
		{"members that are not known", `{"op_id":1,"op":"PUT","type":"books","id":"` + bookA + `","data":{"author":"a"},"x":{"y":[]}}`, applied1},
		{"broken UTF-8 around it", "{\"op_id\":1,\"op\":\"PUT\",\"type\":\"books\",\"id\":\"" + bookA + "\",\"data\":{\"author\":\"a\"},\"x\":\"\xff\"}", applied1},

		{"no op", `{"op_id":1,"type":"books","id":"` + bookA + `"}`, rejected("1", bookA, "UNKNOWN_OP", "The operation is none of PUT, PATCH and DELETE")},
		{"another op", `{"op_id":1,"op":"MERGE","type":"books","id":"` + bookA + `"}`, rejected("1", bookA, "UNKNOWN_OP", "The operation is none of PUT, PATCH and DELETE")},
		{"an op that is no text", `{"op_id":1,"op":1,"type":"books","id":"` + bookA + `"}`, rejected("1", bookA, "UNKNOWN_OP", "The operation is none of PUT, PATCH and DELETE")},
		{"no table", `{"op_id":1,"op":"PUT","id":"` + bookA + `"}`, rejected("1", bookA, "UNKNOWN_TABLE", "There is no such table")},
		{"another table", `{"op_id":1,"op":"PUT","type":"users","id":"` + bookA + `"}`, rejected("1", bookA, "UNKNOWN_TABLE", "There is no such table")},
		{"a table in capitals", `{"op_id":1,"op":"PUT","type":"BOOKS","id":"` + bookA + `"}`, rejected("1", bookA, "UNKNOWN_TABLE", "There is no such table")},
		{"no id", `{"op_id":1,"op":"PUT","type":"books"}`, rejected("1", "", "INVALID_ID", "The id is not a UUID")},
		{"an id that is no text", `{"op_id":1,"op":"PUT","type":"books","id":5}`, rejected("1", "", "INVALID_ID", "The id is not a UUID")},
		{"an id of another kind", `{"op_id":1,"op":"PUT","type":"books","id":"book-1"}`, rejected("1", "book-1", "INVALID_ID", "The id is not a UUID")},
		{"an id in braces", `{"op_id":1,"op":"PUT","type":"books","id":"{` + bookA + `}"}`, rejected("1", "{"+bookA+"}", "INVALID_ID", "The id is not a UUID")},
		{"a long id is not shown whole", `{"op_id":1,"op":"PUT","type":"books","id":"` + strings.Repeat("a", 100) + `"}`, rejected("1", strings.Repeat("a", 64), "INVALID_ID", "The id is not a UUID")},
		{"an element that is no object", `5`, rejected("null", "", "UNKNOWN_OP", "The operation is none of PUT, PATCH and DELETE")},
		{"an element that is null", `null`, rejected("null", "", "UNKNOWN_OP", "The operation is none of PUT, PATCH and DELETE")},
		{"an element that is a list", `[[]]`, rejected("null", "", "UNKNOWN_OP", "The operation is none of PUT, PATCH and DELETE")},
		{"a number of an operation beyond 64 bits", `{"op_id":9223372036854775808,"op":"PUT","type":"books"}`, rejected("null", "", "INVALID_ID", "The id is not a UUID")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig()
			r.mustUpload(t, batch(tt.element), tt.want)
			want := any("none")
			if tt.want == applied1 {
				want = "a"
			}
			r.wantBook(t, bookA, "author", want)
			if letters := len(r.letters); (letters == 1) == (tt.want == applied1) {
				t.Errorf("%d dead letters", letters)
			}
		})
	}
}

func TestDataThatIsNoObject(t *testing.T) {
	for _, data := range []string{`5`, `"{}"`, `[]`, `true`} {
		r := newRig()
		r.mustUpload(t, batch(operation("11", "PUT", bookA, data)), `{"applied_count":1,"warnings":[{"op_id":11,"field":"data","message":"must be a JSON object"}]}`)
		r.wantBook(t, bookA, "title", "Untitled Book")
		r.mustUpload(t, batch(operation("12", "DELETE", bookA, data)), applied1)
	}
}

// step is one upload of a device, and its answer.
type step struct {
	op, data, want string
}

func TestOperations(t *testing.T) {
	put, patch, remove := func(data, want string) step { return step{"PUT", data, want} }, func(data, want string) step { return step{"PATCH", data, want} }, step{"DELETE", "", applied1}
	for _, tt := range []struct {
		name  string
		steps []step
		title any
	}{
		{"a PUT makes a row", []step{put(`{"title":"A"}`, applied1)}, "A"},
		{"a PUT without title", []step{put(`{"author":"a"}`, applied1)}, "Untitled Book"},
		{"a PUT without data", []step{put(``, applied1)}, "Untitled Book"},
		{"a PUT replaces the given columns", []step{put(`{"title":"A"}`, applied1), put(`{"title":"B"}`, applied1)}, "B"},
		{"a PUT leaves the other columns", []step{put(`{"title":"A"}`, applied1), put(`{"author":"b"}`, applied1)}, "A"},
		{"a PATCH changes a row", []step{put(`{"title":"A"}`, applied1), patch(`{"title":"B"}`, applied1)}, "B"},
		{"a PATCH leaves the other columns", []step{put(`{"title":"A"}`, applied1), patch(`{"author":"b"}`, applied1)}, "A"},
		{"a PATCH of nothing", []step{put(`{"title":"A"}`, applied1), patch(`{}`, applied1)}, "A"},
		{"a PATCH makes no row", []step{patch(`{"title":"A"}`, applied0)}, "none"},
		{"a DELETE removes a row", []step{put(`{"title":"A"}`, applied1), remove}, "none"},
		{"a DELETE of what is not there", []step{{"DELETE", "", applied0}}, "none"},
		{"a DELETE of what is not there leaves no tombstone", []step{{"DELETE", "", applied0}, put(`{"title":"A"}`, applied1)}, "A"},
		{"a second DELETE", []step{put(`{"title":"A"}`, applied1), remove, {"DELETE", "", applied0}}, "none"},
		{"no PUT brings back what was deleted", []step{put(`{"title":"A"}`, applied1), remove, put(`{"title":"B"}`, applied0)}, "none"},
		{"no PATCH brings back what was deleted", []step{put(`{"title":"A"}`, applied1), remove, patch(`{"title":"B"}`, applied0)}, "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig()
			for i, s := range tt.steps {
				r.mustUpload(t, batch(operation(fmt.Sprint(i), s.op, bookA, s.data)), s.want)
			}
			r.wantBook(t, bookA, "title", tt.title)
		})
		t.Run(tt.name+", in one transaction", func(t *testing.T) {
			r := newRig()
			var elements []string
			applied := 0
			for i, s := range tt.steps {
				elements = append(elements, operation(fmt.Sprint(i), s.op, bookA, s.data))
				if s.want == applied1 {
					applied++
				}
			}
			r.mustUpload(t, batch(elements...), fmt.Sprintf(`{"applied_count":%d}`, applied))
			r.wantBook(t, bookA, "title", tt.title)
			if len(r.changes) > 1 {
				t.Errorf("changes %v", r.changes)
			}
		})
	}
}

func TestCreatedAndDeletedInOneTransactionLeavesATombstone(t *testing.T) {
	r := newRig()
	r.mustUpload(t, batch(operation("1", "PUT", bookA, `{}`), operation("2", "DELETE", bookA, ``)), applied2)
	r.mustUpload(t, batch(operation("3", "PUT", bookA, `{}`)), applied0)
}

func TestAnUnchangedRowWritesNothing(t *testing.T) {
	r := newRig()
	data := `{"title":"Book","page_count":"320","is_favorite":true,"custom_metadata":{"b":1,"a":2},"added_at":"2026-01-02 03:04:05","current_position":-0.0}`
	r.mustUpload(t, batch(operation("1", "PUT", bookA, data)), applied1)
	for i, op := range []string{"PUT", "PATCH"} {
		r.mustUpload(t, batch(operation(fmt.Sprint(i+2), op, bookA, data), operation(fmt.Sprint(i+5), "PATCH", bookA, `{"title":"B"}`), operation(fmt.Sprint(i+8), "PATCH", bookA, `{"title":"Book"}`)), `{"applied_count":3}`)
		if len(r.changes) != 0 {
			t.Errorf("changes %v", r.changes)
		}
	}
}

func TestAllOrNothing(t *testing.T) {
	r := newRig()
	r.mustUploadAs(t, library.Device{UserID: stranger, SessionID: session}, batch(operation("1", "PUT", bookB, `{"title":"Theirs"}`)), applied1)
	const foreign = "The row is another user's"
	for _, op := range []string{"PUT", "PATCH", "DELETE"} {
		r.mustUpload(t, batch(operation("11", "PUT", bookA, `{"title":"Mine"}`), operation("12", op, bookB, `{"title":"Mine"}`)), rejected("12", bookB, "FORBIDDEN", foreign))
	}
	r.wantBook(t, bookA, "title", "none")
	if got := r.rows[library.Ref{Table: library.Books, ID: bookB}].Row[0]; got != "Theirs" {
		t.Errorf("their book is called %v", got)
	}
	r.mustUpload(t, batch(operation("13", "PUT", bookA, `{}`), `{"op_id":14,"op":"PUT","type":"x","id":"x"}`, `{"op_id":15,"op":"x"}`),
		`{"applied_count":0,"rejected":[{"op_id":14,"id":"x","code":"UNKNOWN_TABLE","message":"There is no such table"},{"op_id":15,"id":"","code":"UNKNOWN_OP","message":"The operation is none of PUT, PATCH and DELETE"}]}`)
	r.wantBook(t, bookA, "title", "none")
}

// TestTombstonesAreOnesOwn: an id that another user had and deleted tells nobody anything.
func TestTombstonesAreOnesOwn(t *testing.T) {
	r := newRig()
	r.mustUploadAs(t, library.Device{UserID: stranger, SessionID: session}, batch(operation("1", "PUT", bookA, `{}`), operation("2", "DELETE", bookA, ``)), applied2)
	r.mustUpload(t, batch(operation("1", "PUT", bookA, `{"title":"Mine"}`)), applied1)
	r.wantBook(t, bookA, "title", "Mine")
}

func TestRejectionsAreBounded(t *testing.T) {
	r := newRig()
	answer, err := r.Upload(t.Context(), device, batch(strings.Repeat("5,", 10_000)+"5"))
	if err != nil || strings.Count(string(answer.JSON), "op_id") != 100 || strings.Count(string(r.letters[0].Rejected), "op_id") != 100 {
		t.Errorf("%d bytes, %v", len(answer.JSON), err)
	}
}

func TestWhatIsToldOfARejectedUpload(t *testing.T) {
	r := newRig()
	body := batch(operation("11", "PUT", "x", `{"title":"a secret"}`))
	answer, err := r.Upload(t.Context(), device, body)
	if err != nil || answer.Result != library.Rejected {
		t.Fatalf("%s, %v", answer.Result, err)
	}
	letter := r.letters[0]
	at := noon.Truncate(1000)
	want := library.DeadLetter{
		ID: letter.ID, UserID: reader, SessionID: session, ReceivedAt: at, Body: []byte(body), Size: int64(len(body)),
		Rejected: []byte(`[{"op_id":11,"id":"x","code":"INVALID_ID","message":"The id is not a UUID"}]`),
	}
	if diff := cmp.Diff(want, letter); diff != "" || !letter.Whole() || letter.ID == "" {
		t.Errorf("dead letter (-want +got):\n%s", diff)
	}
	told := []audit.Entry{{At: at, Kind: audit.UploadRejected, UserID: reader, SessionID: session, Detail: "INVALID_ID", Count: 1}}
	if diff := cmp.Diff(told, r.audit); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	if log := r.log.String(); !strings.Contains(log, `level=INFO msg="upload rejected"`) || !strings.Contains(log, letter.ID) || strings.Contains(log, "secret") {
		t.Errorf("log: %s", log)
	}
}

func TestExactlyOnce(t *testing.T) {
	r := newRig()
	first := batch(operation("1", "PUT", bookA, `{"title":"A"}`), operation("2", "DELETE", bookB, ``))
	r.mustUpload(t, first, applied1)
	r.mustUpload(t, batch(operation("3", "PATCH", bookA, `{"title":"B"}`)), applied1)
	for name, again := range map[string]string{
		"the same":           first,
		"in another form":    strings.ReplaceAll(strings.ReplaceAll(first, ":", " : "), `"op_id" : 1`, `"op_id":"1"`),
		"in another letters": strings.ReplaceAll(strings.ReplaceAll(first, "PUT", "put"), `"data"`, `"opData"`),
	} {
		answer, err := r.Upload(t.Context(), device, again)
		if err != nil || string(answer.JSON) != applied1 || answer.Result != library.Repeated {
			t.Errorf("%s: %s %s, %v", name, answer.Result, answer.JSON, err)
		}
		r.wantBook(t, bookA, "title", "B")
	}
	for name, other := range map[string]string{
		"another operation":   strings.Replace(first, `"op_id":1`, `"op_id":5`, 1),
		"another transaction": strings.ReplaceAll(first, `"tx_id":22`, `"tx_id":23`),
		"another value":       strings.Replace(first, `"A"`, `"C"`, 1),
		"another order":       batch(operation("2", "DELETE", bookB, ``), operation("1", "PUT", bookA, `{"title":"A"}`)),
	} {
		if answer, err := r.Upload(t.Context(), device, other); err != nil || answer.Result != library.Applied {
			t.Errorf("%s: %s, %v", name, answer.Result, err)
		}
	}
}

func TestWithoutNumbersTwoEqualUploadsAreTwo(t *testing.T) {
	r := newRig()
	body := strings.ReplaceAll(batch(operation("1", "PUT", bookA, `{"title":"A"}`)), `"op_id":1,`, ``)
	r.mustUpload(t, body, applied1)
	r.mustUpload(t, batch(operation("2", "PATCH", bookA, `{"title":"B"}`)), applied1)
	r.mustUpload(t, body, applied1)
	r.wantBook(t, bookA, "title", "A")
}

func TestARepeatedRejectionIsKeptOnce(t *testing.T) {
	r := newRig()
	body := batch(`{"op_id":1,"op":"PUT","type":"pets","id":"` + bookA + `","data":{"name":"Rex"}}`)
	want := rejected("1", bookA, "UNKNOWN_TABLE", "There is no such table")
	r.mustUpload(t, body, want)
	r.mustUpload(t, body, want)
	r.mustUpload(t, strings.Replace(body, "Rex", "Max", 1), want)
	if len(r.letters) != 2 || len(r.audit) != 2 {
		t.Errorf("%d dead letters, %d entries, want 2", len(r.letters), len(r.audit))
	}
}

func TestWhatIsNoUpload(t *testing.T) {
	for name, body := range map[string]string{
		"nothing": ``, "no JSON": `batch`, "null": `null`, "a list": `[]`, "a string": `"{}"`, "no batch": `{}`, "batch is null": `{"batch":null}`,
		"batch is an object": `{"batch":{}}`, "batch in capitals": `{"BATCH":[]}`, "batch with a NUL": `{"batch\u0000":[]}`, "half an object": `{"batch":[]`, "half a list": `{"batch":[{}`,
		"half an element": `{"batch":[{"op":`, "something after it": `{"batch":[]} x`, "two objects": `{"batch":[]}{}`, "a comma too many": `{"batch":[],}`,
		"a byte order mark": "\ufeff" + `{"batch":[]}`, "the last batch is none": `{"batch":[],"batch":1}`, "a raw NUL": "{\"batch\":[\"\x00\"]}",
		"no end of lists": `{"batch":` + strings.Repeat("[", 100_000), "no value": `{"batch":[{"op":}]}`, "no colon": `{"batch" []}`, "a name that is none": `{1:[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig()
			if answer, err := r.Upload(t.Context(), device, body); !errors.Is(err, library.ErrMalformed) {
				t.Errorf("%s, %v", answer.JSON, err)
			}
			if len(r.letters) != 0 {
				t.Error("a dead letter")
			}
		})
	}
}

func TestAnEmptyBatch(t *testing.T) {
	for _, body := range []string{`{"batch":[]}`, ` { "x" : 1 , "batch" : [ ] } `, `{"batch":[5],"batch":[]}`} {
		newRig().mustUpload(t, body, applied0)
	}
}

func TestOfTwoBatchesTheLastCounts(t *testing.T) {
	r := newRig()
	r.mustUpload(t, `{"batch":[5,`+operation("1", "PUT", bookB, ``)+`],"batch":[`+operation("2", "PUT", bookA, `{"title":"A"}`)+`]}`, applied1)
	r.wantBook(t, bookA, "title", "A")
	r.wantBook(t, bookB, "title", "none")
}

func TestOverTheSize(t *testing.T) {
	tooLarge := func(opID, id string) string {
		return rejected(opID, id, "PAYLOAD_TOO_LARGE", "The transaction has more than 1000 bytes")
	}
	element := operation("11", "PUT", bookA, `{"title":"A"}`)
	for _, tt := range []struct{ name, body, want string }{
		{"the first operation is known", batch(element, operation("12", "PUT", bookB, `{"title":"`+strings.Repeat("a", 1000)+`"}`)), tooLarge("11", bookA)},
		{"the first operation is the long one", batch(`{"op_id":11,"id":"` + bookA + `","data":{"title":"` + strings.Repeat("a", 1000) + `"}}`), tooLarge("11", bookA)},
		{"nothing is known of an operation", batch(`{"data":{"title":"` + strings.Repeat("a", 1000) + `"},"op_id":11}`), tooLarge("null", "")},
		{"what is over the size may be anything", `{"batch":[` + strings.Repeat(" ", 1000) + `x`, tooLarge("null", "")},
		{"a byte too many behind the object", batch(element) + strings.Repeat(" ", 1001-len(batch(element))), tooLarge("11", bookA)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(func(c *library.Config) { c.MaxBody = 1000 })
			r.mustUpload(t, tt.body, tt.want)
			r.wantBook(t, bookA, "title", "none")
			if len(r.letters) != 1 || r.letters[0].Size != int64(len(tt.body)) {
				t.Errorf("dead letters %+v", r.letters)
			}
		})
	}
	t.Run("at the size", func(t *testing.T) {
		r := newRig(func(c *library.Config) { c.MaxBody = 1000 })
		r.mustUpload(t, batch(element)+strings.Repeat(" ", 1000-len(batch(element))), applied1)
	})
}

func TestOnlyTheHeadOfALongLetterIsKept(t *testing.T) {
	for _, tt := range []struct {
		name       string
		size, kept int
	}{{"at the limit", 4 << 20, 4 << 20}, {"over it", 4<<20 + 1, 64 << 10}, {"far over the size", 40 << 20, 64 << 10}} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(func(c *library.Config) { c.MaxBody = 16 << 20 })
			body := `{"batch":["`
			body += strings.Repeat("a", tt.size-len(body)-3) + `"]}`
			answer, err := r.Upload(t.Context(), device, body)
			if err != nil || answer.Result != library.Rejected {
				t.Fatalf("%s, %v", answer.JSON, err)
			}
			l := r.letters[0]
			if l.Size != int64(tt.size) || string(l.Body) != body[:tt.kept] || l.Whole() != (tt.kept == tt.size) {
				t.Errorf("%d bytes of %d, whole: %t", len(l.Body), l.Size, l.Whole())
			}
			if _, err := r.Replay(t.Context(), l); !l.Whole() && !errors.Is(err, library.ErrNotWhole) {
				t.Errorf("replayed: %v", err)
			}
		})
	}
}

func TestABodyThatBreaksOff(t *testing.T) {
	broken := errors.New("connection reset")
	for _, sent := range []string{``, `{"batch":[`, batch(operation("1", "PUT", bookA, ``)), batch(operation("1", "PUT", bookA, ``)) + strings.Repeat(" ", 2000)} {
		r := newRig(func(c *library.Config) { c.MaxBody = 1000 })
		_, err := r.Uploader.Upload(t.Context(), device, io.MultiReader(strings.NewReader(sent), iotest.ErrReader(broken)))
		if !errors.Is(err, library.ErrIncomplete) || !errors.Is(err, broken) {
			t.Errorf("%.100s: %v", sent, err)
		}
		if len(r.rows)+len(r.letters) != 0 {
			t.Errorf("%.100s: something was kept", sent)
		}
	}
}

func TestAnAccountThatIsGone(t *testing.T) {
	r := newRig()
	r.gone = true
	if _, err := r.Upload(t.Context(), device, batch(operation("1", "PUT", bookA, ``))); !errors.Is(err, library.ErrNoUser) {
		t.Error(err)
	}
}

func TestReplay(t *testing.T) {
	r := newRig()
	theirs := library.Device{UserID: stranger, SessionID: session}
	r.mustUploadAs(t, theirs, batch(operation("1", "PUT", bookA, ``)), applied1)
	body := batch(operation("11", "PUT", bookA, `{"title":"Mine"}`))
	r.mustUpload(t, body, rejected("11", bookA, "FORBIDDEN", "The row is another user's"))
	letter := r.letters[0]

	answer, err := r.Replay(t.Context(), letter)
	if err != nil || answer.Result != library.Rejected || len(r.letters) != 1 || len(r.audit) != 1 {
		t.Fatalf("while it is theirs: %s, %v, letters %v", answer.Result, err, r.letters)
	}
	r.mustUploadAs(t, theirs, batch(operation("2", "DELETE", bookA, ``)), applied1)
	answer, err = r.Replay(t.Context(), letter)
	if err != nil || answer.Result != library.Applied || string(answer.JSON) != applied1 || len(r.letters) != 0 {
		t.Fatalf("then: %s %s, %v, letters %v", answer.Result, answer.JSON, err, r.letters)
	}
	r.wantBook(t, bookA, "title", "Mine")
	if last := r.audit[len(r.audit)-1]; last.Kind != audit.DeadLetterReplayed || last.UserID != reader {
		t.Errorf("audit %+v", last)
	}
	if _, err := r.Replay(t.Context(), letter); !errors.Is(err, library.ErrNotFound) {
		t.Errorf("once more: %v", err)
	}
}

// FuzzUpload sends any body: it is no upload, or it is answered with JSON, and what it left the same once more leaves as it is.
func FuzzUpload(f *testing.F) {
	for _, tt := range values {
		if len(tt.given) < 200 {
			f.Add(batch(operation("11", "PUT", bookA, `{"`+tt.column+`":`+tt.given+`}`)))
		}
	}
	for _, seed := range []string{
		``, `{}`, `{"batch":[]}`, `{"batch":[null]}`, batch(operation("1", "DELETE", bookA, ``)), batch(operation("1", "PATCH", bookB, `{"title":null}`)),
		batch(operation("1", "PUT", bookA, `{"title":"a"}`), operation(`"2"`, "PUT", bookA, `{"title":"b","title":"c"}`), operation("3", "DELETE", bookA, `5`)),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := newRig(func(c *library.Config) { c.MaxBody = 2000 })
		answer, err := r.Upload(t.Context(), device, body)
		if errors.Is(err, library.ErrMalformed) {
			return
		}
		if err != nil || !json.Valid(answer.JSON) {
			t.Fatalf("%s, %v", answer.JSON, err)
		}
		for _, c := range r.changes {
			if c.Row != nil && !json.Valid(c.Table.Encode(c.ID, reader, c.Row)) {
				t.Errorf("row %s", c.Table.Encode(c.ID, reader, c.Row))
			}
		}
		clear(r.ledger)
		if _, err := r.Upload(t.Context(), device, body); err != nil {
			t.Fatal(err)
		}
		checkSettled(t, r, body)
	})
}

// checkSettled sends each row back as devices have it: nothing is to be changed.
func checkSettled(t *testing.T, r rig, body string) {
	t.Helper()
	for ref, found := range r.rows {
		if found.State != library.Owned {
			continue
		}
		var columns map[string]json.RawMessage
		if err := json.Unmarshal(ref.Table.Encode(ref.ID, reader, found.Row), &columns); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(columns)
		if err != nil {
			t.Fatal(err)
		}
		r := rig{Uploader: library.NewUploader(library.Config{Store: r.shelf, Now: r.Now, Log: r.Log}), shelf: r.shelf, log: r.log}
		r.mustUpload(t, batch(operation("99", "PUT", ref.ID, string(data))), applied1)
		if len(r.changes) != 0 {
			t.Errorf("%q left %s, which is changed by itself to %v", body, data, r.changes)
		}
	}
}
