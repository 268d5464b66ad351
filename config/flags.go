package config

import "github.com/spf13/pflag"

const (
	fileFlag = "config"
	envFlag  = "env"
)

// BindFileFlags adds --config and --env, which say which Wrangler file and which of its environments to read.
func BindFileFlags(fs *pflag.FlagSet) {
	fs.String(fileFlag, "", "the Wrangler `file` to read (default wrangler.jsonc, wrangler.json or wrangler.toml here)")
	fs.String(envFlag, "", "the Wrangler environment `name` to read")
}

// BindFlags adds a flag for every setting of the services s that is not a secret. s may name several.
func BindFlags(fs *pflag.FlagSet, s Service) {
	for _, row := range settings {
		if row.users&s != 0 && !row.secret {
			row.bindFlag(fs)
		}
	}
}

// BindPartFlags adds the flags of the named settings, for commands that use [LoadPart].
func BindPartFlags(fs *pflag.FlagSet, names ...string) {
	for _, name := range names {
		if row, known := find(name); known && !row.secret {
			row.bindFlag(fs)
		}
	}
}

func (row setting) bindFlag(fs *pflag.FlagSet) {
	usage := row.help + " (" + row.name + ")"
	if row.kind == boolean {
		fs.Bool(row.flagName(), row.def == "true", usage)
		return
	}
	fs.String(row.flagName(), row.def, usage)
}
