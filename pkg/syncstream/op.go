// Package syncstream serves the PowerSync sync protocol: each device holds a stream open and is sent the changes of its user's buckets
// (contract: papyrus, section 7; the protocol as measured: shared notes of powersync). It does not know what the rows mean; package
// library does.
package syncstream

import (
	"crypto/sha256"
	"encoding/binary"
)

// Kind is a kind of operation in a bucket.
type Kind string

// The kinds.
const (
	Put    Kind = "PUT"    // a whole row, in place of every earlier operation of its object
	Remove Kind = "REMOVE" // an object is gone
	Move   Kind = "MOVE"   // an operation that a later one of its object made void
	Clear  Kind = "CLEAR"  // everything before it in the bucket is void
)

// Op is one operation of a bucket.
type Op struct {
	ID       int64 // of one user's operations, in the order of their commits; from 1
	Kind     Kind
	Table    string // "" for Move and Clear, as are ObjectID and Data
	ObjectID string
	Data     []byte // of Put: the row as JSON
	Checksum uint32 // of Clear: the sum of those that it stands for
}

// NewPut returns the operation, without its ID, that tells devices of a row.
func NewPut(table, id string, data []byte) Op {
	h := sha256.New()
	for _, part := range []string{"put.", table, ".", id, "."} {
		h.Write([]byte(part))
	}
	h.Write(data)
	return Op{Kind: Put, Table: table, ObjectID: id, Data: data, Checksum: checksum(h.Sum(nil))}
}

// NewRemove returns the operation, without its ID, that tells devices that a row is gone.
func NewRemove(table, id string) Op {
	sum := sha256.Sum256([]byte("delete." + table + "." + id))
	return Op{Kind: Remove, Table: table, ObjectID: id, Checksum: checksum(sum[:])}
}

// checksum is what the real service takes: devices only ever add checksums up.
func checksum(sum []byte) uint32 { return binary.LittleEndian.Uint32(sum) }
