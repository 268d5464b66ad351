package store

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/provisioner/provisioner/pkg/revocation"
)

// Channels.
const (
	revocationsChannel = "provisioner_revocations"
	changesChannel     = "provisioner_changes"
)

const (
	listen = `LISTEN ` + revocationsChannel + `; LISTEN ` + changesChannel
	notify = `SELECT pg_notify($1, $2)`
)

const (
	maxLines     = 150 // in one payload, which Postgres limits to 7,999 bytes; the line of everything stands for more
	notifyWithin = 10 * time.Second
	notifyPause  = 200 * time.Millisecond // after a failure
	aliveEvery   = time.Second            // of silence: then the listening connection is asked for a sign of life
	aliveWithin  = 2 * time.Second
)

// notifier brings lines of text to other replicas, after the transactions that they tell of: what has piled up while one message was
// on its way goes into the next. The line "" is of everything. It has a goroutine only while it has something to send.
type notifier struct {
	send     func(ctx context.Context, payload string) error
	giveUp   func()
	givenUp  chan struct{}
	mu       sync.Mutex
	pending  map[string]bool
	finished chan struct{} // closed when the goroutine has ended; nil while there is none
}

func newNotifier(send func(ctx context.Context, payload string) error) *notifier {
	givenUp := make(chan struct{})
	return &notifier{
		send: send, giveUp: sync.OnceFunc(func() { close(givenUp) }), givenUp: givenUp, pending: make(map[string]bool),
	}
}

// add has lines sent. It does not wait for that, nor does the end of ctx prevent it.
func (n *notifier) add(ctx context.Context, lines ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, line := range lines {
		n.pending[line] = true
	}
	if len(n.pending) > maxLines {
		clear(n.pending)
		n.pending[""] = true
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
	payload = encodeLines(n.pending)
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

// encodeLines returns the lines, or "" if that is among them.
func encodeLines(lines map[string]bool) string {
	if lines[""] {
		return ""
	}
	return strings.Join(slices.Collect(maps.Keys(lines)), "\n")
}

// encodeNotice returns the line of a notice: its kind and id, "" for the zero notice.
func encodeNotice(n revocation.Notice) string {
	if n == (revocation.Notice{}) {
		return ""
	}
	return string(n.Kind) + " " + n.ID
}

// decodeNotice returns what encodeNotice wrote. What it does not understand may mean anything: the zero notice.
func decodeNotice(line string) revocation.Notice {
	kind, id, _ := strings.Cut(line, " ")
	n := revocation.Notice{Kind: revocation.Kind(kind), ID: id}
	switch n.Kind {
	case revocation.Session, revocation.User, revocation.Key:
		return n
	default:
		return revocation.Notice{}
	}
}

// notify sends one message.
func (db *DB) notify(ctx context.Context, channel, payload string) error {
	return within(ctx, aliveWithin, func(ctx context.Context) error {
		_, err := db.write.ExecContext(ctx, notify, channel, payload)
		return err
	})
}

// listenTo is the way of Postgres: a connection of its own that listens. It hears this process's messages too: of
// changes they name their sender and are left alone; revocations are told once more, in the form that releases before this one know.
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
		db.hear(message.Channel, message.Payload)
	}
}

// hear delivers a message. One of changes begins with the line of its sender.
func (db *DB) hear(channel, payload string) {
	if channel == changesChannel {
		sender, changes, _ := strings.Cut(payload, "\n")
		if sender == db.sender {
			return
		}
		for userID := range strings.SplitSeq(changes, "\n") {
			db.onChange.tell(userID)
		}
		return
	}
	for line := range strings.SplitSeq(payload, "\n") {
		db.onNotice.tell(decodeNotice(line))
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
