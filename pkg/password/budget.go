package password

import (
	"runtime"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// shareOfContainer is the part of a container's memory that hashes may take: half of it may be garbage of the hashes before,
// and the requests of a flood need some too.
const shareOfContainer = 4

// Budget returns how much memory hashes of p may take together, in KiB: one hash a processor but one, which is left to
// everything else, and no more than a quarter of the memory that the container of this process is limited to, but never less
// than one hash. A hash holds its processor for tens of milliseconds: on all of them, probes would wait behind a flood of sign-ins.
func Budget(p Params) int64 {
	limit, err := memlimit.FromCgroup()
	if err != nil { // no container, or none with a limit
		limit = 0
	}
	return budget(p, runtime.GOMAXPROCS(0), limit)
}

// budget returns the budget for so many processors and a limit in bytes, 0 for none.
func budget(p Params, processors int, limit uint64) int64 {
	one := int64(p.Memory)
	all := one * int64(processors-1)
	if limit > 0 {
		all = min(all, int64(limit/shareOfContainer>>10))
	}
	return max(one, all)
}
