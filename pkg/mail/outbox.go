package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	pollInterval = 15 * time.Second // jobs of other replicas, and of before a restart, are found by looking
	sendsAtOnce  = 4
	lease        = 2 * time.Minute  // longer than an attempt, or two replicas would send one mail
	attemptLimit = time.Minute      // composing and sending
	grace        = 10 * time.Second // for what is being sent when Run is told to end; the drain allows 15
	maxAge       = 24 * time.Hour   // of a job
)

// backoff is how long to wait after each failed attempt; after the later ones it is hourly.
var backoff = [...]time.Duration{30 * time.Second, 2 * time.Minute, 8 * time.Minute, 30 * time.Minute}

func pauseAfter(attempts int) time.Duration {
	if attempts > len(backoff) {
		return time.Hour
	}
	return backoff[max(attempts, 1)-1]
}

// Outbox takes jobs, and sends what is due while it runs. Each mail is sent at least once: one that was sent is sent again
// only if the process or the store fails before that is noted. Its methods are safe for concurrent use; the outboxes of
// several replicas share a store.
type Outbox struct {
	store     Store
	composer  Composer
	transport Transport
	now       func() time.Time
	log       *slog.Logger
	attempts  *prometheus.CounterVec
	wake      chan struct{} // of capacity one
	storeDown atomic.Bool   // and logged
}

// OutboxConfig is what an Outbox is made of; every field is needed.
type OutboxConfig struct {
	Store     Store
	Composer  Composer
	Transport Transport
	Now       func() time.Time
	Log       *slog.Logger
	Metrics   prometheus.Registerer
}

// Outcomes of attempts, as the metrics name them. Mail without a recipient is in none: they do not tell who has an account.
const (
	sent     = "sent"
	deferred = "deferred" // to be tried again
	refused  = "refused"  // by the mail server, for good
	expired  = "expired"  // given up
)

// NewOutbox returns an Outbox that sends nothing until it is run.
func NewOutbox(c OutboxConfig) *Outbox {
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "provisioner_mail_attempts_total", Help: "Attempts to send a mail, by outcome: sent, deferred, refused or expired.",
	}, []string{"outcome"})
	for _, outcome := range []string{sent, deferred, refused, expired} {
		attempts.WithLabelValues(outcome)
	}
	c.Metrics.MustRegister(attempts)
	return &Outbox{
		store: c.Store, composer: c.Composer, transport: c.Transport, now: c.Now, log: c.Log, attempts: attempts,
		wake: make(chan struct{}, 1),
	}
}

// Enqueue has a mail sent soon. Once it returns nil the mail survives a restart. The work is the same for every address;
// while a mail of that kind to it waits, there will be no second one.
func (o *Outbox) Enqueue(ctx context.Context, k Kind, email string) error {
	now := o.now().UTC()
	job := Job{ID: uuid.NewString(), Kind: k, Email: email, CreatedAt: now, NextTryAt: now}
	if err := o.store.EnqueueMail(ctx, job); err != nil {
		return fmt.Errorf("enqueue mail: %w", err)
	}
	o.Wake()
	return nil
}

// Wake has the running outbox look for due jobs now rather than at its next poll. It does not wait for it.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Run sends what is due until ctx ends; what is then being sent has 10 s to finish. It returns nil: while the store or the
// mail server is down, it goes on trying.
func (o *Outbox) Run(ctx context.Context) error {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		o.sendDue(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-o.wake:
		case <-poll.C:
		}
	}
}

// sendDue sends until nothing is due.
func (o *Outbox) sendDue(ctx context.Context) {
	for ctx.Err() == nil {
		now := o.now().UTC()
		jobs, err := o.store.LeaseMail(ctx, now, now.Add(lease), sendsAtOnce)
		o.noteStore(ctx, "lease mail", err)

		var sending sync.WaitGroup
		for _, j := range jobs {
			sending.Go(func() { o.process(ctx, j) })
		}
		sending.Wait()
		if len(jobs) < sendsAtOnce {
			return
		}
	}
}

// process makes one attempt at a job, and notes what came of it.
func (o *Outbox) process(ctx context.Context, j Job) {
	ctx, cancel := outlive(ctx, grace)
	defer cancel()
	log := o.log.With("job", j.ID, "kind", j.Kind, "attempts", j.Attempts)
	if o.now().Sub(j.CreatedAt) > maxAge {
		o.attempts.WithLabelValues(expired).Inc()
		log.ErrorContext(ctx, "mail given up", "age", o.now().Sub(j.CreatedAt))
		o.drop(ctx, j)
		return
	}

	switch err := o.attempt(ctx, j); {
	case err == nil:
		o.attempts.WithLabelValues(sent).Inc()
		log.DebugContext(ctx, "mail sent")
	case errors.Is(err, ErrNoRecipient): // no line: the log does not tell who has an account
	case errors.Is(err, ErrRefused):
		o.attempts.WithLabelValues(refused).Inc()
		log.WarnContext(ctx, "mail not sent", "err", err)
	default:
		pause := pauseAfter(j.Attempts)
		o.attempts.WithLabelValues(deferred).Inc()
		log.WarnContext(ctx, "mail not sent yet", "err", err, "again_in", pause)
		o.noteStore(ctx, "retry mail", o.store.RetryMail(ctx, j.ID, o.now().UTC().Add(pause)))
		return
	}
	o.drop(ctx, j)
}

func (o *Outbox) attempt(ctx context.Context, j Job) error {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	m, err := o.composer.Compose(ctx, j)
	if err != nil {
		return fmt.Errorf("compose: %w", err)
	}
	return o.transport.Send(ctx, m)
}

func (o *Outbox) drop(ctx context.Context, j Job) {
	o.noteStore(ctx, "drop mail", o.store.DropMail(ctx, j.ID))
}

// noteStore logs when the store fails and when it is back, not every failure between. What a failed call did not note is
// made up for when the lease ends.
func (o *Outbox) noteStore(ctx context.Context, step string, err error) {
	switch {
	case ctx.Err() != nil: // the end of Run, no fault
	case err == nil && o.storeDown.CompareAndSwap(true, false):
		o.log.InfoContext(ctx, "mail outbox: the store answers again")
	case err != nil && o.storeDown.CompareAndSwap(false, true):
		o.log.ErrorContext(ctx, "mail outbox: the store fails; trying on", "step", step, "err", err)
	}
}

// outlive returns a context that ends that much later than ctx.
func outlive(ctx context.Context, later time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(later, cancel) })
	return longer, func() { stop(); cancel() }
}
