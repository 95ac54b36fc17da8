// Package manager stands between tests and the engine: it decides whether a
// test's cluster is started, reused or refused, has it ready, leases it to the
// test, and takes it back.
//
// What it decides is a pure function of the requirement, the configuration, the
// machine and what is running (decide.go). What it does is kept apart from
// that: a pool of spare nodes, started in the background before anybody asks,
// and of used nodes that are provably clean (pool.go); leases, which give nodes
// names, addresses and directories (lease.go); and nodes as a test sees them,
// which keep all that through a restart (node.go).
//
// Before a cluster starts there has to be room for it on the machine, which all
// test binaries share (room.go, and package allowance).
package manager
