package store

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Collectors returns the metrics of the pools of connections: go_sql_… by db_name, "postgres", or "sqlite-write" and "sqlite-read".
func (db *DB) Collectors() []prometheus.Collector {
	if db.read == db.write {
		return []prometheus.Collector{collectors.NewDBStatsCollector(db.write, "postgres")}
	}
	return []prometheus.Collector{
		collectors.NewDBStatsCollector(db.write, "sqlite-write"),
		collectors.NewDBStatsCollector(db.read, "sqlite-read"),
	}
}
