package faults_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestPageNamesEveryFault holds docs/reliability.md to the tests that there are.
func TestPageNamesEveryFault(t *testing.T) {
	page, err := os.ReadFile("../../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, match := range regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(string(page), -1) {
		named = append(named, match[1])
	}
	slices.Sort(named)
	named = slices.Compact(named)

	var there []string
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	ownRules := []string{"TestMain", "TestGrows", "TestPageNamesEveryFault"}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(source), -1) {
			if !slices.Contains(ownRules, match[1]) {
				there = append(there, match[1])
			}
		}
	}
	slices.Sort(there)
	if !slices.Equal(named, there) {
		t.Errorf("the page names %v, the tests are %v", named, there)
	}
}
