package password

import (
	"github.com/KimMachineGun/automemlimit/memlimit"
)

// shareOfContainer is the part of a container's memory that hashes may take: half of it may be garbage of the hashes before,
// and the requests of a flood need some too.
const shareOfContainer = 4

// Budget returns how much memory hashes of p may take together, in KiB: one hash for each of so many processors, but no more
// than a quarter of the memory that the container of this process is limited to, and never less than one hash.
func Budget(p Params, processors int) int64 {
	limit, err := memlimit.FromCgroup()
	if err != nil { // no container, or none with a limit
		limit = 0
	}
	return budget(p, processors, limit)
}

// budget returns the budget for so many processors and a limit in bytes, 0 for none.
func budget(p Params, processors int, limit uint64) int64 {
	one := int64(p.Memory)
	all := one * int64(processors)
	if limit > 0 {
		all = min(all, int64(limit/shareOfContainer>>10))
	}
	return max(one, all)
}
