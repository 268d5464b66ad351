// Package powersync gives a test devices: databases in PowerSync's own SDKs, in Node and in a browser, that sync with papyrus by the
// connector of the shipped app. It is no part of the product.
package powersync

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/daemon"
	"github.com/provisioner/provisioner/test/npm"
)

// Options say how a device speaks to the server.
type Options struct {
	Backend     string `json:"backend"`            // papyrus's base URL, without trailing slash
	Encoding    string `json:"encoding,omitempty"` // of the stream: "ndjson", "bson", or "" for what the server prefers
	Checkpoints string `json:"checkpoints"`        // the mode of write checkpoints: "legacy" or "requests"
}

// Node is a process in which devices live.
type Node struct {
	PID int

	t   testing.TB
	url string
}

// Start runs a process for devices until t ends.
func Start(t testing.TB) *Node {
	t.Helper()
	port, err := daemon.Port()
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{t: t, url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	n.PID = npm.Serve(t, "powersync", "node.mjs", []string{"PORT=" + strconv.Itoa(port)}, n.ping).PID()
	return n
}

func (n *Node) ping() error {
	resp, err := http.Get(n.url)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// NewDevice returns a device with an empty database, which may have been there before under that name.
func (n *Node) NewDevice(name string, o Options) *Device {
	n.t.Helper()
	d := &Device{t: n.t, name: name, act: n.act}
	d.do(action{Open: &o}, nil)
	return d
}

// action is what node.mjs is told.
type action struct {
	Device string   `json:"device"`
	Open   *Options `json:"open,omitempty"`
	Call   string   `json:"call,omitempty"`
	With   any      `json:"with,omitempty"`
}

func (n *Node) act(a action) ([]byte, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	resp, err := impatient.Post(n.url, "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", out)
	}
	return out, err
}

// impatient is how long a device may take for anything.
var impatient = &http.Client{Timeout: time.Minute}
