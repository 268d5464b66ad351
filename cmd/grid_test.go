package cmd

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGridAlignsByWhatIsSeen(t *testing.T) {
	g := &grid{widest: []int{10, 6}}
	g.add("TITLE", "AUTHOR")
	g.add("日本語の本です", "Ada")
	g.add("e\u0301te\u0301", "Bob the second")
	g.add("a\x1b[2Jb\u202ec\u009bd\te\xff", "")
	want := []string{"TITLE      AUTHOR", "日本語の…  Ada", "e\u0301te\u0301        Bob t…", "a[2Jbcd e"}
	if diff := cmp.Diff(want, g.lines()); diff != "" {
		t.Errorf("the lines differ (-want +got):\n%s", diff)
	}
}

func TestJSONHasNothingThatActsOnATerminal(t *testing.T) {
	var b bytes.Buffer
	if err := writeJSON(&b, map[string]string{"title": "a\x1b\u009b\u202e\x7f<\n"}, ""); err != nil {
		t.Fatal(err)
	}
	if want := `{"title":"a\u001b\u009b\u202e\u007f<\n"}` + "\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
