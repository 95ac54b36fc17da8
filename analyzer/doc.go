// Package analyzer finds out, from a package's source alone, what its tests
// need of dist, and what is wrong with how they ask for it.
//
// [Analyzer] is a pass of golang.org/x/tools/go/analysis. distvet runs it for
// its findings, which [Findings] lists; distgen runs it for its [Result], the
// plan of the package. One pass serves both, so that what is generated and
// what is reported cannot differ.
//
// The pass is a function of source and flags: it reads no configuration,
// because go vet's cache would not notice a change there.
//
// # Reading order
//
// analyzer.go runs the steps in order. Each has a file: the directives in
// comments (directives.go), the calls of package dist in code (calls.go), which
// test reaches which requirement (reach.go), the plan (plan.go), the functions
// that may run on nodes (functions.go). The other files check one thing each.
package analyzer
