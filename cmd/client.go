package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/pkg/client/provisioning"
)

func newClient() *cobra.Command {
	var sender string
	var insecure bool
	c := &cobra.Command{
		Use:     "client",
		Short:   "Call a sender as an app would",
		Example: "  provisioner client health --sender https://sender.example.com",
		Long: `Call a sender as an app would, with the retries of the Flutter client. Passwords and JWTs are asked for on a terminal and
read from standard input otherwise.`,
	}
	c.PersistentFlags().StringVar(&sender, "sender", "", "base `URL` of the sender (SENDER_WORKER_URL; default "+provisioning.DefaultBaseURL+")")
	c.PersistentFlags().BoolVar(&insecure, "allow-insecure", false, "call a sender on another machine over plain http")
	c.PersistentPreRunE = func(*cobra.Command, []string) error {
		sender = cmp.Or(sender, provisioning.BaseURLFromEnvironment(os.Getenv))
		if !strings.HasPrefix(sender, "https://") && !strings.HasPrefix(sender, "http://") {
			return &usageError{fmt.Errorf("%q is no http or https URL: give the sender's with --sender or SENDER_WORKER_URL", sender)}
		}
		return nil
	}
	connect := func() *provisioning.Client {
		if insecure {
			return provisioning.New(sender, provisioning.WithInsecureHTTP())
		}
		return provisioning.New(sender)
	}
	c.AddCommand(newClientHealth(connect, &sender), newClientSignUp(connect), newClientSignIn(connect), newClientProvision(connect), newClientEvent(connect))
	return c
}

type connector func() *provisioning.Client

func newClientHealth(connect connector, sender *string) *cobra.Command {
	return &cobra.Command{
		Use:   "health [URL]",
		Short: "Ask a service whether it is up (default the sender)",
		Example: `  provisioner client health
  provisioner client health https://receiver.example.com`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			url := *sender
			if len(args) == 1 {
				url = args[0]
			}
			return report(c, connect().CheckHealth(c.Context(), url))
		},
	}
}

func newClientSignUp(connect connector) *cobra.Command {
	return &cobra.Command{
		Use:     "signup EMAIL",
		Short:   "Make an account",
		Example: "  provisioner client signup reader@example.com",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			password, err := readSecret(c, "Password of "+shown(args[0]))
			if err != nil {
				return err
			}
			return report(c, connect().SignUp(c.Context(), args[0], password.Reveal()))
		},
	}
}

func newClientSignIn(connect connector) *cobra.Command {
	return &cobra.Command{
		Use:     "signin EMAIL",
		Short:   "Sign in, and print the JWT with the account",
		Example: "  provisioner client signin reader@example.com < password.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			password, err := readSecret(c, "Password of "+shown(args[0]))
			if err != nil {
				return err
			}
			return report(c, connect().SignIn(c.Context(), args[0], password.Reveal()))
		},
	}
}

func newClientProvision(connect connector) *cobra.Command {
	var name, tier string
	c := &cobra.Command{
		Use:     "provision",
		Short:   "Get an API key for the user of a JWT",
		Long:    "Get an API key for the user of a JWT, which is read from standard input. The key is shown this once.",
		Example: "  provisioner client signin reader@example.com < password.txt | jq -r .jwt | provisioner client provision --name laptop",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			jwt, err := readSecret(c, "JWT")
			if err != nil {
				return err
			}
			return report(c, connect().ProvisionKey(c.Context(), jwt.Reveal(), name, tier))
		},
	}
	c.Flags().StringVar(&name, "name", "", "what to call the key")
	c.Flags().StringVar(&tier, "tier", "new", "the tier to ask for")
	requireFlags(c, "name")
	return c
}

func newClientEvent(connect connector) *cobra.Command {
	var user, action string
	c := &cobra.Command{
		Use:     "event",
		Short:   "Report an event",
		Example: "  provisioner client event --user u1 --action app_opened",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return report(c, connect().SendEvent(c.Context(), provisioning.Event{UserID: user, Action: action, SentAt: time.Now()}))
		},
	}
	c.Flags().StringVar(&user, "user", "", "the user's id")
	c.Flags().StringVar(&action, "action", "", "what happened: 1 to 64 of a-z 0-9 _ . : -")
	requireFlags(c, "user", "action")
	return c
}

// requireFlags makes it a usage error to leave one of the flags out.
func requireFlags(c *cobra.Command, names ...string) {
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		for _, name := range names {
			if !c.Flags().Changed(name) {
				return &usageError{fmt.Errorf("--%s is missing", name)}
			}
		}
		return nil
	}
}

// report prints the answer of a success as JSON, and returns an error's message.
func report(c *cobra.Command, r provisioning.Result) error {
	switch r := r.(type) {
	case provisioning.Success:
		return printJSON(c, r.Data)
	case provisioning.Error:
		if errors.Is(r.Err, provisioning.ErrInsecureURL) {
			return r.Err
		}
		if r.Code != "" {
			return fmt.Errorf("%s (%s)", r.Message, r.Code)
		}
		return errors.New(r.Message)
	}
	return nil
}
