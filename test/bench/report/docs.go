package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// WriteDocs puts the tables into performance.md in dir, each between the lines "<!-- begin: <name of the run> -->" and
// "<!-- end -->", under how they were measured, and the plot into performance.svg.
func WriteDocs(dir, how string, runs []Run) error {
	path := filepath.Join(dir, "performance.md")
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(page)
	for _, r := range runs {
		if text, err = replaceTable(text, r.Name, r.Markdown()+"\n"+how+".\n"); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "performance.svg"), []byte(Plot(runs)), 0o644)
}

func replaceTable(page, name, table string) (string, error) {
	begin, end := "<!-- begin: "+name+" -->\n", "<!-- end -->\n"
	before, rest, found := strings.Cut(page, begin)
	if !found {
		return "", fmt.Errorf("no line %q", strings.TrimSpace(begin))
	}
	_, after, found := strings.Cut(rest, end)
	if !found {
		return "", fmt.Errorf("no line %q after %q", strings.TrimSpace(end), strings.TrimSpace(begin))
	}
	return before + begin + table + end + after, nil
}
