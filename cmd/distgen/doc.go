// Distgen writes the bootstrap files of distributed tests: for each package
// whose tests need clusters, the plan of those needs, the table of functions
// that may run on nodes, and a TestMain where the package has none of its own.
//
//	//go:generate go tool distgen
//
// in a package keeps that package's files up to date; distgen ./... keeps all
// of them. See docs/distgen.md for the manual.
package main
