// Package raft is a replicated key-value store on github.com/hashicorp/raft,
// with its log, its votes and its snapshots on disk, and its tests, which run
// one server on each of three real processes, and kill and pause them.
//
// The store (store.go, fsm.go) knows nothing of tests. In the tests, node_test.go
// is what the nodes can be asked to do, cluster_test.go what the tests say, and
// raft_test.go what must hold.
package raft
