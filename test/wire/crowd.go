package wire

import "sync"

// Each calls do with every number below n, from so many goroutines, and returns when all calls have.
func Each(n, goroutines int, do func(i int)) {
	numbers := make(chan int)
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for i := range numbers {
				do(i)
			}
		})
	}
	for i := range n {
		numbers <- i
	}
	close(numbers)
	all.Wait()
}

// Counter counts how often texts are added. It is safe for concurrent use.
type Counter struct {
	mu   sync.Mutex
	Seen map[string]int // to be read when nobody adds any more
}

// Add counts a text.
func (c *Counter) Add(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Seen == nil {
		c.Seen = map[string]int{}
	}
	c.Seen[text]++
}
