package daemon

import "syscall"

// endWithParent has the kernel kill the process when its parent ends: SIGQUIT, on which Postgres stops its children too.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
