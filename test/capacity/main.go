// Command capacity calculates from measured costs what an installation needs for a number of users. docs/capacity.md explains
// it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "capacity:", err)
		os.Exit(2) //nolint:forbidigo // the main of a command
	}
}

// run prints the needs of the load, costs and machines that the flags tell.
func run(args []string, out, errs io.Writer) error {
	load, costs, machines := typical, measured, ordinary
	flags := flag.NewFlagSet("capacity", flag.ContinueOnError)
	flags.SetOutput(errs)
	for _, in := range inputs(&load, &costs, &machines) {
		flags.Float64Var(in.value, in.name, *in.value, in.help)
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q: all figures are flags, see -help", flags.Arg(0))
	}
	for _, in := range inputs(&load, &costs, &machines) {
		if *in.value <= 0 {
			return fmt.Errorf("-%s %v: must be above 0", in.name, *in.value)
		}
	}
	return write(out, needs(load, costs, machines))
}

// input is a figure that can be replaced.
type input struct {
	value      *float64
	name, help string
}

func inputs(l *Load, c *Costs, m *Machines) []input {
	return []input{
		{&l.Users, "users", "accounts"},
		{&l.Active, "active", "share of the users who use the app on a day"},
		{&l.Peak, "peak", "rate of the busiest hour, as a multiple of the day's mean"},
		{&l.Events, "events", "events of an active user on a day"},
		{&l.Keys, "keys", "API keys that an active user makes on a day"},
		{&l.SignIns, "sign-ins", "sign-ins with a password of an active user on a day"},
		{&l.Refreshes, "refreshes", "refreshes of sessions of an active user on a day"},
		{&l.Uploads, "uploads", "uploads of an active user on a day, of five changes each"},
		{&l.Devices, "devices", "devices of a user"},
		{&l.Online, "online", "share of the active users' devices with an open stream in the busiest hour"},

		{&c.Event, "event-us", "µs of processor for an event, half of it in the sender, half in the receiver"},
		{&c.Key, "key-us", "µs of processor for an API key, a third of it in each service"},
		{&c.SignIn, "sign-in-us", "µs of processor for a sign-in"},
		{&c.Refresh, "refresh-us", "µs of processor for a refresh of the session and of the PowerSync token"},
		{&c.Upload, "upload-us", "µs of processor for an upload"},
		{&c.Stream, "stream-bytes", "resident bytes for an open stream"},
		{&c.PostgresEvent, "pg-event-us", "µs of processor in Postgres for an event"},
		{&c.PostgresKey, "pg-key-us", "µs of processor in Postgres for an API key"},
		{&c.PostgresRefresh, "pg-refresh-us", "µs of processor in Postgres for a refresh"},
		{&c.PostgresUpload, "pg-upload-us", "µs of processor in Postgres for an upload"},
		{&c.EventBytes, "event-bytes", "bytes on disk for an event, with its indexes"},
		{&c.UserBytes, "user-bytes", "bytes on disk for an account with its sessions, keys and synced rows"},

		{&m.Cores, "cores", "processors of a replica"},
		{&m.Memory, "memory-bytes", "memory of a replica"},
		{&m.Utilisation, "utilisation", "share of processors and memory that is planned for; the rest is for spikes and for a replica that is away"},
		{&m.Pool, "pool", "connections of a replica to Postgres, pool_max_conns in DATABASE_URL"},
		{&m.Retention, "retention", "days that events are kept, EVENT_RETENTION"},
		{&m.PostgresCores, "pg-cores", "processors of the largest Postgres that you want to run"},
		{&m.PostgresConnections, "pg-connections", "connections that it bears"},
		{&m.PostgresBytes, "pg-bytes", "bytes that it may hold: what can be restored in the time that you have"},
		{&m.PostgresCommits, "pg-commits", "durable commits a second that its disk bears"},
		{&m.RedisOperations, "redis-operations", "operations a second that Redis bears"},
	}
}
