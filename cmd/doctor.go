package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/cmd/doctor"
	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/store"
)

// doctorFlags are those of the doctor command beside the settings.
type doctorFlags struct {
	against          []string
	powerSyncService string
	offline, strict  bool
	asJSON           bool
}

func newDoctor() *cobra.Command {
	var flags doctorFlags
	c := &cobra.Command{
		Use:   "doctor [sender|receiver|papyrus|all]",
		Short: "Audit an installation: secrets, files, peers, clocks, database, PowerSync",
		Long: `Audit an installation of a service (default all): weak, placeholder, reused and misplaced secrets, modes of files, plain http, clocks,
peers, migrations, and what a PowerSync Service beside it would refuse. It changes nothing and shows no secret. Each finding says what to
do. With an error the exit code is 1, with --strict also with a warning.`,
		Example: `  provisioner doctor all
  provisioner doctor receiver --against ../staging/secrets --json
  provisioner doctor papyrus --powersync-service /etc/powersync/service.yaml --strict`,
		Args: oneService, ValidArgs: serviceArgs,
		RunE: func(c *cobra.Command, args []string) error {
			in, err := installation(config.Options{Service: serviceOf(args), Flags: c.Flags()}, flags)
			if err != nil {
				return err
			}
			return diagnose(c, in, flags)
		},
	}
	config.BindFlags(c.Flags(), config.Sender|config.Receiver|config.Papyrus|config.All)
	c.Flags().StringArrayVar(&flags.against, "against", nil,
		"another environment, with which no key may be shared: a `place` such as a directory of secrets, a .dev.vars, or wrangler.toml#production")
	c.Flags().StringVar(&flags.powerSyncService, "powersync-service", "", "the service.yaml `file` of a PowerSync Service, with its sync configuration beside it")
	c.Flags().BoolVar(&flags.offline, "offline", false, "look at settings and files alone")
	c.Flags().BoolVar(&flags.strict, "strict", false, "fail on warnings too")
	c.Flags().BoolVar(&flags.asJSON, "json", false, "print JSON")
	return c
}

// installation reads what is audited, as far as it can be read.
func installation(o config.Options, flags doctorFlags) (*doctor.Installation, error) {
	_, report, err := config.Load(o)
	in := newInstallation(nil, report)
	if err != nil && !errors.As(err, &in.Faults) {
		return nil, err
	}
	if in.Config, _, err = config.LoadPart(o); err != nil {
		in.Config = &config.Config{Service: o.Service} // a file is wrong: then no setting is what it should be
	}
	in.PowerSyncService = flags.powerSyncService
	for _, place := range flags.against {
		other, err := config.LoadFrom(place)
		if err != nil {
			return nil, fmt.Errorf("--against %w", err)
		}
		in.Against = append(in.Against, doctor.Other{Name: place, Config: other})
	}
	return in, nil
}

func newInstallation(cfg *config.Config, report *config.Report) *doctor.Installation {
	in := &doctor.Installation{
		Config: cfg, Report: report, LookupEnv: os.LookupEnv, Transport: newNetwork(), Now: time.Now,
	}
	in.Open = func(ctx context.Context) (*store.DB, error) { return openExisting(ctx, in.Config, openAsItIs) }
	return in
}

// warnAtStart logs what of an audit needs nobody else, and is more than a notice. What config warns of is logged already.
func warnAtStart(ctx context.Context, cfg *config.Config, report *config.Report, log *slog.Logger) {
	for _, f := range doctor.AtRest(ctx, newInstallation(cfg, report)) {
		if f.Severity != doctor.Notice {
			log.WarnContext(ctx, f.Subject+" "+f.Problem+": "+f.Remedy, "check", f.Check, "severity", f.Severity)
		}
	}
}

// diagnose prints the findings, the worst first.
func diagnose(c *cobra.Command, in *doctor.Installation, flags doctorFlags) error {
	found := append(doctor.Settings(in), doctor.AtRest(c.Context(), in)...)
	if len(in.Faults) == 0 {
		if err := checkParts(in.Config); err != nil {
			found = append(found, doctor.Finding{Severity: doctor.Error, Check: "settings", Subject: "settings", Problem: "are wrong: " + err.Error()})
		}
	}
	if !flags.offline {
		found = append(found, doctor.Outside(c.Context(), in)...)
	}
	worst := []doctor.Severity{doctor.Error, doctor.Warning, doctor.Notice}
	slices.SortStableFunc(found, func(a, b doctor.Finding) int {
		return slices.Index(worst, a.Severity) - slices.Index(worst, b.Severity)
	})
	if err := printDiagnosis(c, found, flags.asJSON); err != nil {
		return err
	}
	if count(found, doctor.Error) > 0 || flags.strict && count(found, doctor.Warning) > 0 {
		return errSilent
	}
	return nil
}

func count(found []doctor.Finding, s doctor.Severity) (n int) {
	for _, f := range found {
		if f.Severity == s {
			n++
		}
	}
	return n
}

func printDiagnosis(c *cobra.Command, found []doctor.Finding, asJSON bool) error {
	if asJSON {
		return printJSON(c, struct {
			Findings []doctor.Finding `json:"findings"`
		}{append([]doctor.Finding{}, found...)})
	}
	out := c.OutOrStdout()
	colour := colours(out)
	for _, f := range found {
		_, _ = fmt.Fprintf(out, "%s %s %s\n", colour(f.Severity), f.Subject, f.Problem)
		if f.Remedy != "" {
			_, _ = fmt.Fprintf(out, "        %s\n", f.Remedy)
		}
	}
	_, err := fmt.Fprintf(out, "errors: %d, warnings: %d, notices: %d\n",
		count(found, doctor.Error), count(found, doctor.Warning), count(found, doctor.Notice))
	return err
}

// colours returns how severities are written: as wide as the widest, on a terminal in colour unless NO_COLOR is set.
func colours(out io.Writer) func(doctor.Severity) string {
	f, ok := out.(*os.File)
	coloured := ok && isatty.IsTerminal(f.Fd()) && os.Getenv("NO_COLOR") == ""
	codes := map[doctor.Severity]string{doctor.Error: "31", doctor.Warning: "33", doctor.Notice: "36"}
	return func(s doctor.Severity) string {
		word := string(s) + strings.Repeat(" ", len(doctor.Warning)-len(s))
		if !coloured {
			return word
		}
		return "\x1b[" + codes[s] + "m" + word + "\x1b[0m"
	}
}
