package device

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
)

// transaction is what one upload brings.
type transaction struct {
	Batch []mutation `json:"batch"`
}

type mutation struct {
	OpID  int64  `json:"op_id"`
	Op    string `json:"op"`
	Table string `json:"type"`
	ID    string `json:"id"`
	TxID  int64  `json:"tx_id"`
	Data  Row    `json:"data,omitempty"`
}

// Tx is a transaction of the app.
type Tx struct {
	d  *Device
	tx transaction
}

// Write runs work on the rows that the app sees, and queues what it does.
func (d *Device) Write(work func(tx *Tx)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.txID++
	tx := &Tx{d: d}
	work(tx)
	if len(tx.tx.Batch) > 0 {
		d.queue = append(d.queue, tx.tx)
		d.note()
	}
}

// Rows are the rows that the app sees, not to be changed.
func (t *Tx) Rows() map[string]Row { return t.d.rows }

// Put inserts a row.
func (t *Tx) Put(id string, r Row) {
	t.d.rows[id] = maps.Clone(r)
	t.add("PUT", id, r)
}

// Patch changes columns of a row, if it is there.
func (t *Tx) Patch(id string, r Row) {
	if row, ok := t.d.rows[id]; ok {
		maps.Copy(row, r)
		t.add("PATCH", id, r)
	}
}

// Delete deletes a row, if it is there.
func (t *Tx) Delete(id string) {
	if _, ok := t.d.rows[id]; ok {
		delete(t.d.rows, id)
		t.add("DELETE", id, nil)
	}
}

func (t *Tx) add(op, id string, r Row) {
	t.d.opID++
	t.tx.Batch = append(t.tx.Batch, mutation{OpID: t.d.opID, Op: op, Table: "books", ID: id, TxID: t.d.txID, Data: maps.Clone(r)})
}

// upload brings what is queued, one transaction at a time, and then asks for a write checkpoint. It waits for more.
func (d *Device) upload(ctx context.Context) error {
	for {
		d.mu.Lock()
		changed, asked := d.changed, d.opID
		var first *transaction
		if len(d.queue) > 0 {
			first = &d.queue[0]
		}
		owed := first == nil && d.target == unknown
		d.mu.Unlock()

		switch {
		case first != nil:
			if err := d.send(ctx, *first); err != nil {
				return err
			}
			d.mu.Lock()
			d.queue, d.target = d.queue[1:], unknown
			d.note()
			d.mu.Unlock()
		case owed:
			if err := d.askWriteCheckpoint(ctx, asked); err != nil {
				return err
			}
		default:
			select {
			case <-changed:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// unknown is the target while there is none yet for what was uploaded: no checkpoint reaches it.
const unknown = 1<<63 - 1

func (d *Device) send(ctx context.Context, tx transaction) error {
	body, err := json.Marshal(tx)
	if err != nil {
		return err
	}
	status, answer, err := d.call(ctx, http.MethodPost, "/v1/sync/powersync-upload", body)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%d %s", status, answer)
	}
	return nil
}

// askWriteCheckpoint takes a target, unless the app wrote meanwhile.
func (d *Device) askWriteCheckpoint(ctx context.Context, asked int64) error {
	token, err := d.powerSyncToken(ctx)
	if err != nil {
		return err
	}
	status, answer, err := d.callWith(ctx, http.MethodGet, "/write-checkpoint2.json?client_id="+url.QueryEscape(d.id), nil, "Token "+token)
	if err != nil {
		return err
	}
	var got struct {
		Data struct {
			WriteCheckpoint string `json:"write_checkpoint"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer, &got); err != nil || status != http.StatusOK {
		return fmt.Errorf("write checkpoint: %d %s", status, answer)
	}
	target, err := strconv.ParseInt(got.Data.WriteCheckpoint, 10, 64)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opID == asked && len(d.queue) == 0 {
		d.target = target
		d.show()
		d.note()
	}
	return nil
}

func (d *Device) powerSyncToken(ctx context.Context) (string, error) {
	status, answer, err := d.call(ctx, http.MethodPost, "/v1/auth/powersync-token", nil)
	if err != nil {
		return "", err
	}
	var got struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(answer, &got); err != nil || status != http.StatusOK {
		return "", fmt.Errorf("PowerSync token: %d %s", status, answer)
	}
	if d.c.OnToken != nil {
		d.c.OnToken(got.Token)
	}
	return got.Token, nil
}

// call makes a request with an access token.
func (d *Device) call(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	token, err := d.c.AccessToken(ctx)
	if err != nil {
		return 0, nil, err
	}
	return d.callWith(ctx, method, path, body, "Bearer "+token)
}

func (d *Device) callWith(ctx context.Context, method, path string, body []byte, authorization string) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, d.c.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", authorization)
	resp, err := d.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}
