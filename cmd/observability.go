package cmd

import (
	"context"
	"maps"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"

	"github.com/provisioner/provisioner/pkg/reporting"
	"github.com/provisioner/provisioner/pkg/tracing"
)

// openTraces has traces recorded where there is a collector for them.
func (s *services) openTraces(ctx context.Context) error {
	c := s.cfg.Traces
	if c.Endpoint == nil {
		return nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { s.log.Warn("spans are lost", "err", err) }))
	otel.SetLogger(logr.FromSlogHandler(s.log.Handler()))
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

// openReports has internal errors reported where somebody wants to hear of them.
func (s *services) openReports() error {
	if !s.cfg.SentryDSN.IsSet() {
		return nil
	}
	reports, err := reporting.Open(s.cfg.SentryDSN, s.cfg.Traces.Service, version())
	if err != nil {
		return err
	}
	s.reports = reports
	s.closers = append(s.closers, reports.Close)
	return nil
}
