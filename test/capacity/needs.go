package main

import (
	"cmp"
	"math"
	"slices"
)

const (
	day         = 24 * 60 * 60 // seconds
	microsecond = 1e-6
	minReplicas = 2 // one may always be away

	// batches is how many groups of events a receiver commits in a second at most: one waits for the disk while the next gathers.
	batches = 200
	// keyCommits are the claim of an intent, the key and the kept answer.
	keyCommits = 3
	// signInCounts are what a sign-in counts in Redis: the network's attempts, the pair's and the account's failures.
	signInCounts = 3
)

// Needs is what an installation needs in the busiest hour.
type Needs struct {
	Active   float64 // users on a day
	Streams  float64 // open at once
	Services []Service
	Bounds   []Bound // of what there is one of; what breaks first comes first
}

// Service is the replicas of one service.
type Service struct {
	Name     string
	Requests float64 // a second
	Cores    float64 // that are busy
	Memory   float64 // bytes of open streams
	Replicas float64
}

// Bound is something that cannot be had twice without a change of the installation.
type Bound struct {
	Name        string
	Need, Bound float64
	Unit        string
}

// share returns how much of the bound is needed.
func (b Bound) share() float64 { return b.Need / b.Bound }

func needs(l Load, c Costs, m Machines) Needs {
	active := l.Users * l.Active
	peak := func(perDay float64) float64 { return active * perDay / day * l.Peak }
	events, keys, signIns, refreshes, uploads := peak(l.Events), peak(l.Keys), peak(l.SignIns), peak(l.Refreshes), peak(l.Uploads)
	streams := active * l.Devices * l.Online

	sender := m.service("sender", events+keys, events*c.Event/2+keys*c.Key/3, 0)
	receiver := m.service("receiver", events+keys, events*c.Event/2+keys*c.Key/3, 0)
	papyrus := m.service("papyrus", keys+signIns+refreshes+uploads,
		keys*c.Key/3+signIns*c.SignIn+refreshes*c.Refresh+uploads*c.Upload, streams*c.Stream)

	postgres := events*c.PostgresEvent + keys*c.PostgresKey + refreshes*c.PostgresRefresh + uploads*c.PostgresUpload
	bounds := []Bound{
		{"Postgres: processors", postgres * microsecond / m.Utilisation, m.PostgresCores, " cores"},
		{"Postgres: commits", min(events, receiver.Replicas*batches) + keys*keyCommits + signIns + refreshes + uploads, m.PostgresCommits, "/s"},
		{"Postgres: connections", (receiver.Replicas + papyrus.Replicas) * m.Pool, m.PostgresConnections, ""},
		{"Postgres: disk", active*l.Events*m.Retention*c.EventBytes + l.Users*c.UserBytes, m.PostgresBytes, "B"},
		{"Redis: operations", events + keys + signIns*signInCounts + refreshes, m.RedisOperations, "/s"},
	}
	slices.SortStableFunc(bounds, func(a, b Bound) int { return cmp.Compare(b.share(), a.share()) })
	return Needs{Active: active, Streams: streams, Services: []Service{sender, receiver, papyrus}, Bounds: bounds}
}

// service returns what is needed for so much work: requests a second, µs of processor a second, bytes of memory.
func (m Machines) service(name string, requests, work, memory float64) Service {
	cores := work * microsecond
	return Service{
		Name: name, Requests: requests, Cores: cores, Memory: memory,
		Replicas: max(minReplicas, math.Ceil(cores/(m.Cores*m.Utilisation)), math.Ceil(memory/(m.Memory*m.Utilisation))),
	}
}
