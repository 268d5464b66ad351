package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/pkg/client/library"
	"github.com/provisioner/provisioner/pkg/client/papyrus"
)

func newLogout() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "logout",
		Short: "Sign out, and clear the account's library on this device",
		Long: `Sign out, and clear the account's library on this device; the guest library stays. What was not uploaded would be lost: you are
asked, or it takes --force. Where the server cannot be reached you are signed out here, and the session goes on there until it expires:
end it with 'provisioner sessions' from another device.`,
		Example: "  provisioner logout",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return runBare(c, (*papyrus.AuthProvider).Restore, func(ctx context.Context, a *app) error {
				if a.apply(ctx) == nil { // a library that cannot be opened is no reason to stay signed in
					if err := a.mayForget(ctx, c, force); err != nil {
						return err
					}
				}
				if err := a.logout(ctx); err != nil {
					return err
				}
				_, err := fmt.Fprintln(c.OutOrStdout(), "signed out")
				return err
			})
		},
	}
	bindForce(c, &force)
	return userCommand(c)
}

// logout signs out, and says what is left of the sign-in where something is.
func (a *app) logout(ctx context.Context) error {
	told := a.auth.Logout(ctx)
	if errors.Is(told, papyrus.ErrUnreachable) {
		told = fmt.Errorf("signed out on this device, but the session goes on at the server: %w", told)
	}
	cleared := a.apply(ctx)
	if cleared != nil {
		cleared = fmt.Errorf("the account's library is not cleared: remove %s: %w", a.library.Path(library.Account), cleared)
	}
	return errors.Join(told, cleared)
}
