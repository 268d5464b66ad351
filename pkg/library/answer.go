package library

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/provisioner/provisioner/pkg/text"
)

// Code says why a transaction was rejected. A released code never changes its meaning.
type Code string

// The codes (contract: papyrus, section 6).
const (
	Forbidden       Code = "FORBIDDEN" // a row is another user's
	UnknownTable    Code = "UNKNOWN_TABLE"
	UnknownOp       Code = "UNKNOWN_OP"
	InvalidID       Code = "INVALID_ID"
	PayloadTooLarge Code = "PAYLOAD_TOO_LARGE"
)

// What is said of a whole answer is bounded.
const (
	maxWarnings   = 100
	maxRejections = 100
	maxEcho       = 64 // bytes of a name or an ID that is shown as it was sent
)

// rejection is an operation for which a transaction was rejected.
type rejection struct {
	OpID    *int64 `json:"op_id"` // null for one without
	ID      string `json:"id"`
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

type rejections []rejection

// with adds an operation, unless there are enough.
func (r rejections) with(opID *int64, id string, why reason) rejections {
	if len(r) >= maxRejections {
		return r
	}
	return append(r, rejection{opID, id, why.code, why.message})
}

// reason is what is wrong with an operation.
type reason struct {
	code    Code
	message string
}

var (
	foreignRow   = reason{Forbidden, "The row is another user's"}
	unknownTable = reason{UnknownTable, "There is no such table"}
	unknownOp    = reason{UnknownOp, "The operation is none of PUT, PATCH and DELETE"}
	invalidID    = reason{InvalidID, "The id is not a UUID"}
)

// warning tells of a value that was left out or changed, where the rest of its row was kept.
type warning struct {
	OpID    *int64 `json:"op_id"`
	Field   string `json:"field"`
	Message string `json:"message"`
}

const unknownField = "is not known to this server"

// answer is that to an upload.
type answer struct {
	Applied  int        `json:"applied_count"` // operations
	Warnings []warning  `json:"warnings,omitempty"`
	Rejected rejections `json:"rejected,omitempty"`
}

func (a answer) encode() ([]byte, error) {
	b, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return b, nil
}

func (t *transaction) warn(opID *int64, field, message string) {
	if len(t.warnings) < maxWarnings {
		t.warnings = append(t.warnings, warning{opID, text.Line(field, maxEcho), message})
	}
}

// reject notes an operation for which the transaction comes to nothing, and forgets the others.
func (t *transaction) reject(e *element, why reason) {
	t.mutations, t.refs = nil, nil
	t.rejected = t.rejected.with(e.opID, text.Line(e.id, maxEcho), why)
}

// overSize rejects the transaction for its size alone, whatever else is wrong with what was read of it.
func (d *decoder) overSize(limit int64) {
	e := d.first
	if e == nil {
		e = &element{}
	}
	d.transaction = transaction{}
	d.reject(e, reason{PayloadTooLarge, fmt.Sprintf("The transaction has more than %d bytes", limit)})
}
