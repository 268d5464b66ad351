package library

import (
	"context"
	"errors"
	"iter"
)

const (
	letterPage = 50  // dead letters of one answer
	listPage   = 500 // dead letters or rows that are read at once
)

// LetterPage returns a page of a user's dead letters without their bodies, the newest first, and the cursor of the next, "" after the
// last. It returns ErrNotFound for a cursor that is none.
func LetterPage(ctx context.Context, s Store, userID, cursor string) (page []DeadLetter, next string, err error) {
	page, err = s.DeadLetters(ctx, Letters{UserID: userID, Before: cursor, Limit: letterPage + 1})
	if err != nil || len(page) <= letterPage {
		return page, "", err
	}
	page = page[:letterPage]
	return page, page[letterPage-1].ID, nil
}

// ListLetters yields the dead letters that l takes, without their bodies, the newest first. It reads page by page, and ends with the
// first error.
func ListLetters(ctx context.Context, s Store, l Letters) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		l := l // a sequence may be run through again
		left := l.Limit
		for {
			l.Limit = listPage
			if left > 0 {
				l.Limit = min(left, listPage)
			}
			page, err := s.DeadLetters(ctx, l)
			if err != nil {
				yield(DeadLetter{}, err)
				return
			}
			for _, d := range page {
				if !yield(d, nil) {
					return
				}
				l.Before = d.ID
			}
			left -= len(page) // below 0 for all
			if len(page) < l.Limit || left == 0 {
				return
			}
		}
	}
}

// WholeLetters yields a user's dead letters with their bodies, the newest first, and ends with the first error.
func WholeLetters(ctx context.Context, s Store, userID string) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		for l, err := range ListLetters(ctx, s, Letters{UserID: userID}) {
			if err == nil {
				l, err = s.DeadLetter(ctx, userID, l.ID)
			}
			if errors.Is(err, ErrNotFound) {
				continue // it was dropped meanwhile
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

// ListRows yields a user's rows of a table, by their keys. It reads page by page, and ends with the first error.
func ListRows(ctx context.Context, s Store, t *Table, userID string) iter.Seq2[Kept, error] {
	return func(yield func(Kept, error) bool) {
		for after := ""; ; {
			page, err := s.Rows(ctx, t, userID, after, listPage)
			if err != nil {
				yield(Kept{}, err)
				return
			}
			for _, k := range page {
				if !yield(k, nil) {
					return
				}
				after = k.ID
			}
			if len(page) == 0 {
				return
			}
		}
	}
}
