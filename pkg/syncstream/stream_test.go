package syncstream_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/syncstream"
)

const (
	head = `{"bucket":"1#user_books|0[\"u1\"]",`
	tail = `,"priority":1,"subscriptions":[{"default":0}]}]`
	only = `"streams":[{"name":"user_books","is_default":true,"errors":[]}]}}`
)

func wantLines(t *testing.T, d *device, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, d.read(t)); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// inFormat is a test in one format, whose streams end with ctx.
type inFormat struct {
	*testing.T
	ctx    context.Context
	format syncstream.Format
}

// eachFormat runs a test in both formats. The lines are the same.
func eachFormat(t *testing.T, test func(inFormat)) {
	t.Helper()
	for name, f := range map[string]syncstream.Format{"NDJSON": syncstream.NDJSON, "BSON": syncstream.BSON} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				test(inFormat{t, ctx, f})
			})
		})
	}
}

func TestStream(t *testing.T) {
	eachFormat(t, func(t inFormat) {
		ctx, f := t.ctx, t.format
		s, d := newStore("u1", "u2"), &device{}
		streams := newStreams(s)
		listen(ctx, t.T, streams, "u1", syncstream.Request{ClientID: "c1", Format: f}, d)
		wantLines(t.T, d,
			`{"checkpoint":{"last_op_id":"0","buckets":[`+head+`"checksum":0,"count":0`+tail+`,`+only,
			`{"checkpoint_complete":{"last_op_id":"0"}}`)

		s.commit("u1", "user_books", put("b1", `{"title":"é \"x\""}`, 7), put("b2", `{}`, 1<<32-1))
		wantLines(t.T, d,
			`{"checkpoint_diff":{"last_op_id":"2","updated_buckets":[`+head+`"checksum":6,"count":2`+tail+`,"removed_buckets":[]}}`,
			`{"data":`+head+`"after":"0","next_after":"2","has_more":false,"data":[`+
				`{"op_id":"1","op":"PUT","object_type":"books","object_id":"b1","checksum":7,"data":"{\"title\":\"é \\\"x\\\"\"}"},`+
				`{"op_id":"2","op":"PUT","object_type":"books","object_id":"b2","checksum":4294967295,"data":"{}"}]}}`,
			`{"checkpoint_complete":{"last_op_id":"2"}}`)

		s.commit("u1", "user_books", fixed(syncstream.NewRemove("books", "b1"), 1))
		wantLines(t.T, d,
			`{"checkpoint_diff":{"last_op_id":"3","updated_buckets":[`+head+`"checksum":7,"count":3`+tail+`,"removed_buckets":[]}}`,
			`{"data":`+head+`"after":"2","next_after":"3","has_more":false,"data":[`+
				`{"op_id":"3","op":"REMOVE","object_type":"books","object_id":"b1","checksum":1,"data":null}]}}`,
			`{"checkpoint_complete":{"last_op_id":"3"}}`)

		n, err := streams.WriteCheckpoint(ctx, "u1", "c1", 0)
		must(t.T, err)
		s.tell("u1")
		wantLines(t.T, d,
			fmt.Sprintf(`{"checkpoint_diff":{"last_op_id":"3","write_checkpoint":"%d","updated_buckets":[],"removed_buckets":[]}}`, n),
			`{"checkpoint_complete":{"last_op_id":"3"}}`)

		s.tell("u1")
		s.compact(1)
		s.tell("")
		s.commit("u2", "user_books", put("b3", `{}`, 1))
		_, err = streams.WriteCheckpoint(ctx, "u1", "c2", 0)
		must(t.T, err)
		s.tell("u1")
		wantLines(t.T, d, []string{}...)
		if c := streams.Counts(); c != (syncstream.Counts{Open: 1, Operations: 3, Checkpoints: 4}) {
			t.Errorf("counted %+v", c)
		}

		synctest.Wait()
		asked := s.asked("u1")
		s.commit("u2", "user_books", put("b4", `{}`, 1))
		synctest.Wait()
		if s.asked("u1") != asked {
			t.Error("a commit of another user wakes the stream")
		}
	})
}

func TestStreamGoesOn(t *testing.T) {
	eachFormat(t, func(t inFormat) {
		ctx, f := t.ctx, t.format
		s, d := newStore("u1"), &device{}
		s.commit("u1", "user_books", put("b1", `{"n":1,"f":1.5,"t":true,"z":null,"l":["a",{"b":[]}],"s":"x"}`, 1), put("b2", `{}`, 2), put("b3", `{}`, 4))
		s.compact(2)
		for _, tt := range []struct {
			name    string
			request syncstream.Request
			want    []string
		}{
			{"only what it lacks", syncstream.Request{After: map[string]int64{`1#user_books|0["u1"]`: 1, `1#user_books|0["u2"]`: 3, "x": 9}}, []string{
				`{"data":` + head + `"after":"1","next_after":"3","has_more":false,"data":[{"op_id":"2","op":"MOVE","checksum":2},` +
					`{"op_id":"3","op":"PUT","object_type":"books","object_id":"b3","checksum":4,"data":"{}"}]}}`,
			}},
			{"nothing, where it has all", syncstream.Request{After: map[string]int64{`1#user_books|0["u1"]`: 3}}, nil},
			{"nothing, where it is of another history", syncstream.Request{After: map[string]int64{`1#user_books|0["u1"]`: 99}}, nil},
			{"objects, where it cannot unpack them", syncstream.Request{Nested: true}, []string{
				`{"data":` + head + `"after":"0","next_after":"3","has_more":false,"data":[` +
					`{"op_id":"1","op":"PUT","object_type":"books","object_id":"b1","checksum":1,"data":{"n":1,"f":1.5,"t":true,"z":null,"l":["a",{"b":[]}],"s":"x"}},` +
					`{"op_id":"2","op":"MOVE","checksum":2},{"op_id":"3","op":"PUT","object_type":"books","object_id":"b3","checksum":4,"data":{}}]}}`,
			}},
		} {
			tt.request.Format = f
			ctx, cancel := context.WithCancel(ctx)
			ended := listen(ctx, t.T, newStreams(s), "u1", tt.request, d)
			want := append([]string{`{"checkpoint":{"last_op_id":"3","buckets":[` + head + `"checksum":7,"count":3` + tail + `,` + only}, tt.want...)
			want = append(want, `{"checkpoint_complete":{"last_op_id":"3"}}`)
			if diff := cmp.Diff(want, d.read(t.T)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: ended with %v", tt.name, err)
			}
		}
	})
}

func TestSubscriptions(t *testing.T) {
	definitions := []syncstream.Definition{{Name: "user_books", Priority: 1}, {Name: "user_shelves", Priority: 3}}
	priority := func(n int) *int { return &n }
	for _, tt := range []struct {
		name    string
		request syncstream.Request
		buckets string
		streams string
	}{
		{
			"all by default",
			syncstream.Request{},
			`books,1,[{"default":0}] shelves,3,[{"default":1}]`, `books shelves`,
		},
		{
			"none", syncstream.Request{NoDefaults: true}, ``, ``,
		},
		{
			"only what it asks for, more urgent first",
			syncstream.Request{NoDefaults: true, Subscriptions: []syncstream.Subscription{
				{Stream: "user_books", Priority: priority(2)}, {Stream: "nonsense"}, {Stream: "user_shelves", Priority: priority(0)}, {Stream: "user_books"},
			}},
			`shelves,0,[{"sub":2}] books,1,[{"sub":0},{"sub":3}]`, `books shelves`,
		},
		{
			"both, by the more urgent",
			syncstream.Request{Subscriptions: []syncstream.Subscription{
				{Stream: "user_shelves", Priority: priority(-5)}, {Stream: "user_books", Priority: priority(7)},
			}},
			`shelves,0,[{"default":1},{"sub":0}] books,1,[{"default":0},{"sub":1}]`, `books shelves`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				d := &device{}
				listen(ctx, t, newStreams(newStore("u1"), definitions...), "u1", tt.request, d)
				var buckets, streams []string
				for b := range strings.FieldsSeq(tt.buckets) {
					part := strings.SplitN(b, ",", 3)
					buckets = append(buckets, fmt.Sprintf(`{"bucket":"1#user_%s|0[\"u1\"]","checksum":0,"count":0,"priority":%s,"subscriptions":%s}`, part[0], part[1], part[2]))
				}
				for name := range strings.FieldsSeq(tt.streams) {
					streams = append(streams, fmt.Sprintf(`{"name":"user_%s","is_default":true,"errors":[]}`, name))
				}
				got := d.read(t)[0]
				if want := `{"checkpoint":{"last_op_id":"0","buckets":[` + strings.Join(buckets, ",") + `],"streams":[` + strings.Join(streams, ",") + `]}}`; got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			})
		})
	}
}

func TestPriorities(t *testing.T) {
	eachFormat(t, func(t inFormat) {
		ctx, f := t.ctx, t.format
		s, d := newStore("u1"), &device{}
		for i, stream := range []string{"late", "first", "second", "also_second"} {
			s.commit("u1", stream, put(fmt.Sprint("b", i), `{}`, 1))
		}
		streams := newStreams(s, syncstream.Definition{Name: "without_operations", Priority: 1}, syncstream.Definition{Name: "late", Priority: 3}, syncstream.Definition{Name: "first", Priority: 0},
			syncstream.Definition{Name: "second", Priority: 2}, syncstream.Definition{Name: "also_second", Priority: 2})
		listen(ctx, t.T, streams, "u1", syncstream.Request{Format: f}, d)
		var got []string
		for _, line := range d.read(t.T)[1:] {
			for _, mark := range []string{"#first", "#second", "#also_second", "#late"} {
				if strings.Contains(line, mark) {
					line = mark
				}
			}
			got = append(got, line)
		}
		want := []string{
			"#first", `{"partial_checkpoint_complete":{"last_op_id":"4","priority":0}}`, `{"partial_checkpoint_complete":{"last_op_id":"4","priority":1}}`,
			"#second", "#also_second", `{"partial_checkpoint_complete":{"last_op_id":"4","priority":2}}`,
			"#late", `{"checkpoint_complete":{"last_op_id":"4"}}`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

// many returns n operations of different objects.
func many(n int) []syncstream.Op {
	ops := make([]syncstream.Op, n)
	for i := range ops {
		ops[i] = put(fmt.Sprint("b", i), `{}`, 1)
	}
	return ops
}

// heads returns the first words of lines, with the IDs that they name.
func heads(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, `{"`), `"`)
		_, id, ok := strings.Cut(line, `"last_op_id":"`)
		if !ok {
			_, id, _ = strings.Cut(line, `"next_after":"`)
		}
		id, _, _ = strings.Cut(id, `"`)
		out[i] = name + " " + id
	}
	return out
}

func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s, d := newStore("u1"), &device{}
		s.commit("u1", "user_books", many(2500)...)
		listen(ctx, t, newStreams(s), "u1", syncstream.Request{}, d)
		want := []string{"checkpoint 2500", "data 1000", "data 2000", "data 2500", "checkpoint_complete 2500"}
		if diff := cmp.Diff(want, heads(d.read(t))); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
	})
}

func TestNewerCheckpointOvertakes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		at     int64 // the page after which something happens
		happen func(s *store)
		want   []string
	}{
		{
			"a change while a long checkpoint is sent", 1000,
			func(s *store) { s.commit("u1", "user_books", many(1)...) },
			[]string{"checkpoint 2500", "data 1000", "data 2000", "checkpoint_diff 2501", "data 2501", "checkpoint_complete 2501"},
		},
		{
			"a change of nothing while a long checkpoint is sent", 1000,
			func(s *store) { s.tell("") },
			[]string{"checkpoint 2500", "data 1000", "data 2000", "data 2500", "checkpoint_complete 2500"},
		},
		{
			"a compaction of what was promised", 2000,
			func(s *store) {
				s.subscribers = nil // nobody hears of the change
				s.commit("u1", "user_books", many(1)...)
				s.compact(2400)
			},
			[]string{"checkpoint 2500", "data 1000", "data 2000", "data 2500", "checkpoint_diff 2501", "data 2501", "checkpoint_complete 2501"},
		},
		{
			"a compaction of no later head", 2000,
			func(s *store) { s.compact(2400) },
			[]string{"checkpoint 2500", "data 1000", "data 2000", "data 2500", "checkpoint_complete 2500"},
		},
		{
			"a compaction after a change of another bucket", 2000,
			func(s *store) {
				s.subscribers = nil
				s.commit("u1", "user_shelves", many(1)...)
				s.compact(2400)
			},
			[]string{"checkpoint 2500", "data 1000", "data 2000", "data 2500", "checkpoint_complete 2500"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s, d := newStore("u1"), &device{}
				s.commit("u1", "user_books", many(2500)...)
				s.beforeOps = func(p syncstream.Page) {
					if p.After == tt.at {
						s.beforeOps = nil
						tt.happen(s)
					}
				}
				listen(ctx, t, newStreams(s), "u1", syncstream.Request{}, d)
				if diff := cmp.Diff(tt.want, heads(d.read(t))); diff != "" {
					t.Errorf("lines (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestToken(t *testing.T) {
	eachFormat(t, func(t inFormat) {
		ctx, f := t.ctx, t.format
		d := &device{}
		ended := listen(ctx, t.T, newStreams(newStore("u1")), "u1", syncstream.Request{Format: f, Expires: time.Now().Add(65 * time.Second)}, d)
		d.read(t.T)
		time.Sleep(17 * time.Second)
		wantLines(t.T, d, []string{}...)
		time.Sleep(6 * time.Second) // a keep-alive comes after 18 to 22 seconds
		if got := d.read(t.T); len(got) != 1 || !strings.HasPrefix(got[0], `{"token_expires_in":4`) {
			t.Errorf("the first keep-alive is %q", got)
		}
		time.Sleep(23 * time.Second)
		if got := d.read(t.T); got[len(got)-1] != `{"token_expires_in":20}` {
			t.Errorf("20 s before the end %q", got)
		}
		time.Sleep(18 * time.Second)
		d.read(t.T)
		time.Sleep(time.Second)
		got := d.read(t.T)
		if err := <-ended; !errors.Is(err, syncstream.ErrExpired) || got[len(got)-1] != `{"token_expires_in":0}` {
			t.Errorf("at the end %q, %v", got, err)
		}
	})
}

func TestTokenExpiresBetweenPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := newStore("u1"), &device{}
		s.commit("u1", "user_books", many(5000)...)
		s.beforeOps = func(syncstream.Page) { time.Sleep(8 * time.Second) }
		ended := listen(t.Context(), t, newStreams(s), "u1", syncstream.Request{Expires: time.Now().Add(20 * time.Second)}, d)
		if err := <-ended; !errors.Is(err, syncstream.ErrExpired) {
			t.Errorf("ended with %v", err)
		}
		if got := d.read(t); got[len(got)-1] != `{"token_expires_in":0}` {
			t.Errorf("the last line is %s", got[len(got)-1])
		}
	})
}

func TestAccountEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := newStore("u1"), &device{}
		streams := newStreams(s)
		ended := listen(t.Context(), t, streams, "u1", syncstream.Request{}, d)
		d.read(t)
		s.mu.Lock()
		delete(s.users, "u1")
		s.mu.Unlock()
		s.tell("u1")
		if err := <-ended; !errors.Is(err, syncstream.ErrNoUser) {
			t.Errorf("ended with %v", err)
		}
		wantLines(t, d, `{"token_expires_in":0}`)

		ended = listen(t.Context(), t, streams, "u1", syncstream.Request{}, d)
		if err := <-ended; !errors.Is(err, syncstream.ErrNoUser) {
			t.Errorf("ended with %v", err)
		}
		wantLines(t, d, []string{}...)
	})
}

func TestStreamFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore("u1")
		s.commit("u1", "user_books", many(1)...)
		streams := newStreams(s)
		gone := &device{err: errDown}
		if err := <-listen(t.Context(), t, streams, "u1", syncstream.Request{}, gone); !errors.Is(err, errDown) || !errors.Is(err, syncstream.ErrGone) {
			t.Errorf("the device has gone: %v", err)
		}
		s.err = errDown
		d := &device{}
		if err := <-listen(t.Context(), t, streams, "u1", syncstream.Request{}, d); !errors.Is(err, errDown) {
			t.Errorf("the store is down: %v", err)
		}
		wantLines(t, d, []string{}...)
	})
}
