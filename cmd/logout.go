package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
)

func newLogout() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "logout",
		Short: "Sign out, and clear the account's library on this device",
		Long: `Sign out, and clear the account's library on this device; the guest library stays. What was not uploaded would be lost: you are
asked, or it takes --force. Where the server cannot be reached you are signed
out here, and the session goes on there until it expires: end it with 'provisioner sessions' from another device.`,
		Example: "  provisioner logout",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withDevice(c, func(ctx context.Context, a *app) error {
				if err := a.mayForget(ctx, c, force); err != nil {
					return err
				}
				err := a.applyAfter(ctx, a.auth.Logout(ctx))
				if errors.Is(err, papyrus.ErrUnreachable) {
					return fmt.Errorf("signed out on this device, but the session goes on at the server: %w", err)
				}
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(c.OutOrStdout(), "signed out")
				return err
			})
		},
	}
	bindForce(c, &force)
	return userCommand(c)
}
