// Package timekey makes keys of rows that are written in great numbers. A hash alone is a key that strikes another page of the index with
// each row; with the time before it, as in UUIDs of version 7 (RFC 9562 §5.7), the rows of one moment lie side by side, and a commit
// of many writes few pages.
package timekey

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

const timeLen = 6 // milliseconds, big-endian: to the year 10889

// New returns the key of what happened at a time and has a hash: the time to the millisecond, and then 208 bits of the hash. Equal
// keys are of equal times and hashes.
func New(at time.Time, hash [sha256.Size]byte) [sha256.Size]byte {
	var milliseconds [8]byte
	binary.BigEndian.PutUint64(milliseconds[:], uint64(at.UnixMilli())) // a time before 1970 only has another place
	var key [sha256.Size]byte
	copy(key[:timeLen], milliseconds[8-timeLen:])
	copy(key[timeLen:], hash[:])
	return key
}
