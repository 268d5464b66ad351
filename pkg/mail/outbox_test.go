package mail_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/mail"
)

func TestSentAtOnceAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		outbox := r.outbox()
		run(t, outbox)
		synctest.Wait()
		began := time.Now()
		r.mustEnqueue(t, outbox, reader)
		synctest.Wait()
		if got := r.sentTo(); !cmp.Equal(got, []string{reader}) || time.Since(began) != 0 {
			t.Errorf("after %v sent to %q", time.Since(began), got)
		}
		pass(25 * time.Hour)
		if n := len(r.sentTo()); n != 1 || len(r.store.all()) != 0 {
			t.Errorf("sent %d times; %d jobs are left", n, len(r.store.all()))
		}
	})
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var tries []time.Duration
		began := time.Now()
		r.send = func(context.Context, mail.Message) error {
			tries = append(tries, time.Since(began))
			return errors.New("answer 451")
		}
		r.mustEnqueue(t, r.outbox(), reader)
		run(t, r.outbox())
		pass(48 * time.Hour)

		var want []time.Duration
		next := time.Duration(0)
		for _, pause := range []time.Duration{30 * time.Second, 2 * time.Minute, 8 * time.Minute, 30 * time.Minute} {
			want = append(want, next)
			next += pause
		}
		for ; next <= 24*time.Hour; next += time.Hour {
			want = append(want, next)
		}
		if diff := cmp.Diff(want, tries); diff != "" {
			t.Errorf("tries (-want +got):\n%s", diff)
		}
		if len(r.store.all()) != 0 || strings.Count(r.log.String(), "mail given up") != 1 {
			t.Errorf("%d jobs are left; log:\n%s", len(r.store.all()), r.log)
		}
		counted := map[string]int{"sent": 0, "deferred": len(want), "refused": 0, "expired": 1}
		if diff := cmp.Diff(counted, r.attempts(t)); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	})
}

func TestAttemptsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var attempts []int
		r.compose = func(_ context.Context, j mail.Job) (mail.Message, error) {
			attempts = append(attempts, j.Attempts)
			return mail.Message{}, errors.New("no database")
		}
		r.mustEnqueue(t, r.outbox(), reader)
		run(t, r.outbox())
		pass(15 * time.Minute)
		if want := []int{1, 2, 3, 4}; !cmp.Equal(attempts, want) {
			t.Errorf("attempts %v, want %v", attempts, want)
		}
	})
}

func TestDropped(t *testing.T) {
	for _, tt := range []struct {
		name          string
		compose, send error
		logged        bool
		refused       int
	}{
		{"nobody to write to", mail.ErrNoRecipient, nil, false, 0},
		{"refused for good", nil, fmt.Errorf("%w: 550", mail.ErrRefused), true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.compose = func(_ context.Context, j mail.Job) (mail.Message, error) {
					return mail.Message{To: j.Email}, tt.compose
				}
				r.send = func(context.Context, mail.Message) error { return tt.send }
				r.mustEnqueue(t, r.outbox(), reader)
				run(t, r.outbox())
				synctest.Wait()
				if len(r.store.all()) != 0 {
					t.Error("the job is kept")
				}
				if logged := r.log.String() != ""; logged != tt.logged || strings.Contains(r.log.String(), reader) {
					t.Errorf("log: %s", r.log)
				}
				counted := map[string]int{"sent": 0, "deferred": 0, "refused": tt.refused, "expired": 0}
				if diff := cmp.Diff(counted, r.attempts(t)); diff != "" {
					t.Errorf("attempts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestOneOfAKindWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for range 3 {
			r.mustEnqueue(t, r.outbox(), reader)
		}
		r.mustEnqueue(t, r.outbox(), "other@example.com")
		run(t, r.outbox())
		synctest.Wait()
		got := r.sentTo()
		if want := []string{"other@example.com", reader}; !cmp.Equal(got, want) {
			t.Errorf("sent to %q, want %q", got, want)
		}
	})
}

func TestTwoReplicasSendOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var mu sync.Mutex
		sending, most := 0, 0
		count := func(step int) {
			mu.Lock()
			defer mu.Unlock()
			sending += step
			most = max(most, sending)
		}
		r.send = func(context.Context, mail.Message) error {
			count(+1)
			defer count(-1)
			time.Sleep(10 * time.Second) // fake time
			return nil
		}
		const jobs = 50
		for i := range jobs {
			r.mustEnqueue(t, r.outbox(), fmt.Sprintf("reader%d@example.com", i))
		}
		run(t, r.outbox())
		run(t, r.outbox())
		pass(time.Hour)

		got := r.sentTo()
		if n := len(slices.Compact(got)); n != jobs || len(got) != jobs {
			t.Errorf("%d mails to %d readers, want %d", len(got), n, jobs)
		}
		if most != 8 {
			t.Errorf("two replicas sent %d at once, want 4 each", most)
		}
	})
}

func TestCrashIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustEnqueue(t, r.outbox(), reader)
		now := time.Now()
		if jobs, err := r.store.LeaseMail(t.Context(), now, now.Add(2*time.Minute), 1); len(jobs) != 1 || err != nil {
			t.Fatalf("the process that dies leased %v, %v", jobs, err)
		}
		run(t, r.outbox())
		pass(2*time.Minute - time.Second)
		if n := len(r.sentTo()); n != 0 {
			t.Errorf("sent %d times while leased", n)
		}
		pass(time.Minute)
		if n := len(r.sentTo()); n != 1 {
			t.Errorf("sent %d times after the lease", n)
		}
	})
}

func TestStoreOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustEnqueue(t, r.outbox(), reader)
		r.store.fail(errors.New("connection refused"))
		run(t, r.outbox())
		pass(10 * time.Minute)
		if err := r.outbox().Enqueue(t.Context(), mail.KindVerifyEmail, reader); err == nil {
			t.Error("a mail that nobody keeps was accepted")
		}
		r.store.fail(nil)
		pass(10 * time.Minute)
		if n := len(r.sentTo()); n != 1 {
			t.Errorf("sent %d times", n)
		}
		log := r.log.String()
		if strings.Count(log, "the store fails") != 1 || strings.Count(log, "the store answers again") != 1 {
			t.Errorf("log:\n%s", log)
		}
	})
}

func TestEndLetsASendFinish(t *testing.T) {
	for _, tt := range []struct {
		name string
		take time.Duration
		left int // jobs
		end  time.Duration
	}{
		{"a quick one", 4 * time.Second, 0, 4 * time.Second},
		{"not for ever", time.Hour, 1, 11 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.send = func(ctx context.Context, _ mail.Message) error {
					select {
					case <-time.After(tt.take):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				r.mustEnqueue(t, r.outbox(), reader)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				if err := r.outbox().Run(ctx); err != nil || time.Since(began) != tt.end {
					t.Errorf("Run() = %v after %v, want nil after %v", err, time.Since(began), tt.end)
				}
				if n := len(r.store.all()); n != tt.left {
					t.Errorf("%d jobs are left, want %d", n, tt.left)
				}
			})
		})
	}
}

func TestAStuckAttemptEndsBeforeItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var ended time.Duration
		began := time.Now()
		r.send = func(ctx context.Context, _ mail.Message) error {
			<-ctx.Done()
			ended = time.Since(began)
			return ctx.Err()
		}
		r.mustEnqueue(t, r.outbox(), reader)
		run(t, r.outbox())
		pass(80 * time.Second)
		if ended == 0 || ended > time.Minute {
			t.Errorf("it ended after %v", ended)
		}
	})
}
