package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// space is what JavaScript's \s matches.
const space = `[\s\v\x{feff}\p{Z}]`

// dotenvLine is the expression of npm's dotenv, with which Wrangler reads .dev.vars: same files, same values. Its groups
// are name, separator and value. There is no expansion of $X, and no escape but \n and \r between double quotes. Other than
// there, export stands on the line of its name: one alone is a mistake.
var dotenvLine = regexp.MustCompile(`(?m)^` + space + `*(?:export[ \t]+)?([\w.-]+)` +
	`(` + space + `*=` + space + `*?|:` + space + `+?)` +
	`(` + space + `*'(?:\\'|[^'])*'|` + space + `*"(?:\\"|[^"])*"|` + space + "*`(?:\\\\`|[^`])*`" + `|[^#\r\n]+)?` +
	space + `*(?:#.*)?$`)

// assignment is a NAME=value of a dotenv file. The rest is where it stands in the text, in bytes.
type assignment struct {
	name, value          string
	start                int // of the name
	valueStart, valueEnd int
}

// parseDotenv reads a .dev.vars file; of a repeated name the last counts. It is stricter than Wrangler in one thing: what
// Wrangler silently skips, and a quote that does not close, are errors. They name the line and show nothing of it.
func parseDotenv(data []byte) (map[string]string, error) {
	assignments, err := scanDotenv(newlines(data))
	if err != nil {
		return nil, err
	}
	values := make(map[string]string, len(assignments))
	for _, a := range assignments {
		values[a.name] = a.value
	}
	return values, nil
}

// newlines turns every line end into \n, as Wrangler does before it reads.
func newlines(data []byte) string {
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	return string(bytes.ReplaceAll(data, []byte("\r"), []byte("\n")))
}

func scanDotenv(src string) ([]assignment, error) {
	var found []assignment
	end := 0
	for _, m := range dotenvLine.FindAllStringSubmatchIndex(src, -1) {
		if err := onlyComments(src, end, m[0]); err != nil {
			return nil, err
		}
		a := assignment{name: src[m[2]:m[3]], start: m[2], valueStart: m[5], valueEnd: m[5]}
		if m[6] >= 0 {
			a.valueEnd = m[6] + len(strings.TrimRightFunc(src[m[6]:m[7]], isSpace))
		}
		var err error
		if a.value, err = unquote(src[a.valueStart:a.valueEnd]); err != nil {
			return nil, fmt.Errorf("line %d: %w", lineOf(src, a.start), err)
		}
		found = append(found, a)
		end = m[1]
	}
	return found, onlyComments(src, end, len(src))
}

// onlyComments returns an error for the first line of src[from:to] that is neither blank nor a comment.
func onlyComments(src string, from, to int) error {
	for line := range strings.Lines(src[from:to]) {
		if text := strings.TrimFunc(line, isSpace); text != "" && !strings.HasPrefix(text, "#") {
			return fmt.Errorf("line %d: is not NAME=value", lineOf(src, from))
		}
		from += len(line)
	}
	return nil
}

func lineOf(src string, offset int) int { return strings.Count(src[:offset], "\n") + 1 }

// isSpace reports whether r matches space.
func isSpace(r rune) bool {
	return r != 0x85 && unicode.IsSpace(r) || r == 0xfeff || unicode.Is(unicode.Z, r)
}

// unquote trims text and takes off its quotes.
func unquote(text string) (string, error) {
	text = strings.TrimFunc(text, isSpace)
	if text == "" || strings.IndexByte("'\"`", text[0]) < 0 {
		return text, nil
	}
	if len(text) < 2 || text[len(text)-1] != text[0] {
		return "", errors.New("opens a quote that does not close")
	}
	inner := text[1 : len(text)-1]
	if text[0] == '"' {
		inner = strings.ReplaceAll(inner, `\n`, "\n")
		inner = strings.ReplaceAll(inner, `\r`, "\r")
	}
	return inner, nil
}

var errUnwritable = errors.New("mixes all kinds of quotes with # or escapes, which .dev.vars cannot hold: keep it in a secrets directory")

// setDotenv returns src with name set to value, everything else as it was. The first writing that reads back as value,
// and leaves the other values alone, is taken; errUnwritable is returned where there is none.
func setDotenv(src, name, value string) (string, error) {
	want, err := parseDotenv([]byte(src))
	if err != nil {
		return "", err
	}
	want[name] = value
	for _, place := range []func(src, name, quoted string) (string, error){replaceDotenv, prependDotenv} {
		for _, quoted := range quotings(value) {
			next, err := place(src, name, quoted)
			if err != nil {
				return "", err
			}
			if got, err := parseDotenv([]byte(next)); err == nil && maps.Equal(got, want) {
				return next, nil
			}
		}
	}
	return "", fmt.Errorf("%s %w", name, errUnwritable)
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=~\\-]+$`)

// quotings lists the ways to write value, the most readable first: bare, in quotes that it does not hold, in any,
// as it is, on one line.
func quotings(value string) []string {
	var ways, mixed []string
	if plain.MatchString(value) {
		ways = append(ways, value)
	}
	for _, quote := range []string{"'", `"`, "`"} {
		inner := value
		if quote == `"` {
			inner = strings.ReplaceAll(value, "\r", `\r`)
		}
		if strings.Contains(value, quote) {
			mixed = append(mixed, quote+inner+quote)
			continue
		}
		ways = append(ways, quote+inner+quote)
	}
	oneLine := strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(value)
	return slices.Concat(ways, mixed, []string{value, `"` + oneLine + `"`})
}

// replaceDotenv puts the quoted value in the place of name's last assignment, or at the end.
func replaceDotenv(src, name, quoted string) (string, error) {
	assignments, err := scanDotenv(src)
	if err != nil {
		return "", err
	}
	for i := len(assignments) - 1; i >= 0; i-- {
		if a := assignments[i]; a.name == name {
			return src[:a.valueStart] + quoted + src[a.valueEnd:], nil
		}
	}
	if src != "" && !strings.HasSuffix(src, "\n") {
		src += "\n"
	}
	return src + name + "=" + quoted + "\n", nil
}

// prependDotenv moves name to the top. There it is safe from a value above that ends with a backslash: Wrangler's reading
// prefers to take the quote behind that for an escaped one, and to go on to a later one.
func prependDotenv(src, name, quoted string) (string, error) {
	rest, err := unsetDotenv(src, name)
	return name + "=" + quoted + "\n" + rest, err
}

// unsetDotenv returns src without the lines that assign to name.
func unsetDotenv(src, name string) (string, error) {
	assignments, err := scanDotenv(src)
	if err != nil {
		return "", err
	}
	for i := len(assignments) - 1; i >= 0; i-- {
		a := assignments[i]
		if a.name != name {
			continue
		}
		from := strings.LastIndexByte(src[:a.start], '\n') + 1
		to := len(src)
		if n := strings.IndexByte(src[a.valueEnd:], '\n'); n >= 0 {
			to = a.valueEnd + n + 1
		}
		src = src[:from] + src[to:]
	}
	return src, nil
}
