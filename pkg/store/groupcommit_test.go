package store

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
)

// group is callers that wait at the same moment for the one writer of a file.
type group struct {
	t      *testing.T
	db     *DB
	busy   *sql.Tx // has the writer
	errs   []chan error
	shared map[*sql.Tx]int // how many ran to their end in each transaction
}

// inGroup runs play with a writer that is busy, and a first caller that waits for nothing but that.
func inGroup(t *testing.T, play func(g *group)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		db, err := openSQLite(Config{Engine: SQLite, Path: filepath.Join(t.TempDir(), "numbers.db")})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		if _, err := db.write.ExecContext(t.Context(), `CREATE TABLE numbers (n INTEGER PRIMARY KEY)`); err != nil {
			t.Fatal(err)
		}
		busy, err := db.write.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		g := &group{t: t, db: db, busy: busy, shared: make(map[*sql.Tx]int)}
		g.insert(t.Context(), 0)
		play(g)
	})
}

// insert has a caller insert n, after those before.
func (g *group) insert(ctx context.Context, n int) {
	g.t.Helper()
	g.do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := execIn(ctx, tx, `INSERT INTO numbers VALUES ($1)`, n)
		if err == nil {
			g.shared[tx]++
		}
		return err
	})
}

// do has a caller do w, after those before.
func (g *group) do(ctx context.Context, w work) {
	g.t.Helper()
	done := make(chan error, 1)
	go func() { done <- g.db.tx(ctx, "test", w) }()
	g.errs = append(g.errs, done)
	synctest.Wait()
}

// run frees the writer, and returns what each caller got.
func (g *group) run() []error {
	g.t.Helper()
	if err := g.busy.Rollback(); err != nil {
		g.t.Fatal(err)
	}
	var got []error
	for _, done := range g.errs {
		got = append(got, <-done)
	}
	return got
}

func (g *group) wantNumbers(want ...int64) {
	g.t.Helper()
	got, err := list(g.t.Context(), g.db, "numbers", scanInt, `SELECT n FROM numbers ORDER BY n`)
	if err != nil || !slices.Equal(got, want) {
		g.t.Errorf("the table holds %v, %v; want %v", got, err, want)
	}
}

// TestGroupCommit has writers that wait together pay for one commit.
func TestGroupCommit(t *testing.T) {
	inGroup(t, func(g *group) {
		for n := 1; n <= 5; n++ {
			g.insert(g.t.Context(), n)
		}
		if err := errors.Join(g.run()...); err != nil {
			t.Error(err)
		}
		g.wantNumbers(0, 1, 2, 3, 4, 5)
		if len(g.shared) != 2 { // that of the first, and that of all who came meanwhile
			t.Errorf("%d transactions for 6 callers", len(g.shared))
		}
	})
}

// TestGroupCommitFailsAlone has one of a group fail: it gets its error, and the others do not notice.
func TestGroupCommitFailsAlone(t *testing.T) {
	inGroup(t, func(g *group) {
		for _, n := range []int{1, 0, 2} {
			g.insert(g.t.Context(), n)
		}
		got := g.run()
		if got[2] == nil || errors.Join(got[0], got[1], got[3]) != nil {
			t.Errorf("errors %v; only the third is to fail", got)
		}
		g.wantNumbers(0, 1, 2)
	})
}

// TestGroupCommitOutlivesPanics has one of a group panic: it gets an error, and the others do not notice.
func TestGroupCommitOutlivesPanics(t *testing.T) {
	inGroup(t, func(g *group) {
		g.insert(g.t.Context(), 1)
		g.do(g.t.Context(), func(context.Context, *sql.Tx) error { panic("a bug") })
		got := g.run()
		if got[2] == nil || errors.Join(got[:2]...) != nil {
			t.Errorf("errors %v; only the third is to fail", got)
		}
		g.wantNumbers(0, 1)
	})
}

// TestGroupCommitWithoutThoseWhoGaveUp has a caller give up before its turn: nothing of what it wanted happens.
func TestGroupCommitWithoutThoseWhoGaveUp(t *testing.T) {
	inGroup(t, func(g *group) {
		ctx, cancel := context.WithCancel(g.t.Context())
		g.insert(ctx, 1)
		g.insert(g.t.Context(), 2)
		cancel()
		synctest.Wait()
		got := g.run()
		if !errors.Is(got[1], context.Canceled) || errors.Join(got[0], got[2]) != nil {
			t.Errorf("errors %v; only the second gave up", got)
		}
		g.wantNumbers(0, 2)
	})
}
