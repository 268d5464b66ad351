package cmd

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"text/tabwriter"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
)

var serviceNames = map[string]config.Service{
	"sender": config.Sender, "receiver": config.Receiver, "papyrus": config.Papyrus, "all": config.All,
}

var serviceArgs = []string{"sender", "receiver", "papyrus", "all"}

// oneService accepts no argument or the name of one service.
func oneService(_ *cobra.Command, args []string) error {
	if len(args) > 1 || len(args) == 1 && serviceNames[args[0]] == 0 {
		return fmt.Errorf("name one service: %s", strings.Join(serviceArgs, ", "))
	}
	return nil
}

func serviceOf(args []string) config.Service {
	if len(args) == 0 {
		return config.All
	}
	return serviceNames[args[0]]
}

func newConfig() *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Short:   "Show and check the settings of a service",
		Example: "  provisioner config show all",
	}
	c.AddCommand(newConfigShow(), newConfigCheck())
	return c
}

func newConfigShow() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show [sender|receiver|papyrus|all]",
		Short: "Show each setting, its value and where it comes from",
		Long:  "Show each setting of a service (default all), its value and where it comes from. Secrets show as \"configured\". Faults stand below; with any the exit code is 1.",
		Example: `  provisioner config show sender
  provisioner config show all --json
  SIGNING_KEYS='{"k1":"…"}' provisioner config show receiver --env staging`,
		Args: oneService, ValidArgs: serviceArgs,
		RunE: func(c *cobra.Command, args []string) error {
			_, report, faults := config.Load(config.Options{Service: serviceOf(args), Flags: c.Flags()})
			show := printSettings // what could be read, also beside faults
			if asJSON {
				show = func(c *cobra.Command, report *config.Report) error { return printJSON(c, report.Values()) }
			}
			return errors.Join(show(c, report), faults)
		},
	}
	config.BindFlags(c.Flags(), config.Sender|config.Receiver|config.Papyrus|config.All)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printSettings(c *cobra.Command, report *config.Report) error {
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "SETTING\tVALUE\tSOURCE")
	for _, v := range report.Values() {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", v.Name, v.Value, v.Source)
	}
	return w.Flush()
}

func newConfigCheck() *cobra.Command {
	c := &cobra.Command{
		Use:   "check [sender|receiver|papyrus|all]",
		Short: "Check all settings at once",
		Long:  "Check all settings of a service (default all). Every fault is named with what is wrong and how to set it right; the exit code is 1 if there is any.",
		Example: `  provisioner config check sender
  provisioner config check receiver --config wrangler.toml --env production`,
		Args: oneService, ValidArgs: serviceArgs,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, report, err := config.Load(config.Options{Service: serviceOf(args), Flags: c.Flags()})
			for _, w := range report.Warnings {
				_, _ = fmt.Fprintln(c.OutOrStdout(), "warning:", w)
			}
			if err == nil {
				err = checkParts(cfg)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "the settings of %s are complete and valid\n", serviceOf(args))
			return err
		},
	}
	config.BindFlags(c.Flags(), config.Sender|config.Receiver|config.Papyrus|config.All)
	return c
}

// checkParts returns the faults of settings that only what is built of them can judge. It connects to nothing.
func checkParts(cfg *config.Config) error {
	if cfg.Service != config.Papyrus && cfg.Service != config.All {
		return nil
	}
	s := &services{cfg: cfg, log: slog.New(slog.DiscardHandler), metrics: prometheus.NewRegistry()}
	_, mailFault := s.outbox()
	_, providerFault := s.providerFlow()
	return errors.Join(mailFault, providerFault)
}

// printJSON writes v, indented, to the command's output.
func printJSON(c *cobra.Command, v any) error { return writeJSON(c.OutOrStdout(), v, "  ") }
