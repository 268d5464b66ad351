package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/server"
)

func newHealthcheck() *cobra.Command {
	var url string
	c := &cobra.Command{
		Use:     "healthcheck",
		Short:   "Ask the running process on this machine whether it is ready",
		Long:    "Ask the running process on this machine whether it is ready, by its admin listener. The exit code is 1 if not.",
		Example: "  provisioner healthcheck --url http://127.0.0.1:9090/readyz",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if url == "" {
				cfg, _, err := config.LoadPart(config.Options{Service: config.All, Flags: c.Flags()}, "ADMIN_ADDR")
				if err != nil {
					return err
				}
				url = "http://" + cfg.Addr.Admin + "/readyz"
			}
			if err := server.Healthcheck(c.Context(), url); err != nil {
				return fmt.Errorf("%s: %w", url, err)
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), "ready")
			return err
		},
	}
	c.Flags().StringVar(&url, "url", "", "the `URL` to ask (default /readyz at ADMIN_ADDR)")
	return c
}
