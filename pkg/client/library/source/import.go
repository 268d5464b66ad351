package source

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/provisioner/provisioner/pkg/client/library"
)

// What is added at once, and is one upload: servers refuse one of more than 64 MiB as a whole (contract: papyrus, section 6).
const (
	maxBatch      = 100     // books
	maxBatchBytes = 8 << 20 // of their JSON, beyond which no book is added to them
)

// Fate is what became of a [Find].
type Fate int

// The fates.
const (
	Added  Fate = iota // or about to be, with the others of its transaction
	There              // it was imported before, on this device or another
	Failed             // there is no book in it: Find.Err
)

// Tally counts fates, of what is on the disk.
type Tally struct{ Added, There, Failed int }

// Import adds the books of a source to a library, in transactions, and tells each of the fate of every find. One that does not say how far
// somebody has come with it is not started. What was imported before is passed over, so an import that ended, also by the end of ctx, goes
// on when it is begun again. The error is of the library or ctx: bad files are in the tally.
func (s *Source) Import(ctx context.Context, store *library.DataStore, each func(Find, Fate)) (Tally, error) {
	importer, err := store.Importer(ctx)
	if err != nil {
		return Tally{}, err
	}
	b := batch{importer: importer}
	for f := range s.Books(ctx) {
		fate := b.fateOf(f)
		each(f, fate)
		switch fate {
		case Failed:
			b.tally.Failed++
		case There:
			b.tally.There++
		case Added:
			if err := b.add(ctx, f); err != nil {
				return b.tally, err
			}
		}
	}
	if err := b.flush(ctx); err != nil {
		return b.tally, err
	}
	return b.tally, ctx.Err()
}

// batch is the books of the next transaction.
type batch struct {
	importer *library.Importer
	tally    Tally
	books    []library.Book
	bytes    int
}

func (b *batch) fateOf(f Find) Fate {
	isNext := func(next library.Book) bool { return next.Origin() == f.Digest }
	switch {
	case f.Digest != "" && (b.importer.Has(f.Digest) || slices.ContainsFunc(b.books, isNext)):
		return There
	case f.Err != nil:
		return Failed
	}
	return Added
}

func (b *batch) add(ctx context.Context, f Find) error {
	f.Book.SetOrigin(f.Digest)
	f.Book.ReadingStatus = cmp.Or(f.Book.ReadingStatus, library.NotStarted)
	text, err := json.Marshal(f.Book)
	if err != nil {
		return err
	}
	b.books, b.bytes = append(b.books, f.Book), b.bytes+len(text)
	if len(b.books) < maxBatch && b.bytes < maxBatchBytes {
		return nil
	}
	return b.flush(ctx)
}

// flush adds the books to the library. What was found is kept, also once ctx has ended.
func (b *batch) flush(ctx context.Context) error {
	if len(b.books) == 0 {
		return nil
	}
	added, err := b.importer.Add(context.WithoutCancel(ctx), b.books)
	if err != nil {
		return err
	}
	b.tally.Added += added
	b.tally.There += len(b.books) - added
	b.books, b.bytes = nil, 0
	return nil
}
