package bare

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	_ "modernc.org/sqlite" // the driver
)

type event struct {
	UserID string    `json:"userId"`
	Action string    `json:"action"`
	SentAt time.Time `json:"sentAt"`
}

// KeepNothing answers as [KeepEvent] does, without the row.
func KeepNothing(_ *http.Request, body []byte) ([]byte, error) {
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, err
	}
	return received(body), nil
}

// KeepEvent writes the event as a row of our table to the SQLite file at path, durably and by itself, and answers as our
// receiver does.
func KeepEvent(ctx context.Context, path string) (Work, error) {
	insert, err := prepareInsert(ctx, path) //nolint:sqlclosecheck // open until the process ends
	if err != nil {
		return nil, err
	}
	return func(r *http.Request, body []byte) ([]byte, error) {
		var e event
		if err := json.Unmarshal(body, &e); err != nil {
			return nil, err
		}
		ctx := context.WithoutCancel(r.Context()) // to listen for its end costs more than it saves, here as in package store
		_, err := insert.ExecContext(ctx, e.UserID, e.Action, e.SentAt.UnixMicro(), time.Now().UnixMicro(), 0, body)
		return received(body), err
	}, nil
}

// prepareInsert opens the file with one connection, and the settings that package store has for what is durable and how fast.
func prepareInsert(ctx context.Context, path string) (*sql.Stmt, error) {
	settings := url.Values{
		"_busy_timeout": {"5000"}, "_journal_mode": {"WAL"}, "_synchronous": {"FULL"},
		"_pragma": {"cache_size(-512)", "secure_delete(ON)"},
	}
	address := url.URL{Scheme: "file", Path: path, RawQuery: settings.Encode()}
	db, err := sql.Open("sqlite", address.String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	return db.PrepareContext(ctx,
		`INSERT INTO events (user_id, action, sent_at, received_at, verified, body) VALUES (?, ?, ?, ?, ?, ?)`)
}

func received(body []byte) []byte {
	return append(append([]byte(`{"ok":true,"received":`), body...), '}')
}
