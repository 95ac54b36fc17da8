//go:build unix && !linux

package process

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// watchParent ends this process when the go command above it has been killed.
// Without pidfds it has to look now and then.
var watchParent = sync.OnceFunc(func() {
	parent := os.Getppid()
	if !underGoCommand() || parent == 1 {
		return
	}
	go func() {
		for os.Getppid() == parent {
			time.Sleep(100 * time.Millisecond)
		}
		fmt.Fprintln(os.Stderr, "dist: the go command that ran this test binary has been killed: stopping")
		os.Exit(1)
	}()
})
