package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/secret"
)

const maxSecretInput = 1 << 20

func newSecret() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:     "secret",
		Short:   "Keep secrets in .dev.vars or in a directory, as wrangler secret does",
		Example: "  provisioner secret put SHARED_SECRET",
		Long: `Keep secrets where the services read them: in .dev.vars (with --env NAME in .dev.vars.NAME), or with --secrets-dir in a
directory of one file a secret, as Kubernetes mounts them. A value is asked for on a terminal and read from standard
input otherwise: never given as an argument, which others on the machine could see.`,
	}
	c.PersistentFlags().StringVar(&dir, "secrets-dir", os.Getenv("SECRETS_DIR"), "keep the secrets in this `directory` (SECRETS_DIR)")
	target := func(c *cobra.Command) vault {
		if dir != "" {
			return vault{config.SecretDirTarget(dir), dir}
		}
		path := devVarsPath(c)
		return vault{config.DevVarsTarget(path), path}
	}
	c.AddCommand(newSecretPut(target), newSecretList(target), newSecretDelete(target), newSecretBulk(target))
	return c
}

// devVarsPath is the file that the services would read: beside the Wrangler file, with the environment's name.
func devVarsPath(c *cobra.Command) string {
	file, _ := c.Flags().GetString("config")
	env, _ := c.Flags().GetString("env")
	path := filepath.Join(filepath.Dir(file), ".dev.vars")
	if env != "" {
		path += "." + env
	}
	return path
}

// vault is where secrets are kept.
type vault struct {
	config.SecretTarget
	path string
}

type targetOf func(*cobra.Command) vault

func newSecretPut(target targetOf) *cobra.Command {
	return &cobra.Command{
		Use:   "put NAME",
		Short: "Set a secret",
		Example: `  provisioner secret put SHARED_SECRET
  openssl rand -hex 32 | provisioner secret put SHARED_SECRET --env staging`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			value, err := readSecret(c, "Value of "+args[0])
			if err != nil {
				return err
			}
			if err := target(c).Put(args[0], value.Reveal()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is set in %s\n", args[0], target(c).path)
			return err
		},
	}
}

// readSecret asks for a value on a terminal, without echo, and else reads it from standard input. White space at its end is
// not part of it.
func readSecret(c *cobra.Command, prompt string) (secret.Text, error) {
	var text []byte
	var err error
	if in := terminal(c.InOrStdin()); in != nil {
		_, _ = fmt.Fprintf(c.ErrOrStderr(), "%s: ", prompt)
		text, err = readHidden(c.Context(), int(in.Fd()))
		_, _ = fmt.Fprintln(c.ErrOrStderr())
	} else {
		text, err = readInput(c)
	}
	if err != nil {
		return secret.Text{}, fmt.Errorf("read the value: %w", err)
	}
	value := strings.TrimRight(string(text), " \t\r\n\v\f")
	if value == "" {
		return secret.Text{}, errors.New("the value is empty: pipe it in, or type it at the prompt")
	}
	return secret.New(value), nil
}

// readHidden reads a line from a terminal without echo. Where ctx ends first, the terminal is as it was before.
func readHidden(ctx context.Context, terminal int) ([]byte, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return nil, err
	}
	text, err := typed(ctx, func() ([]byte, error) { return term.ReadPassword(terminal) })
	if ctx.Err() != nil {
		return nil, errors.Join(ctx.Err(), term.Restore(terminal, before))
	}
	return text, err
}

// typed returns what read, which waits for somebody to type, returns, or the error of ctx.
func typed[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type line struct {
		text T
		err  error
	}
	done := make(chan line, 1)
	go func() {
		text, err := read()
		done <- line{text, err}
	}()
	select {
	case l := <-done:
		return l.text, l.err
	case <-ctx.Done():
		return *new(T), ctx.Err()
	}
}

// terminal returns the terminal that a stream is, nil if it is none.
func terminal(stream any) *os.File {
	file, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return file
}

func readInput(c *cobra.Command) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(c.InOrStdin(), maxSecretInput+1))
	if err == nil && len(text) > maxSecretInput {
		err = errors.New("standard input is larger than 1 MiB")
	}
	return text, err
}

func newSecretList(target targetOf) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the names of the secrets",
		Example: "  provisioner secret list --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			names, err := target(c).List()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c, append([]string{}, names...))
			}
			for _, name := range names {
				_, _ = fmt.Fprintln(c.OutOrStdout(), name)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return c
}

func newSecretDelete(target targetOf) *cobra.Command {
	return &cobra.Command{
		Use:     "delete NAME",
		Short:   "Delete a secret",
		Example: "  provisioner secret delete SHARED_SECRET",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := target(c).Delete(args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s is deleted from %s\n", args[0], target(c).path)
			return err
		},
	}
}

func newSecretBulk(target targetOf) *cobra.Command {
	return &cobra.Command{
		Use:   "bulk [FILE]",
		Short: "Set and delete many secrets at once",
		Long:  "Set many secrets from a file, or from standard input: a JSON object of strings, in which null deletes, or dotenv lines.",
		Example: `  provisioner secret bulk secrets.json
  echo '{"SEAL_KEY": "…", "OLD": null}' | provisioner secret bulk`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := bulkInput(c, args)
			if err != nil {
				return err
			}
			changes, err := config.ParseBulk(text)
			if err != nil {
				return err
			}
			if len(changes) == 0 {
				return errors.New("the input names no secret")
			}
			if err := target(c).Bulk(changes); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d secrets changed in %s\n", len(changes), target(c).path)
			return err
		},
	}
}

func bulkInput(c *cobra.Command, args []string) ([]byte, error) {
	if len(args) == 1 && args[0] != "-" {
		return os.ReadFile(args[0])
	}
	return readInput(c)
}
