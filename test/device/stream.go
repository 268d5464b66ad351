package device

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// Op is an operation as the server sent it.
type Op struct {
	ID       int64  `json:"op_id,string"`
	Kind     string `json:"op"`
	Table    string `json:"object_type"`
	ObjectID string `json:"object_id"`
	Data     string `json:"data"`
	Checksum uint32 `json:"checksum"`
}

// bucket is what was received of one.
type bucket struct {
	last    int64
	sum     uint32
	objects map[string]Row
}

func (b *bucket) apply(op Op) error {
	if op.ID <= b.last {
		return fmt.Errorf("operation %d after %d", op.ID, b.last)
	}
	b.last = op.ID
	switch op.Kind {
	case "PUT":
		var row Row
		if err := json.Unmarshal([]byte(op.Data), &row); err != nil {
			return fmt.Errorf("data of operation %d: %w", op.ID, err)
		}
		b.objects[op.ObjectID] = row
	case "REMOVE":
		delete(b.objects, op.ObjectID)
	case "CLEAR":
		clear(b.objects)
		b.sum = 0
	case "MOVE":
	default:
		return fmt.Errorf("operation of kind %q", op.Kind)
	}
	b.sum += op.Checksum
	return nil
}

// line is one of a stream's; one member is set.
type line struct {
	Checkpoint *checkpoint `json:"checkpoint"`
	Diff       *struct {
		checkpoint
		Updated []bucketState `json:"updated_buckets"`
		Removed []string      `json:"removed_buckets"`
	} `json:"checkpoint_diff"`
	Data *struct {
		Bucket string `json:"bucket"`
		Data   []Op   `json:"data"`
	} `json:"data"`
	Complete *struct {
		LastOpID string `json:"last_op_id"`
	} `json:"checkpoint_complete"`
	ExpiresIn *int `json:"token_expires_in"`
}

type checkpoint struct {
	LastOpID        string        `json:"last_op_id"`
	WriteCheckpoint string        `json:"write_checkpoint"`
	Buckets         []bucketState `json:"buckets"`
}

type bucketState struct {
	Bucket   string `json:"bucket"`
	Checksum int64  `json:"checksum"` // the real service's may be negative
}

// stream holds one stream open to its end.
func (d *Device) stream(ctx context.Context) error {
	body, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()

	target := make(map[string]uint32) // checksums by bucket
	var writeCheckpoint int64
	lines := bufio.NewReaderSize(body, 4<<10)
	for {
		text, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return errEnded
		}
		if err != nil {
			return err
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			d.fault(fmt.Errorf("line %.200q: %w", text, err))
			return err
		}
		if err := d.take(l, target, &writeCheckpoint); err != nil {
			return err
		}
	}
}

// take follows one line.
func (d *Device) take(l line, target map[string]uint32, writeCheckpoint *int64) error {
	switch {
	case l.Checkpoint != nil:
		clear(target)
		aim(target, l.Checkpoint.Buckets)
		raise(writeCheckpoint, l.Checkpoint.WriteCheckpoint)
		d.keepOnly(target)
	case l.Diff != nil:
		aim(target, l.Diff.Updated)
		for _, name := range l.Diff.Removed {
			delete(target, name)
		}
		raise(writeCheckpoint, l.Diff.WriteCheckpoint)
	case l.Data != nil:
		return d.receive(l.Data.Bucket, l.Data.Data)
	case l.Complete != nil:
		return d.completed(target, *writeCheckpoint)
	case l.ExpiresIn != nil && *l.ExpiresIn <= 0:
		return errEnded
	}
	return nil
}

func aim(target map[string]uint32, buckets []bucketState) {
	for _, b := range buckets {
		target[b.Bucket] = uint32(b.Checksum)
	}
}

func raise(at *int64, text string) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		*at = n
	}
}

func (d *Device) open(ctx context.Context) (io.ReadCloser, error) {
	token, err := d.powerSyncToken(ctx)
	if err != nil {
		return nil, err
	}
	body, err := d.request()
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.c.URL+"/sync/stream", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Token "+token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/x-ndjson")
	resp, err := d.client.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		return nil, fmt.Errorf("stream: %d %s", resp.StatusCode, text)
	}
	return resp.Body, nil
}

func (d *Device) request() ([]byte, error) {
	type held struct {
		Name  string `json:"name"`
		After string `json:"after"`
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	buckets := []held{}
	for name, b := range d.buckets {
		buckets = append(buckets, held{name, strconv.FormatInt(b.last, 10)})
	}
	return json.Marshal(map[string]any{
		"buckets": buckets, "include_checksum": true, "raw_data": true, "client_id": d.id,
		"streams": map[string]any{"include_defaults": true, "subscriptions": []any{}},
	})
}

// keepOnly drops buckets that a checkpoint does not name.
func (d *Device) keepOnly(target map[string]uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.buckets {
		if _, named := target[name]; !named {
			delete(d.buckets, name)
		}
	}
}

func (d *Device) receive(name string, ops []Op) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.buckets[name]
	if b == nil {
		b = &bucket{objects: map[string]Row{}}
		d.buckets[name] = b
	}
	for _, op := range ops {
		if err := b.apply(op); err != nil {
			d.faults = append(d.faults, err)
			return err
		}
		if d.c.OnOp != nil {
			d.c.OnOp(op)
		}
	}
	return nil
}

// completed checks what was received, and shows it if all of the device's own changes are in it.
func (d *Device) completed(target map[string]uint32, writeCheckpoint int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	synced := map[string]Row{}
	for name, sum := range target {
		b := d.buckets[name]
		if b == nil {
			b = &bucket{}
		}
		if b.sum != sum {
			err := fmt.Errorf("checksum of %s up to %d: %d, want %d", name, b.last, b.sum, sum)
			d.faults = append(d.faults, err)
			delete(d.buckets, name)
			d.note()
			return err
		}
		for id, row := range b.objects {
			synced[id] = row
		}
	}
	d.synced, d.seen = synced, max(d.seen, writeCheckpoint)
	d.complete++
	d.show()
	d.note()
	return nil
}

// show gives the app what was synced, unless its own changes are not in it yet. It is called with the lock held.
func (d *Device) show() {
	if !d.settled() || d.complete == 0 {
		return
	}
	d.rows = make(map[string]Row, len(d.synced))
	for id, row := range d.synced {
		shown := make(Row, len(row))
		for name, value := range row {
			shown[name] = value
		}
		d.rows[id] = shown
	}
}
