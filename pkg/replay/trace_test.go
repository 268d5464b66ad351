package replay_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/provisioner/provisioner/pkg/replay"
)

// TestACommitIsPartOfOneRequestAndLinkedWithTheOthers holds that the commit of many requests shows in the trace of each, that the store
// gets what the first one knows, and that the first one's end does not end it.
func TestACommitIsPartOfOneRequestAndLinkedWithTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recorder := tracetest.NewSpanRecorder()
		tracer := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)).Tracer("")
		var cancelled bool
		var in []trace.SpanContext // of each commit
		guard := replay.NewGuard(storeFunc(func(ctx context.Context, admissions []replay.Admission) ([]bool, error) {
			time.Sleep(time.Second) // fake time: lets a batch gather
			in = append(in, trace.SpanContextFromContext(ctx))
			cancelled = cancelled || ctx.Err() != nil
			return make([]bool, len(admissions)), nil
		}))

		var all sync.WaitGroup
		for i := range 3 {
			ctx, span := tracer.Start(t.Context(), "POST /inbox")
			ctx, leave := context.WithCancel(ctx)
			all.Go(func() { _ = guard.Admit(ctx, nonce(i)); span.End() })
			synctest.Wait()
			if i == 0 {
				time.Sleep(time.Millisecond) // fake time
				leave()                      // while its commit is under way
			}
			defer leave()
		}
		all.Wait()
		time.Sleep(3 * time.Second) // fake time: the committer ends inside the bubble

		var requests, commits []sdk.ReadOnlySpan
		for _, s := range recorder.Ended() {
			if s.Name() == "commit admissions" {
				commits = append(commits, s)
			} else {
				requests = append(requests, s)
			}
		}
		if len(commits) != 2 || len(requests) != 3 || cancelled {
			t.Fatalf("%d commits, %d requests, cancelled: %t", len(commits), len(requests), cancelled)
		}
		shared := commits[1]
		if !in[1].Equal(shared.SpanContext()) || len(shared.Links()) != 1 {
			t.Errorf("the store worked in %v; links: %v", in[1], shared.Links())
		}
		for _, r := range requests[1:] {
			parent := shared.Parent().SpanID() == r.SpanContext().SpanID()
			linked := len(r.Links()) == 1 && r.Links()[0].SpanContext.SpanID() == shared.SpanContext().SpanID()
			if parent == linked {
				t.Errorf("a request is parent: %t, linked: %t", parent, linked)
			}
		}
	})
}

func TestNothingIsRecordedOfRequestsThatAreNot(t *testing.T) {
	var span trace.SpanContext
	guard := replay.NewGuard(storeFunc(func(ctx context.Context, _ []replay.Admission) ([]bool, error) {
		span = trace.SpanContextFromContext(ctx)
		return []bool{true}, nil
	}))
	if err := guard.Admit(t.Context(), nonce(1)); err != nil || span.IsValid() {
		t.Errorf("Admit() = %v in %v", err, span)
	}
}
