package runtime

import (
	"flag"
	"strings"
	"testing"
)

// TestFlags: a node has the values of the test side for the flags that it knows,
// wherever they stand among others.
func TestFlags(t *testing.T) {
	for args, want := range map[string]int{
		"":                            1,
		"-known=3":                    3,
		"-unknown=x -known=3":         3,
		"-unknown x -known 3":         3,
		"-unknown -known=3":           3,
		"-known=x -other -known=3":    3,
		"-a -b=2 -c 3 -known=4 rest":  4,
		"-known=2 rest -known=3":      2,
		"-known=2 -- -known=3":        2,
		"--unknown=x --known=5 -a -b": 5,
	} {
		f := flag.NewFlagSet("p.test", flag.ExitOnError)
		known := f.Int("known", 1, "")
		parseFlags(f, strings.Fields(args))
		if *known != want {
			t.Errorf("%q: %d, want %d", args, *known, want)
		}
	}
}
