//go:build unix

package process

import (
	"os"
	"slices"
)

// underGoCommand reports whether go test runs this test binary: nobody else
// gives it this flag. Nodes are started before the flags are parsed, and while
// they are, so it is looked for by hand.
func underGoCommand() bool {
	return slices.ContainsFunc(os.Args[1:], func(arg string) bool {
		return arg == "-test.paniconexit0" || arg == "-test.paniconexit0=true"
	})
}
