package tracing

import (
	"context"
	"math/rand/v2"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

// followed is how many traces a second are recorded because a trusted caller does; it may pass on what strangers wish.
const followed = 100

type trustKey struct{}

// Trust returns ctx of a request whose caller may say whether it is recorded.
func Trust(ctx context.Context) context.Context { return context.WithValue(ctx, trustKey{}, true) }

// Trusted reports whether ctx is of a request whose caller may say whether it is recorded.
func Trusted(ctx context.Context) bool { return ctx.Value(trustKey{}) != nil }

// sampler decides which traces are recorded. Strangers choose the ids and flags of their traces, so neither counts: with either
// they could have everything recorded. Chance decides at the edge; inside, what was decided there.
type sampler struct {
	ratio    float64
	followed *rate.Limiter
}

func newSampler(ratio float64) sampler {
	return sampler{ratio: ratio, followed: rate.NewLimiter(followed, followed)}
}

// Description implements [sdk.Sampler].
func (sampler) Description() string { return "ProvisionerEdge" }

// ShouldSample implements [sdk.Sampler].
func (s sampler) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	decision := sdk.Drop
	if s.records(p.ParentContext, parent) {
		decision = sdk.RecordAndSample
	}
	return sdk.SamplingResult{Decision: decision, Tracestate: parent.TraceState()}
}

func (s sampler) records(ctx context.Context, parent trace.SpanContext) bool {
	switch {
	case parent.IsValid() && !parent.IsRemote():
		return parent.IsSampled()
	case parent.IsValid() && Trusted(ctx):
		return parent.IsSampled() && s.followed.Allow()
	}
	return rand.Float64() < s.ratio //nolint:gosec // G404: no secret; guessing it gains nothing
}
