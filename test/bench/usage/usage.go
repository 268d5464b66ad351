// Package usage reads from the kernel what processes use: CPU time and memory.
package usage

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/<pid>/stat, USER_HZ: 100 a second on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// Fields of /proc/<pid>/stat behind the name of the program, by their place in proc(5) less the 3 that come before.
const (
	fieldGroup  = 5 - 3
	fieldUser   = 14 - 3
	fieldSystem = 15 - 3
)

// Group is a process group, by the id of its leader.
type Group int

// CPU returns the time that the living processes of the group have spent so far, in user and system mode.
func (g Group) CPU() (time.Duration, error) {
	var total time.Duration
	err := g.each(func(_ string, stat []string) error {
		user, errUser := strconv.ParseInt(stat[fieldUser], 10, 64)
		system, errSystem := strconv.ParseInt(stat[fieldSystem], 10, 64)
		total += time.Duration(user+system) * tick
		return errors.Join(errUser, errSystem)
	})
	return total, err
}

// Memory is what a group holds in RAM, in bytes.
type Memory struct {
	Now  int64 // proportional set size: pages that several processes map count once among them
	Peak int64 // resident set size at its highest
}

// Memory returns what the living processes of the group hold.
func (g Group) Memory() (Memory, error) {
	var total Memory
	err := g.each(func(dir string, _ []string) error {
		now, errNow := kilobytes(filepath.Join(dir, "smaps_rollup"), "Pss:")
		peak, errPeak := kilobytes(filepath.Join(dir, "status"), "VmHWM:")
		total.Now += now << 10
		total.Peak += peak << 10
		return errors.Join(errNow, errPeak)
	})
	return total, err
}

// each visits the processes of the group: their directory, and the fields of their stat. A group without processes is an error.
func (g Group) each(visit func(dir string, stat []string) error) error {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	found := false
	for _, dir := range dirs {
		stat, err := readStat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // has ended meanwhile
		}
		if err != nil {
			return err
		}
		if stat[fieldGroup] != strconv.Itoa(int(g)) {
			continue
		}
		found = true
		if err := visit(dir, stat); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("no process in group %d", g)
	}
	return nil
}

// readStat returns the fields behind the name, which stands in brackets and may hold anything.
func readStat(dir string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) <= fieldSystem {
		return nil, fmt.Errorf("%s/stat has %d fields", dir, len(fields))
	}
	return fields, nil
}

// kilobytes returns the number that a line "<name> <number> kB" of a file has.
func kilobytes(path, name string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == name {
			return strconv.ParseInt(fields[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}
