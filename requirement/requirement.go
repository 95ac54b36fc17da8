package requirement

import "time"

// A Requirement is what one test needs to run. The zero value names nothing:
// a cluster of the configured default size, of nodes of the test binary.
type Requirement struct {
	Nodes    int           // size asked for; 0 where none is named
	Min      int           // smallest size the test still means something with; 0: Nodes
	Program  string        // name of the [program.NAME] the nodes run; "": the test binary
	Ports    []string      // named ports, in the order given
	Reuse    bool          // used nodes will do, if provably clean
	Shared   bool          // a program's cluster may be leased by others at the same time
	Optional bool          // the test may be skipped if no cluster can be had
	Timeout  time.Duration // how long to wait for the cluster; 0: as configured
}

// A Test is one test function that needs a cluster, and what it needs.
type Test struct {
	Name        string // TestXxx, BenchmarkXxx or FuzzXxx
	Requirement Requirement
	Faults      bool // it may inject network faults: its nodes are reached through links that can
}

// A Plan is what the bootstrap of one package knows: the requirements found in
// its tests, as distgen writes them and the runtime executes them.
type Plan struct {
	Package string // import path, with _test for the external test package
	Config  string // slash-separated path from the package's directory to the distributed.toml distgen saw; "" if none
	OwnMain bool   // the package has a TestMain of its own
	Tests   []Test // in source order
	Digest  string // of what the analyzer found, so that a stale bootstrap is recognised
}
