package manager

import (
	"fmt"
	"runtime"
	"sync"
)

// What one node may take, as an estimate on the high side. It bounds the size
// of a single cluster, not how many run at once.
const (
	nodesPerCore      = 64
	memoryPerNode     = 16 << 20 // bytes
	memoryPerRaceNode = 64 << 20
	filesPerNode      = 8  // descriptors of the test process
	threadsPerNode    = 16 // RLIMIT_NPROC counts threads
)

// capacity is how many nodes this machine can ever carry for one test binary.
func capacity(race bool) Limit {
	limit := Limit{nodesPerCore * runtime.NumCPU(), fmt.Sprintf("%d cores, at %d nodes each", runtime.NumCPU(), nodesPerCore)}
	lower := func(n int, source string) {
		if n = max(n, 1); n < limit.Nodes {
			limit = Limit{n, source}
		}
	}
	per := uint64(memoryPerNode)
	if race {
		per = memoryPerRaceNode
	}
	if total, source := memory(); total > 0 {
		lower(int(total/per), fmt.Sprintf("%d MiB of %s, at %d MiB a node", total>>20, source, per>>20))
	}
	if n := rlimitFiles(); n > 0 {
		lower(int(n/filesPerNode), fmt.Sprintf("the limit of %d open files (ulimit -n), at %d a node", n, filesPerNode))
	}
	if n := rlimitProcesses(); n > 0 {
		lower(int(n/threadsPerNode), fmt.Sprintf("the limit of %d processes (ulimit -u), at %d threads a node", n, threadsPerNode))
	}
	return limit
}

// machine is capacity, looked up once.
var machine = sync.OnceValue(func() Limit { return capacity(RaceEnabled) })
