package powersync

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	connectTimeout = 10 * time.Second
	answerTimeout  = 30 * time.Second
	idleTimeout    = 90 * time.Second
	silence        = 60 * time.Second // without a byte, after which a stream is dead: services send a line every 20 s
	renewBefore    = 30               // seconds before a token ends
)

var (
	errSilent       = errors.New("the service has fallen silent")
	errBarren       = errors.New("the service wants another token before it has sent anything")
	errNoCheckpoint = errors.New("the stream does not begin with a checkpoint")
	errForeign      = errors.New("the stream has operations of a bucket that is not part of the checkpoint")
)

// streamingClient bounds all of a request but how long its answer takes. It follows no redirects: those would take a token elsewhere.
func streamingClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSHandshakeTimeout:   connectTimeout,
			ResponseHeaderTimeout: answerTimeout,
			IdleConnTimeout:       idleTimeout,
			ForceAttemptHTTP2:     true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// download follows one stream to its end. The end that comes with a new token is no error.
func (s *syncer) download(ctx context.Context, worked func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	followed, err := s.open(ctx, cancel, worked)
	if err != nil {
		s.set(func(status *Status) { status.Connected, status.Connecting = false, true })
		return err
	}
	defer func() { _ = followed.body.Close() }()

	s.set(func(status *Status) { status.Connected, status.Connecting = true, false })
	err = followed.follow(ctx)
	cancel(nil)
	followed.renewal.Wait()
	if err == nil && !followed.fruitful {
		err = errBarren
	}
	s.set(func(status *Status) {
		status.Downloading = false
		if err != nil {
			status.Connected, status.Connecting = false, true
		}
	})
	return err
}

// open asks for the stream, which cancel ends when it falls silent.
func (s *syncer) open(ctx context.Context, cancel context.CancelCauseFunc, worked func()) (*stream, error) {
	request, err := s.db.streamRequest(ctx)
	if err != nil {
		return nil, err
	}
	credentials, err := s.credentials.get(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := s.ask(ctx, credentials, http.MethodPost, "/sync/stream", request)
	if err != nil {
		return nil, err
	}
	reader, err := newLineReader(resp.Header.Get("Content-Type"), newPatientReader(resp.Body, func() { cancel(errSilent) }))
	if err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	return &stream{
		syncer: s, worked: worked, credentials: credentials, body: resp.Body, lines: readLines(ctx, reader), renewed: make(chan error, 1),
	}, nil
}

// patientReader calls a function when it has waited too long for the next byte. That is not for the next line: a long one takes its time
// where the network is slow.
type patientReader struct {
	io.Reader
	tooLong *time.Timer
}

func newPatientReader(r io.Reader, tooLong func()) patientReader {
	timer := time.AfterFunc(silence, tooLong)
	timer.Stop()
	return patientReader{r, timer}
}

func (r patientReader) Read(into []byte) (int, error) {
	r.tooLong.Reset(silence)
	defer r.tooLong.Stop()
	return r.Reader.Read(into)
}

// ask makes a request with credentials, which are forgotten when they are refused. The answer is a 200.
func (s *syncer) ask(ctx context.Context, credentials Credentials, method, path string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(credentials.Endpoint, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Token "+credentials.Token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", s.db.encoding)
	resp, err := s.db.http.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	_ = resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized {
		s.credentials.refuse(ctx, credentials)
	}
	what, _, _ := strings.Cut(path, "?")
	return nil, &StatusError{Status: resp.StatusCode, What: what}
}

// streamRequest is the body that asks for a stream: what this device has of each bucket.
func (db *DB) streamRequest(ctx context.Context) ([]byte, error) {
	type held struct {
		Name  string `json:"name"`
		After string `json:"after"`
	}
	buckets := []held{}
	err := db.Read(ctx, func(tx *sql.Tx) error {
		if err := db.checkEpoch(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, `SELECT name, last_op FROM ps_buckets WHERE last_op > 0 ORDER BY name`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var name string
			var last int64
			if err := rows.Scan(&name, &last); err != nil {
				return err
			}
			buckets = append(buckets, held{name, strconv.FormatInt(last, 10)})
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"buckets": buckets, "include_checksum": true, "raw_data": true, "binary_data": true, "client_id": db.clientID,
		"parameters": map[string]any{}, "streams": map[string]any{"include_defaults": true, "subscriptions": []any{}},
	})
}

// lineOrEnd is a line of a stream, or the error that ended it.
type lineOrEnd struct {
	line line
	err  error
}

// readLines reads ahead by one line, until the stream or ctx ends.
func readLines(ctx context.Context, reader lineReader) <-chan lineOrEnd {
	lines := make(chan lineOrEnd)
	go func() {
		for {
			l, err := reader.next()
			select {
			case lines <- lineOrEnd{l, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return lines
}

// stream is one that is being followed.
type stream struct {
	*syncer
	worked      func()
	credentials Credentials // that it was opened with
	body        io.Closer
	lines       <-chan lineOrEnd
	target      target
	fruitful    bool // something has come that this device had not, or a checkpoint was complete
	renewing    bool
	renewed     chan error // of the renewal of the credentials
	renewal     sync.WaitGroup
}

// follow does what the lines say. It returns nil when the stream ends, or is to be left, for a new token.
func (s *stream) follow(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.uploaded:
			if err := s.showHeldBack(ctx); err != nil {
				return err
			}
		case err := <-s.renewed:
			if err == nil {
				return nil
			}
			s.renewing = false // until the next line says how long the token is good for
		case l := <-s.lines:
			if l.err != nil {
				return fmt.Errorf("the stream ended: %w", cmp.Or(context.Cause(ctx), l.err))
			}
			if left, err := s.take(ctx, l.line); err != nil || left {
				return err
			}
		}
	}
}

// take does what a line says, and reports whether the stream is to be left for another.
func (s *stream) take(ctx context.Context, l line) (leave bool, err error) {
	if l.Checkpoint != nil {
		s.target.begin(l.Checkpoint)
		return false, s.prepare(ctx)
	}
	if l.ExpiresIn != nil {
		return s.renew(ctx, *l.ExpiresIn), nil
	}
	if l == (line{}) {
		return false, nil // of a kind that is not known
	}
	if s.target.buckets == nil {
		return false, errNoCheckpoint
	}
	switch {
	case l.Diff != nil:
		s.target.change(l.Diff)
		return false, s.prepare(ctx)
	case l.Data != nil:
		return false, s.receive(ctx, l.Data)
	case l.Partial != nil:
		return false, s.db.finish(ctx, &s.target, l.Partial.Priority)
	case l.Complete != nil:
		return false, s.complete(ctx)
	}
	return false, nil
}

func (s *stream) prepare(ctx context.Context) error {
	expected, err := s.db.prepare(ctx, &s.target)
	s.set(func(status *Status) { status.Downloading, status.Received, status.Expected = true, 0, expected })
	return err
}

// receive keeps operations. A bucket with one that cannot be right is dropped, so that it is downloaded again.
func (s *stream) receive(ctx context.Context, p *page) error {
	if _, ok := s.target.buckets[p.Bucket]; !ok {
		return errForeign
	}
	s.target.complete = false
	err := s.db.receive(ctx, p)
	if errors.Is(err, ErrChecksum) {
		return errors.Join(err, s.db.dropBucket(ctx, p.Bucket))
	}
	s.fruitful = s.fruitful || err == nil && len(p.Ops) > 0
	s.set(func(status *Status) { status.Received += int64(len(p.Ops)) })
	return err
}

func (s *stream) complete(ctx context.Context) error {
	if err := s.db.finish(ctx, &s.target, lowest); err != nil {
		return err
	}
	s.fruitful = true
	s.worked()
	s.set(func(status *Status) { status.Downloading = false })
	return nil
}

// showHeldBack shows the checkpoint that was complete before what this device has written was known to be part of it.
func (s *stream) showHeldBack(ctx context.Context) error {
	if !s.target.complete {
		return nil
	}
	return s.db.change(ctx, s.db.sync, func(tx *sql.Tx) error { return s.db.show(ctx, tx, &s.target, lowest) })
}

// renew fetches new credentials before the old ones end, while the stream stands. It reports whether they have ended.
func (s *stream) renew(ctx context.Context, seconds int64) (ended bool) {
	if seconds <= 0 {
		s.syncer.credentials.refuse(ctx, s.credentials) // after the renewal, if there is one
		return true
	}
	if seconds <= renewBefore && !s.renewing {
		s.renewing = true
		s.renewal.Go(func() { s.renewed <- s.syncer.credentials.renew(ctx) })
	}
	return false
}
