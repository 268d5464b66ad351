package store

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// microseconds is a time in SQLite: an INTEGER, since 1970.
func microseconds(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// timestamp is a time in Postgres: timestamptz, which holds microseconds.
func timestamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Truncate(time.Microsecond)
}

// instant scans what microseconds and timestamp wrote.
type instant time.Time

func timeInto(t *time.Time) sql.Scanner { return (*instant)(t) }

// Scan implements [sql.Scanner].
func (i *instant) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*i = instant{}
	case int64:
		*i = instant(time.UnixMicro(v).UTC())
	case time.Time:
		*i = instant(v.UTC())
	default:
		return fmt.Errorf("scan time: column holds a %T", src)
	}
	return nil
}

// digest scans a SHA-256.
type digest [sha256.Size]byte

func digestInto(d *[sha256.Size]byte) sql.Scanner { return (*digest)(d) }

// Scan implements [sql.Scanner].
func (d *digest) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok || len(b) != len(d) {
		return fmt.Errorf("scan digest: column holds no %d bytes", len(d))
	}
	copy(d[:], b)
	return nil
}

// isID reports whether s is a UUID as the store keeps them, in lower case. Postgres takes no other text for one.
func isID(s string) bool {
	id, err := uuid.Parse(s)
	return err == nil && id.String() == s
}

// isText reports whether a text column can hold s: Postgres takes neither NUL nor invalid UTF-8.
func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// orNull returns an id as an argument; "" is NULL.
func orNull(id string) any {
	if id == "" {
		return nil
	}
	return id
}

// orEmpty scans a text that may be NULL, which is "".
type orEmpty string

func textInto(s *string) sql.Scanner { return (*orEmpty)(s) }

// Scan implements [sql.Scanner].
func (s *orEmpty) Scan(src any) error {
	var v sql.NullString
	err := v.Scan(src)
	*s = orEmpty(v.String)
	return err
}
