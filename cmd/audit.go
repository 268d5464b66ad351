package cmd

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/store"
)

func newAudit() *cobra.Command {
	c := &cobra.Command{
		Use:     "audit",
		Short:   "Read the record of security events",
		Example: "  provisioner audit list --since 24h",
	}
	bindStoreFlags(c)
	c.AddCommand(newAuditList())
	return c
}

// auditRecord is an entry as the command prints it.
type auditRecord struct {
	At        time.Time  `json:"at"`
	Kind      audit.Kind `json:"kind"`
	UserID    string     `json:"userId,omitempty"`
	SessionID string     `json:"sessionId,omitempty"`
	KeyID     string     `json:"keyId,omitempty"`
	Network   string     `json:"network,omitempty"`
	RequestID string     `json:"requestId,omitempty"`
	Detail    string     `json:"detail,omitempty"`
	Count     int        `json:"count"`
}

const pageOfAudit = 500

func newAuditList() *cobra.Command {
	var kind, user, since, until string
	var limit int
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List security events, newest first",
		Long: `List security events, newest first: sign-ins, refusals, changes of passwords, keys made and revoked, reuse of refresh
tokens, and what operators did. Equal refusals of one minute are one entry with a count.`,
		Example: `  provisioner audit list --since 24h --kind signin.refused
  provisioner audit list --user reader@example.com --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withStore(c, func(ctx context.Context, db *store.DB, _ *config.Config) error {
				f := audit.Filter{Kind: audit.Kind(kind), UserID: user, Limit: limit}
				var err error
				if f.Since, err = parseWhen("since", since, time.Now()); err != nil {
					return err
				}
				if f.Until, err = parseWhen("until", until, time.Now()); err != nil {
					return err
				}
				if strings.Contains(user, "@") {
					u, err := findUser(ctx, db, user)
					if err != nil {
						return err
					}
					f.UserID = u.ID
				}
				return printAudit(ctx, c, db, f, asJSON)
			})
		},
	}
	c.Flags().StringVar(&kind, "kind", "", "only of this kind, such as signin.refused")
	c.Flags().StringVar(&user, "user", "", "only of this user, by id or email")
	c.Flags().StringVar(&since, "since", "", "at or after this RFC 3339 `time`, or so long ago (24h)")
	c.Flags().StringVar(&until, "until", "", "before this RFC 3339 `time`, or so long ago")
	c.Flags().IntVar(&limit, "limit", 100, "at most so many, 0 for all")
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON object a line")
	return c
}

func printAudit(ctx context.Context, c *cobra.Command, db *store.DB, f audit.Filter, asJSON bool) error {
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	if !asJSON {
		_, _ = fmt.Fprintln(w, "TIME\tKIND\tCOUNT\tUSER\tNETWORK\tDETAIL")
	}
	err := eachAudit(ctx, db, f, func(e audit.Entry) error {
		if asJSON {
			return printLine(c, auditRecord{e.At, e.Kind, e.UserID, e.SessionID, e.KeyID, e.Network, e.RequestID, e.Detail, e.Count})
		}
		_, err := fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", e.At.Format(time.RFC3339), e.Kind, e.Count, e.UserID, e.Network, e.Detail)
		return err
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

// eachAudit visits the entries of a filter, page by page.
func eachAudit(ctx context.Context, db *store.DB, f audit.Filter, visit func(audit.Entry) error) error {
	left := f.Limit
	for {
		f.Limit = pageOfAudit
		if left > 0 {
			f.Limit = min(left, pageOfAudit)
		}
		page, err := db.AuditEntries(ctx, f)
		if err != nil {
			return err
		}
		for _, e := range page {
			if err := visit(e); err != nil {
				return err
			}
			f.Before = e.ID
		}
		left -= len(page)
		if len(page) < f.Limit || left == 0 {
			return nil
		}
	}
}
