package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/store"
)

func newUser() *cobra.Command {
	c := &cobra.Command{
		Use:     "user",
		Short:   "Look after the accounts of this database",
		Example: "  provisioner user list --data-dir /var/lib/provisioner",
	}
	bindStoreFlags(c)
	c.AddCommand(newUserList(), newUserShow(), newUserSetPlan(), newUserDisable(), newUserEnable(), newUserDelete())
	return c
}

// userRecord is an account as the commands print it.
type userRecord struct {
	UserID        string     `json:"userId"`
	Email         string     `json:"email"`
	EmailVerified bool       `json:"emailVerified"`
	DisplayName   string     `json:"displayName"`
	Plan          string     `json:"plan"`
	CreatedAt     time.Time  `json:"createdAt"`
	LastLoginAt   *time.Time `json:"lastLoginAt"`
	DisabledAt    *time.Time `json:"disabledAt"`
}

func newUserRecord(u account.User) userRecord {
	return userRecord{
		UserID: u.ID, Email: u.Email, EmailVerified: u.EmailVerified, DisplayName: u.DisplayName, Plan: u.Plan,
		CreatedAt: u.CreatedAt, LastLoginAt: timeOrNil(u.LastLoginAt), DisabledAt: timeOrNil(u.DisabledAt),
	}
}

func (r userRecord) state() string {
	if r.DisabledAt != nil {
		return "disabled"
	}
	return "enabled"
}

const pageOfUsers = 500

func newUserList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the accounts, oldest first",
		Example: "  provisioner user list --json | jq -r .email",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withStore(c, func(ctx context.Context, db *store.DB, _ *config.Config) error {
				w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
				if !asJSON {
					_, _ = fmt.Fprintln(w, "USER ID\tEMAIL\tPLAN\tSTATE\tCREATED")
				}
				err := eachUser(ctx, db, func(r userRecord) error {
					if asJSON {
						return printLine(c, r)
					}
					_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.UserID, r.Email, r.Plan, r.state(), r.CreatedAt.Format(time.RFC3339))
					return err
				})
				return errors.Join(err, w.Flush())
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON object a line")
	return c
}

func eachUser(ctx context.Context, db *store.DB, visit func(userRecord) error) error {
	after := ""
	for {
		page, err := db.Users(ctx, account.Filter{After: after, Limit: pageOfUsers})
		if err != nil {
			return err
		}
		for _, u := range page {
			if err := visit(newUserRecord(u)); err != nil {
				return err
			}
			after = u.ID
		}
		if len(page) < pageOfUsers {
			return nil
		}
	}
}

// findUser returns the account of an id or an e-mail.
func findUser(ctx context.Context, db *store.DB, who string) (account.User, error) {
	find := db.UserByID
	if strings.Contains(who, "@") {
		find = func(ctx context.Context, email string) (account.User, error) {
			email, _ = account.NormalizeEmail(email)
			return db.UserByEmail(ctx, email)
		}
	}
	u, err := find(ctx, who)
	if errors.Is(err, account.ErrNotFound) {
		return account.User{}, fmt.Errorf("no account %q: give a user id or an email", who)
	}
	return u, err
}

func newUserShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show USER",
		Short:   "Show an account, by its id or email, as JSON",
		Example: "  provisioner user show reader@example.com",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withStore(c, func(ctx context.Context, db *store.DB, _ *config.Config) error {
				u, err := findUser(ctx, db, args[0])
				if err != nil {
					return err
				}
				return printJSON(c, newUserRecord(u))
			})
		},
	}
}

// changeUser is a command that changes one account and says what it did.
func changeUser(c *cobra.Command, who, done string, change func(ctx context.Context, db *store.DB, u account.User) error) error {
	return withStore(c, func(ctx context.Context, db *store.DB, _ *config.Config) error {
		u, err := findUser(ctx, db, who)
		if err != nil {
			return err
		}
		if err := change(ctx, db, u); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s %s\n", u.Email, done)
		return err
	})
}

func newUserSetPlan() *cobra.Command {
	return &cobra.Command{
		Use:     "set-plan USER PLAN",
		Short:   "Give an account another plan: the highest tier that its keys may have",
		Example: "  provisioner user set-plan reader@example.com pro",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := storeConfig(c)
			if err != nil {
				return err
			}
			if names := tierNames(cfg.Tiers); !slices.Contains(names, args[1]) {
				return fmt.Errorf("no tier %q; TIERS has %s", args[1], strings.Join(names, ", "))
			}
			return changeUser(c, args[0], "has the plan "+args[1], func(ctx context.Context, db *store.DB, u account.User) error {
				set := audit.New(ctx, time.Now().UTC(), audit.PlanSet, u.ID)
				set.Detail = args[1]
				return db.SetPlan(ctx, u.ID, args[1], set)
			})
		},
	}
}

func newUserDisable() *cobra.Command {
	return &cobra.Command{
		Use:     "disable USER",
		Short:   "Disable an account and end its sessions",
		Example: "  provisioner user disable reader@example.com",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return changeUser(c, args[0], "is disabled", func(ctx context.Context, db *store.DB, u account.User) error {
				now := time.Now().UTC()
				return db.SetDisabled(ctx, u.ID, now, audit.New(ctx, now, audit.Disabled, u.ID))
			})
		},
	}
}

func newUserEnable() *cobra.Command {
	return &cobra.Command{
		Use:     "enable USER",
		Short:   "Enable a disabled account",
		Example: "  provisioner user enable reader@example.com",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return changeUser(c, args[0], "is enabled", func(ctx context.Context, db *store.DB, u account.User) error {
				return db.SetDisabled(ctx, u.ID, time.Time{}, audit.New(ctx, time.Now().UTC(), audit.Enabled, u.ID))
			})
		},
	}
}

func newUserDelete() *cobra.Command {
	var sure bool
	c := &cobra.Command{
		Use:     "delete USER --yes",
		Short:   "Erase an account and everything it owns, for good",
		Example: "  provisioner user delete reader@example.com --yes",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !sure {
				return &usageError{errors.New("this erases the account, its sessions and keys for good: add --yes")}
			}
			return changeUser(c, args[0], "is erased", func(ctx context.Context, db *store.DB, u account.User) error {
				return db.DeleteUser(ctx, u.ID, audit.New(ctx, time.Now().UTC(), audit.Deleted, u.ID))
			})
		},
	}
	c.Flags().BoolVar(&sure, "yes", false, "erase without asking")
	return c
}
