package config

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The values are those that npm's dotenv 16 reads.
var dotenvReadings = []struct {
	name, text string
	want       map[string]string
}{
	{"plain", "A=b\nB = c d \n", map[string]string{"A": "b", "B": "c d"}},
	{"nothing", "", map[string]string{}},
	{"empty values", "A=\nB=''\n", map[string]string{"A": "", "B": ""}},
	{"export", "export A=b\n", map[string]string{"A": "b"}},
	{"colon", "A: b\n", map[string]string{"A": "b"}},
	{"comments", "# A=1\nA=b # c\n  # d\nB='e # f' # g\nC=h#i\n", map[string]string{"A": "b", "B": "e # f", "C": "h"}},
	{"comment right below", "A=b\n# it's a comment\nB=c\n", map[string]string{"A": "b", "B": "c"}},
	{"no expansion", "A=$B\nC=\"${A}\"\nD='\\$x'\n", map[string]string{"A": "$B", "C": "${A}", "D": `\$x`}},
	{"double quotes expand line ends alone", `A="a\nb\tc\rd\\"`, map[string]string{"A": "a\nb\\tc\rd\\\\"}},
	{"single quotes expand nothing", `A='a\nb'`, map[string]string{"A": `a\nb`}},
	{"backticks", "A=`'\"\\n`", map[string]string{"A": `'"\n`}},
	{"escaped quotes keep the backslash", `A="{\"k\":1}"`, map[string]string{"A": `{\"k\":1}`}},
	{"quotes inside", `A='a'b'`, map[string]string{"A": "a'b"}},
	{"several lines", "A='1\n2\n'\nB=\"3\n\n# 4\"\n", map[string]string{"A": "1\n2\n", "B": "3\n\n# 4"}},
	{"JSON unquoted", `A={"k1":"v"}`, map[string]string{"A": `{"k1":"v"}`}},
	{"Windows line ends", "A=b\r\nB='c\r\nd'\r\n", map[string]string{"A": "b", "B": "c\nd"}},
	{"the last of a name", "A=1\nA=2\n", map[string]string{"A": "2"}},
	{"byte order mark", "\ufeffA=1", map[string]string{"A": "1"}},
	{"equals signs", "A=b=c==\n", map[string]string{"A": "b=c=="}},
}

func TestParseDotenv(t *testing.T) {
	for _, tt := range dotenvReadings {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseDotenv([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseDotenvRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"no assignment", "A=1\n" + hush + "\n", "line 2: is not NAME=value"},
		{"no name", "=" + hush, "line 1: is not NAME=value"},
		{"an open quote", "\nA='" + hush + "\n", "line 2: opens a quote that does not close"},
		{"text after a quote", "A='" + hush + "' b", "line 1: opens a quote that does not close"},
		{"a lone quote", "A=\"", "line 1: opens a quote that does not close"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parseDotenv([]byte(tt.text)); err == nil || err.Error() != tt.want {
				t.Errorf("parseDotenv() = %v, want %s", err, tt.want)
			}
		})
	}
}

func TestSetDotenvKeepsTheRest(t *testing.T) {
	const src = "# head\nexport A=1 # why\nB='x\ny'\n\nA=2  # and why\n# tail"
	got, err := setDotenv(src, "A", "it's")
	if want := "# head\nexport A=1 # why\nB='x\ny'\n\nA=\"it's\"  # and why\n# tail"; err != nil || got != want {
		t.Errorf("set an old name: %q, %v", got, err)
	}
	got, err = setDotenv(src, "C", "3")
	if want := src + "\nC=3\n"; err != nil || got != want {
		t.Errorf("set a new name: %q, %v", got, err)
	}
	got, err = unsetDotenv(src, "A")
	if want := "# head\nB='x\ny'\n\n# tail"; err != nil || got != want {
		t.Errorf("unset: %q, %v", got, err)
	}
	got, err = unsetDotenv(src, "B")
	if want := "# head\nexport A=1 # why\n\nA=2  # and why\n# tail"; err != nil || got != want {
		t.Errorf("unset of several lines: %q, %v", got, err)
	}
}

func TestSetDotenvBesideATrailingBackslash(t *testing.T) {
	src := "A='a#\\'\n"
	for name, value := range map[string]string{"B": "# \"'#", "C": "c\\", "D": "\n'\"\\"} {
		var err error
		if src, err = setDotenv(src, name, value); err != nil {
			t.Fatal(err)
		}
	}
	got, err := parseDotenv([]byte(src))
	want := map[string]string{"A": `a#\`, "B": "# \"'#", "C": `c\`, "D": "\n'\"\\"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v in %q\n%s", err, src, diff)
	}
}

// FuzzDotenv checks that nothing panics and that every value that parses is written so that it reads the same.
func FuzzDotenv(f *testing.F) {
	for _, tt := range dotenvReadings {
		f.Add([]byte(tt.text))
	}
	for _, text := range []string{"A='\\'\nB='", "A=`\\`\n'\"#`", "A='x\"y`z'w'", "A", "=", "A='"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		values, err := parseDotenv(data)
		if err != nil {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(values)) {
			written, err := setDotenv("", name, values[name])
			if err != nil {
				t.Fatalf("%q cannot be written: %v", values[name], err)
			}
			if again, err := parseDotenv([]byte(written)); err != nil || again[name] != values[name] {
				t.Errorf("%q became %q (%v) in %q", values[name], again[name], err, written)
			}
		}
		src := newlines(data)
		for name := range values {
			if src, err = unsetDotenv(src, name); err != nil {
				t.Fatalf("unset %s of %q: %v", name, data, err)
			}
		}
		if left, err := parseDotenv([]byte(src)); err != nil || len(left) != 0 {
			t.Errorf("%q is left of %q: %v", strings.TrimSpace(src), data, err)
		}
	})
}
