package audit_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/provisioner/provisioner/pkg/audit"
)

// pages is a store of entries numbered from many down to 1.
type pages struct {
	audit.Store
	many, asked int
	err         error
}

func (p *pages) AuditEntries(_ context.Context, f audit.Filter) ([]audit.Entry, error) {
	p.asked++
	first := p.many
	if f.Before > 0 {
		first = int(f.Before) - 1
	}
	var page []audit.Entry
	for id := first; id > 0 && len(page) < f.Limit; id-- {
		page = append(page, audit.Entry{ID: int64(id)})
	}
	return page, p.err
}

func TestList(t *testing.T) {
	for _, tt := range []struct {
		name                     string
		many, limit, want, asked int
	}{
		{"nothing", 0, 0, 0, 1},
		{"less than a page", 3, 0, 3, 1},
		{"two pages and some", 1001, 0, 1001, 3},
		{"a page to the entry", 500, 0, 500, 2},
		{"fewer than there are", 10, 4, 4, 1},
		{"more than a page of many", 2000, 700, 700, 2},
		{"two pages of many to the entry", 2000, 1000, 1000, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &pages{many: tt.many}
			list := audit.List(t.Context(), s, audit.Filter{Limit: tt.limit})
			for range 2 { // it may be run through again
				s.asked = 0
				var got []int64
				for e, err := range list {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, e.ID)
				}
				if len(got) != tt.want || s.asked != tt.asked {
					t.Errorf("%d entries in %d pages, want %d in %d", len(got), s.asked, tt.want, tt.asked)
				}
				if !slices.IsSortedFunc(got, func(a, b int64) int { return int(b - a) }) || len(got) > 0 && got[0] != int64(tt.many) {
					t.Errorf("they are not the newest first: %v …", got[:min(len(got), 3)])
				}
			}
		})
	}
}

func TestListEndsWithTheFirstError(t *testing.T) {
	down := errors.New("no answer")
	s := &pages{many: 3, err: down}
	for _, err := range audit.List(t.Context(), s, audit.Filter{}) {
		if !errors.Is(err, down) {
			t.Errorf("error %v", err)
		}
	}
	if s.asked != 1 {
		t.Errorf("asked %d times", s.asked)
	}
}
