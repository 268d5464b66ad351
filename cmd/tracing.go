package cmd

import (
	"context"
	"maps"

	"go.opentelemetry.io/otel"

	"github.com/provisioner/provisioner/pkg/tracing"
)

// openTraces has traces recorded where there is a collector for them.
func (s *services) openTraces(ctx context.Context) error {
	c := s.cfg.Traces
	if c.Endpoint == nil {
		return nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { s.log.Warn("traces", "err", err) })) //nolint:contextcheck // nobody's request
	traces, err := tracing.Open(ctx, tracing.Config{
		Endpoint: c.Endpoint.String(), Headers: maps.Clone(c.Headers), Ratio: c.Ratio, Service: c.Service, Version: version(),
	}, s.metrics)
	if err != nil {
		return err
	}
	s.traces = traces
	s.closers = append(s.closers, traces.Close)
	return nil
}
