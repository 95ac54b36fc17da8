package diagnostics

import (
	"fmt"
	"os"
	"testing"
)

// What a re-executed test binary does instead of running tests is named by this
// variable; children is what there is to do.
const childEnv = "DIAGNOSTICS_TEST_CHILD"

var children = map[string]func(){
	"exit":    func() { fmt.Fprintln(os.Stderr, "no license found"); os.Exit(3) },
	"panic":   func() { go panic("boom"); select {} },
	"default": func() {},
}

// A panic in package initialization takes package initialization.
func init() {
	if os.Getenv(childEnv) == "init-panic" {
		var empty []int
		_ = empty[len(os.Args)]
	}
}

func TestMain(m *testing.M) {
	name := os.Getenv(childEnv)
	if name == "testmain-panic" {
		panic("no database")
	}
	if do := children[name]; do != nil {
		do()
		os.Exit(0)
	}
	os.Exit(m.Run())
}
