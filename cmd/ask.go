package cmd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// errNotDone ends a command whose question was not answered with yes.
var errNotDone = errors.New("nothing was done")

// ask returns nil if a person at the terminal says yes. Where there is no terminal it returns a usage error that names the flag which
// says so.
func ask(c *cobra.Command, question, flag string) error {
	if terminal(c.InOrStdin()) == nil {
		return &usageError{fmt.Errorf("%s Add %s if so", question, flag)}
	}
	_, _ = fmt.Fprintf(c.ErrOrStderr(), "%s [y/N] ", question)
	answer, err := typed(c.Context(), func() (string, error) { return bufio.NewReader(c.InOrStdin()).ReadString('\n') })
	if err != nil && !errors.Is(err, io.EOF) { // Ctrl-D says no
		return err
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errNotDone
	}
	return nil
}
