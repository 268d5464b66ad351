package daemon

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// The ports of servers lie below the range that the kernel hands out by itself, so that no other test's ":0" takes one
// before its server is up, or while that is down for a test. They come in blocks.
const (
	lowestPort = 20000
	portBlocks = 120
	blockSize  = 100
)

// ports are those of this test binary. No other binary has them: it listens on the first of each of its blocks until it ends.
var ports struct {
	sync.Mutex
	held      []net.Listener
	next, end int // what is left of the newest block
}

// Port returns a TCP port that is free on loopback. It returns none twice, and none that another test binary gets, so
// that a server's port stays its own also while the server is not running.
func Port() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	for {
		if ports.next == ports.end {
			if err := holdBlock(); err != nil {
				return 0, fmt.Errorf("find a free port: %w", err)
			}
		}
		port := ports.next
		ports.next++
		if l, err := listen(port); err == nil {
			return port, l.Close()
		}
	}
}

// holdBlock takes a block that no test binary holds. The caller holds the lock of ports.
func holdBlock() error {
	for _, i := range rand.Perm(portBlocks) {
		first := lowestPort + i*blockSize
		if l, err := listen(first); err == nil {
			ports.held = append(ports.held, l)
			ports.next, ports.end = first+1, first+blockSize
			return nil
		}
	}
	return errors.New("all blocks are in use")
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}
