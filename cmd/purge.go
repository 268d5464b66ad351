package cmd

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/store"
)

const (
	purgeEvery        = time.Minute
	endedSessionsKept = 30 * 24 * time.Hour
)

// purge deletes what has expired, from time to time, and shows in the metrics what is left.
type purge struct {
	*services
	rows     *prometheus.GaugeVec
	outcomes purgeMetrics
}

func newPurge(s *services) purge {
	rows := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "provisioner_store_rows", Help: "Rows of the tables that expire or grow, about, as of the last minute.",
	}, []string{"table"})
	s.metrics.MustRegister(rows)
	return purge{s, rows, s.measurePurges()}
}

// run purges until ctx ends.
func (p purge) run(ctx context.Context) error {
	ticker := time.NewTicker(purgeEvery)
	defer ticker.Stop()
	p.count(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			_, err := p.db.Purge(ctx, now.UTC(), store.Retention{
				Events: p.cfg.EventRetention, Sessions: endedSessionsKept, Audit: p.cfg.AuditRetention,
			})
			switch {
			case err == nil:
				p.outcomes.succeeded.SetToCurrentTime()
			case ctx.Err() == nil:
				p.outcomes.failures.Inc()
				p.log.WarnContext(ctx, "expired rows not purged", "err", err)
			}
			p.count(ctx)
		}
	}
}

// count shows how many rows there are. A store that does not answer shows elsewhere.
func (p purge) count(ctx context.Context) {
	rows, err := p.db.Sizes(ctx)
	if err != nil {
		return
	}
	for table, n := range rows {
		p.rows.WithLabelValues(table).Set(float64(n))
	}
}
