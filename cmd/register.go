package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/secret"
)

func newRegister() *cobra.Command {
	var name string
	var force bool
	c := &cobra.Command{
		Use:   "register EMAIL",
		Short: "Make an account, and sign in to it",
		Long: `Make an account, and sign in to it. The password is asked for, twice, on a terminal, and read from standard input otherwise. The
server says what it does not take: too short, or too common.`,
		Example: `  provisioner register ann@example.com --name Ann
  provisioner register ann@example.com < password.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withDevice(c, func(ctx context.Context, a *app) error {
				if err := a.mayEnter(ctx, c, args, force); err != nil {
					return err
				}
				password, err := readNewPassword(c)
				if err != nil {
					return err
				}
				if name == "" {
					name, _, _ = strings.Cut(args[0], "@")
				}
				return a.entered(ctx, c, a.auth.Register(ctx, papyrus.Registration{Email: args[0], DisplayName: name, Password: password}))
			})
		},
	}
	c.Flags().StringVar(&name, "name", "", "the name to show (default the part of EMAIL before the @)")
	bindForce(c, &force)
	return userCommand(c)
}

// readNewPassword reads a password as readSecret does, twice on a terminal.
func readNewPassword(c *cobra.Command) (secret.Text, error) {
	password, err := readSecret(c, "Password")
	if err != nil || terminal(c.InOrStdin()) == nil {
		return password, err
	}
	again, err := readSecret(c, "Password again")
	if err == nil && again.Reveal() != password.Reveal() {
		err = errors.New("these were two passwords: try again")
	}
	return password, err
}

// entered ends a sign-in: it applies the new state and says who is signed in.
func (a *app) entered(ctx context.Context, c *cobra.Command, err error) error {
	if err := a.applyAfter(ctx, err); err != nil {
		return err
	}
	user, err := a.signedIn()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "signed in as %s at %s\n", cell(user.Email), a.repository.Server())
	return err
}
