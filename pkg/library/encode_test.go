package library_test

import (
	"math"
	"testing"

	"github.com/provisioner/provisioner/pkg/library"
)

// TestEncodeReals writes numbers as the PowerSync Service does, so that SQLite on devices takes none for an integer.
func TestEncodeReals(t *testing.T) {
	table := &library.Table{Key: "k", Owner: "o", Columns: []library.Column{{Name: "r", Kind: library.Real}}}
	for _, tt := range []struct {
		value float64
		want  string
	}{
		{0, "0.0"},
		{math.Copysign(0, -1), "0.0"},
		{3, "3.0"},
		{-100, "-100.0"},
		{0.1, "0.1"},
		{1e20, "100000000000000000000.0"},
		{1e21, "1e+21"},
		{1e-7, "1e-7"},
		{math.SmallestNonzeroFloat64, "5e-324"},
	} {
		want := `{"id":"i","k":"i","o":"u","r":` + tt.want + `}`
		if got := string(table.Encode("i", "u", library.Row{tt.value})); got != want {
			t.Errorf("Encode(%v) = %s, want %s", tt.value, got, want)
		}
	}
}
