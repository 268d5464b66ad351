package powersync

import (
	"net/url"
	"testing"
	"time"
)

// TestFileURL has a path for SQLite and no host, on Windows too.
func TestFileURL(t *testing.T) {
	for path, want := range map[string]string{
		"/home/ada/a b?#%.db": "file:///home/ada/a%20b%3F%23%25.db?x=1",
		"C:/Users/Ada/a.db":   "file:///C:/Users/Ada/a.db?x=1",
		"//server/share/a.db": "file:////server/share/a.db?x=1",
	} {
		if got := fileURL(path, url.Values{"x": {"1"}}); got != want {
			t.Errorf("%s is at %s, want %s", path, got, want)
		}
	}
}

// TestBackoff grows twofold up to the longest, half of it by chance, however often something fails.
func TestBackoff(t *testing.T) {
	b := backoff{20 * time.Second, time.Minute}
	for n := 1; n < 100; n++ {
		longest := []time.Duration{0, 20 * time.Second, 40 * time.Second, time.Minute}[min(n, 3)]
		if got := b.after(n); got < longest/2 || got > longest {
			t.Errorf("%v after %d failures", got, n)
		}
	}
}
