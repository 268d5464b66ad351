package password

import (
	"runtime"
	"syscall"
)

// niceness of the threads that hash: everything else that this machine has to do comes first.
const niceness = 10

// yielding does work on a thread that yields the processors to all others. A hash holds one for tens of milliseconds, and
// whoever asks for something small, such as the probes of an orchestrator, should not wait for that.
func yielding(work func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine, and its priority with it
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), niceness)
		work()
	}()
	<-done
}
