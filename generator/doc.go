// Package generator finds out what the bootstrap files of a module's test
// packages should be.
//
// A bootstrap (dist_gen_test.go and its kin) tells the runtime what the
// analyzer found: which tests need clusters, and which functions may run on
// nodes. [Generate] answers in five steps, each in a file of its own:
//
//   - scan: read the test files as text, to find the few packages that matter;
//     where there is none, the go command is never started;
//   - load: one packages.Load of those, with the tag distgen, which hides every
//     bootstrap written before;
//   - analyze: run the analyzer, whose Result is the plan;
//   - check: hold the plan against distributed.toml;
//   - render: write the files into memory.
//
// Generate changes nothing, prints nothing and knows no flags. What it returns
// can be shown (distgen -n, -diff), handed to go test -overlay (dist test), or
// made true on disk with [File.Commit] (distgen).
package generator
