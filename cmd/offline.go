package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newOffline() *cobra.Command {
	c := &cobra.Command{
		Use:   "offline",
		Short: "Work without an account, in the guest library of this device",
		Long: `Work without an account, in the guest library of this device. Nothing is sent anywhere, until you switch it off or sign in. What is
in the guest library never goes into an account.`,
		Example: `  provisioner offline on
  provisioner offline off`,
	}
	c.AddCommand(
		newOfflineSwitch("on", "Sign out, and work in the guest library from now on", "offline mode is on", true),
		newOfflineSwitch("off", "End offline mode", "offline mode is off", false),
	)
	return userCommand(c)
}

func newOfflineSwitch(use, short, done string, on bool) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:     use,
		Short:   short,
		Example: "  provisioner offline " + use,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withDevice(c, func(ctx context.Context, a *app) error {
				if on {
					if err := a.mayForget(ctx, c, force); err != nil {
						return err
					}
				}
				if err := a.applyAfter(ctx, a.auth.SetOfflineMode(ctx, on)); err != nil {
					return err
				}
				_, err := fmt.Fprintln(c.OutOrStdout(), done)
				return err
			})
		},
	}
	if on {
		bindForce(c, &force)
	}
	return c
}
