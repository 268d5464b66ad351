package source_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/client/library"
	"github.com/provisioner/provisioner/pkg/client/library/source"
)

// readTable returns what a CSV file holds.
func readTable(t testing.TB, content string) map[string]source.Find {
	t.Helper()
	return findIn(t, newTable(t, content))
}

func newTable(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "books.csv")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTableColumns(t *testing.T) {
	day := time.Date(2024, 3, 9, 0, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		file     string
		want     library.Book
		warnings []string
	}{
		"our own, in any order": {
			"rating,title,co_authors,reading_status,is_favorite,page_count,added_at,cover_image_url,whatever\n" +
				"4,Emma,\"[\"\"Ada, the first\"\",\"\"Bob\"\"]\",paused,1,474,2024-03-09T00:00:00Z,https://example.com/c.jpg,ignored\n",
			library.Book{
				Title: "Emma", Rating: 4, CoAuthors: []string{"Ada, the first", "Bob"}, ReadingStatus: library.Paused, IsFavorite: true, PageCount: 474,
				AddedAt: day, CoverImageURL: "https://example.com/c.jpg",
			},
			nil,
		},
		"of Goodreads": {
			"Book Id,Title,Author,Author l-f,Additional Authors,ISBN,ISBN13,My Rating,Average Rating,Publisher,Binding,Number of Pages,Date Added,Exclusive Shelf\r\n" +
				`6310,"Emma",Jane Austen,"Austen, Jane","Ada, Bob","=""0140328726""","=""9780140328721""",0,4.13,Puffin,Paperback,474,2024/03/09,currently-reading` + "\r\n",
			library.Book{
				Title: "Emma", Author: "Jane Austen", CoAuthors: []string{"Ada", "Bob"}, ISBN: "0140328726", ISBN13: "9780140328721", Publisher: "Puffin",
				PageCount: 474, AddedAt: day, ReadingStatus: library.InProgress,
			},
			nil,
		},
		"of Calibre": {
			"\xef\xbb\xbfauthors,comments,isbn,identifiers,languages,rating,timestamp,title\n" +
				`"Ada, Bob","<p>A <i>novel</i>.</p><p>Two.</p>","9780140328721","goodreads:6310,isbn:0140328726","eng, deu","4.5","2024-03-09T01:00:00+01:00","Emma"` + "\n",
			library.Book{
				Title: "Emma", Author: "Ada", CoAuthors: []string{"Bob"}, Description: "A novel.\n\nTwo.", ISBN13: "9780140328721", ISBN: "0140328726",
				Language: "eng", Rating: 5, AddedAt: day,
			},
			[]string{`rating "4.5" is taken for 5`},
		},
		"with semicolons, and numbers kept from spreadsheets": {
			"Title;Author;ISBN\nEmma;Austen, Jane;=\"0140328726\"\n", library.Book{Title: "Emma", Author: "Austen, Jane", ISBN: "0140328726"}, nil,
		},
		"with values that are none": {
			"title,isbn,rating,page_count,status,is_favorite,added_at,cover_image_url\nEmma,0140328720,NaN,many,wishlist,perhaps,soon,javascript:x\n",
			library.Book{Title: "Emma"},
			[]string{
				`"0140328720" is no ISBN`, `rating "NaN" is not 0 to 5`, `page count "many" is no number`, `status "wishlist" is none that apps know`,
				`favorite "perhaps" is neither yes nor no`, `the time "soon" is in no form that is known`, `cover "javascript:x" is no URL`,
			},
		},
		"with a quote that is not closed": {
			"title,author\n\"Emma\nPersuasion,Jane Austen\n",
			library.Book{Title: "Emma Persuasion,Jane Austen"},
			[]string{`"Emma\nPersuasion,Jane Austen" has several lines: is a quote missing?`},
		},
		"in UTF-16, as spreadsheets save it": {"\xff\xfe" + utf16("title\tauthor\nÉmile\tRousseau\n"), library.Book{Title: "Émile", Author: "Rousseau"}, nil},
		"with fields that are left out":      {"title,author,isbn\nEmma\n", library.Book{Title: "Emma"}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := readTable(t, tt.file)["row 2"]
			if f.Err != nil {
				t.Fatal(f.Err)
			}
			if diff := cmp.Diff(tt.want, f.Book); diff != "" {
				t.Errorf("the book differs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.warnings, f.Warnings); diff != "" {
				t.Errorf("the warnings differ (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBadRowsAreReported shows that a bad row says what is wrong, and the rows around it are found.
func TestBadRowsAreReported(t *testing.T) {
	found := readTable(t, "title,author\nOne,A\n,B\nThree,C,too,many\nFour,\xc9\nFive,E\nSix,\"no end")
	for row, want := range map[string]string{"row 3": "no title", "row 4": "4 fields, and the header 2", "row 5": "not in UTF-8"} {
		if err := found[row].Err; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", row, err, want)
		}
	}
	for row, title := range map[string]string{"row 2": "One", "row 6": "Five", "row 7": "Six"} {
		if f := found[row]; f.Err != nil || f.Book.Title != title {
			t.Errorf("%s is %+v, want %q", row, f, title)
		}
	}
}

// TestRowsHaveDigestsOfTheirOwn shows that a row is known again, and no other is taken for it.
func TestRowsHaveDigestsOfTheirOwn(t *testing.T) {
	first := readTable(t, "title,author\nab,c\na,bc\nab,c\n")
	again := readTable(t, "title;author\na;bc\n")
	if first["row 2"].Digest == first["row 3"].Digest {
		t.Error("two rows have one digest")
	}
	if first["row 2"].Digest != first["row 4"].Digest || first["row 3"].Digest != again["row 2"].Digest {
		t.Error("the same row has another digest")
	}
}

func TestWhatIsNoSourceIsRefused(t *testing.T) {
	one := filepath.Join(t.TempDir(), "one.epub")
	if err := os.WriteFile(one, epub(t, metadata("<dc:title>One</dc:title>")), 0o600); err != nil {
		t.Fatal(err)
	}
	large := newTable(t, "title\n")
	if err := os.Truncate(large, 33<<20); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		newTable(t, ""):                             "empty",
		newTable(t, "name,author\nEmma,A\n"):        "no column title",
		newTable(t, strings.Repeat(",", 2000)+"\n"): "too many columns",
		large:                                 "larger",
		filepath.Join(t.TempDir(), "nowhere"): "no such file",
		"/dev/null":                           "neither a directory nor a file",
		one:                                   "give the directory",
	} {
		if _, err := source.Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s) = %v, want %q", path, err, want)
		}
	}
}
