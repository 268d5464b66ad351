package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/text"
)

const longestToken = 4096

func newKeys() *cobra.Command {
	c := &cobra.Command{
		Use:     "keys",
		Short:   "Manage the API keys of your account",
		Example: "  provisioner keys create laptop",
	}
	c.AddCommand(newKeysList(), newKeysCreate(), newKeysRotate(), newKeysRevoke())
	return userCommand(c)
}

// ownKey is a key as the commands print it.
type ownKey struct {
	KeyID      string     `json:"keyId"`
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix"`
	Tier       string     `json:"tier"`
	State      string     `json:"state"` // active, expired or revoked
	CreatedAt  time.Time  `json:"createdAt"`
	LastUsedAt *time.Time `json:"lastUsedAt"`
	ExpiresAt  *time.Time `json:"expiresAt"`
	RevokedAt  *time.Time `json:"revokedAt"`
}

func newOwnKey(k papyrus.Key, now time.Time) ownKey {
	state := "active"
	switch {
	case !k.RevokedAt.IsZero():
		state = "revoked"
	case !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(now):
		state = "expired"
	}
	return ownKey{
		k.ID, k.Name, k.Prefix, k.Tier, state, k.CreatedAt, timeOrNil(k.LastUsedAt), timeOrNil(k.ExpiresAt), timeOrNil(k.RevokedAt),
	}
}

func newKeysList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List your keys, the newest first",
		Example: "  provisioner keys list --json | jq -r .keyId",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withUser(c, func(ctx context.Context, a *app) error {
				keys, err := a.repository.Keys(ctx)
				if err != nil {
					return err
				}
				return printOwnKeys(c, keys, asJSON)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON object a line")
	return c
}

func printOwnKeys(c *cobra.Command, keys []papyrus.Key, asJSON bool) error {
	now := time.Now()
	if !asJSON {
		return keyTable(keys, now).writeTo(c.OutOrStdout())
	}
	for _, k := range keys {
		if err := printLine(c, newOwnKey(k, now)); err != nil {
			return err
		}
	}
	return nil
}

func keyTable(keys []papyrus.Key, now time.Time) *grid {
	g := &grid{widest: []int{36, 40, 16, 16, 7, 25, 25}}
	g.add("KEY ID", "NAME", "PREFIX", "TIER", "STATE", "CREATED", "LAST USED")
	for _, k := range keys {
		g.add(k.ID, k.Name, k.Prefix, k.Tier, newOwnKey(k, now).State, showTime(k.CreatedAt), showTime(k.LastUsedAt))
	}
	return g
}

// once are the flags of commands whose answer is shown once.
type once struct {
	asJSON, quiet bool
	intent        string
}

func (o *once) bind(c *cobra.Command) {
	c.Flags().BoolVar(&o.asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&o.quiet, "quiet", false, "print the token alone")
	c.Flags().StringVar(&o.intent, "idempotency-key", "", "a `text` of your own with which the command may be repeated: it gives the same key")
	c.MarkFlagsMutuallyExclusive("json", "quiet")
}

// print shows a new key.
func (o *once) print(c *cobra.Command, k papyrus.NewKey) error {
	var err error
	switch {
	case o.asJSON:
		return printJSON(c, struct {
			Token  string `json:"token"`
			KeyID  string `json:"keyId"`
			Prefix string `json:"prefix"`
			Tier   string `json:"tier"`
		}(k))
	case o.quiet:
		_, err = fmt.Fprintln(c.OutOrStdout(), text.Line(k.Token, longestToken))
	default:
		_, err = fmt.Fprintf(c.OutOrStdout(), "key %s, tier %s; its token is shown this once:\n\n%s\n", cell(k.KeyID), cell(k.Tier), text.Line(k.Token, longestToken))
	}
	return err
}

func newKeysCreate() *cobra.Command {
	var tier string
	var out once
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a key; its token is shown this once",
		Example: `  provisioner keys create laptop
  provisioner keys create ci --quiet > token`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withUser(c, func(ctx context.Context, a *app) error {
				key, err := a.repository.CreateKey(ctx, args[0], tier, out.intent)
				if err != nil {
					return err
				}
				return out.print(c, key)
			})
		},
	}
	c.Flags().StringVar(&tier, "tier", "new", "the tier to ask for")
	out.bind(c)
	return c
}

func newKeysRotate() *cobra.Command {
	var grace time.Duration
	var out once
	c := &cobra.Command{
		Use:     "rotate KEY_ID",
		Short:   "Put a new key in the place of one; its token is shown this once",
		Example: "  provisioner keys rotate 3f1f6c1e-4b6c-4d0e-9c55-8d2d3ab7ed2e --grace 1h",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if grace < 0 || grace > 24*time.Hour {
				return &usageError{errors.New("--grace is 0s to 24h")}
			}
			return withUser(c, func(ctx context.Context, a *app) error {
				key, err := a.repository.RotateKey(ctx, args[0], grace, out.intent)
				if err != nil {
					return err
				}
				return out.print(c, key)
			})
		},
	}
	c.Flags().DurationVar(&grace, "grace", 0, "how long the old key works on")
	out.bind(c)
	return c
}

func newKeysRevoke() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke KEY_ID",
		Short:   "End a key, for good",
		Example: "  provisioner keys revoke 3f1f6c1e-4b6c-4d0e-9c55-8d2d3ab7ed2e",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withUser(c, func(ctx context.Context, a *app) error {
				if err := a.repository.RevokeKey(ctx, args[0]); err != nil {
					return err
				}
				_, err := fmt.Fprintln(c.OutOrStdout(), "revoked")
				return err
			})
		},
	}
}
