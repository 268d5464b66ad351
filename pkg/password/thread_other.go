//go:build !linux

package password

// yielding does work. Threads have a priority of their own on Linux only.
func yielding(work func()) { work() }
