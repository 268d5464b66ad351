package mail_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/secret"
)

// rig is what an outbox is made of: a store that replicas share, and a composer and a transport, which succeed unless told
// otherwise.
type rig struct {
	store   *memory
	compose func(context.Context, mail.Job) (mail.Message, error)
	send    func(context.Context, mail.Message) error
	now     func() time.Time
	log     *lines
	metrics *prometheus.Registry // of the last replica

	mu   sync.Mutex
	sent []string // to whom
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return &rig{
		store: &memory{jobs: map[string]mail.Job{}, changed: make(chan struct{})},
		compose: func(_ context.Context, j mail.Job) (mail.Message, error) {
			return mail.VerifyEmail(j.Email, "https://books.example", secret.New(token))
		},
		send: func(context.Context, mail.Message) error { return nil },
		now:  time.Now,
		log:  &lines{},
	}
}

// outbox returns the outbox of one more replica.
func (r *rig) outbox() *mail.Outbox {
	r.metrics = prometheus.NewRegistry()
	return mail.NewOutbox(mail.OutboxConfig{
		Store: r.store, Composer: r, Transport: r, Now: r.now, Log: slog.New(slog.NewTextHandler(r.log, nil)), Metrics: r.metrics,
	})
}

// attempts returns how many attempts of the last replica came to each outcome.
func (r *rig) attempts(t *testing.T) map[string]int {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil || len(families) != 1 {
		t.Fatal(len(families), err)
	}
	outcomes := map[string]int{}
	for _, m := range families[0].GetMetric() {
		outcomes[m.GetLabel()[0].GetValue()] = int(m.GetCounter().GetValue())
	}
	return outcomes
}

// pass lets time pass in a synctest bubble, and all happen that then happens.
func pass(d time.Duration) {
	time.Sleep(d) // fake time
	synctest.Wait()
}

// run runs an outbox until t ends, or the function that it returns is called.
func run(t *testing.T, o *mail.Outbox) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func (r *rig) mustEnqueue(t *testing.T, o *mail.Outbox, email string) {
	t.Helper()
	if err := o.Enqueue(t.Context(), mail.KindVerifyEmail, email); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) Compose(ctx context.Context, j mail.Job) (mail.Message, error) {
	return r.compose(ctx, j)
}

func (r *rig) Send(ctx context.Context, m mail.Message) error {
	if err := r.send(ctx, m); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, m.To)
	return nil
}

// sentTo returns to whom mail was sent, sorted.
func (r *rig) sentTo() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(slices.Values(r.sent))
}

// memory is a [mail.Store] that outlives outboxes.
type memory struct {
	mu      sync.Mutex
	jobs    map[string]mail.Job
	failure error
	changed chan struct{} // closed, and replaced, when a job is dropped or put off
}

// fail has all methods return err, until it is nil.
func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
}

func (m *memory) all() []mail.Job {
	jobs, _ := m.state()
	return jobs
}

func (m *memory) state() ([]mail.Job, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	jobs := make([]mail.Job, 0, len(m.jobs))
	for _, j := range m.jobs {
		jobs = append(jobs, j)
	}
	return jobs, m.changed
}

func (m *memory) EnqueueMail(_ context.Context, j mail.Job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, kept := range m.jobs {
		if kept.Kind == j.Kind && kept.Email == j.Email {
			return m.failure
		}
	}
	if m.failure == nil {
		m.jobs[j.ID] = j
	}
	return m.failure
}

func (m *memory) LeaseMail(_ context.Context, now, leaseUntil time.Time, limit int) ([]mail.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var leased []mail.Job
	for _, j := range m.jobs {
		if m.failure == nil && len(leased) < limit && !j.NextTryAt.After(now) {
			j.NextTryAt = leaseUntil
			j.Attempts++
			m.jobs[j.ID] = j
			leased = append(leased, j)
		}
	}
	return leased, m.failure
}

func (m *memory) DropMail(_ context.Context, id string) error {
	return m.settle(func() { delete(m.jobs, id) })
}

func (m *memory) RetryMail(_ context.Context, id string, at time.Time) error {
	return m.settle(func() {
		if j, ok := m.jobs[id]; ok {
			j.NextTryAt = at
			m.jobs[id] = j
		}
	})
}

func (m *memory) settle(change func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure == nil {
		change()
		close(m.changed)
		m.changed = make(chan struct{})
	}
	return m.failure
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
