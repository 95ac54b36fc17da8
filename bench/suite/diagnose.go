//go:build unix

package suite

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distkit/dist"
)

// exitStatus is what nodes that do not start exit with.
const exitStatus = 3

// A listener takes down what a test fails with, in its place.
type listener struct {
	*testing.T
	said string
}

func (l *listener) Fatal(args ...any) {
	l.said = fmt.Sprint(args...)
	runtime.Goexit()
}

// diagnose measures how long it takes to be told that nodes do not start.
func diagnose(t *testing.T) {
	l := &listener{T: t}
	var s Sample
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() { s.Ours = since(begin) }()
		dist.Require(l)
	})
	wg.Wait()
	// Which it is depends on the package's TestMain.
	if !strings.Contains(l.said, "[DIST-NODE-") || !strings.Contains(l.said, fmt.Sprintf("exit status %d", exitStatus)) {
		t.Fatalf("not the diagnosis of nodes that exit:\n%s", l.said)
	}
	emit(s)
}

// exitBare starts n bare processes, all at once, and has them reaped.
func exitBare(n int) (Sample, error) {
	path, err := os.Executable()
	if err != nil {
		return Sample{}, err
	}
	start := time.Now()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			p, err := startProcess(path, os.Args, Job{Kind: Exit}, nil, nil)
			if err != nil {
				errs[i] = err
				return
			}
			state, err := p.Wait()
			if err == nil && state.ExitCode() != exitStatus {
				err = fmt.Errorf("bare process: %v", state)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return Sample{}, err
		}
	}
	return Sample{Floor: since(start)}, nil
}
