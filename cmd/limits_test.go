package cmd

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestRefusalsSayWhenToComeAgain reads the source: every error that is written as 429 or 503 has a RetryAfter.
func TestRefusalsSayWhenToComeAgain(t *testing.T) {
	found := 0
	err := filepath.WalkDir("../pkg", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if says, later := refusal(n); says {
				found++
				if !later {
					t.Errorf("%s refuses for now, and does not say when to come again", files.Position(n.Pos()))
				}
			}
			return true
		})
		return nil
	})
	if err != nil || found < 8 {
		t.Errorf("%d refusals found, %v", found, err)
	}
}

// refusal reports whether n makes an error of status 429 or 503, and whether that has a RetryAfter.
func refusal(n ast.Node) (says, later bool) {
	switch n := n.(type) {
	case *ast.CallExpr: // apierror.New(status, …) has none
		fn, ok := n.Fun.(*ast.SelectorExpr)
		return ok && fn.Sel.Name == "New" && len(n.Args) == 3 && forNow(n.Args[0]) && !lasts(n.Args[2]), false
	case *ast.CompositeLit:
		for _, element := range n.Elts {
			pair, ok := element.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			name, _ := pair.Key.(*ast.Ident)
			says = says || name != nil && name.Name == "Status" && forNow(pair.Value)
			later = later || name != nil && name.Name == "RetryAfter"
		}
	}
	return says, later
}

// lasts reports whether a message is that of the one refusal for good: a server without mail has none in a second either.
func lasts(message ast.Expr) bool {
	text, ok := message.(*ast.BasicLit)
	return ok && text.Value == `"This server sends no mail"`
}

// forNow reports whether an expression is one of the two statuses.
func forNow(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return e.Sel.Name == "StatusTooManyRequests" || e.Sel.Name == "StatusServiceUnavailable"
	case *ast.BasicLit:
		return e.Value == "429" || e.Value == "503"
	}
	return false
}
