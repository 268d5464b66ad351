// Package footprint makes an idle process small again. It does not decide when a process is idle.
package footprint

import "runtime/debug"

// Shrink gives back to the system what a process that has nothing to do does not need: garbage, half of each stack that has grown, and
// the pages of its own code, which come back from the file, a few at a time, as they are run again.
func Shrink() {
	debug.FreeOSMemory()
	forgetCode()
}
