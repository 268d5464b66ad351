package cmd

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
)

func newKeyring() *cobra.Command {
	c := &cobra.Command{
		Use:   "keyring",
		Short: "Make and check the keys that sender and receiver share",
	}
	c.AddCommand(newKeyringGenerate(), newKeyringCheck())
	return c
}

func newKeyringGenerate() *cobra.Command {
	var id string
	c := &cobra.Command{
		Use:   "generate",
		Short: "Make a keyring of one new key, as JSON for 'secret bulk'",
		Long: `Make a keyring of one new key. The output holds the secret: pipe it on, do not show it.

To rotate without downtime: add the new id to SIGNING_KEYS on the receiver, then make it ACTIVE_KEY_ID on the sender,
then remove the old id from both.`,
		Example: `  provisioner keyring generate | provisioner secret bulk
  provisioner keyring generate --id 2026-11 > new-key.json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			key, err := randomSecret()
			if err != nil {
				return err
			}
			ring, err := json.Marshal(map[string]string{id: key.Reveal()})
			if err != nil {
				return err
			}
			dates, err := json.Marshal(map[string]string{id: time.Now().UTC().Format(time.DateOnly)})
			if err != nil {
				return err
			}
			return printJSON(c, map[string]string{"SIGNING_KEYS": string(ring), "ACTIVE_KEY_ID": id, "KEY_ROTATION_DATES": string(dates)})
		},
	}
	c.Flags().StringVar(&id, "id", time.Now().UTC().Format("2006-01-02"), "the `id` of the key")
	return c
}

type keyState struct {
	ID     string `json:"id"`
	Bytes  int    `json:"bytes"`
	Active bool   `json:"active"`
	Made   string `json:"made,omitempty"`
}

func newKeyringCheck() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "check [sender|receiver]",
		Short:   "Check the configured keyring, and show its ids and ages",
		Example: "  provisioner keyring check sender",
		Args:    oneService, ValidArgs: serviceArgs,
		RunE: func(c *cobra.Command, args []string) error {
			service := config.Sender
			if len(args) == 1 {
				service = serviceNames[args[0]]
			}
			live, report, err := config.Reload(config.Options{Service: service, Flags: c.Flags()})
			if err != nil {
				return err
			}
			for _, w := range report.Warnings {
				_, _ = fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
			}
			if asJSON {
				return printJSON(c, keyStates(live.Keyring))
			}
			return printKeyring(c, live.Keyring)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func keyStates(k config.Keyring) []keyState {
	states := []keyState{}
	for id, s := range k.Keys {
		state := keyState{ID: id, Bytes: s.Len(), Active: id == k.ActiveID}
		if made, ok := k.Made[id]; ok {
			state.Made = made.Format(time.DateOnly)
		}
		states = append(states, state)
	}
	slices.SortFunc(states, func(a, b keyState) int { return strings.Compare(a.ID, b.ID) })
	return states
}

func printKeyring(c *cobra.Command, k config.Keyring) error {
	if k.Single() {
		_, err := fmt.Fprintf(c.OutOrStdout(), "single key (SHARED_SECRET), %d bytes, no key id\n", k.Shared.Len())
		return err
	}
	for _, s := range keyStates(k) {
		line := fmt.Sprintf("%s: %d bytes", s.ID, s.Bytes)
		if s.Made != "" {
			line += ", made " + s.Made
		}
		if s.Active {
			line += ", active"
		}
		_, _ = fmt.Fprintln(c.OutOrStdout(), line)
	}
	return nil
}
