package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
)

func newSessions() *cobra.Command {
	list := newSessionsList()
	c := &cobra.Command{
		Use:   "sessions",
		Short: "See where your account is signed in, and end that",
		Example: `  provisioner sessions
  provisioner sessions end --all`,
		Args: cobra.NoArgs,
		RunE: list.RunE,
	}
	c.Flags().AddFlag(list.Flags().Lookup("json"))
	c.AddCommand(list, newSessionsEnd())
	return userCommand(c)
}

// sessionRecord is a session as the commands print it.
type sessionRecord struct {
	SessionID  string    `json:"sessionId"`
	ClientType string    `json:"clientType"`
	Device     string    `json:"device"`
	CreatedAt  time.Time `json:"createdAt"`
	LastSeenAt time.Time `json:"lastSeenAt"`
	ExpiresAt  time.Time `json:"expiresAt"`
	Current    bool      `json:"current"`
}

func newSessionsList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the sessions of your account",
		Example: "  provisioner sessions list --json | jq -r .sessionId",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withUser(c, func(ctx context.Context, a *app) error {
				devices, err := a.repository.Devices(ctx)
				if err != nil {
					return err
				}
				return printSessions(c, devices, asJSON)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON object a line")
	return c
}

func printSessions(c *cobra.Command, devices []papyrus.Device, asJSON bool) error {
	if !asJSON {
		return sessionTable(devices).writeTo(c.OutOrStdout())
	}
	for _, d := range devices {
		if err := printLine(c, sessionRecord{d.SessionID, d.ClientType, d.Label, d.CreatedAt, d.LastSeenAt, d.ExpiresAt, d.Current}); err != nil {
			return err
		}
	}
	return nil
}

func sessionTable(devices []papyrus.Device) *grid {
	g := &grid{widest: []int{36, 40, 8, 25, 25, 11}}
	g.add("SESSION ID", "DEVICE", "TYPE", "LAST SEEN", "EXPIRES", "")
	for _, d := range devices {
		mark := ""
		if d.Current {
			mark = "this device"
		}
		g.add(d.SessionID, d.Label, d.ClientType, showTime(d.LastSeenAt), showTime(d.ExpiresAt), mark)
	}
	return g
}

func newSessionsEnd() *cobra.Command {
	var all, force bool
	c := &cobra.Command{
		Use:   "end SESSION_ID | --all",
		Short: "End a session, or all of them: that device is signed out",
		Long:  "End a session, or all of them: that device is signed out. To end that of this device clears the account's library, as logout does.",
		Example: `  provisioner sessions end 3f1f6c1e-4b6c-4d0e-9c55-8d2d3ab7ed2e
  provisioner sessions end --all`,
		Args: func(_ *cobra.Command, args []string) error {
			if all != (len(args) == 0) || len(args) > 1 {
				return errors.New("give a SESSION_ID or --all")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return withUser(c, func(ctx context.Context, a *app) error {
				here, end := true, a.repository.EndAllDevices
				if !all {
					device, err := a.device(ctx, args[0])
					if err != nil {
						return err
					}
					here, end = device.Current, func(ctx context.Context) error { return a.repository.EndDevice(ctx, device) }
				}
				if here {
					if err := a.mayForget(ctx, c, force); err != nil {
						return err
					}
				}
				if err := end(ctx); err != nil {
					return err
				}
				_, err := fmt.Fprintln(c.OutOrStdout(), "ended")
				return err
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "end every session, that of this device too")
	bindForce(c, &force)
	return c
}

// device returns a session by its id. Of one that the account has not there is the id alone: the server says what is wrong with it.
func (a *app) device(ctx context.Context, sessionID string) (papyrus.Device, error) {
	devices, err := a.repository.Devices(ctx)
	for _, d := range devices {
		if d.SessionID == sessionID {
			return d, nil
		}
	}
	return papyrus.Device{SessionID: sessionID}, err
}
