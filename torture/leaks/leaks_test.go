package leaks

//go:generate go run github.com/distkit/dist/cmd/distgen

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/distkit/dist"
)

var leases = flag.Int("leases", 1000, "leases of reused nodes; a tenth of it of fresh ones, a hundredth of programs")

// TestMain looks at what stays when all clusters have ended.
func TestMain(m *testing.M) {
	code := dist.Main(m)
	before := descriptorsAtStart
	if code == 0 {
		// One goroutine, with one descriptor, watches the go command as long as this
		// process lives.
		if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/distkit/dist/runtime/engine/process.awaitParentsEnd")); err != nil {
			fmt.Fprintf(os.Stderr, "after all clusters have ended: %v\n", err)
			code = 1
		}
		if after, ok := descriptors(); ok && after > before+1 {
			fmt.Fprintf(os.Stderr, "%d descriptors before the tests, and %d after them:\n%s\n", before, after, strings.Join(open(), "\n"))
			code = 1
		}
		if left := children(); len(left) > 0 {
			fmt.Fprintf(os.Stderr, "child processes are left: %v\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// The poller of package runtime, which stays, has descriptors of its own.
var descriptorsAtStart = func() int {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	n, _ := descriptors()
	return n
}()

// open are the descriptors of this process, as Linux shows them.
func open() (list []string) {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	for _, n := range names {
		if to, err := os.Readlink(filepath.Join("/proc/self/fd", n.Name())); err == nil { // not the one it is read by
			list = append(list, n.Name()+" "+to)
		}
	}
	return list
}

func descriptors() (n int, ok bool) {
	list := open()
	return len(list), list != nil
}

func children() (pids []string) {
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, task := range tasks {
		b, _ := os.ReadFile(task)
		pids = append(pids, strings.Fields(string(b))...)
	}
	return pids
}

// A state is what this process has.
type state struct {
	goroutines, descriptors, children, files int
	heap, resident                           int // bytes
}

func (s state) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %d children, %d files, heap %d KiB, resident %d KiB",
		s.goroutines, s.descriptors, s.children, s.files, s.heap>>10, s.resident>>10)
}

func now() state {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s := state{goroutines: runtime.NumGoroutine(), children: len(children()), heap: int(m.HeapAlloc)}
	s.descriptors, _ = descriptors()
	if runDir != "" {
		filepath.WalkDir(runDir, func(string, os.DirEntry, error) error { s.files++; return nil })
	}
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if words := strings.Fields(string(b)); len(words) > 1 {
			pages, _ := strconv.Atoi(words[1])
			s.resident = pages * os.Getpagesize()
		}
	}
	return s
}

// runDir is where the nodes' logs and data are.
var runDir string

func double(_ context.Context, n int) (int, error) { return 2 * n, nil }

func use(t *testing.T, c *dist.Cluster, i int) {
	if got, err := dist.Call(t.Context(), c.Node(i%c.Size()), double, i); err != nil || got != 2*i {
		t.Fatalf("twice %d is %d, %v", i, got, err)
	}
}

// growing has a cluster n times, in subtests, and fails if what this process has
// grows with n.
func growing(t *testing.T, n int, lease func(t *testing.T, i int)) {
	warm := max(n/10, 5)
	use := lease
	lease = func(t *testing.T, i int) {
		use(t, i)
		if runDir == "" {
			runDir = filepath.Dir(dist.Require(t).Node(0).Log())
		}
	}
	for i := range warm {
		t.Run("", func(t *testing.T) { lease(t, i) })
	}
	begin, before := time.Now(), now()
	for i := range n {
		t.Run("", func(t *testing.T) { lease(t, i) })
	}
	took := time.Since(begin)
	// Spares are being started, and used nodes are being ended.
	const slack = 12
	var after state
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		after = now()
		if after.goroutines <= before.goroutines+slack && after.descriptors <= before.descriptors+slack && after.children <= before.children+2 || time.Now().After(deadline) {
			break
		}
	}
	t.Logf("%d leases in %v, %v each\nbefore: %v\nafter:  %v", n, took.Round(time.Millisecond), (took / time.Duration(n)).Round(time.Microsecond), before, after)
	switch {
	case after.goroutines > before.goroutines+slack:
		buf := make([]byte, 1<<20)
		t.Errorf("goroutines are left:\n%s", buf[:runtime.Stack(buf, true)])
	case after.descriptors > before.descriptors+slack:
		t.Errorf("descriptors are left:\n%s", strings.Join(open(), "\n"))
	case after.children > before.children+2:
		t.Errorf("children are left: %v", children())
	case after.files > before.files+slack:
		t.Errorf("files are left in %s", runDir)
	case after.heap-before.heap > 1<<20+n*perLease:
		t.Errorf("the heap has grown by %d bytes, %d a lease", after.heap-before.heap, (after.heap-before.heap)/n)
	}
}

// perLease is what the heap may grow with a lease, in bytes: a run's statistics,
// and what package testing keeps of a subtest.
const perLease = 400

//dist:nodes=2 reuse
func TestReused(t *testing.T) {
	growing(t, *leases, func(t *testing.T, i int) { use(t, dist.Require(t), i) })
}

//dist:nodes=2 ports=a
func TestFresh(t *testing.T) {
	growing(t, max(*leases/10, 1), func(t *testing.T, i int) { use(t, dist.Require(t), i) })
}

//dist:nodes=2 ports=a
func TestFaults(t *testing.T) {
	growing(t, max(*leases/50, 1), func(t *testing.T, i int) {
		c := dist.Require(t)
		if err := c.Isolate(c.Node(0)); err != nil {
			return // has told
		}
		c.Node(1).Kill()
		c.Node(1).Restart(t.Context())
		use(t, c, i)
	})
}

//dist:nodes=2 program=kv
func TestPrograms(t *testing.T) {
	growing(t, max(*leases/100, 1), func(t *testing.T, i int) {
		c := dist.Require(t)
		if i%3 == 0 {
			c.Node(0).Kill()
		}
	})
}
