package powersync

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
)

// upload brings the queue to the server, again whenever it grows, and then asks for the write checkpoint that has it all.
func (s *syncer) upload(ctx context.Context, worked func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range s.db.Changes(ctx, queueChanges) {
		if err := s.drain(ctx, worked); err != nil {
			return err
		}
		worked()
	}
	return ctx.Err()
}

func (s *syncer) drain(ctx context.Context, worked func()) error {
	defer s.set(func(status *Status) { status.Uploading = false })
	for last := int64(0); ; worked() {
		next, err := s.db.firstQueued(ctx)
		if err != nil {
			return err
		}
		if next == 0 {
			return s.settle(ctx)
		}
		if next == last {
			return errors.New("the connector has not completed what it uploaded")
		}
		last = next
		s.set(func(status *Status) { status.Uploading = true })
		if err := s.connector.UploadData(ctx, s.db); err != nil {
			return err
		}
	}
}

// settle finds out which write checkpoint has all that was uploaded, unless that is known. What the app writes, or asks, meanwhile is for
// the next time.
func (s *syncer) settle(ctx context.Context) error {
	var target, asks, lastOp int64
	err := s.db.Read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT target, asks, `+lastMutation+` FROM ps_device`).Scan(&target, &asks, &lastOp)
	})
	if err != nil || target != unknown {
		return err
	}
	asked, err := s.askWriteCheckpoint(ctx)
	if err != nil {
		return err
	}
	err = s.db.change(ctx, s.db.sync, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE ps_device SET target = ?
WHERE NOT EXISTS (SELECT * FROM ps_crud) AND asks = ? AND `+lastMutation+` = ?`, asked, asks, lastOp)
		return err
	})
	poke(s.uploaded)
	return err
}

// lastMutation is the id of the last mutation that there ever was.
const lastMutation = `coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'ps_crud'), 0)`

func (s *syncer) askWriteCheckpoint(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	credentials, err := s.credentials.get(ctx)
	if err != nil {
		return 0, err
	}
	resp, err := s.ask(ctx, credentials, http.MethodGet, "/write-checkpoint2.json?client_id="+url.QueryEscape(s.db.clientID), nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Data struct {
			WriteCheckpoint *decimal `json:"write_checkpoint"`
		} `json:"data"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&answer); err != nil {
		return 0, err
	}
	if answer.Data.WriteCheckpoint == nil {
		return 0, errors.New("the service names no write checkpoint")
	}
	return int64(*answer.Data.WriteCheckpoint), nil
}
