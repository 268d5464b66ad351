package main

// Load is what users do, as the flags of [inputs] say. Counts are of one active user on one day.
type Load struct {
	Users, Active, Peak                       float64
	Events, Keys, SignIns, Refreshes, Uploads float64
	Devices, Online                           float64
}

// Costs are what things cost: processor time in microseconds, space in bytes.
type Costs struct {
	Event, Key, SignIn, Refresh, Upload                         float64
	PostgresEvent, PostgresKey, PostgresRefresh, PostgresUpload float64
	Stream, EventBytes, UserBytes                               float64
}

// Machines are what there is to run on.
type Machines struct {
	Cores, Memory, Utilisation, Pool, Retention                        float64
	PostgresCores, PostgresConnections, PostgresBytes, PostgresCommits float64
	RedisOperations                                                    float64
}

// typical is an app for readers in daily use.
var typical = Load{
	Users: 1e6, Active: 0.2, Peak: 4,
	Events: 20, Keys: 0.01, SignIns: 0.05, Refreshes: 8, Uploads: 10, Devices: 2, Online: 0.1,
}

// measured are the figures of docs/capacity.md, which says how they were measured, on processors of 2.5 GHz.
var measured = Costs{
	Event: 320, Key: 2_000, SignIn: 41_000, Refresh: 2_300, Upload: 1_200,
	PostgresEvent: 230, PostgresKey: 8_400, PostgresRefresh: 250, PostgresUpload: 2_300,
	Stream: 42e3, EventBytes: 740, UserBytes: 20e3,
}

// ordinary are replicas of two processors, and a Postgres of the larger ones that providers rent out.
var ordinary = Machines{
	Cores: 2, Memory: 2e9, Utilisation: 0.5, Pool: 16, Retention: 30,
	PostgresCores: 64, PostgresConnections: 500, PostgresBytes: 4e12, PostgresCommits: 10e3, RedisOperations: 100e3,
}
