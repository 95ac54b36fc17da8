package process

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// watchParent ends this process when the go command above it has been killed:
// nobody waits for its results, and its nodes would live on. A test binary that
// is run by hand, or was detached from its parent, is left alone.
var watchParent = sync.OnceFunc(func() {
	parent := os.Getppid()
	if !underGoCommand() || parent == 1 {
		return
	}
	fd, err := unix.PidfdOpen(parent, unix.PIDFD_NONBLOCK)
	if err != nil {
		return
	}
	if os.Getppid() != parent { // killed just now; the descriptor may be somebody else's
		orphaned()
	}
	go awaitParentsEnd(fd)
})

func awaitParentsEnd(pidfd int) {
	if awaitEnd(os.NewFile(uintptr(pidfd), "parent")) == nil {
		orphaned()
	}
}

// orphaned ends the process. The lifelines and the reaper do the rest.
func orphaned() {
	fmt.Fprintln(os.Stderr, "dist: the go command that ran this test binary has been killed: stopping")
	os.Exit(1)
}
