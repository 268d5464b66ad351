package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Options say what to load, and from where. The zero value of each field but Service is what a program wants.
type Options struct {
	Service   Service
	Flags     *pflag.FlagSet                   // parsed, with [BindFlags] and [BindFileFlags]; nil for none
	Dir       string                           // what relative paths are relative to; "" means the working directory
	LookupEnv func(name string) (string, bool) // nil means os.LookupEnv
	Now       func() time.Time                 // for the age of keys; nil means time.Now
}

// Load reads every layer (flags, environment, secret files, .dev.vars, Wrangler's [vars], defaults: the first that has a
// value counts; an empty value counts as none, but for settings of which it is a value) and returns the configuration of o.Service. If anything is wrong the error
// is a [Faults] with every fault at once, and the Config is nil. The Report is there in any case.
func Load(o Options) (*Config, *Report, error) {
	l := read(o)
	l.check()
	if err := l.faults.err(); err != nil {
		return nil, &l.report, err
	}
	return l.config, &l.report, nil
}

// read reads all layers and parses every setting of the service; what is wrong is kept in the loader.
func read(o Options) *loader {
	l := newLoader(o)
	l.readLayers()
	for _, row := range settings {
		l.apply(row)
	}
	l.config.DataDir = l.resolve(l.config.DataDir)
	l.config.SecretsDir = l.resolve(l.config.SecretsDir)
	for _, file := range keyFiles {
		*file.path(l.config) = l.resolve(*file.path(l.config))
	}
	l.config.Database.Path = l.resolve(l.config.Database.Path)
	return l
}

// loader is one run of [Load].
type loader struct {
	flags     *pflag.FlagSet
	dir       string
	file, env string // --config, --env
	lookupEnv func(string) (string, bool)
	now       func() time.Time

	values *viper.Viper
	layers []layer // the highest first
	config *Config
	report Report
	faults Faults
	bad    map[string]bool // settings with a fault
}

func newLoader(o Options) *loader {
	l := &loader{
		flags: o.Flags, dir: o.Dir, lookupEnv: o.LookupEnv, now: o.Now,
		values: viper.New(),
		config: &Config{Service: o.Service},
		bad:    map[string]bool{},
	}
	if l.flags == nil {
		l.flags = pflag.NewFlagSet("", pflag.ContinueOnError)
	}
	if l.lookupEnv == nil {
		l.lookupEnv = os.LookupEnv
	}
	if l.now == nil {
		l.now = time.Now
	}
	l.file, l.env = flagText(l.flags, fileFlag), flagText(l.flags, envFlag)
	return l
}

// readLayers fills l.values and l.layers. Viper knows its own order (flags, merged maps, defaults); the maps are merged
// from the lowest to the highest. The environment is one of them, rather than bound, so that tests can replace it.
func (l *loader) readLayers() {
	for _, row := range settings {
		l.values.SetDefault(row.name, row.def)
	}
	flags := l.readFlags()
	wrangler, devVars, environment := l.readWrangler(), l.readDevVars(), l.readEnvironment()
	l.merge(wrangler, devVars, environment)
	secrets := l.readSecrets(l.values.GetString("SECRETS_DIR"))
	delete(secrets.values, "SECRETS_DIR") // it cannot say where it is itself
	l.merge(secrets, environment)
	l.layers = []layer{flags, environment, secrets, devVars, wrangler}
}

func (l *loader) merge(layers ...layer) {
	for _, layer := range layers {
		values := make(map[string]any, len(layer.values))
		for name, value := range layer.values {
			values[name] = value
		}
		_ = l.values.MergeConfigMap(values) // cannot fail: its error is for readers
	}
}

// readFlags binds the flags that were given.
func (l *loader) readFlags() layer {
	given := layer{label: flagLayer, values: map[string]string{}}
	for _, row := range settings {
		if text := flagText(l.flags, row.flagName()); text != "" && row.users&l.config.Service != 0 {
			given.values[row.name] = text
			_ = l.values.BindPFlag(row.name, l.flags.Lookup(row.flagName())) // cannot fail: the flag is there
		}
	}
	return given
}

func (l *loader) readEnvironment() layer {
	environment := layer{label: envLayer, values: map[string]string{}}
	for _, row := range settings {
		if text, ok := l.lookupEnv(row.name); ok && (text != "" || row.blank) {
			environment.values[row.name] = text
		}
	}
	return environment
}

// apply parses one setting into the Config and notes it in the report.
func (l *loader) apply(row setting) {
	text, source := l.values.GetString(row.name), l.source(row.name)
	if l.config.Service&row.users == 0 {
		return
	}
	if text == "" && row.computed != nil {
		text = row.computed(l.config)
	}
	if !row.secret {
		text = strings.TrimSpace(text)
	}
	if text == "" && row.required&l.config.Service != 0 {
		l.missing(row.name)
	}
	shown := text
	if row.secret && source != defaultSource {
		shown = "configured"
	}
	if text != "" || row.blank {
		if err := row.set(l.config, text); err != nil {
			l.fault(Fault{row.name, err.Error() + " (" + source + ")", row.remedy()})
			shown = "(invalid)"
		}
	}
	l.report.values = append(l.report.values, Value{row.name, shown, source})
}

// source returns where the value of name comes from.
func (l *loader) source(name string) string {
	for _, layer := range l.layers {
		if _, ok := layer.values[name]; ok {
			return layer.source(name)
		}
	}
	return defaultSource
}

// given reports whether any layer but the defaults has a value for name.
func (l *loader) given(name string) bool { return l.source(name) != defaultSource }

func (l *loader) fault(f Fault) {
	l.bad[f.Setting] = true
	l.faults = append(l.faults, f)
}

func (l *loader) missing(name string) {
	row, _ := find(name)
	l.fault(Fault{name, "is not set", row.remedy()})
}

func (l *loader) fileFault(name string, err error, remedy string) {
	l.fault(Fault{name, err.Error(), remedy})
}

func (l *loader) warn(f Fault) { l.report.Warnings = append(l.report.Warnings, f) }

func (l *loader) watch(path string) {
	if !slices.Contains(l.report.Paths, path) {
		l.report.Paths = append(l.report.Paths, path)
	}
}

// resolve returns path as seen from the directory of the options.
func (l *loader) resolve(path string) string {
	if path == "" || l.dir == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(l.dir, path)
}

// flagText returns the text of a flag that was given, else "".
func flagText(fs *pflag.FlagSet, name string) string {
	if f := fs.Lookup(name); name != "" && f != nil && f.Changed {
		return f.Value.String()
	}
	return ""
}

// Report is what a run of [Load] found beside the configuration.
type Report struct {
	Warnings []Fault  // what works but should not stay so
	Paths    []string // files and directories to watch; they need not exist

	values []Value
}

// Value is a setting as it was read.
type Value struct {
	Name   string `json:"name"`
	Value  string `json:"value"`  // "configured" for a secret that is set, "(invalid)" for a value that is a fault
	Source string `json:"source"` // "flag --dev", "environment", "secret file SEAL_KEY", ".dev.vars", "wrangler.toml [vars]", "default"
}

const defaultSource = "default"

// Values returns every setting of the service, in the order of the table.
func (r *Report) Values() []Value { return slices.Clone(r.values) }
