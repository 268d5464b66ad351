package syncstream

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

const lowestPriority = 3

// Request is what a device asks for as it opens a stream.
type Request struct {
	ClientID      string
	Expires       time.Time // of its token
	Format        Format
	Nested        bool             // the data of operations is to be an object, not text that holds one
	After         map[string]int64 // by the name of a bucket: ID of the last operation of it that the device has
	NoDefaults    bool             // only those streams that it subscribes to
	Subscriptions []Subscription
}

// Subscription is to one stream. Those to streams that do not exist do nothing.
type Subscription struct {
	Stream   string
	Priority *int // in place of the stream's; nil for none
}

// bucket is one that a device is to have, and what it has been told of it.
type bucket struct {
	Bucket
	name     string
	priority int
	declared int   // index of its stream in the checkpoint
	byNone   bool  // it is not there by default
	asked    []int // indexes of subscriptions in the request
	after    int64 // ID of the last operation that was sent
	changed  bool  // since the device was told
}

// bucketName is how the real service calls the bucket of a user in a stream: were it another, devices that change from the one to the
// other would begin anew.
func bucketName(stream, userID string) string {
	quoted, _ := jsontext.AppendQuote(nil, userID)
	return "1#" + stream + "|0[" + string(quoted) + "]"
}

// plan returns the buckets that a device is to have, by priority: they depend on whose device it is and on what it asks for, never on
// what it says that it has.
func plan(definitions []Definition, userID string, r Request) []bucket {
	var buckets []bucket
	for _, d := range definitions {
		b := bucket{Bucket: Bucket{Stream: d.Name}, name: bucketName(d.Name, userID), byNone: r.NoDefaults}
		b.subscribe(d, r)
		if b.byNone && len(b.asked) == 0 {
			continue
		}
		b.declared = len(buckets)
		b.after = r.After[b.name]
		buckets = append(buckets, b)
	}
	slices.SortStableFunc(buckets, func(a, b bucket) int { return a.priority - b.priority })
	return buckets
}

// subscribe adds those subscriptions that are to the bucket's stream. Of all priorities that it is given the most urgent holds.
func (b *bucket) subscribe(d Definition, r Request) {
	b.priority = lowestPriority
	if !b.byNone {
		b.priority = d.Priority
	}
	for i, sub := range r.Subscriptions {
		if sub.Stream != d.Name {
			continue
		}
		b.asked = append(b.asked, i)
		priority := d.Priority
		if sub.Priority != nil {
			priority = max(0, *sub.Priority)
		}
		b.priority = min(b.priority, priority)
	}
}

// update takes in a newer state, and returns the line that tells the device of it: nil where there is nothing to tell.
func (s *Stream) update(now Snapshot) []byte {
	changed := false
	for i := range s.buckets {
		changed = s.buckets[i].update(now.Buckets) || changed
	}
	first := !s.told
	if !first && !changed && now.WriteCheckpoint == s.writes {
		return nil
	}
	s.told, s.complete, s.sent = true, false, 0
	s.head, s.writes = now.Head, now.WriteCheckpoint
	s.streams.checkpoints.Add(1)
	if first {
		return s.checkpointLine()
	}
	return s.diffLine()
}

// update reports whether the device does not know the bucket as it is now. A count that alone is another means that the bucket was
// compacted, which changes nothing for who has it.
func (b *bucket) update(now []Bucket) bool {
	newer := Bucket{Stream: b.Stream} // as long as it has no operations
	if i := slices.IndexFunc(now, func(o Bucket) bool { return o.Stream == b.Stream }); i >= 0 {
		newer = now[i]
	}
	b.changed = newer.Checksum != b.Checksum
	b.Bucket = newer
	return b.changed
}

func (s *Stream) checkpointLine() []byte {
	return lineOf(s.request.Format, "checkpoint", func(l line) {
		s.describe(l)
		l.list("buckets")
		for i := range s.buckets {
			s.buckets[i].describe(l)
		}
		l.end()
		s.describeStreams(l)
	})
}

func (s *Stream) diffLine() []byte {
	return lineOf(s.request.Format, "checkpoint_diff", func(l line) {
		s.describe(l)
		l.list("updated_buckets")
		for i := range s.buckets {
			if s.buckets[i].changed {
				s.buckets[i].describe(l)
			}
		}
		l.end()
		l.list("removed_buckets") // who a device is does not change while its stream is open
		l.end()
	})
}

// describe adds what full checkpoints and diffs begin with.
func (s *Stream) describe(l line) {
	decimal(l, "last_op_id", s.head)
	if s.writes > 0 {
		decimal(l, "write_checkpoint", s.writes)
	}
}

func (s *Stream) describeStreams(l line) {
	names := make([]string, len(s.buckets))
	for _, b := range s.buckets {
		names[b.declared] = b.Stream
	}
	l.list("streams")
	for _, name := range names {
		l.object("")
		textOf(l, "name", name)
		l.flag("is_default", true)
		l.list("errors")
		l.end()
		l.end()
	}
	l.end()
}

func (b *bucket) describe(l line) {
	l.object("")
	textOf(l, "bucket", b.name)
	l.number("checksum", int64(b.Checksum))
	l.number("count", b.Count)
	l.number("priority", int64(b.priority))
	l.list("subscriptions")
	if !b.byNone {
		because(l, "default", b.declared)
	}
	for _, i := range b.asked {
		because(l, "sub", i)
	}
	l.end()
	l.end()
}

// because adds why a device has a bucket.
func because(l line, why string, index int) {
	l.object("")
	l.number(why, int64(index))
	l.end()
}
