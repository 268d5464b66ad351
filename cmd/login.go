package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cli/browser"
	"github.com/spf13/cobra"
)

func newLogin() *cobra.Command {
	var google, noBrowser, force bool
	c := &cobra.Command{
		Use:   "login EMAIL | --google",
		Short: "Sign in with a password, or with Google",
		Long: `Sign in with a password, which is asked for on a terminal and read from standard input otherwise; or with Google, or the provider
that the server has in its place, in your browser. The sign-in outlives the command: it is kept in the system keyring, else in the
client's directory.`,
		Example: `  provisioner login ann@example.com
  provisioner login --google
  provisioner login --google --no-browser`,
		Args: func(_ *cobra.Command, args []string) error {
			if google != (len(args) == 0) || len(args) > 1 {
				return errors.New("give an EMAIL or --google")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return withDevice(c, func(ctx context.Context, a *app) error {
				if err := a.mayEnter(ctx, c, args, force); err != nil {
					return err
				}
				if google {
					return a.entered(ctx, c, a.auth.LoginWithGoogle(ctx, browserOf(ctx, c, noBrowser)))
				}
				password, err := readSecret(c, "Password of "+shown(args[0]))
				if err != nil {
					return err
				}
				return a.entered(ctx, c, a.auth.Login(ctx, args[0], password))
			})
		},
	}
	c.Flags().BoolVar(&google, "google", false, "sign in with Google, in the browser")
	c.Flags().BoolVar(&noBrowser, "no-browser", false, "print the URL instead of opening it: for a browser on this machine")
	bindForce(c, &force)
	return userCommand(c)
}

// browserOf returns what opens a URL in the browser, $BROWSER or the system's, and has the person open it where that fails.
func browserOf(ctx context.Context, c *cobra.Command, noBrowser bool) func(url string) error {
	say := func(format string, args ...any) error {
		_, err := fmt.Fprintf(c.ErrOrStderr(), format+"\n", args...)
		return err
	}
	return func(url string) error {
		if !noBrowser && openBrowser(ctx, c, url) == nil {
			return say("Sign in in your browser. Ctrl-C gives up.")
		}
		return say("Open this in a browser on this machine:\n\n%s\n\nCtrl-C gives up.", url)
	}
}

// browserStart is how long a program that opens browsers has to say that it cannot. One that is a browser itself runs on, and is left
// alone, also when the command ends.
const browserStart = 2 * time.Second

// openBrowser has $BROWSER or else the system's browser open a URL.
func openBrowser(ctx context.Context, c *cobra.Command, url string) error {
	browser.Stdout, browser.Stderr = c.ErrOrStderr(), c.ErrOrStderr()
	open := browser.OpenURL
	if programs := os.Getenv("BROWSER"); programs != "" {
		open = func(url string) error { return runBrowser(context.WithoutCancel(ctx), programs, url) }
	}
	ended := make(chan error, 1)
	go func() { ended <- open(url) }()
	select {
	case err := <-ended:
		return err
	case <-time.After(browserStart):
		return nil
	}
}

// runBrowser runs the first of programs, a list as for PATH, that succeeds. A program may have arguments, and %s among them where the URL
// goes, else that is the last.
func runBrowser(ctx context.Context, programs, url string) error {
	err := errors.New("BROWSER names no program")
	for _, program := range filepath.SplitList(programs) {
		fields := strings.Fields(program)
		if len(fields) == 0 {
			continue
		}
		if !strings.Contains(program, "%s") {
			fields = append(fields, "%s")
		}
		for i := range fields {
			fields[i] = strings.ReplaceAll(fields[i], "%s", url)
		}
		if err = exec.CommandContext(ctx, fields[0], fields[1:]...).Run(); err == nil { //nolint:gosec // the person names it
			return nil
		}
	}
	return err
}
