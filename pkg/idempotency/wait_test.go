package idempotency_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/provisioner/provisioner/pkg/idempotency"
)

// claims is a store whose claims are answered by a function; what becomes of them it forgets.
type claims func(c idempotency.Claim) (idempotency.Claim, error)

func (f claims) Claim(_ context.Context, c idempotency.Claim, _ time.Time) (idempotency.Claim, error) {
	return f(c)
}
func (claims) Complete(context.Context, idempotency.Claim) error           { return nil }
func (claims) Release(context.Context, idempotency.Claim) error            { return nil }
func (claims) Abandon(context.Context, idempotency.Claim, time.Time) error { return nil }

func free(c idempotency.Claim) (idempotency.Claim, error) { return c, nil }

func never(context.Context, string) ([]byte, error) { return nil, errors.New("work was done") }

func TestBusyClaimIsPolledToTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		polls := 0
		d := idempotency.NewDoer(claims(func(c idempotency.Claim) (idempotency.Claim, error) {
			polls++
			return c, idempotency.ErrBusy
		}), newSealer(t), time.Now)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()

		begun := time.Now()
		if _, err := d.Do(ctx, mint, never); !errors.Is(err, idempotency.ErrTimeout) {
			t.Errorf("Do() = %v, want ErrTimeout", err)
		}
		synctest.Wait()
		if took := time.Since(begun); took != 3*time.Second || polls < 12 || polls > 100 {
			t.Errorf("gave up after %v and %d polls", took, polls)
		}
	})
}

func TestBusyClaimThatGetsItsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sealer := newSealer(t)
		sealed, err := sealer.Seal([]byte("theirs"), mint.What())
		if err != nil {
			t.Fatal(err)
		}
		answered := time.Now().Add(time.Second)
		d := idempotency.NewDoer(claims(func(c idempotency.Claim) (idempotency.Claim, error) {
			if time.Now().Before(answered) {
				return c, idempotency.ErrBusy
			}
			c.UpstreamKey, c.Answer = "theirs", sealed
			return c, nil
		}), sealer, time.Now, idempotency.WithTakeOver(func() { t.Error("an answered intent counts as tried again") }))

		got, err := d.Do(t.Context(), mint, never)
		if string(got) != "theirs" || err != nil {
			t.Errorf("Do() = %q, %v", got, err)
		}
		if late := time.Since(answered); late > 250*time.Millisecond {
			t.Errorf("the answer was found %v late", late)
		}
	})
}

func TestFirstCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := idempotency.NewDoer(claims(free), newSealer(t), time.Now)
		works := 0
		slow := func(ctx context.Context, _ string) ([]byte, error) {
			works++
			select {
			case <-time.After(2 * time.Second):
				return []byte("done"), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}

		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := d.Do(ctx, mint, slow); !errors.Is(err, idempotency.ErrTimeout) || !errors.Is(err, context.Canceled) {
				t.Errorf("the first: %v, want ErrTimeout for Canceled", err)
			}
		})
		synctest.Wait()
		for range 3 {
			wg.Go(func() {
				if got, err := d.Do(t.Context(), mint, slow); string(got) != "done" || err != nil {
					t.Errorf("another: %q, %v", got, err)
				}
			})
		}
		time.Sleep(time.Second) // the bubble's
		leave()
		wg.Wait()
		if works != 1 {
			t.Errorf("the work was done %d times", works)
		}
	})
}

func TestWorkEndsWithTheLease(t *testing.T) {
	for _, tt := range []struct {
		name     string
		deadline time.Duration // 0 for none
		want     time.Duration
	}{
		{"without a deadline", 0, idempotency.Lease},
		{"with a far deadline", time.Hour, idempotency.Lease},
		{"with a near one", time.Second, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := idempotency.NewDoer(claims(free), newSealer(t), time.Now)
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel func()
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				begun := time.Now()
				_, err := d.Do(ctx, mint, func(ctx context.Context, _ string) ([]byte, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				})
				synctest.Wait()
				if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took != tt.want {
					t.Errorf("Do() = %v after %v, want %v", err, took, tt.want)
				}
			})
		})
	}
}

// forgetful takes claims but cannot keep answers.
type forgetful struct{ claims }

var errDown = errors.New("no answer")

// overtaken is a store in which another owner takes every claim over while the work is done.
type overtaken struct{ claims }

func (overtaken) Complete(context.Context, idempotency.Claim) error { return idempotency.ErrLost }

func TestAnAnswerThatCameTooLateGoesToNobody(t *testing.T) {
	d := idempotency.NewDoer(overtaken{free}, newSealer(t), time.Now)
	answer, err := d.Do(t.Context(), mint, func(context.Context, string) ([]byte, error) { return []byte("second key"), nil })
	if answer != nil || !errors.Is(err, idempotency.ErrTimeout) {
		t.Errorf("Do() = %q, %v; want no answer and ErrTimeout", answer, err)
	}
}

func (forgetful) Complete(context.Context, idempotency.Claim) error { return errDown }

func TestOutages(t *testing.T) {
	done := func(context.Context, string) ([]byte, error) { return []byte("done"), nil }
	d := idempotency.NewDoer(claims(func(idempotency.Claim) (idempotency.Claim, error) {
		return idempotency.Claim{}, errDown
	}), newSealer(t), time.Now)
	if _, err := d.Do(t.Context(), mint, never); !errors.Is(err, errDown) {
		t.Errorf("without a claim: %v", err)
	}
	d = idempotency.NewDoer(forgetful{free}, newSealer(t), time.Now)
	if _, err := d.Do(t.Context(), mint, done); !errors.Is(err, errDown) {
		t.Errorf("an answer that is not kept is acknowledged: %v", err)
	}
}

func TestPanicIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := idempotency.NewDoer(claims(free), newSealer(t), time.Now)
		panics := func(context.Context, string) ([]byte, error) {
			time.Sleep(time.Second) // the bubble's
			panic("out of ideas")
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if _, err := d.Do(t.Context(), mint, panics); err == nil || !strings.Contains(err.Error(), "out of ideas") {
					t.Errorf("Do() = %v", err)
				}
			})
		}
		wg.Wait()
	})
}
