package manager

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/distkit/dist/config"
)

// What one node may take, as an estimate on the high side. It bounds the size
// of a single cluster, not how many run at once.
const (
	nodesPerCore      = 128
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
	per := memoryOf(race)
	if total, source := memoryHere(); total > 0 {
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

// nodesPerCoreAtOnce is how many nodes of all tests together may run for each
// core. Two packages at a time on two cores (go test's -p) have room for clusters
// of eight nodes with the next ones ready. Beyond that, tests would only take
// the processor from each other and miss their own deadlines.
const nodesPerCoreAtOnce = 16

// atOnce is how many nodes of all test binaries together run on this machine at
// once. Unlike capacity it delays a test and never refuses one.
func atOnce(race bool) Limit {
	limit := Limit{nodesPerCoreAtOnce * cores, fmt.Sprintf("%d cores, at %d nodes each", cores, nodesPerCoreAtOnce)}
	lower := func(n int, source string) {
		if n = max(n, 1); n < limit.Nodes {
			limit = Limit{n, source}
		}
	}
	// Half of what is bounded for all: others have processes, too.
	if total, source := memoryHere(); total > 0 {
		per := memoryOf(race)
		lower(int(total/2/per), fmt.Sprintf("half of %d MiB of %s, at %d MiB a node", total>>20, source, per>>20))
	}
	if n := rlimitProcesses(); n > 0 {
		lower(int(n/2/threadsPerNode), fmt.Sprintf("half the limit of %d processes (ulimit -u), at %d threads a node", n, threadsPerNode))
	}
	if n := cgroupProcesses(); n > 0 {
		lower(int(n/2/threadsPerNode), fmt.Sprintf("half the limit of %d processes in this control group, at %d threads a node", n, threadsPerNode))
	}
	return limit
}

// cores are those that this process may use: of the machine, or by the quota of
// its control group, which the Go runtime knows. -test.cpu does not change it.
var cores = func() int {
	if os.Getenv("GOMAXPROCS") != "" {
		return runtime.NumCPU()
	}
	return min(runtime.NumCPU(), runtime.GOMAXPROCS(0))
}()

// memoryHere is memory, looked up once.
var memoryHere = sync.OnceValues(memory)

func memoryOf(race bool) uint64 {
	if race {
		return memoryPerRaceNode
	}
	return memoryPerNode
}

// machineAtOnce is atOnce, looked up once.
var machineAtOnce = sync.OnceValue(func() Limit { return atOnce(RaceEnabled) })

// AtOnce is how many nodes of all test binaries run at once: the machine's
// number, unless the configuration has one.
func AtOnce(c *config.Config) Limit {
	if n := c.Resources.MaxNodesOnMachine; n > 0 {
		return Limit{n, "resources.max_nodes_on_machine, by " + c.Source("resources.max_nodes_on_machine")}
	}
	return machineAtOnce()
}

// unused is how many more nodes the memory bears that is free at the moment. It is
// looked at once a second: nodes that are just starting have not taken theirs.
var unused = func() func() int {
	const most = 1 << 20 // nodes: no limit is known
	var (
		mu   sync.Mutex
		when time.Time
		n    int
	)
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); now.Sub(when) > time.Second {
			when, n = now, most
			if free, ok := freeMemory(); ok {
				n = int(min(free/memoryOf(RaceEnabled), most))
			}
		}
		return n
	}
}()
