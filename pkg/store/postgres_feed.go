package store

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/provisioner/provisioner/pkg/revocation"
)

const (
	listen = `LISTEN provisioner_revocations`
	notify = `SELECT pg_notify('provisioner_revocations', $1)`
)

const (
	maxNotices   = 150 // in one payload, which Postgres limits to 7,999 bytes; the notice of everything stands for more
	notifyWithin = 10 * time.Second
	notifyPause  = 200 * time.Millisecond // after a failure
	aliveEvery   = time.Second            // of silence: then the listening connection is asked for a sign of life
	aliveWithin  = 2 * time.Second
)

// notifier brings notices to other replicas, after the transactions that they tell of: what has piled up while one message was on
// its way goes into the next. It has a goroutine only while it has something to send.
type notifier struct {
	send     func(ctx context.Context, payload string) error
	giveUp   func()
	givenUp  chan struct{}
	mu       sync.Mutex
	pending  map[revocation.Notice]bool
	finished chan struct{} // closed when the goroutine has ended; nil while there is none
}

func newNotifier(send func(ctx context.Context, payload string) error) *notifier {
	givenUp := make(chan struct{})
	return &notifier{
		send: send, giveUp: sync.OnceFunc(func() { close(givenUp) }), givenUp: givenUp, pending: make(map[revocation.Notice]bool),
	}
}

// add has notices sent. It does not wait for that, nor does the end of ctx prevent it.
func (n *notifier) add(ctx context.Context, notices ...revocation.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, notice := range notices {
		n.pending[notice] = true
	}
	if len(n.pending) > maxNotices {
		clear(n.pending)
		n.pending[revocation.Notice{}] = true
	}
	if n.finished == nil && len(n.pending) > 0 {
		n.finished = make(chan struct{})
		go n.run(context.WithoutCancel(ctx), n.finished)
	}
}

func (n *notifier) run(ctx context.Context, finished chan struct{}) {
	defer close(finished)
	for {
		payload, more := n.take()
		if !more {
			return
		}
		n.deliver(ctx, payload)
	}
}

// take returns the payload of what is pending; without any, the goroutine is to end.
func (n *notifier) take() (payload string, more bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.pending) == 0 {
		n.finished = nil
		return "", false
	}
	payload = encodeNotices(n.pending)
	clear(n.pending)
	return payload, true
}

// deliver sends one message. While the server is away it tries on for a while: whoever listens to it has lost it too, and forgets
// everything when it is back.
func (n *notifier) deliver(ctx context.Context, payload string) {
	ctx, cancel := context.WithTimeout(ctx, notifyWithin)
	defer cancel()
	for n.send(ctx, payload) != nil {
		select {
		case <-ctx.Done():
			return
		case <-n.givenUp:
			return
		case <-time.After(notifyPause):
		}
	}
}

// close waits until everything is sent, or has been tried for long enough.
func (n *notifier) close() {
	n.mu.Lock()
	finished := n.finished
	n.mu.Unlock()
	if finished == nil {
		return
	}
	select {
	case <-finished:
	case <-time.After(notifyWithin):
		n.giveUp()
		<-finished
	}
}

// encodeNotices returns lines of a kind and an id, or "" for the zero notice among them.
func encodeNotices(notices map[revocation.Notice]bool) string {
	if notices[revocation.Notice{}] {
		return ""
	}
	lines := make([]string, 0, len(notices))
	for n := range notices {
		lines = append(lines, string(n.Kind)+" "+n.ID)
	}
	return strings.Join(lines, "\n")
}

// decodeNotices returns what encodeNotices wrote. What it does not understand may mean anything: the zero notice.
func decodeNotices(payload string) []revocation.Notice {
	var notices []revocation.Notice
	for line := range strings.SplitSeq(payload, "\n") {
		kind, id, _ := strings.Cut(line, " ")
		n := revocation.Notice{Kind: revocation.Kind(kind), ID: id}
		switch n.Kind {
		case revocation.Session, revocation.User, revocation.Key:
		default:
			n = revocation.Notice{}
		}
		notices = append(notices, n)
	}
	return notices
}

// listenTo is the way of Postgres: a connection of its own that listens. It hears this process's messages too.
func (db *DB) listenTo(ctx context.Context, config *pgx.ConnConfig, established func()) error {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = within(context.WithoutCancel(ctx), aliveWithin, conn.Close) }()
	defer db.up.Store(false) // before a peer that is gone is bid farewell
	if err := within(ctx, aliveWithin, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, listen)
		return err
	}); err != nil {
		return err
	}
	established()

	for {
		message, err := nextMessage(ctx, conn)
		if err != nil {
			return err
		}
		for _, n := range decodeNotices(message.Payload) {
			db.deliver(n)
		}
	}
}

// nextMessage waits for a message. A peer that is gone without a word is found by asking for an answer in the silence.
func nextMessage(ctx context.Context, conn *pgx.Conn) (message *pgconn.Notification, err error) {
	for {
		err := within(ctx, aliveEvery, func(ctx context.Context) (err error) {
			message, err = conn.WaitForNotification(ctx)
			return err
		})
		if err == nil || !pgconn.Timeout(err) || ctx.Err() != nil {
			return message, err
		}
		if err := within(ctx, aliveWithin, conn.Ping); err != nil {
			return nil, err
		}
	}
}

func within(ctx context.Context, limit time.Duration, work func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return work(ctx)
}
