package e2e_test

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/provisioner/provisioner/test/program"
)

// TestEveryBoundShows reads the tables of docs/limits.md, and looks for each bound in the metrics of the running program; and for each
// bound of the program in the tables.
func TestEveryBoundShows(t *testing.T) {
	page, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	memory, rest, _ := strings.Cut(string(page), "## Of one request")
	_, database, _ := strings.Cut(rest, "## In the database")
	p := start(t, "all", program.Settings{"JWT_CACHE_TTL": "1m"})
	program.Eventually(t, "rows are counted", func() bool { return p.Metric(`provisioner_store_rows{table="nonces"}`) >= 0 })
	metrics := p.Metrics()

	bounds := named(memory)
	for _, what := range bounds {
		if !strings.Contains(metrics, `provisioner_bound_limit{service="`) || !strings.Contains(metrics, `what="`+what+`"}`) {
			t.Errorf("the metrics lack the bound %s", what)
		}
	}
	for _, m := range regexp.MustCompile(`provisioner_bound_limit\{.*what="(\w+)"\}`).FindAllStringSubmatch(metrics, -1) {
		if !strings.Contains(memory, "`"+m[1]+"`") {
			t.Errorf("the page lacks the bound %s", m[1])
		}
	}
	for _, table := range named(database) {
		if !strings.Contains(metrics, `provisioner_store_rows{table="`+table+`"}`) {
			t.Errorf("the metrics lack the table %s", table)
		}
	}
	if len(bounds) < 10 {
		t.Errorf("the page names %d bounds", len(bounds))
	}
}

// named returns the names in the first columns of the tables of a text.
func named(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		column, ok := strings.CutPrefix(line, "| `")
		if !ok || strings.HasPrefix(column, "what` |") || strings.HasPrefix(column, "provisioner_") {
			continue
		}
		first, _, _ := strings.Cut(column, " |")
		names = append(names, regexp.MustCompile(`\w+`).FindAllString(first, -1)...)
	}
	return names
}

// TestFloodOfConnections has ten times as many connections as there may be come at once to a small process, and stay. Those within the
// bound are served, each other is told to come again or closed, the admin port answers, and once they are gone everybody is served.
func TestFloodOfConnections(t *testing.T) {
	const most, come, memory = 200, 2000, 256 << 20
	group, confined := newCgroup(t, memory)
	p := newProcess(t, "papyrus", program.Settings{"LOG_LEVEL": "info", "MAX_CONNECTIONS": strconv.Itoa(most), "SYNC_MAX_STREAMS": "100"})
	if confined {
		group.run(p)
	} else {
		p.Env["GOMEMLIMIT"] = strconv.Itoa(memory / 10 * 9)
		p.Start()
	}

	c := &crowdOfClients{statuses: map[string]int{}}
	var all sync.WaitGroup
	for range come {
		all.Go(func() { c.come(p.Addr("papyrus")) })
	}
	all.Wait()
	t.Logf("%d connections came at once: %v", come, c.statuses)
	if c.statuses["200"] != most || c.statuses["503, Retry-After 1"] == 0 || c.statuses["200"]+c.statuses["503, Retry-After 1"]+c.statuses["closed"] != come {
		t.Errorf("of %d connections, %v; want %d of 200, and the others refused or closed", come, c.statuses, most)
	}
	if used, shed := p.Metric(`provisioner_bound_used{service="papyrus",what="connections"}`), p.Metric(`provisioner_shed_total{service="papyrus",what="connections"}`); used != most || shed != come-most {
		t.Errorf("in the metrics %v are open and %v were turned away", used, shed)
	}
	if err := p.Ready(); err != nil {
		t.Errorf("during the flood: %v", err)
	}
	if peak := p.Memory("VmHWM"); peak > memory>>10 {
		t.Errorf("%.0f KiB resident at most, want %d", peak, memory>>10)
	}

	c.leave()
	program.Eventually(t, "there is room again", func() bool {
		return p.Metric(`provisioner_bound_used{service="papyrus",what="connections"}`) == 0
	})
	after := &crowdOfClients{statuses: map[string]int{}}
	defer after.leave()
	if after.come(p.Addr("papyrus")); after.statuses["200"] != 1 {
		t.Errorf("after the flood: %v", after.statuses)
	}
	if confined {
		group.check(t)
	}
}

// crowdOfClients are connections that each ask once, and stay if they are let.
type crowdOfClients struct {
	mu       sync.Mutex
	statuses map[string]int
	staying  []net.Conn
}

func (c *crowdOfClients) come(addr string) {
	outcome, conn := knock(addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statuses[outcome]++
	if conn != nil {
		c.staying = append(c.staying, conn)
	}
}

func (c *crowdOfClients) leave() {
	for _, conn := range c.staying {
		_ = conn.Close()
	}
}

// knock asks for /health on a connection of its own, and returns that if it was answered with 200.
func knock(addr string) (outcome string, conn net.Conn) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err.Error(), nil
	}
	a, err := roundTrip(conn, bufio.NewReader(conn), "GET /health HTTP/1.1\r\nHost: papyrus\r\n\r\n")
	switch {
	case err != nil:
		_ = conn.Close()
		return "closed", nil
	case a.Status != http.StatusOK:
		_ = conn.Close()
		return strconv.Itoa(a.Status) + ", Retry-After " + a.Header.Get("Retry-After"), nil
	}
	return "200", conn
}
