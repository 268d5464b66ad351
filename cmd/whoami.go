package cmd

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
)

// identity is who is signed in, as whoami prints it.
type identity struct {
	Status        papyrus.Status `json:"status"`
	Server        string         `json:"server"`
	UserID        string         `json:"userId"`
	Email         string         `json:"email"`
	EmailVerified bool           `json:"emailVerified"`
	DisplayName   string         `json:"displayName"`
	Reason        string         `json:"reason,omitempty"` // of the status offline
}

func newIdentity(s papyrus.State, server string) identity {
	i := identity{s.Status, server, s.User.ID, s.User.Email, s.User.EmailVerified, s.User.DisplayName, ""}
	if s.Err != nil {
		i.Reason = s.Err.Error()
	}
	return i
}

func newWhoami() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "whoami",
		Short:   "Show who is signed in",
		Long:    "Show who is signed in. While the server is out of reach that is who was signed in last, with the status offline.",
		Example: "  provisioner whoami --json | jq -r .email",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withApp(c, func(_ context.Context, a *app) error {
				s := a.auth.State()
				if s.User == nil || s.User.ID == "" {
					_, err := a.signedIn()
					return err
				}
				return printIdentity(c, newIdentity(s, a.repository.Server()), asJSON)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return userCommand(c)
}

func printIdentity(c *cobra.Command, i identity, asJSON bool) error {
	if asJSON {
		return printJSON(c, i)
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "Email\t%s\nName\t%s\nUser ID\t%s\nServer\t%s\nStatus\t%s\n",
		cell(i.Email), cell(i.DisplayName), cell(i.UserID), i.Server, i.Status)
	if i.Reason != "" {
		_, _ = fmt.Fprintf(w, "Reason\t%s\n", shown(i.Reason))
	}
	return w.Flush()
}
