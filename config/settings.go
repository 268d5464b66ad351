package config

import (
	"slices"
	"strings"
)

// setting is a row of the table that everything else is driven by.
type setting struct {
	name     string
	flag     string // without dashes; "" means the name in lower-case kebab
	kind     kind
	def      string                      // the default; "" for none
	computed func(*Config) string        // the default where it depends on rows above this one
	defNote  string                      // the default in words, where computed gives it
	help     string                      // completes "NAME is not set: …"
	users    Service                     // the services that read it
	required Service                     // the services that do not start without it
	secret   bool                        // never shown, no flag: process arguments are visible to others
	live     bool                        // Reload reads it again
	blank    bool                        // the empty text is a value: elsewhere it counts as not set
	set      func(*Config, string) error // parses a text, non-empty unless blank; the error completes "NAME …"
}

// kind names the form of a value in the documentation.
type kind string

const (
	address  kind = "host:port"
	boolean  kind = "true or false"
	choice   kind = "choice"
	duration kind = "duration"
	jsonText kind = "JSON"
	list     kind = "list"
	number   kind = "number"
	path     kind = "path"
	rate     kind = "rate"
	text     kind = "text"
	webURL   kind = "URL"
)

// group is a part of the table under a heading of the documentation.
type group struct {
	title string
	rows  []setting
}

// settings is the table: every setting there is, in the order in which they are read, shown and documented.
var settings = func() []setting {
	var rows []setting
	for _, g := range groups {
		rows = append(rows, g.rows...)
	}
	return rows
}()

// find returns the row of name.
func find(name string) (setting, bool) {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
	if i < 0 {
		return setting{}, false
	}
	return settings[i], true
}

// flagName returns the flag's name without dashes, "" for a secret.
func (s setting) flagName() string {
	switch {
	case s.secret:
		return ""
	case s.flag != "":
		return s.flag
	}
	return strings.ToLower(strings.ReplaceAll(s.name, "_", "-"))
}

// remedy says what belongs into the setting and how to set it.
func (s setting) remedy() string {
	if s.secret {
		return s.help + " (environment, .dev.vars or a file in SECRETS_DIR)"
	}
	return s.help + " (--" + s.flagName() + ")"
}

// into makes a row's set out of a parser and the field that takes its result.
func into[T any](parse func(string) (T, error), field func(*Config) *T) func(*Config, string) error {
	return func(c *Config, text string) error {
		value, err := parse(text)
		if err != nil {
			return err
		}
		*field(c) = value
		return nil
	}
}
