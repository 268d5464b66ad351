package timekey_test

import (
	"bytes"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/timekey"
)

func TestNew(t *testing.T) {
	at := time.Date(2026, 3, 20, 10, 15, 30, 0, time.UTC)
	a, b := sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b"))
	key := timekey.New(at, a)

	if timekey.New(at.In(time.FixedZone("", 3600)).Add(time.Microsecond), a) != key {
		t.Error("equal milliseconds and hashes have different keys")
	}
	if timekey.New(at, b) == key || timekey.New(at.Add(time.Millisecond), a) == key {
		t.Error("others have the same key")
	}
	for _, hash := range [][sha256.Size]byte{a, b, {}, {0xff}} {
		earlier, later := timekey.New(at.Add(-time.Millisecond), hash), timekey.New(at.Add(time.Millisecond), hash)
		if bytes.Compare(earlier[:], key[:]) >= 0 || bytes.Compare(key[:], later[:]) >= 0 {
			t.Errorf("keys are not in the order of time: %x, %x, %x", earlier, key, later)
		}
	}
}
