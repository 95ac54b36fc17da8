package program

import (
	"context"

	"github.com/distkit/dist/config"
)

// Flags are what go build is given, so that a program is built as the tests are.
type Flags struct {
	Args []string `json:"args,omitempty"` // "-race", "-tags=integration"
	Env  []string `json:"env,omitempty"`  // "CGO_ENABLED=0"
}

// TestFlags returns the flags that this test binary was built with. Its cover
// mode is testing.CoverMode().
func TestFlags(coverMode string) Flags { return Flags{} }

// Options are what Build must know besides the program.
type Options struct {
	Dir   string                 // of distributed.toml: what packages are relative to, and whose module they are built in
	Env   []string               // of the go command, and what PATH is taken from; nil: os.Environ()
	Flags Flags                  // for the go command
	Root  func() (string, error) // a directory to build in where the user's cache cannot be written: engine.Engine.Root
}

// An Executable is a program that can be started.
type Executable struct {
	Path   string   // absolute
	Key    string   // tells whether two are the same: changes with the file's contents
	Inputs []string // files, absolute, whose change must run the tests again; see Touch
}

// Build returns the executable of a program: what go build makes of its
// package, or the file of its command. For a package it is safe, and cheap, to
// be called by many processes at once: one builds, and the go command knows
// when there is nothing to do.
//
// Its error is an *engine.Error, unless ctx ended.
func Build(ctx context.Context, p *config.Program, o Options) (*Executable, error) { return nil, nil }

// Touch looks at each input of an executable. Go's test cache takes note of
// that if it happens in the test process inside m.Run, and then runs the tests
// again when one of them has changed.
func Touch(inputs []string) {}
