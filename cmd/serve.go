package cmd

import (
	"context"
	"io"
	"log/slog"
	"net/http"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/server"
)

func newServe() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run a service, or all three",
		Long: `Run a service, or all three. On SIGTERM they fail their readiness, wait DRAIN_DELAY and let the requests under way
finish; on SIGINT they do so without the wait; a second signal ends them at once. On SIGHUP, or when their files change,
they reload keys and origins.`,
		Example: "  provisioner serve all",
	}
	c.AddCommand(newServeSender(), newServeReceiver(), newServePapyrus(), newServeAll())
	return c
}

// compose builds the services of a process from what they share.
type compose func(*services) ([]server.Service, error)

// newServeOne returns the command that runs the services that build makes.
func newServeOne(s config.Service, short, example string, build compose, announce func(*cobra.Command, *services, map[string]string) error) *cobra.Command {
	c := &cobra.Command{
		Use:     s.String(),
		Short:   short,
		Example: example,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p := process{options: config.Options{Service: s, Flags: c.Flags()}, build: build}
			p.announce = func(s *services, addrs map[string]string) error { return announce(c, s, addrs) }
			return p.run(c.Context(), c.ErrOrStderr())
		},
	}
	config.BindFlags(c.Flags(), s)
	return c
}

// process is one run of a serve command.
type process struct {
	options  config.Options
	build    compose
	announce func(*services, map[string]string) error
}

// run loads the settings, and serves until ctx ends or a signal says so. It logs onto errs.
func (p process) run(ctx context.Context, errs io.Writer) error {
	cfg, report, err := config.Load(p.options)
	if err != nil {
		return err
	}
	log := server.NewLogger(errs, string(cfg.Log.Format), cfg.Log.Level)
	keepWithinContainer(log)
	for _, w := range report.Warnings {
		log.Warn(w.Error())
	}
	warnAtStart(ctx, cfg, report, log)
	return p.serve(ctx, cfg, report.Paths, log)
}

// shareOfContainer is how much of the container's memory the collector leaves to the program; the rest is not Go's.
const shareOfContainer = 0.9

// keepWithinContainer has garbage collected before the container's memory is full, unless GOMEMLIMIT says otherwise.
func keepWithinContainer(log *slog.Logger) {
	limit, err := memlimit.Set(memlimit.WithRatio(shareOfContainer))
	log.Debug("memory limit", "bytes", limit, "err", err) // an error where there is no container, or none with a limit
}

func (p process) serve(ctx context.Context, cfg *config.Config, watched []string, log *slog.Logger) error {
	s, err := newServices(ctx, cfg, log)
	if err != nil {
		return err
	}
	signals, stop := server.Signals() // until here a signal ends the process by itself
	defer stop()
	g := server.New(server.Config{
		Log: log, Metrics: s.metrics, Admin: cfg.Addr.Admin, Ready: s.checks(), DrainDelay: cfg.DrainDelay, Signals: signals,
		MaxConnections: cfg.Limits.Connections,
	})
	defer func() { _ = g.Close() }()
	for _, f := range s.closers {
		g.Defer(f)
	}

	s.ready = g.Ready
	apis, err := p.build(s)
	if err != nil {
		return err
	}
	for _, api := range apis {
		g.Add(api)
	}
	if s.db != nil {
		g.Go("purge", newPurge(s).run)
	}
	for _, w := range s.workers {
		g.Go(w.name, w.run)
	}
	for _, f := range s.drainers {
		g.OnDrain(f)
	}
	g.OnReload(func() error { return s.reload(p.options) }, watched...)
	if err := g.Listen(ctx); err != nil {
		return err
	}
	if err := p.announce(s, g.Addrs()); err != nil {
		return err
	}
	return g.Run(ctx)
}

// announceNothing is for services that run among others: the log says where they listen.
func announceNothing(*cobra.Command, *services, map[string]string) error { return nil }

// checks are what readiness asks: the database, where there is one. Redis is no part of it; it may vanish.
func (s *services) checks() []server.Check {
	if s.db == nil {
		return nil
	}
	return []server.Check{{Name: "store", Run: s.db.Ping}}
}

// reload reads the keyring and the origins again. Both are checked before either is changed.
func (s *services) reload(o config.Options) error {
	live, report, err := config.Reload(o)
	if err != nil {
		return err
	}
	for _, w := range report.Warnings {
		s.log.Warn(w.Error())
	}
	if s.keys != nil {
		if err := reloadSigningKeys(s.keys, live.Keyring); err != nil {
			return err
		}
		s.keyAges.replace(live.Keyring)
	}
	s.origins.Replace(live.Origins.Provisioning)
	s.papyrusOrigins.Replace(live.Origins.Papyrus)
	return nil
}

func service(s config.Service, addr string, handler http.Handler, dialect apierror.Dialect) server.Service {
	return server.Service{Name: s.String(), Addr: addr, Handler: handler, Dialect: dialect}
}
