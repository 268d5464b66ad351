package cmd

import (
	"context"
	"fmt"
	"slices"
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

// auditQuery is what the flags of audit list ask for.
type auditQuery struct {
	kind, user, since, until string
	limit                    int
}

func newAuditList() *cobra.Command {
	var q auditQuery
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List security events, newest first",
		Long: `List security events, newest first: sign-ins, refusals, changes of passwords, keys made and revoked, reuse of refresh
tokens, and what operators did. Equal refusals of one minute are one entry with a count; they are written about a second later.`,
		Example: `  provisioner audit list --since 24h --kind signin.refused
  provisioner audit list --user reader@example.com --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withStore(c, func(ctx context.Context, db *store.DB, _ *config.Config) error {
				f, err := q.filter(ctx, db)
				if err != nil {
					return err
				}
				return printAudit(ctx, c, db, f, asJSON)
			})
		},
	}
	c.Flags().StringVar(&q.kind, "kind", "", "only of this kind, such as signin.refused")
	c.Flags().StringVar(&q.user, "user", "", "only of this user, by id or email")
	c.Flags().StringVar(&q.since, "since", "", "at or after this RFC 3339 `time`, or so long ago (24h)")
	c.Flags().StringVar(&q.until, "until", "", "before this RFC 3339 `time`, or so long ago")
	c.Flags().IntVar(&q.limit, "limit", 100, "at most so many, 0 for all")
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON object a line")
	return c
}

// filter refuses what would silently list nothing, or everything.
func (q auditQuery) filter(ctx context.Context, db *store.DB) (f audit.Filter, err error) {
	f = audit.Filter{Kind: audit.Kind(q.kind), UserID: q.user, Limit: q.limit}
	switch {
	case f.Kind != "" && !slices.Contains(audit.Kinds, f.Kind):
		return f, &usageError{fmt.Errorf("--kind %q is none of %v", f.Kind, audit.Kinds)}
	case f.Limit < 0:
		return f, &usageError{fmt.Errorf("--limit %d is less than 0", f.Limit)}
	}
	if f.Since, err = parseWhen("since", q.since, time.Now()); err != nil {
		return f, err
	}
	if f.Until, err = parseWhen("until", q.until, time.Now()); err != nil {
		return f, err
	}
	if !strings.Contains(q.user, "@") {
		return f, nil // also the id of an account that is gone: its entries stay
	}
	u, err := findUser(ctx, db, q.user)
	f.UserID = u.ID
	return f, err
}

func printAudit(ctx context.Context, c *cobra.Command, db *store.DB, f audit.Filter, asJSON bool) error {
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	if !asJSON {
		_, _ = fmt.Fprintln(w, "TIME\tKIND\tCOUNT\tUSER\tNETWORK\tDETAIL")
	}
	for e, err := range audit.List(ctx, db, f) {
		if err != nil {
			return err
		}
		if asJSON {
			err = printLine(c, auditRecord{e.At, e.Kind, e.UserID, e.SessionID, e.KeyID, e.Network, e.RequestID, e.Detail, e.Count})
		} else {
			_, err = fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", e.At.Format(time.RFC3339), e.Kind, e.Count, e.UserID, e.Network, e.Detail)
		}
		if err != nil {
			return err
		}
	}
	return w.Flush()
}
