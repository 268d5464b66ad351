package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWranglerVars(t *testing.T) {
	const asTOML = `
name = "sender"
[vars]
TEXT = "a"
NUMBER = 300000
FLOAT = 1.5
BOOL = true
LIST = ["https://a", "b&c"]
OBJECT = { k1 = 2026-01-31 }
[env.staging]
routes = []
[env.staging.vars]
OTHER = "s"
[env.bare]
`
	const asJSON = `{ // comments and
	"name": "sender", "vars": {"TEXT": "a", "NUMBER": 300000, "FLOAT": 1.5, "BOOL": true,
	"LIST": ["https://a", "b&c"], "OBJECT": {"k1": "2026-01-31"}, }, /* trailing commas */
	"env": {"staging": {"vars": {"OTHER": "s"}}, "bare": {}},
}`
	top := map[string]string{
		"TEXT": "a", "NUMBER": "300000", "FLOAT": "1.5", "BOOL": "true",
		"LIST": `["https://a","b&c"]`, "OBJECT": `{"k1":"2026-01-31"}`,
	}
	for name, text := range map[string]string{"wrangler.toml": asTOML, "wrangler.jsonc": asJSON} {
		for env, want := range map[string]map[string]string{"": top, "staging": {"OTHER": "s"}, "bare": {}} {
			t.Run(name+" "+env, func(t *testing.T) {
				file, err := parseWrangler(name, []byte(text))
				if err != nil {
					t.Fatal(err)
				}
				got, err := file.vars(env)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// TestWranglerRules has a row for every rule on which file is read and which part of it.
func TestWranglerRules(t *testing.T) {
	level := func(l string) string { return "LOG_LEVEL = '" + l + "'\n" }
	both := "[vars]\n" + level("warn") + "[env.staging.vars]\n" + level("error") + "[env.bare]\n"
	tests := []struct {
		name   string
		files  map[string]string
		args   []string
		want   string // of LOG_LEVEL
		source string
	}{
		{"the top level without --env", map[string]string{"wrangler.toml": both}, nil, "warn", "wrangler.toml [vars]"},
		{"the environment with --env", map[string]string{"wrangler.toml": both}, []string{"--env=staging"}, "error", "wrangler.toml [env.staging.vars]"},
		{"vars are not inherited", map[string]string{"wrangler.toml": both}, []string{"--env=bare"}, "info", "default"},
		{"jsonc before json", map[string]string{"wrangler.jsonc": `{"vars":{"LOG_LEVEL":"warn"}}`, "wrangler.json": `{"vars":{"LOG_LEVEL":"error"}}`}, nil, "warn", "wrangler.jsonc [vars]"},
		{"json before toml", map[string]string{"wrangler.json": `{"vars":{"LOG_LEVEL":"error"}}`, "wrangler.toml": both}, nil, "error", "wrangler.json [vars]"},
		{"the file of --config alone", map[string]string{"wrangler.toml": both, "other/my.toml": "[vars]\n" + level("debug")}, []string{"--config=other/my.toml"}, "debug", "my.toml [vars]"},
		{".dev.vars beside the file of --config", map[string]string{".dev.vars": "LOG_LEVEL=error", "other/my.toml": "", "other/.dev.vars": "LOG_LEVEL=warn"}, []string{"--config=other/my.toml"}, "warn", ".dev.vars"},
		{".dev.vars without a Wrangler file", map[string]string{".dev.vars": "LOG_LEVEL=error"}, nil, "error", ".dev.vars"},
		{"the environment's .dev.vars alone", map[string]string{"wrangler.toml": both, ".dev.vars": "LOG_LEVEL=debug", ".dev.vars.staging": "LOG_FORMAT=text"}, []string{"--env=staging"}, "error", "wrangler.toml [env.staging.vars]"},
		{"the plain .dev.vars where the environment has none", map[string]string{"wrangler.toml": both, ".dev.vars": "LOG_LEVEL=debug"}, []string{"--env=staging"}, "debug", ".dev.vars"},
		{"an environment of .dev.vars alone", map[string]string{".dev.vars.staging": "LOG_LEVEL=debug"}, []string{"--env=staging"}, "debug", ".dev.vars.staging"},
		{"the environment's .dev.vars without --env", map[string]string{".dev.vars.staging": "LOG_LEVEL=debug"}, nil, "info", "default"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, r := fixture{service: All, files: tt.files, args: tt.args}.mustLoad(t)
			if diff := cmp.Diff(Value{"LOG_LEVEL", tt.want, tt.source}, value(r, "LOG_LEVEL")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFileFaults(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		args  []string
		want  string
	}{
		{"unknown environment", map[string]string{"wrangler.toml": "[env.staging]\n[env.production]\n"}, []string{"--env=prod"}, `wrangler.toml has no environment "prod": it has production, staging: choose with --env`},
		{"environment of a file without any", map[string]string{"wrangler.toml": ""}, []string{"--env=prod"}, `wrangler.toml has no environment "prod": it has none: choose with --env`},
		{"environment without any file", nil, []string{"--env=prod"}, "--env prod names an environment that no file knows: add a wrangler.toml with [env.prod] or a .dev.vars.prod"},
		{"no file of --config", nil, []string{"--config=none.toml"}, "none.toml cannot be read: no such file or directory: name another with --config"},
		{"bad TOML", map[string]string{"wrangler.toml": "[vars]\nA = " + hush}, nil, "wrangler.toml is not TOML as Wrangler reads it (line 2, column 5)"},
		{"TOML of another shape", map[string]string{"wrangler.toml": "vars = '" + hush + "'"}, nil, "wrangler.toml is not TOML as Wrangler reads it"},
		{"bad JSON", map[string]string{"wrangler.json": "{"}, nil, "wrangler.json is not JSON: "},
		{"JSON of another shape", map[string]string{"wrangler.json": `{"vars":"` + hush + `"}`}, nil, `wrangler.json is not a JSON object`},
		{"a value that JSON has not", map[string]string{"wrangler.toml": "[vars]\nA = nan"}, nil, "wrangler.toml has a value for A that JSON cannot express"},
		{"bad dotenv", map[string]string{".dev.vars": "A=1\n" + hush}, nil, ".dev.vars line 2: is not NAME=value"},
		{"a file too large", map[string]string{".dev.vars": strings.Repeat("#", maxFile+1)}, nil, ".dev.vars is larger than 1 MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := Load(fixture{service: All, files: tt.files, args: tt.args}.options(t))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Load() = %v, want only %s", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), hush) {
				t.Errorf("a value shows: %v", err)
			}
		})
	}
}

// FuzzWrangler checks that nothing panics, and that vars come out as text for whatever parses.
func FuzzWrangler(f *testing.F) {
	f.Add(true, []byte("[vars]\nA = 1\n[env.x.vars]\nB = [1, {c = 2026-01-31}]"))
	f.Add(true, []byte("vars = 1"))
	f.Add(false, []byte(`{"vars": {"A": 1e400, "B": null,}, /* c */ "env": {"x": {}}}`))
	f.Add(false, []byte(`[]`))
	f.Fuzz(func(t *testing.T, isTOML bool, data []byte) {
		name := "wrangler.jsonc"
		if isTOML {
			name = "wrangler.toml"
		}
		file, err := parseWrangler(name, data)
		if err != nil {
			return
		}
		if _, err := file.vars(""); err != nil && !isTOML {
			t.Errorf("vars of JSON: %v", err)
		}
		for env := range file.Env {
			if _, err := file.vars(env); err != nil && !isTOML {
				t.Errorf("vars of JSON: %v", err)
			}
		}
	})
}
