package audit

import (
	"context"
	"iter"
)

// pageLen is how many entries are read at once.
const pageLen = 500

// List yields the entries of a filter, the newest first. It reads page by page, and ends with the first error.
func List(ctx context.Context, s Store, f Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		f := f // a sequence may be run through again
		left := f.Limit
		for {
			f.Limit = pageLen
			if left > 0 {
				f.Limit = min(left, pageLen)
			}
			page, err := s.AuditEntries(ctx, f)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
				f.Before = e.ID
			}
			left -= len(page) // below 0 for all
			if len(page) < f.Limit || left == 0 {
				return
			}
		}
	}
}
