package powersync

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"mime"
	"strconv"

	"github.com/go-json-experiment/json"
)

// The content types of a stream.
const (
	ndjsonType = "application/x-ndjson"
	bsonType   = "application/vnd.powersync.bson-stream"
)

// maxLine bounds a line. Services send pages of about a megabyte, and a row by itself if it is larger.
const maxLine = 64 << 20

// line is one of a stream; at most one member is set, none where the line is of a kind that is not known.
type line struct {
	Checkpoint *checkpoint     `json:"checkpoint"`
	Diff       *checkpointDiff `json:"checkpoint_diff"`
	Data       *page           `json:"data"`
	Partial    *completion     `json:"partial_checkpoint_complete"`
	Complete   *completion     `json:"checkpoint_complete"`
	ExpiresIn  *int64          `json:"token_expires_in"` // seconds
}

// checkpoint is a state of the server: the buckets, and the sums of all their operations.
type checkpoint struct {
	WriteCheckpoint *decimal      `json:"write_checkpoint"`
	Buckets         []bucketState `json:"buckets"`
}

// checkpointDiff is what a checkpoint differs in from the one before.
type checkpointDiff struct {
	WriteCheckpoint *decimal      `json:"write_checkpoint"`
	Updated         []bucketState `json:"updated_buckets"`
	Removed         []string      `json:"removed_buckets"`
}

type bucketState struct {
	Bucket   string `json:"bucket"`
	Checksum int64  `json:"checksum"` // 32 bits, which some services send as a signed number
	Count    int64  `json:"count"`    // of operations
	Priority *int64 `json:"priority"`
}

// defaultPriority is that of buckets that are given none.
const defaultPriority = 3

func (b bucketState) priority() int64 {
	if b.Priority == nil {
		return defaultPriority
	}
	return *b.Priority
}

type completion struct {
	Priority int64 `json:"priority"`
}

// page holds operations of one bucket, in their order.
type page struct {
	Bucket string      `json:"bucket"`
	Ops    []operation `json:"data"`
}

type operation struct {
	ID       decimal `json:"op_id"`
	Kind     string  `json:"op"`
	Type     string  `json:"object_type"`
	RowID    string  `json:"object_id"`
	Subkey   string  `json:"subkey"`
	Data     string  `json:"data"`
	Checksum int64   `json:"checksum"`
}

// decimal is a number that JSON holds as a string.
type decimal int64

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *decimal) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("%.30q is no id", text)
	}
	*d = decimal(n)
	return nil
}

// lineReader reads the lines of a stream. The end of a stream between two lines is io.EOF.
type lineReader interface {
	next() (line, error)
}

func newLineReader(contentType string, body io.Reader) (lineReader, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, fmt.Errorf("a stream of type %.60q", contentType)
	}
	switch buffered := bufio.NewReaderSize(body, 64<<10); kind {
	case ndjsonType:
		return &ndjsonReader{buffered, nil}, nil
	case bsonType:
		return &bsonReader{buffered}, nil
	}
	return nil, fmt.Errorf("a stream of type %.60q", contentType)
}

var errLongLine = errors.New("a line of the stream is too long")

type ndjsonReader struct {
	body *bufio.Reader
	text []byte
}

func (r *ndjsonReader) next() (line, error) {
	r.text = r.text[:0]
	for {
		part, err := r.body.ReadSlice('\n')
		if len(r.text)+len(part) > maxLine {
			return line{}, errLongLine
		}
		r.text = append(r.text, part...)
		if err == nil {
			break
		}
		if errors.Is(err, io.EOF) && len(r.text) > 0 {
			return line{}, io.ErrUnexpectedEOF
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line{}, err
		}
	}
	var l line
	if err := json.Unmarshal(r.text, &l); err != nil {
		return line{}, fmt.Errorf("a line of the stream: %w", err)
	}
	return l, nil
}

type bsonReader struct{ body *bufio.Reader }

func (r *bsonReader) next() (line, error) {
	size, err := r.body.Peek(4)
	if err != nil {
		if errors.Is(err, io.EOF) && len(size) > 0 {
			return line{}, io.ErrUnexpectedEOF
		}
		return line{}, err
	}
	length := binary.LittleEndian.Uint32(size)
	if length > maxLine {
		return line{}, errLongLine
	}
	document := make([]byte, length)
	if _, err := io.ReadFull(r.body, document); err != nil {
		return line{}, err
	}
	l, err := lineOfBSON(document)
	if err != nil {
		return line{}, fmt.Errorf("a line of the stream: %w", err)
	}
	return l, nil
}
