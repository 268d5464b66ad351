package papyrus

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func mustEnter(t *testing.T, r uploadRoom, length int64) *place {
	t.Helper()
	p, err := r.enter(t.Context(), length)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestUploadsWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := newUploadRoom(256 << 20)
		large := mustEnter(t, room, 64<<20)
		if _, err := room.enter(t.Context(), 2<<20); !errors.Is(err, errCrowded) {
			t.Fatalf("beside the largest: %v", err)
		}
		var small []*place
		for range (64 << 20) / (memoryPerByte * smallUpload) { // the largest leaves room for them
			small = append(small, mustEnter(t, room, 1<<20))
		}
		if _, err := room.enter(t.Context(), 1<<20); !errors.Is(err, errCrowded) {
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
		if _, err := room.enter(ctx, 1); !errors.Is(err, context.Canceled) || time.Since(begun) != time.Second {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
	})
}
