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
	"github.com/go-json-experiment/json/jsontext"
)

// The content types of a stream.
const (
	ndjsonType = "application/x-ndjson"
	bsonType   = "application/vnd.powersync.bson-stream"
)

// What bounds the memory that a line takes. Services send a thousand operations, or about a megabyte, and a row by itself if it is larger.
const (
	maxLine = 64 << 20
	maxList = 1 << 17 // elements
)

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
	WriteCheckpoint *decimal          `json:"write_checkpoint"`
	Buckets         list[bucketState] `json:"buckets"`
}

// checkpointDiff is what a checkpoint differs in from the one before.
type checkpointDiff struct {
	WriteCheckpoint *decimal          `json:"write_checkpoint"`
	Updated         list[bucketState] `json:"updated_buckets"`
	Removed         list[string]      `json:"removed_buckets"`
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
	Bucket string          `json:"bucket"`
	Ops    list[operation] `json:"data"`
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

// list is one of a line's, of at most maxList elements.
type list[T any] []T

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (l *list[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	begin, err := d.ReadToken()
	if err != nil || begin.Kind() == jsontext.KindNull {
		return err
	}
	if begin.Kind() != jsontext.KindBeginArray {
		return errNoList
	}
	for d.PeekKind() != jsontext.KindEndArray {
		element, err := l.add()
		if err != nil {
			return err
		}
		if err := json.UnmarshalDecode(d, element); err != nil {
			return err
		}
	}
	_, err = d.ReadToken()
	return err
}

// add adds an element, to be filled.
func (l *list[T]) add() (*T, error) {
	if len(*l) == maxList {
		return nil, errLongList
	}
	var empty T
	*l = append(*l, empty)
	return &(*l)[len(*l)-1], nil
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

var (
	errLongLine = errors.New("a line of the stream is too long")
	errLongList = errors.New("a list has too many elements")
	errNoList   = errors.New("something else in the place of a list")
)

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
