package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
)

// startAtLimit is a test process that has ever more descriptors left, and starts
// nodes in each state, several at a time. It prints what came of each.
func startAtLimit() {
	const most, atOnce = 64, 3
	e := New()
	one := func() (engine.Node, error) {
		return e.Start(context.Background(), engine.Spec{Env: os.Environ()})
	}
	// What is there once for all nodes is there before.
	n, err := one()
	if err != nil {
		fmt.Println(err)
		return
	}
	e.Guard()
	n.Kill()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: most}); err != nil {
		fmt.Println(err)
		return
	}
	before := openNow(most)
	var held []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		held = append(held, f)
	}
	for len(held) > 8 { // that many are enough for all of them
		var nodes [atOnce]engine.Node
		var errs [atOnce]error
		var wg sync.WaitGroup
		for i := range nodes {
			wg.Go(func() { nodes[i], errs[i] = one() })
		}
		wg.Wait()
		for i, n := range nodes {
			if n != nil {
				n.Kill()
				fmt.Println("started")
				continue
			}
			if err, ok := errors.AsType[*engine.Error](errs[i]); ok {
				f := err.Failure
				diagnostics.Gather(context.Background(), &f)
				fmt.Println(diagnostics.Diagnose(f).Code, f.Phase, f.Err)
			} else {
				fmt.Println(errs[i])
			}
		}
		for range 3 {
			held[0].Close()
			held = held[1:]
		}
	}
	for _, f := range held {
		f.Close()
	}
	if after := openNow(most); after != before {
		fmt.Printf("%d descriptors were open, and %d are\n", before, after)
	}
	if err := e.Close(); err != nil {
		fmt.Println(err)
	}
}

func openNow(most int) (n int) {
	for fd := range most {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			n++
		}
	}
	return n
}

// However few descriptors are left, what is not started says that it is for their
// limit, and keeps none.
func TestStartAtLimit(t *testing.T) {
	state(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "DIST_TEST_ROLE=limit", "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	started, refused := 0, 0
	for line := range strings.Lines(string(out)) {
		switch {
		case line == "started\n":
			started++
		case strings.HasPrefix(line, string(diagnostics.LimitFiles)+" "):
			refused++
		default:
			t.Error(strings.TrimSpace(line))
		}
	}
	if started == 0 || refused == 0 {
		t.Errorf("%d were started, %d refused:\n%s", started, refused, out)
	}
}
