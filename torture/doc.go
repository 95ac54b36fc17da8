// Torture runs distributed tests (package mix) while it kills their processes,
// fills their disk, takes their descriptors and their processor, and looks at
// what comes of it: see docs/torture.md.
//
//	go run ./torture -for 1h
//
// A round is planned whole by its number and the seed (schedule.go) before
// anything runs; it is run (round.go, kill.go), and judged by what its tests
// printed (verdict.go) and by what is left (left.go).
package main
