package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// LoadFrom returns what one place says by itself, whatever service reads it: a directory of secrets, a .dev.vars file, or a Wrangler
// file, of which PATH#NAME means the environment NAME. It is for comparing installations: defaults are filled in, and rules do not
// count but that each value can be read. Its errors show no value.
func LoadFrom(path string) (*Config, error) {
	l := newLoader(Options{
		Service: Sender | Receiver | Papyrus, LookupEnv: func(string) (string, bool) { return "", false },
	})
	file, env, _ := strings.Cut(path, "#")
	l.file, l.env = file, env
	found, err := l.readPlace(file)
	if err != nil {
		return nil, err
	}
	if err := l.faults.err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, row := range settings {
		l.values.SetDefault(row.name, row.def)
	}
	l.merge(found)
	l.layers = []layer{found}
	for _, row := range settings {
		l.apply(row)
	}
	return l.config, nil
}

// readPlace reads a place as what it looks like.
func (l *loader) readPlace(path string) (layer, error) {
	info, err := os.Stat(path)
	switch ext := filepath.Ext(path); {
	case err != nil:
		return layer{}, fmt.Errorf("%s %w", path, unreadable(err))
	case info.IsDir():
		return l.readSecrets(path), nil
	case ext == ".toml" || ext == ".json" || ext == ".jsonc":
		return l.readWrangler(), nil
	}
	data, err := readFile(path)
	if err != nil {
		return layer{}, fmt.Errorf("%s %w", path, err)
	}
	values, err := parseDotenv(data)
	if err != nil {
		return layer{}, fmt.Errorf("%s: %w", path, err)
	}
	return l.fileLayer(filepath.Base(path), values), nil
}
