package cmd

import (
	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/server"
	"github.com/provisioner/provisioner/pkg/supabase"
)

func newServeSender() *cobra.Command {
	return newServeOne(config.Sender, "Run the public edge: sign-up, sign-in, and requests that it signs and forwards",
		`  SIGNING_KEYS='{"k1":"…"}' ACTIVE_KEY_ID=k1 SUPABASE_URL=https://x.supabase.co SUPABASE_ANON_KEY=… \
    provisioner serve sender --receiver-url https://receiver.example.com`,
		func(s *services) ([]server.Service, error) {
			network := newNetwork()
			identity := supabase.NewClient(s.cfg.Supabase.URL.String(), s.cfg.Supabase.AnonKey, s.network(peerIdentity, network))
			handler := s.sender(s.network(peerReceiver, network), s.cfg.Forward.URL.String(), identity)
			return []server.Service{service(config.Sender, s.cfg.Addr.Sender, handler, apierror.Flat)}, nil
		}, announceNothing)
}
