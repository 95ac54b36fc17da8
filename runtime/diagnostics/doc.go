// Package diagnostics turns a failure and its evidence into a Diagnosis: what
// could not be done, why, what to do about it, and whether trying again can
// help.
//
// It is one table and three small steps. The table (table.go) has a row for
// every diagnosis: its code, its words, its remedies by operating system and
// the fallbacks that fit; docs/diagnoses.md is drawn from it. [Gather] measures
// what bears on a failure (who holds the address, which limit is used up, how
// the file is mounted) within half a second (longer where the machine is overloaded), and never adds a failure of its
// own. [Diagnose] then chooses the row and fills in its words: a pure function
// of the [Failure], so that it can be tested, and replayed, without the machine
// on which it went wrong. [Diagnosis.Error] lays the result out for a terminal.
//
// The package is linked into the test binary of every package that uses dist.
// It therefore reads the few lines of /proc it needs by itself instead of
// taking in a process library: the ones there are bring collectors for
// everything a machine has, and start commands where there is no /proc.
// Beside the standard library it uses golang.org/x/sys for resource limits and
// mount flags, nothing more.
package diagnostics
