package config

import (
	"fmt"
	"strings"
)

const preface = `# Configuration

<!-- Generated from the table of settings in config/table.go; do not edit. -->

Every setting has one name. Its value is taken from the first of these that has one:

1. a flag, such as ` + "`--sender-addr`" + `; secrets have none, because other users can see the arguments of a process
2. the environment
3. a file of the setting's name in ` + "`SECRETS_DIR`" + `, as Kubernetes mounts secrets; one newline at its end does not count
4. ` + "`.dev.vars`" + ` beside the Wrangler file; with ` + "`--env staging`" + `, ` + "`.dev.vars.staging`" + ` alone where that exists
5. the ` + "`vars`" + ` of the Wrangler file: ` + "`--config`" + `, or else the first of ` + "`wrangler.jsonc`, `wrangler.json`, `wrangler.toml`" + `
   in the working directory; with ` + "`--env staging`" + ` those of that environment alone, which inherits none
6. the default

An empty value counts as none. Lists are JSON arrays or comma-separated; durations are written as in ` + "`1h30m`" + `. Variables
in ` + "`.dev.vars`" + ` are read as Wrangler reads them, without expansion of ` + "`$NAME`" + `. An unknown name in a file is a warning, or
an error where it looks like a slip; in the environment it is ignored.

` + "`provisioner config show`" + ` lists every value and where it comes from, ` + "`provisioner config check`" + ` every fault at once. Settings
marked *live* are read again on SIGHUP and when a secret file changes; the others need a restart.
`

// Markdown returns docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(preface)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n| setting | flag | form | default | used by | meaning |\n|---|---|---|---|---|---|\n", g.title)
		for _, row := range g.rows {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n",
				row.name, row.docFlag(), row.docForm(), row.docDefault(), row.users, row.docHelp())
		}
	}
	return b.String()
}

func (s setting) docFlag() string {
	if s.secret {
		return "–"
	}
	return "`--" + s.flagName() + "`"
}

func (s setting) docForm() string {
	form := string(s.kind)
	if s.secret {
		form += ", secret"
	}
	if s.live {
		form += ", *live*"
	}
	return form
}

func (s setting) docDefault() string {
	switch {
	case s.defNote != "":
		return s.defNote
	case s.def != "":
		return "`" + s.def + "`"
	case s.required != 0:
		return "required by " + s.required.String()
	}
	return "–"
}

// docHelp keeps what Markdown would take for a tag or a column.
func (s setting) docHelp() string {
	return strings.NewReplacer("<", "\\<", "|", "\\|").Replace(s.help)
}
