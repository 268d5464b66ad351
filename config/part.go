package config

import "slices"

// LoadPart is [Load] for commands that need some settings of a service whose configuration need not be complete: only
// faults of files and of the named settings count. The other fields of the Config hold what could be read.
func LoadPart(o Options, names ...string) (*Config, *Report, error) {
	l := read(o)
	l.check()
	var faults Faults
	for _, f := range l.faults {
		if slices.Contains(names, f.Setting) || f.ofFile() {
			faults = append(faults, f)
		}
	}
	if err := faults.err(); err != nil {
		return nil, &l.report, err
	}
	return l.config, &l.report, nil
}
