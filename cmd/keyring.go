package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
)

func newKeyring() *cobra.Command {
	c := &cobra.Command{
		Use:     "keyring",
		Short:   "Make and check the keys that sender and receiver share",
		Example: "  provisioner keyring check sender",
	}
	c.AddCommand(newKeyringGenerate(), newKeyringCheck())
	return c
}

func newKeyringGenerate() *cobra.Command {
	var id string
	var add bool
	c := &cobra.Command{
		Use:   "generate",
		Short: "Make a signing key, as JSON for 'secret bulk'",
		Long: `Make a signing key: a keyring of it alone, or with --add the configured keyring with it. The output holds secrets: pipe
it on, do not show it.

To rotate without downtime: add the new id on the receiver, then on the sender and make it ACTIVE_KEY_ID there, then
remove the old id from both.`,
		Example: `  provisioner keyring generate | provisioner secret bulk
  provisioner keyring generate --add --id 2026-11 | provisioner secret bulk`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := config.CheckKeyID(id); err != nil {
				return &usageError{fmt.Errorf("--id %w", err)}
			}
			ring, err := newRing(c, id, add)
			if err != nil {
				return err
			}
			return printJSON(c, ring)
		},
	}
	c.Flags().StringVar(&id, "id", time.Now().UTC().Format(time.DateOnly), "the `id` of the key")
	c.Flags().BoolVar(&add, "add", false, "keep the keys that are configured, and the one that is active")
	return c
}

// newRing returns the settings of a keyring with a new key: of it alone, or added to the configured one.
func newRing(c *cobra.Command, id string, add bool) (map[string]string, error) {
	keys, dates, ring := map[string]string{}, map[string]string{}, map[string]string{}
	if add {
		cfg, err := signingConfig(c, config.Receiver)
		if err != nil {
			return nil, err
		}
		if cfg.Keyring.Keys[id].IsSet() {
			return nil, fmt.Errorf("the keyring has a key %q already: choose another --id", id)
		}
		for known, s := range cfg.Keyring.Keys {
			keys[known] = s.Reveal()
		}
		for known, made := range cfg.Keyring.Made {
			dates[known] = made.Format(time.RFC3339)
		}
	} else {
		ring["ACTIVE_KEY_ID"] = id
	}

	key, err := randomSecret()
	if err != nil {
		return nil, err
	}
	keys[id], dates[id] = key.Reveal(), time.Now().UTC().Format(time.DateOnly)
	for name, members := range map[string]map[string]string{"SIGNING_KEYS": keys, "KEY_ROTATION_DATES": dates} {
		text, err := json.Marshal(members)
		if err != nil {
			return nil, err
		}
		ring[name] = string(text)
	}
	return ring, nil
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
		Args:    oneSigner, ValidArgs: []string{"sender", "receiver"},
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

// oneSigner accepts no argument, or the name of a service with a keyring.
func oneSigner(_ *cobra.Command, args []string) error {
	if len(args) > 1 || len(args) == 1 && args[0] != "sender" && args[0] != "receiver" {
		return errors.New("name one service: sender or receiver")
	}
	return nil
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
