package peer

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

const mallocs = "go_memstats_mallocs_total "

// Allocations returns how many objects the processes of the peer have allocated so far; 0 where they are not Go's.
func (p *Peer) Allocations() (total float64, err error) {
	for _, url := range p.metrics {
		n, err := allocations(url)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", p.Name, err)
		}
		total += n
	}
	return total, nil
}

func allocations(url string) (float64, error) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), mallocs); ok {
			return strconv.ParseFloat(text, 64)
		}
	}
	return 0, fmt.Errorf("%s shows no %s(%w)", url, mallocs, lines.Err())
}
