package cmd

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/bound"
	"github.com/provisioner/provisioner/pkg/httpapi/syncapi"
	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/syncstream"
	"github.com/provisioner/provisioner/pkg/token"
)

// streamPriority is that of every table's stream, as in config/powersync/sync-config.yaml.
const streamPriority = 1

// uploads returns who takes in the changes that devices queued.
func (s *services) uploads() *library.Uploader {
	return library.NewUploader(library.Config{Store: s.db, Refusals: s.refusals, Now: time.Now, Log: s.log})
}

// sync returns the embedded PowerSync Service: none where another is configured, or there are no tokens for it. Operations are written all
// the same, so that it can be turned to at any time.
func (s *services) sync(tokens *token.PowerSyncIssuer) syncapi.Config {
	s.workers = append(s.workers, worker{"upkeep of buckets", syncstream.Upkeep{Compactor: s.db, Log: s.log}.Run})
	if s.cfg.ExternalPowerSync() || tokens == nil {
		return syncapi.Config{}
	}
	streams := syncstream.New(syncstream.Config{
		Store: s.db, Changes: s.db, Definitions: definitions(library.Tables),
		Max: int(s.cfg.Sync.MaxStreams), MaxPerUser: int(s.cfg.Sync.MaxStreamsPerUser), Now: time.Now,
	})
	s.countStreams(streams)
	s.drainers = append(s.drainers, streams.Drain)
	return syncapi.Config{Streams: streams, Tokens: tokens, Ready: s.ready, Log: s.log}
}

func definitions(tables []*library.Table) []syncstream.Definition {
	out := make([]syncstream.Definition, len(tables))
	for i, t := range tables {
		out[i] = syncstream.Definition{Name: t.Stream(), Priority: streamPriority}
	}
	return out
}

// countStreams shows what streams do in the metrics.
func (s *services) countStreams(streams *syncstream.Streams) {
	gauge := func(name, help string, value func(syncstream.Counts) int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return float64(value(streams.Counts())) })
	}
	counter := func(name, help string, value func(syncstream.Counts) int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(value(streams.Counts())) })
	}
	bound.Bound{
		Service: "papyrus", What: "streams", Limit: s.cfg.Sync.MaxStreams,
		Used: func() int64 { return streams.Counts().Open }, Shed: func() int64 { return streams.Counts().Refused },
	}.Register(s.metrics)
	s.metrics.MustRegister(
		gauge("provisioner_sync_streams", "Streams that devices hold open.",
			func(c syncstream.Counts) int64 { return c.Open }),
		counter("provisioner_sync_streams_refused_total", "Streams refused because too many were open.",
			func(c syncstream.Counts) int64 { return c.Refused }),
		counter("provisioner_sync_operations_sent_total", "Operations sent to devices.",
			func(c syncstream.Counts) int64 { return c.Operations }),
		counter("provisioner_sync_checkpoints_sent_total", "Checkpoints sent to devices, diffs included.",
			func(c syncstream.Counts) int64 { return c.Checkpoints }),
	)
}
