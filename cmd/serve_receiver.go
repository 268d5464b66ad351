package cmd

import (
	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/server"
	"github.com/provisioner/provisioner/pkg/supabase"
)

func newServeReceiver() *cobra.Command {
	return newServeOne(config.Receiver, "Run the internal side: signed requests, and the keys that they ask for",
		`  SIGNING_KEYS='{"k1":"…"}' SUPABASE_URL=https://x.supabase.co SUPABASE_ANON_KEY=… provisioner serve receiver`,
		func(s *services) ([]server.Service, error) {
			network := s.network(peerIdentity, newNetwork())
			provider := s.cfg.Supabase
			identity := supabase.NewClient(provider.URL.String(), provider.AnonKey, network)
			users := s.validator(identity, provider.URL.String(), provider.JWTIssuer, network)
			handler, err := s.receiver(identity, users)
			if err != nil {
				return nil, err
			}
			return []server.Service{service(config.Receiver, s.cfg.Addr.Receiver, handler, apierror.Flat)}, nil
		}, announceNothing)
}
