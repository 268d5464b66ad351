package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFile bounds what is read of any configuration file, in bytes.
const maxFile = 1 << 20

// layer is one place that values come from. Empty values are left out: they count as not set, everywhere, but for settings
// of which they are a value.
type layer struct {
	label  string // "environment"
	values map[string]string
}

// source says where the value of name comes from: "environment", "flag --dev", "secret file SEAL_KEY".
func (l layer) source(name string) string {
	switch l.label {
	case flagLayer:
		row, _ := find(name)
		return "flag --" + row.flagName()
	case secretLayer:
		return "secret file " + name
	}
	return l.label
}

const (
	flagLayer   = "flag"
	envLayer    = "environment"
	secretLayer = "secret file"
)

// readWrangler reads the [vars] of the Wrangler file, if there is one.
func (l *loader) readWrangler() layer {
	name := l.wranglerPath()
	if name == "" {
		return layer{}
	}
	l.watch(name)
	base := filepath.Base(name)
	data, err := readFile(name)
	if err != nil {
		l.fileFault(base, err, "name another with --config")
		return layer{}
	}
	file, err := parseWrangler(base, data)
	if err != nil {
		l.fileFault(base, err, "")
		return layer{}
	}
	vars, err := file.vars(l.env)
	if err != nil {
		l.fileFault(base, err, "choose with --env")
		return layer{}
	}
	label := base + " [vars]"
	if l.env != "" {
		label = fmt.Sprintf("%s [env.%s.vars]", base, l.env)
	}
	return l.fileLayer(label, vars)
}

// wranglerPath returns the file that --config names, or else the first that exists, or "".
func (l *loader) wranglerPath() string {
	if l.file != "" {
		return l.resolve(l.file)
	}
	for _, name := range wranglerNames {
		if path := filepath.Join(l.dir, name); exists(path) {
			return path
		}
	}
	return ""
}

// readDevVars reads the one .dev.vars file that Wrangler would: the environment's where that exists, else the plain one.
func (l *loader) readDevVars() layer {
	dir := l.dir
	wrangler := l.wranglerPath()
	if wrangler != "" {
		dir = filepath.Dir(wrangler)
	}
	path := filepath.Join(dir, ".dev.vars")
	l.watch(path)
	if l.env != "" {
		own := path + "." + l.env
		l.watch(own)
		switch {
		case exists(own):
			path = own
		case wrangler == "":
			l.fileFault("--env "+l.env, errors.New("names an environment that no file knows"),
				"add a wrangler.toml with [env."+l.env+"] or a .dev.vars."+l.env)
		}
	}
	base := filepath.Base(path)
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return layer{}
	}
	var values map[string]string
	if err == nil {
		values, err = parseDotenv(data)
	}
	if err != nil {
		l.fileFault(base, err, "")
		return layer{}
	}
	return l.fileLayer(base, values)
}

// readSecrets reads a directory with a file per secret, as Kubernetes mounts them: symbolic links into ..data; entries
// that begin with a dot are not secrets. One newline at the end of a file does not count.
func (l *loader) readSecrets(dir string) layer {
	if dir == "" {
		return layer{}
	}
	dir = l.resolve(dir)
	l.watch(dir)
	values, err := readSecretDir(dir)
	if err != nil {
		l.fileFault("SECRETS_DIR", err, "a directory with one file per secret, named as the setting (--secrets-dir)")
		return layer{}
	}
	return l.fileLayer(secretLayer, values)
}

// kubernetesData is the link through which a mounted Secret's files are seen.
const kubernetesData = "..data"

// readSecretDir returns the contents by name; of names that are no settings the empty text, unread.
func readSecretDir(dir string) (map[string]string, error) {
	if version, err := filepath.EvalSymlinks(filepath.Join(dir, kubernetesData)); err == nil {
		dir = version // looked up once, so that all files are of one version while Kubernetes puts another in its place
	}
	names, err := secretNames(dir)
	if err != nil {
		return nil, unreadable(err)
	}
	values := make(map[string]string, len(names))
	for _, name := range names {
		values[name] = ""
		if _, known := find(name); !known {
			continue
		}
		data, err := readFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("has a file %s that %w", name, err)
		}
		values[name] = strings.TrimSuffix(string(data), "\n")
	}
	return values, nil
}

// secretNames returns the names of the files in dir, sorted, without those that begin with a dot.
func secretNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().IsRegular() {
			names = append(names, name) // one that cannot be looked at shows when it is read
		}
	}
	return names, nil
}

// fileLayer keeps the known names of values and reports the others.
func (l *loader) fileLayer(label string, values map[string]string) layer {
	known := layer{label: label, values: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if row, ok := find(name); !ok {
			l.unknown(label, name)
		} else if values[name] != "" || row.blank {
			known.values[name] = values[name]
		}
	}
	return known
}

// unknown reports a name in a file that is no setting: as a fault where it looks like a slip, else as a warning, since
// Workers have variables of their own.
func (l *loader) unknown(label, name string) {
	if near := nearest(name); near != "" {
		l.fault(Fault{name, "is no setting (" + label + ")", "is " + near + " meant?"})
		return
	}
	l.warn(Fault{name, "is no setting and is ignored (" + label + ")", ""})
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxFile {
		return nil, errors.New("is larger than 1 MiB")
	}
	data, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, unreadable(err)
	}
	return data, nil
}

// unreadable words a failure to read so that it completes "FILE …".
func unreadable(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
