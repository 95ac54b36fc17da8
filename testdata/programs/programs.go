// Package programs is what the tests of package dist run besides suite: a
// package whose tests have nodes that run a program.
package programs
