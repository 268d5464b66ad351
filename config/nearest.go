package config

import "strings"

// slip is the edit distance up to which an unknown name is taken for a misspelt one.
const slip = 2

// nearest returns the setting that name is a slip of, in whatever case, or "".
func nearest(name string) string {
	best, at := "", slip+1
	for _, row := range settings {
		if d := distance(strings.ToUpper(name), row.name); d < at {
			best, at = row.name, d
		}
	}
	return best
}

// distance returns the Levenshtein distance of a and b in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
