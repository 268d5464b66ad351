package daemon_test

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/provisioner/provisioner/test/daemon"
)

// neighbour is set in the environment of the test binary that runs beside the one of [TestPorts].
const neighbour = "DAEMON_TEST_NEIGHBOUR"

const somePorts = 250 // more than two blocks

// beNeighbour prints the ports that it got.
func beNeighbour() {
	ports, err := takePorts()
	if err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(ports); err != nil {
		panic(err)
	}
}

// TestPorts protects the servers of tests that run beside each other: nobody gets the port of one that is about to start,
// or that is down for its test.
func TestPorts(t *testing.T) {
	ports, err := takePorts()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := takeAsNeighbour()
	if err != nil {
		t.Fatal(err)
	}

	taken := map[int]bool{}
	for _, port := range append(ports, theirs...) {
		if taken[port] {
			t.Errorf("port %d was given twice", port)
		}
		taken[port] = true
		if err := tryPort(port); err != nil {
			t.Errorf("a port that is not free: %v", err)
		}
	}
}

func takePorts() (ports []int, err error) {
	for range somePorts {
		port, err := daemon.Port()
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

func takeAsNeighbour() (ports []int, err error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), neighbour+"=1")
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	return ports, json.Unmarshal(out, &ports)
}

func tryPort(port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return l.Close()
}
