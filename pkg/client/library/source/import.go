package source

import (
	"context"

	"github.com/provisioner/provisioner/pkg/client/library"
)

// transaction is how many books are added at once: that many are one upload.
const transaction = 100

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

// Import adds the books of a source to a library, in transactions, and tells each of the fate of every find. What was imported before is
// passed over, so an import that ended, also by the end of ctx, goes on when it is begun again. The error is of the library or ctx: bad
// files are in the tally.
func (s *Source) Import(ctx context.Context, store *library.DataStore, each func(Find, Fate)) (Tally, error) {
	var tally Tally
	there, err := store.Imported(ctx)
	if err != nil {
		return tally, err
	}
	var batch []library.Book
	flush := func() error {
		// What was found is kept, also once ctx has ended.
		added, err := store.Import(context.WithoutCancel(ctx), batch)
		tally.Added += added
		if err == nil {
			tally.There += len(batch) - added
		}
		batch = batch[:0]
		return err
	}
	for f := range s.Books(ctx) {
		fate := fateOf(f, there)
		each(f, fate)
		switch fate {
		case Failed:
			tally.Failed++
		case There:
			tally.There++
		case Added:
			there[f.Digest] = true
			f.Book.SetOrigin(f.Digest)
			batch = append(batch, f.Book)
		}
		if len(batch) == transaction {
			if err := flush(); err != nil {
				return tally, err
			}
		}
	}
	if len(batch) > 0 {
		if err := flush(); err != nil {
			return tally, err
		}
	}
	return tally, ctx.Err()
}

func fateOf(f Find, there map[string]bool) Fate {
	switch {
	case f.Digest != "" && there[f.Digest]:
		return There
	case f.Err != nil:
		return Failed
	}
	return Added
}
