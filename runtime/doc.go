// Package runtime executes plans. A test binary leads one of two lives, and
// Main decides which: on the test side it runs the tests and leases clusters to
// those that ask (session.go); on the node side it answers calls (node.go) and
// never runs a test.
//
// Both sides know the same table of functions (table.go), which the generated
// bootstrap fills through Load and Func.
package runtime
