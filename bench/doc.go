// Bench measures what this module costs, side by side with the least that the
// same machine could do: every value has a floor that was measured in the same
// run, in turns, in a process of the same binary. Absolute times say more about
// the machine than about the code; ratios say it about the code.
//
//	go run ./bench [-json] [-run regexp] [-rounds n] [-package dir] [-race]
//
// It measures in the test binary of a real package (the raft example, unless
// -package names another): package suite is compiled into it by an overlay, and
// nothing in the package changes. What distgen and distvet cost it measures in a
// copy of a large module, if the go command can get that. docs/performance.md
// explains the lines.
package main
