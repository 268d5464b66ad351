// Package cmd is the command line, and the composition root: here, and only here, the services are put together.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // the command could not do its work, or what it checked is wrong
	exitUsage  = 2 // the command line is wrong

	exitSignedOut   = 3 // nobody is signed in
	exitUnreachable = 4 // the server cannot be reached
)

// Groups of commands.
const (
	groupServer = "server"
	groupUser   = "user"
)

// Main runs the command line of this process and returns its exit code.
func Main() int {
	return run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}

	code, err := exitCodeOf(err)
	if !errors.Is(err, errSilent) {
		_, _ = fmt.Fprintln(errs, "provisioner: "+harmless(err.Error()))
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		_, _ = fmt.Fprintln(errs, "see 'provisioner --help', or --help behind a command")
		return exitUsage
	}
	return code
}

// errSilent fails a command that has already said what is wrong.
var errSilent = errors.New("failed")

// usageError is a wrong command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "provisioner",
		Short: "Accounts, API keys and sync tokens for apps with mobile and web clients",
		Long: `Provisioner gives an app with a mobile or web client what it must never hold itself: accounts, API keys and
sync tokens.

Try it:          provisioner demo
Run it:          provisioner serve all
Check settings:  provisioner config check all
Audit it:        provisioner doctor all
Use it:          provisioner login`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("provisioner {{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	config.BindFileFlags(root.PersistentFlags())
	root.AddGroup(&cobra.Group{ID: groupServer, Title: "Commands of a server:"}, &cobra.Group{ID: groupUser, Title: "Commands of a user:"})
	for _, c := range []*cobra.Command{
		newServe(), newDemo(), newClient(),
		newConfig(), newDoctor(), newSecret(), newKeyring(), newSig(),
		newUser(), newAudit(), newJWKS(), newEvents(), newSync(), newMigrate(),
		newHealthcheck(),
	} {
		c.GroupID = groupServer
		root.AddCommand(c)
	}
	root.AddCommand(
		newRegister(), newLogin(), newLogout(), newWhoami(), newSessions(), newOffline(), newLibrary(), newKeys(),
		newVersion(),
	)
	markUsage(root)
	return root
}

// markUsage makes wrong arguments of every command usage errors, with how it is used.
func markUsage(c *cobra.Command) {
	check, usage := c.Args, ": "+c.UseLine()
	if check == nil {
		check = cobra.ArbitraryArgs
	}
	if c.HasSubCommands() && c.RunE == nil {
		check, usage = needSubcommand, ""
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return &usageError{fmt.Errorf("%w%s", err, usage)}
		}
		return nil
	}
	for _, sub := range c.Commands() {
		markUsage(sub)
	}
}

func needSubcommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("%q is no command of %q; did you mean %q?", args[0], c.CommandPath(), near[0])
	}
	return fmt.Errorf("%q is no command of %q", args[0], c.CommandPath())
}
