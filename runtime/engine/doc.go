// Package engine says what starts and stops nodes. The embedded engine is in
// process; others (containers, pods) can be modules of their own. An engine
// knows nothing of tests, leases or sizes: it starts one node at a time and
// tells what became of it.
package engine
