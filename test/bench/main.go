// Command bench loads the provisioner and its peers in turns, and shows what each request costs them, as a multiple of what it
// costs a bare pair that does only what must be done.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/provisioner/provisioner/test/bench/load"
	"github.com/provisioner/provisioner/test/bench/peer"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:forbidigo // the end of the program
	}
}

// options are what the command line says.
type options struct {
	peers       string
	program     string
	rounds      int
	duration    time.Duration
	connections int
}

func run(args []string, out io.Writer) error {
	if len(args) == 1 && args[0] == peer.Role {
		return peer.Serve()
	}
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return o.bench(ctx, out)
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&o.peers, "peers", strings.Join(peer.Names(), ","), "the peers to run; the ratios want bare among them")
	flags.StringVar(&o.program, "program", "", "the provisioner to run; by default it is built")
	flags.IntVar(&o.rounds, "rounds", 7, "how often each peer has its turn")
	flags.DurationVar(&o.duration, "duration", 4*time.Second, "how long a turn is, in whole seconds")
	flags.IntVar(&o.connections, "connections", 32, "how many connections send requests")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 || o.rounds < 1 || o.duration < time.Second || o.connections < 1 {
		return options{}, errors.New("takes no arguments, at least one round, connection and second")
	}
	return o, nil
}

// bench runs the benchmark and prints its table.
func (o options) bench(ctx context.Context, out io.Writer) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	rig, err := peer.NewRig(o.program, self)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rig.Close()) }()
	if o.program == "" {
		if err := rig.Build(ctx); err != nil {
			return err
		}
	}
	peers, err := rig.Start(strings.Split(o.peers, ","))
	if err != nil {
		return err
	}
	b := bench{
		rounds: o.rounds, progress: out,
		load: load.Load{Kind: load.Event, Connections: o.connections, Duration: o.duration},
	}
	measured, err := b.run(ctx, peers)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\n%s", measured.Text())
	return err
}
