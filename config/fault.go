package config

import (
	"fmt"
	"strings"
)

// Fault is one thing wrong with the configuration. None of its texts holds a secret.
type Fault struct {
	Setting string `json:"setting"` // the setting's name, or the file's
	Problem string `json:"problem"` // what is wrong: "is not set"
	Remedy  string `json:"remedy"`  // what belongs there and how to set it
}

// Error returns the fault as one line: "RECEIVER_WORKER_URL is not set: the receiver's base URL (--receiver-url)".
func (f Fault) Error() string {
	if f.Remedy == "" {
		return f.Setting + " " + f.Problem
	}
	return fmt.Sprintf("%s %s: %s", f.Setting, f.Problem, f.Remedy)
}

// ofFile reports whether it is a file or the directory of secrets that is wrong: then no setting is what it should be.
func (f Fault) ofFile() bool {
	_, known := find(f.Setting)
	return !known || f.Setting == "SECRETS_DIR"
}

// Faults is every fault found: of files, of settings in the order of the table, then of settings together. As an error it
// has one line for each.
type Faults []Fault

// Error returns one line per fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// err returns nil for no faults, which a nil Faults in an error would not be.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
