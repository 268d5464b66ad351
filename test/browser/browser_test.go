package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/test/browser"
)

// TestBrowser has two profiles go to a site that remembers its visitors.
func TestBrowser(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/start", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "visitor", Value: "known", SameSite: http.SameSiteLaxMode})
		http.Redirect(w, r, "/page", http.StatusFound)
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		_, err := r.Cookie("visitor")
		w.WriteHeader(http.StatusTeapot)
		_, _ = fmt.Fprintf(w, `<body aria-busy="true"><form action="/start"><button>again</button></form><output></output><script>
			globalThis.twice = async (n) => { if (!n) { throw new Error('no number') } return { twice: 2 * n } }
			setTimeout(() => { document.querySelector('output').textContent = 'known: %t'; document.body.ariaBusy = 'false' }, 1)
		</script>`, err == nil)
	})
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	start, page := site.URL+"/start", site.URL+"/page"

	b := browser.Start(t)
	first, second := b.NewProfile(), b.NewProfile()
	known := func(yes bool, visited ...string) browser.Page {
		return browser.Page{URL: page, Status: http.StatusTeapot, Text: fmt.Sprintf("again\nknown: %t", yes), Visited: visited}
	}
	for _, step := range []struct {
		name string
		got  browser.Page
		want browser.Page
	}{
		{"a redirect", first.Visit(start), known(true, start, page)},
		{"a profile that was there before", first.Visit(page), known(true, page)},
		{"another profile", second.Visit(page), known(false, page)},
		{"a click", second.Click("again"), known(true, start+"?", page)},
	} {
		if diff := cmp.Diff(step.want, step.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}

	if got, err := first.Call("twice", 21); string(got) != `{"twice":42}` || err != nil {
		t.Errorf("a call: %s, %v", got, err)
	}
	if got, err := first.Call("twice", nil); err == nil || !strings.Contains(err.Error(), "no number") {
		t.Errorf("a call that throws: %s, %v", got, err)
	}
}
