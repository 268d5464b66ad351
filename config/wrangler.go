package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/tailscale/hujson"
)

// wranglerNames are the files looked for in the working directory; the first that exists is read.
var wranglerNames = []string{"wrangler.jsonc", "wrangler.json", "wrangler.toml"}

// wranglerFile is as much of a Wrangler configuration as concerns us.
type wranglerFile struct {
	Vars map[string]any             `toml:"vars" json:"vars"`
	Env  map[string]wranglerSection `toml:"env" json:"env"`
}

type wranglerSection struct {
	Vars map[string]any `toml:"vars" json:"vars"`
}

// parseWrangler reads a file of that name, by its extension as TOML or as JSON with comments. Its errors say where the
// fault is, not what stands there.
func parseWrangler(name string, data []byte) (wranglerFile, error) {
	var f wranglerFile
	if filepath.Ext(name) == ".toml" {
		return f, tomlError(toml.Unmarshal(data, &f))
	}
	standard, err := hujson.Standardize(data)
	if err != nil {
		return f, errors.New("is not JSON: " + strings.TrimPrefix(err.Error(), "hujson: "))
	}
	d := json.NewDecoder(bytes.NewReader(standard))
	d.UseNumber() // a number stays the text that it was
	if err := d.Decode(&f); err != nil {
		return f, errors.New(`is not a JSON object whose "vars" and "env" are objects`)
	}
	return f, nil
}

func tomlError(err error) error {
	if err == nil {
		return nil
	}
	var at *toml.DecodeError
	if errors.As(err, &at) {
		row, column := at.Position()
		return fmt.Errorf("is not TOML as Wrangler reads it (line %d, column %d)", row, column)
	}
	return errors.New("is not TOML as Wrangler reads it")
}

// vars returns the variables of environment env, "" being the top level. An environment inherits none from the top
// level: that is Wrangler's rule for vars. It returns an error for an environment that the file does not have.
func (f wranglerFile) vars(env string) (map[string]string, error) {
	section := f.Vars
	if env != "" {
		named, ok := f.Env[env]
		if !ok {
			return nil, fmt.Errorf("has no environment %q: %s", env, f.knownEnvironments())
		}
		section = named.Vars
	}
	texts := make(map[string]string, len(section))
	for name, value := range section {
		text, err := varText(value)
		if err != nil {
			return nil, fmt.Errorf("has a value for %s that JSON cannot express", name)
		}
		texts[name] = text
	}
	return texts, nil
}

func (f wranglerFile) knownEnvironments() string {
	if len(f.Env) == 0 {
		return "it has none"
	}
	return "it has " + strings.Join(slices.Sorted(maps.Keys(f.Env)), ", ")
}

// varText returns a string as it is and anything else as JSON; null is the empty text.
func varText(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
