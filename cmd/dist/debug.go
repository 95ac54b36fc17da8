package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// prepareDebugging has go test build what a debugger can read, and wait for its
// user.
func (r *testRun) prepareDebugging() error {
	if r.line.value("o") == "" {
		// go test keeps debug information in what it keeps.
		dir := filepath.Join(r.tmp, "debug")
		if err := os.Mkdir(dir, 0o700); err != nil {
			return fmt.Errorf("make a directory for the test binaries: %w", err)
		}
		r.line.set("o", dir+string(filepath.Separator))
	}
	for flag, value := range map[string]string{"gcflags": "all=-N -l", "timeout": "0", "count": "1"} {
		if r.line.value(flag) == "" {
			r.line.set(flag, value)
		}
	}
	return nil
}
