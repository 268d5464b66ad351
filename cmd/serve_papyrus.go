package cmd

import (
	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/server"
)

func newServePapyrus() *cobra.Command {
	return newServeOne(config.Papyrus, "Run the accounts service, with its own API and Supabase's",
		"  provisioner serve papyrus --data-dir /var/lib/provisioner",
		func(s *services) ([]server.Service, error) {
			handler, err := s.papyrus()
			if err != nil {
				return nil, err
			}
			return []server.Service{service(config.Papyrus, s.cfg.Addr.Papyrus, handler, apierror.Nested)}, nil
		}, announceNothing)
}
