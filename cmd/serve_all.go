package cmd

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/server"
	"github.com/provisioner/provisioner/pkg/supabase"
)

// Names by which the services of one process call each other. They are not looked up.
const (
	boundPapyrus  = "http://papyrus.internal"
	boundReceiver = "http://receiver.internal"
)

func newServeAll() *cobra.Command {
	return newServeOne(config.All, "Run all three services in one process, with nothing to set up",
		`  provisioner serve all
  provisioner serve all --data-dir /var/lib/provisioner`,
		composeAll, announceAll)
}

// composeAll joins the three services: each calls the next as it would over the network, by way of a binding.
func composeAll(s *services) ([]server.Service, error) {
	papyrus, err := s.papyrus()
	if err != nil {
		return nil, err
	}
	accounts := s.bound(peerIdentity, papyrus)
	identity := supabase.NewClient(boundPapyrus, secret.New("bound"), accounts)
	receiver, err := s.receiver(identity, s.validator(identity, boundPapyrus, s.issuer(), accounts))
	if err != nil {
		return nil, err
	}
	sender := s.sender(s.bound(peerReceiver, receiver), boundReceiver, identity)
	return []server.Service{
		service(config.Sender, s.cfg.Addr.Sender, sender, apierror.Flat),
		service(config.Receiver, s.cfg.Addr.Receiver, receiver, apierror.Flat),
		service(config.Papyrus, s.cfg.Addr.Papyrus, papyrus, apierror.Nested),
	}, nil
}

// announceAll prints what a newcomer wants to know: what listens where, where the data is, and what to try.
func announceAll(c *cobra.Command, s *services, addrs map[string]string) error {
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"sender", "http://" + addrs["sender"] + "  for apps: sign-up, sign-in, keys, events"},
		{"receiver", "http://" + addrs["receiver"] + "  internal: signed requests"},
		{"papyrus", "http://" + addrs["papyrus"] + "  accounts, and the Supabase API"},
		{"admin", "http://" + addrs["admin"] + "  /livez /readyz /metrics"},
		{"data", dataPlace(s.cfg)},
	} {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), `
Try it:
  curl -s http://%s/signup -H 'content-type: application/json' \
    -d '{"email":"reader@example.com","password":"a long password"}'

`, addrs["sender"])
	return err
}

func dataPlace(cfg *config.Config) string {
	if cfg.Database.Engine == config.Postgres {
		return "Postgres (DATABASE_URL); generated keys in " + cfg.DataDir
	}
	return cfg.Database.Path + "; generated keys in " + cfg.DataDir
}
