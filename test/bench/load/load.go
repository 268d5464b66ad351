// Package load has wrk send requests that are all different, and reads what it saw.
package load

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Kind is what the requests are.
type Kind string

// The kinds of requests.
const (
	Event     Kind = "event"     // about 120 bytes
	Provision Kind = "provision" // about 600 bytes, most of them a JWT; each is an intent of its own
)

// Load is a closed loop of requests: each connection sends its next one when it has the answer to the last.
type Load struct {
	Kind        Kind
	Connections int
	Duration    time.Duration
}

// Result is what wrk saw.
type Result struct {
	Requests int
	Elapsed  time.Duration
	P50, P99 time.Duration
}

//go:embed requests.lua
var script []byte

// marker begins the line of wrk's output that the script prints.
const marker = "result: "

// Run loads url. Bodies are unique among all runs with different names. An answer that is no success, a lost connection and a
// timeout are errors.
func (l Load) Run(ctx context.Context, url, name string) (Result, error) {
	dir, err := os.MkdirTemp("", "provisioner-load-")
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "requests.lua")
	if err := os.WriteFile(file, script, 0o600); err != nil {
		return Result{}, err
	}

	cmd := exec.CommandContext(ctx, "wrk",
		"--threads", "1", "--connections", strconv.Itoa(l.Connections), "--duration", seconds(l.Duration), "--timeout", "10s",
		"--script", file, url, "--", string(l.Kind), name)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return Result{}, fmt.Errorf("wrk %s: %w\n%s", url, err, out)
	}
	result, err := parse(string(out))
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", url, err)
	}
	return result, nil
}

// seconds writes a duration as wrk takes it, in whole seconds and at least one.
func seconds(d time.Duration) string {
	return fmt.Sprintf("%ds", max(1, int(d.Round(time.Second).Seconds())))
}

// parse reads the line of the script, whose times are microseconds.
func parse(output string) (Result, error) {
	_, line, found := strings.Cut(output, marker)
	if !found {
		return Result{}, fmt.Errorf("wrk printed no result:\n%s", output)
	}
	var said struct {
		Requests, Elapsed, P50, P99           int64
		Connect, Read, Write, Status, Timeout int64
	}
	if err := json.NewDecoder(strings.NewReader(line)).Decode(&said); err != nil {
		return Result{}, fmt.Errorf("read wrk's result: %w", err)
	}
	if n := said.Connect + said.Read + said.Write + said.Status + said.Timeout; n > 0 {
		return Result{}, fmt.Errorf("%d of %d requests failed (connect %d, read %d, write %d, status %d, timeout %d)",
			n, said.Requests, said.Connect, said.Read, said.Write, said.Status, said.Timeout)
	}
	if said.Requests == 0 {
		return Result{}, errors.New("no request was answered")
	}
	return Result{
		Requests: int(said.Requests), Elapsed: microseconds(said.Elapsed),
		P50: microseconds(said.P50), P99: microseconds(said.P99),
	}, nil
}

func microseconds(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
