package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func targets(dir string) map[string]SecretTarget {
	return map[string]SecretTarget{
		"file":      DevVarsTarget(filepath.Join(dir, ".dev.vars")),
		"directory": SecretDirTarget(filepath.Join(dir, "secrets")),
	}
}

func TestSecretTarget(t *testing.T) {
	for name, target := range targets(t.TempDir()) {
		t.Run(name, func(t *testing.T) {
			if names, err := target.List(); err != nil || len(names) != 0 {
				t.Fatalf("List() before any = %v, %v", names, err)
			}
			one, two := "1", "2"
			err := errors.Join(
				target.Put("SEAL_KEY", "x"), target.Put("B", "y"), target.Put("B", "z"),
				target.Bulk(map[string]*string{"A": &one, "C": &two, "B": nil, "GONE": nil}), target.Delete("C"),
			)
			if err != nil {
				t.Fatal(err)
			}
			names, err := target.List()
			if want := []string{"A", "SEAL_KEY"}; err != nil || !slices.Equal(names, want) {
				t.Errorf("List() = %v, %v, want %v", names, err, want)
			}
			if err := target.Delete("C"); !errors.Is(err, ErrNoSecret) {
				t.Errorf("Delete() again = %v, want ErrNoSecret", err)
			}
			for _, bad := range []string{"", "1A", "A-B", "../A", "A B", ".A", "Ä"} {
				if err := target.Put(bad, "x"); !errors.Is(err, ErrSecretName) {
					t.Errorf("Put(%q) = %v, want ErrSecretName", bad, err)
				}
			}
			if err := target.Put("A", ""); err == nil {
				t.Error("Put() took an empty value")
			}
		})
	}
}

func TestSecretFilesAreTheOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".dev.vars"), []byte("A=1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, target := range targets(dir) {
		if err := target.Put("SEAL_KEY", "x"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	got := map[string]fs.FileMode{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if info, infoErr := d.Info(); err == nil && infoErr == nil && path != dir {
			rel, _ := filepath.Rel(dir, path)
			got[rel] = info.Mode().Perm()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]fs.FileMode{".dev.vars": 0o600, "secrets": 0o700, "secrets/SEAL_KEY": 0o600}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestABadChangeWritesNothing(t *testing.T) {
	for name, target := range targets(t.TempDir()) {
		one, none := "1", ""
		if err := target.Bulk(map[string]*string{"A": &one, "B": &none}); err == nil {
			t.Errorf("%s: Bulk() took an empty value", name)
		}
		if names, err := target.List(); err != nil || len(names) != 0 {
			t.Errorf("%s: %v, %v is there", name, names, err)
		}
	}
}

func TestDevVarsRefusesWhatItCannotHold(t *testing.T) {
	target := targets(t.TempDir())["file"]
	const value = "'\"`#" + hush
	if err := target.Put("A", value); !errors.Is(err, errUnwritable) || strings.Contains(err.Error(), hush) {
		t.Errorf("Put() = %v", err)
	}
}

// TestSecretsSurvive writes several values and loads them. A directory holds any value; .dev.vars all that do without
// one of the kinds of quotes.
func TestSecretsSurvive(t *testing.T) {
	dir := t.TempDir()
	check := func(t *rapid.T, alphabet string, target SecretTarget, load func() (map[string]string, error)) {
		value := rapid.StringOfN(rapid.RuneFrom([]rune(alphabet)), 1, 12, -1)
		want := map[string]string{"SEAL_KEY": value.Draw(t, "first"), "REDIS_URL": value.Draw(t, "second")}
		for name, text := range want {
			if err := target.Put(name, text); err != nil {
				t.Fatalf("Put(%q) = %v", text, err)
			}
		}
		got, err := load()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	}
	t.Run("in a directory", func(t *testing.T) {
		path := filepath.Join(dir, "secrets")
		rapid.Check(t, func(rt *rapid.T) {
			check(rt, "a'\"`#$\\nr \t\r\n={}é", SecretDirTarget(path), func() (map[string]string, error) { return readSecretDir(path) })
		})
	})
	t.Run("in a file", func(t *testing.T) {
		path := filepath.Join(dir, ".dev.vars")
		rapid.Check(t, func(rt *rapid.T) {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				rt.Fatal(err)
			}
			check(rt, "a'\"#$\\nr \t\n={}é", DevVarsTarget(path), func() (map[string]string, error) {
				data, err := os.ReadFile(path)
				if err != nil {
					return nil, err
				}
				return parseDotenv(data)
			})
		})
	})
}

func TestParseBulk(t *testing.T) {
	one := "1\n2"
	tests := []struct {
		name, text string
		want       map[string]*string
	}{
		{"JSON", ` {"A":"1\n2","B":null}`, map[string]*string{"A": &one, "B": nil}},
		{"dotenv", "A='1\n2'\n", map[string]*string{"A": &one}},
		{"nothing", "", map[string]*string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseBulk([]byte(tt.text))
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("ParseBulk() = %v\n%s", err, diff)
			}
		})
	}
	for _, text := range []string{`{"A":1,"B":"` + hush + `"}`, `{"A":"` + hush, hush, `["` + hush + `"]`} {
		if _, err := ParseBulk([]byte(text)); err == nil || strings.Contains(err.Error(), hush) {
			t.Errorf("ParseBulk(%q) = %v", text, err)
		}
	}
}
