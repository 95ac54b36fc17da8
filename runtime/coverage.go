package runtime

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// EnvCoverDir names the directory in which programs leave their coverage, for
// whoever runs the tests (dist test). What go test makes of its own directory is
// of the test binary alone.
const EnvCoverDir = "DIST_COVERDIR"

const goCoverDir = "GOCOVERDIR"

// coverage is where nodes write theirs. The zero coverage is of a binary that
// was built without.
type coverage struct {
	on       bool
	dir      string // of nodes of the test binary; "": nowhere
	programs string
}

// readCoverage is called before the tests run: the directory is another in every
// run, which must not keep Go's test cache from knowing the tests again.
func readCoverage() coverage {
	programs := os.Getenv(EnvCoverDir)
	os.Unsetenv(EnvCoverDir)
	if testing.CoverMode() == "" {
		return coverage{}
	}
	c := coverage{on: true, dir: os.Getenv(goCoverDir)}
	// The directory that the test process itself reads in the end.
	if dir := flagValue(os.Args[1:], "test.gocoverdir"); dir != "" {
		c.dir = dir
	}
	c.programs = c.dir
	if programs != "" {
		c.programs = programs
	}
	return c
}

func (c coverage) nodeEnv() []string    { return c.env(c.dir) }
func (c coverage) programEnv() []string { return c.env(c.programs) }

func (c coverage) env(dir string) []string {
	env := os.Environ()
	if !c.on || dir == "" {
		return env
	}
	env = slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, goCoverDir+"=") })
	return append(env, goCoverDir+"="+dir)
}

// dirOf is where nodes of a program, or of the test binary, write theirs.
func (c coverage) dirOf(program string) string {
	if program != "" {
		return c.programs
	}
	return c.dir
}

// notes say what is lost of all nodes' coverage.
func (c coverage) notes() []string {
	if c.on && c.dir == "" {
		return []string{"coverage of the nodes is lost, as nothing says where it goes: run the tests by go test, or give the test binary -test.gocoverdir=DIR"}
	}
	return nil
}
