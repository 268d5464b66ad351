// Package daemon runs a real server as a child process of a test binary, so that nothing of it is left however the
// binary ends. It does not know which server that is.
package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = 30 * time.Second // a cold disk on a busy machine included
	stopTimeout  = 10 * time.Second
	pollInterval = 20 * time.Millisecond
)

// Daemon is a child process. Its methods are safe for concurrent use.
type Daemon struct {
	name   string
	cmd    *exec.Cmd
	output output
	exited chan struct{}
}

// Start runs cmd in a process group of its own and keeps what it prints, unless cmd already says where that goes. On Linux
// the kernel ends the process together with the test binary.
func Start(cmd *exec.Cmd) (*Daemon, error) {
	d := &Daemon{name: filepath.Base(cmd.Path), cmd: cmd, exited: make(chan struct{})}
	if cmd.Stdout == nil && cmd.Stderr == nil {
		cmd.Stdout, cmd.Stderr = &d.output, &d.output
	}
	cmd.WaitDelay = stopTimeout // a grandchild may hold the output open
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true // Ctrl-C reaches the test, which stops its servers in order
	endWithParent(cmd.SysProcAttr)

	started := make(chan error)
	go d.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", d.name, err)
	}
	return d, nil
}

// run starts the process and waits for its end, all on one thread: the kernel's "parent" of a process is the thread
// that started it.
func (d *Daemon) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(d.exited)

	err := d.cmd.Start()
	started <- err
	if err == nil {
		_ = d.cmd.Wait() // how it ended is in its output
	}
}

// Await calls ready until it returns nil. It returns an error with the output of the process if that ends first, or if
// ready still fails after 30 seconds.
func (d *Daemon) Await(ready func() error) error {
	timeout := time.After(startTimeout)
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-d.exited:
			return fmt.Errorf("%s ended before it was ready:\n%s", d.name, d.Output())
		case <-timeout:
			return fmt.Errorf("%s is not ready after %v: %w\n%s", d.name, startTimeout, err, d.Output())
		case <-tick.C:
		}
	}
}

// Stop sends sig and returns when the process has ended; one that does not end in 10 seconds is killed, which is an
// error. Stopping an ended process does nothing.
func (d *Daemon) Stop(sig os.Signal) error {
	if err := d.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", d.name, err)
	}
	select {
	case <-d.exited:
		return nil
	case <-time.After(stopTimeout):
		_ = d.cmd.Process.Kill() // the error below says it all
		<-d.exited
		return fmt.Errorf("%s had to be killed:\n%s", d.name, d.Output())
	}
}

// PID returns the id of the process, which is that of its process group too.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Output returns what the process has printed so far, on both streams.
func (d *Daemon) Output() string { return d.output.String() }

// output collects what a process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
