// Dist runs distributed tests and answers questions about them.
//
//	dist test [flags] [packages] [-- go test flags]
//	dist plan [flags] [packages]
//	dist up [flags] program
//	dist report [flags] [run directory | package]
//	dist down, ps, logs, doctor, clean, completion, version, help
//
// dist test is go test with everything around it taken care of: it works where
// no bootstrap has been generated, reports the mistakes that distvet finds, and
// counts what became of the tests that need clusters. dist plan says what those
// tests need and what would be done about it here. dist up keeps a cluster of a
// program for tests to share, and dist doctor looks at the machine. See
// docs/dist.md for the manual.
//
// The room has one file for each thing the command does; what is known about
// tests comes from packages generator and runtime/manager, and none of it is
// decided here.
package main
