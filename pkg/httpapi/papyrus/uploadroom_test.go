package papyrus

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func mustEnter(t *testing.T, r uploadRoom, length int64) *place {
	t.Helper()
	p, err := r.enter(t.Context(), rand.Text(), length) // each is of a user of its own
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestUploadsWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := newUploadRoom(256 << 20)
		large := mustEnter(t, room, 64<<20)
		if _, err := room.enter(t.Context(), rand.Text(), 2<<20); !errors.Is(err, errCrowded) {
			t.Fatalf("beside the largest: %v", err)
		}
		var small []*place
		for range (64 << 20) / (memoryPerByte * smallUpload) { // the largest leaves room for them
			small = append(small, mustEnter(t, room, 1<<20))
		}
		if _, err := room.enter(t.Context(), rand.Text(), 1<<20); !errors.Is(err, errCrowded) {
			t.Fatalf("one too many: %v", err)
		}

		time.AfterFunc(time.Second, small[0].leave)
		begun := time.Now()
		mustEnter(t, room, 1<<20)
		if waited := time.Since(begun); waited != time.Second {
			t.Errorf("waited %s for a second", waited)
		}
		large.leave()
		mustEnter(t, room, 64<<20)
	})
}

// TestUploadsOfOneUser has a user's uploads come so slowly that they stay: more of theirs are turned away, and another's are not.
func TestUploadsOfOneUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := newUploadRoom(256 << 20)
		var under []*place
		for range uploadsOfUser {
			p, err := room.enter(t.Context(), "reader", 10)
			if err != nil {
				t.Fatal(err)
			}
			under = append(under, p)
		}
		if _, err := room.enter(t.Context(), "reader", 10); !errors.Is(err, errCrowded) {
			t.Errorf("one too many: %v", err)
		}
		mustEnter(t, room, 10).leave()

		time.AfterFunc(time.Second, under[0].leave)
		p, err := room.enter(t.Context(), "reader", 10)
		if err != nil {
			t.Fatal(err)
		}
		p.leave()
		under[1].leave()
		if n := len(room.users.all); n > 0 {
			t.Errorf("%d users are remembered", n)
		}
	})
}

func TestUploadsOfUnknownLengthTakeRoomAsTheyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := newUploadRoom(256 << 20)
		large := mustEnter(t, room, 64<<20)
		long := strings.Repeat("a", smallUpload+1)

		short := mustEnter(t, room, -1)
		if _, err := io.ReadAll(short.reader(t.Context(), strings.NewReader(long[:smallUpload]))); err != nil {
			t.Errorf("a short one beside the largest: %v", err)
		}
		if _, err := io.ReadAll(short.reader(t.Context(), strings.NewReader(long))); !errors.Is(err, errCrowded) {
			t.Errorf("a long one beside the largest: %v", err)
		}
		large.leave()
		if _, err := io.ReadAll(short.reader(t.Context(), strings.NewReader(long))); err != nil {
			t.Errorf("a long one alone: %v", err)
		}
		short.leave()
		mustEnter(t, room, 64<<20)
	})
}

func TestAClientThatIsGoneWaitsForNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := newUploadRoom(0) // there is always some
		mustEnter(t, room, 1<<20)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begun := time.Now()
		if _, err := room.enter(ctx, "reader", 1); !errors.Is(err, context.Canceled) || time.Since(begun) != time.Second {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
	})
}
