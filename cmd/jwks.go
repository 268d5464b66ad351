package cmd

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/server"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/token"
)

func newJWKS() *cobra.Command {
	c := &cobra.Command{
		Use:   "jwks",
		Short: "Rotate the keys that sign tokens",
		Long: `Rotate the keys that sign tokens. A new key is published first, signs once every cache of the JWKS has it (6 minutes for
PowerSync tokens, 11 for access tokens), and the key before stays published until the last token that it signed has expired.
Running services follow by themselves.`,
		Example: `  provisioner jwks rotate
  provisioner jwks list --use access
  provisioner jwks retire 0f9ff6d1-6f9c-4d0e-9c55-8d2d3ab7ed2e`,
	}
	config.BindPartFlags(c.PersistentFlags(), jwksFlags...)
	c.PersistentFlags().String(useFlag, string(token.PowerSync), "which keys: powersync or access")
	c.AddCommand(newJWKSRotate(), newJWKSList(), newJWKSRetire())
	return c
}

const useFlag = "use"

// jwksSettings are the settings of the commands, jwksFlags those of them that have a flag.
var (
	jwksSettings = []string{
		"DATABASE_URL", "DATA_DIR", "AUTO_MIGRATE", "SEAL_KEY", "ACCESS_JWT_PRIVATE_KEY", "ACCESS_JWT_PRIVATE_KEY_FILE", "ACCESS_TOKEN_EXPIRE_MINUTES",
		"POWERSYNC_JWT_PRIVATE_KEY", "POWERSYNC_JWT_PRIVATE_KEY_FILE", "POWERSYNC_JWT_KEY_ID", "POWERSYNC_TOKEN_EXPIRE_MINUTES",
		"POWERSYNC_JWT_PREVIOUS_PUBLIC_KEY", "POWERSYNC_JWT_PREVIOUS_PUBLIC_KEY_FILE", "POWERSYNC_JWT_PREVIOUS_KEY_ID",
	}
	jwksFlags = []string{"DATA_DIR", "ACCESS_TOKEN_EXPIRE_MINUTES", "POWERSYNC_TOKEN_EXPIRE_MINUTES"}
)

// withKeystore runs a command's work on the keys that --use names.
func withKeystore(c *cobra.Command, work func(ctx context.Context, keys *token.Keystore) error) error {
	cfg, _, err := config.LoadPart(config.Options{Service: config.Papyrus, Flags: c.Flags()}, jwksSettings...)
	if err != nil {
		return err
	}
	db, err := openExisting(c.Context(), cfg, openStore)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	keys, err := keystore(c, cfg, db)
	if err != nil {
		return err
	}
	return work(c.Context(), keys)
}

func keystore(c *cobra.Command, cfg *config.Config, db *store.DB) (*token.Keystore, error) {
	s := &services{cfg: cfg, db: db, log: server.NewLogger(c.ErrOrStderr(), string(config.LogText), cfg.Log.Level)}
	sealer, err := s.sealer()
	if err != nil {
		return nil, err
	}
	switch use, _ := c.Flags().GetString(useFlag); token.Use(use) {
	case token.PowerSync:
		return powerSyncKeys(cfg, db, sealer)
	case token.Access:
		return s.accessKeys(sealer)
	default:
		return nil, &usageError{fmt.Errorf("--use %q is neither powersync nor access", use)}
	}
}

func newJWKSRotate() *cobra.Command {
	return &cobra.Command{
		Use:     "rotate",
		Short:   "Publish a new key, which takes over by itself",
		Example: "  provisioner jwks rotate",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withKeystore(c, func(ctx context.Context, keys *token.Keystore) error {
				states, err := keys.Rotate(ctx)
				if err != nil {
					return err
				}
				return printKeys(c, states, false)
			})
		},
	}
}

func newJWKSList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "Show the keys: published, verify-only, active, retiring, removable",
		Long: `Show the keys, in the states that each goes through: published (caches may not have it yet), verify-only (they have it; it does
not sign yet), active (it signs), retiring (tokens that it signed may be in use), removable (none is).`,
		Example: "  provisioner jwks list --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withKeystore(c, func(ctx context.Context, keys *token.Keystore) error {
				states, err := keys.List(ctx)
				if err != nil {
					return err
				}
				return printKeys(c, states, asJSON)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newJWKSRetire() *cobra.Command {
	return &cobra.Command{
		Use:     "retire KEY-ID",
		Short:   "Remove a key of which no token is good any more",
		Example: "  provisioner jwks retire 0f9ff6d1-6f9c-4d0e-9c55-8d2d3ab7ed2e",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withKeystore(c, func(ctx context.Context, keys *token.Keystore) error {
				err := keys.Retire(ctx, args[0])
				if errors.Is(err, token.ErrUnknownKey) {
					return fmt.Errorf("no key %q: see provisioner jwks list", args[0])
				}
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s is removed\n", args[0])
				return err
			})
		},
	}
}

// keyRecord is a key as the commands print it.
type keyRecord struct {
	KeyID       string      `json:"keyId"`
	State       token.State `json:"state"`
	Configured  bool        `json:"configured"`
	PublishedAt *time.Time  `json:"publishedAt"` // null for a configured key
	SignsFrom   *time.Time  `json:"signsFrom"`
	RemovesAt   *time.Time  `json:"removesAt"` // null while no key comes after it
}

func printKeys(c *cobra.Command, states []token.KeyState, asJSON bool) error {
	records := make([]keyRecord, len(states))
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "KEY ID\tSTATE\tSIGNS FROM\tREMOVABLE FROM")
	for i, s := range states {
		records[i] = keyRecord{s.ID, s.State, s.Configured, timeOrNil(s.PublishedAt), timeOrNil(s.SignsFrom), timeOrNil(s.RemovesAt)}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.ID, s.State, showTime(s.SignsFrom), showTime(s.RemovesAt))
	}
	if asJSON {
		return printJSON(c, records)
	}
	return w.Flush()
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func showTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.RFC3339)
}
