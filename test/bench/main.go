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

	"github.com/provisioner/provisioner/test/bench/peer"
	"github.com/provisioner/provisioner/test/bench/report"
	"github.com/provisioner/provisioner/test/program"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:forbidigo // the end of the program
	}
}

func run(args []string, out io.Writer) error {
	if err := peer.Serve(args); err != nil {
		return err
	}
	o, err := parse(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return o.run(ctx, out)
}

// options are what the command line says.
type options struct {
	peers   string
	program string
	rounds  rounds
	docs    string // "" writes none
	ratios  string // "" writes none
	compare string // "" compares with none
}

func parse(args []string, out io.Writer) (options, error) {
	o := options{rounds: rounds{progress: out, warmUp: time.Second}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&o.peers, "peers", strings.Join(peer.Names(), ","), "the peers to run; ratios want the baselines, bare and bare-provision, among them")
	flags.StringVar(&o.program, "program", "", "the provisioner to run; by default it is built")
	flags.IntVar(&o.rounds.count, "rounds", 7, "how often each peer has its turn")
	flags.DurationVar(&o.rounds.duration, "duration", 4*time.Second, "how long a turn is, in whole seconds")
	flags.IntVar(&o.rounds.connections, "connections", 32, "how many connections send requests")
	flags.StringVar(&o.docs, "docs", "", "a directory whose performance.md and performance.svg are to show the result")
	flags.StringVar(&o.ratios, "ratios", "", "a file to write the ratios to")
	flags.StringVar(&o.compare, "compare", "", "a file of ratios; one that is exceeded by more than 15 % is an error")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 || o.rounds.count < 1 || o.rounds.duration < time.Second || o.rounds.connections < 1 {
		return options{}, errors.New("wants at least one round, second and connection, and no arguments")
	}
	return o, nil
}

// run measures, prints the tables, and does what else the options say with them.
func (o options) run(ctx context.Context, out io.Writer) error {
	runs, err := o.measure(ctx)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if _, err := fmt.Fprintf(out, "\n%s\n%s", r.Name, r.Text()); err != nil {
			return err
		}
	}
	if o.docs != "" {
		if err := report.WriteDocs(o.docs, o.rounds.String(), runs); err != nil {
			return err
		}
	}
	if o.ratios != "" {
		if err := report.RatiosOf(runs).Write(o.ratios); err != nil {
			return err
		}
	}
	if o.compare == "" {
		return nil
	}
	committed, err := report.ReadRatios(o.compare)
	if err != nil {
		return err
	}
	return report.RatiosOf(runs).Against(committed)
}

// measure runs the suites that the options choose.
func (o options) measure(ctx context.Context) (runs []report.Run, err error) {
	suites, err := peer.Only(strings.Split(o.peers, ","))
	if err != nil {
		return nil, err
	}
	rig, err := o.rig()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rig.Close()) }()
	for _, s := range suites {
		peers, err := rig.Start(s)
		if err != nil {
			return nil, err
		}
		r, err := o.rounds.run(ctx, s, peers)
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, nil
}

func (o options) rig() (*peer.Rig, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if o.program == "" {
		if o.program, err = program.Path(); err != nil {
			return nil, err
		}
	}
	return peer.NewRig(o.program, self)
}
