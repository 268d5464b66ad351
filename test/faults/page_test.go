package faults_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
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
	files, err := parser.ParseDir(token.NewFileSet(), ".", func(fs.FileInfo) bool { return true }, 0)
	if err != nil {
		t.Fatal(err)
	}
	ownRules := []string{"TestMain", "TestGrows", "TestPageNamesEveryFault"}
	for _, file := range files["faults_test"].Files {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") && !slices.Contains(ownRules, f.Name.Name) {
				there = append(there, f.Name.Name)
			}
		}
	}
	slices.Sort(there)
	if !slices.Equal(named, there) {
		t.Errorf("the page names %v, the tests are %v", named, there)
	}
}
