package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/server"
	"github.com/provisioner/provisioner/pkg/supabase"
)

func newDemo() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Watch the whole job happen, in a temporary directory",
		Long: `Start the three services on free ports of this machine, with a database in a temporary directory, and do the whole job:
sign up, sign in, get an API key through a signed request, use it, and try what must not work. Each step shows what went
over the wire, secrets masked. The exit code is 0 only if every step held. Nothing is left behind.`,
		Example: "  provisioner demo",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return runDemo(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
}

func runDemo(ctx context.Context, out, errs io.Writer) error {
	dir, err := os.MkdirTemp("", "provisioner-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	inbox := &wiretap{next: newNetwork()}
	addrs, ended := startDemo(ctx, dir, inbox, errs)
	select {
	case inbox.addrs = <-addrs:
	case err := <-ended:
		return err
	}

	began := time.Now()
	d := newDemonstration(out, inbox)
	err = d.play(ctx)
	stop()
	if err = errors.Join(err, <-ended); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\nEvery step held, in %s. Run it for yourself: provisioner serve all\n", time.Since(began).Round(time.Millisecond))
	return err
}

// startDemo runs the services until ctx ends. Their addresses come once they listen, their error, or nil, when they have
// ended.
func startDemo(ctx context.Context, dir string, inbox *wiretap, errs io.Writer) (<-chan map[string]string, <-chan error) {
	settings := map[string]string{
		"DATA_DIR": dir, "LOG_LEVEL": "error",
		"SENDER_ADDR": "127.0.0.1:0", "RECEIVER_ADDR": "127.0.0.1:0", "PAPYRUS_ADDR": "127.0.0.1:0", "ADMIN_ADDR": "127.0.0.1:0",
	}
	addrs, ended := make(chan map[string]string, 1), make(chan error, 1)
	p := process{
		options: config.Options{
			Service: config.All, Dir: dir,
			LookupEnv: func(name string) (string, bool) { v, ok := settings[name]; return v, ok },
		},
		build:    func(s *services) ([]server.Service, error) { return composeDemo(s, inbox) },
		announce: func(_ *services, a map[string]string) error { addrs <- a; return nil },
	}
	go func() { ended <- p.run(ctx, errs) }()
	return addrs, ended
}

// composeDemo joins the services over real sockets, so that there is a wire to show.
func composeDemo(s *services, inbox *wiretap) ([]server.Service, error) {
	papyrus, err := s.papyrus()
	if err != nil {
		return nil, err
	}
	identity := supabase.NewClient(boundPapyrus, secret.New("demo"), inbox)
	receiver, err := s.receiver(identity, identity)
	if err != nil {
		return nil, err
	}
	sender := s.sender(inbox, boundReceiver, identity)
	return []server.Service{
		service(config.Sender, s.cfg.Addr.Sender, sender, apierror.Flat),
		service(config.Receiver, s.cfg.Addr.Receiver, receiver, apierror.Flat),
		service(config.Papyrus, s.cfg.Addr.Papyrus, papyrus, apierror.Nested),
	}, nil
}
