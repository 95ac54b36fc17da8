//go:build unix

package allowance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func open(t *testing.T, dir string, giveUp func()) *Allowance {
	a := New("example.com/p", func() (string, error) { return dir, nil }, giveUp)
	t.Cleanup(a.Close)
	return a
}

func acquire(t *testing.T, a *Allowance, r Request) *Grant {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	g, err := a.Acquire(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Twenty processes of five nodes with room for ten, four times each.
func TestManyProcessesShareLittleRoom(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	var now, most atomic.Int32
	for i := range 20 {
		p := newPlayer(t, dir, fmt.Sprint("p", i), 10)
		wg.Go(func() {
			for range 4 {
				p.say("acquire T 5")
				if got := p.hears("granted"); got != "granted T 0" {
					t.Errorf("%s", got)
				}
				n := now.Add(5)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				now.Add(-5) // before others may have it
				p.say("release T")
				p.hears("released")
			}
		})
	}
	wg.Wait()
	if most.Load() > 10 {
		t.Errorf("%d nodes at once", most.Load())
	}
}

func TestEachWantsMoreThanHalf(t *testing.T) {
	dir := t.TempDir()
	p, q := newPlayer(t, dir, "p", 10), newPlayer(t, dir, "q", 10)
	p.say("acquire A 6")
	p.hears("granted A 0")
	q.say("acquire B 6")
	waiting(t, dir, 1)
	// p has one already: it does not wait, though q is in the queue.
	p.say("acquire C 6")
	if got := p.hears("granted C"); got != "granted C 2" {
		t.Errorf("%s", got)
	}
	p.say("release A")
	p.hears("released A")
	if !q.silent("granted") {
		t.Error("granted though six of ten are in use")
	}
	p.say("release C")
	q.hears("granted B 0")
}

func TestFirstComeFirstServed(t *testing.T) {
	dir := t.TempDir()
	p := newPlayer(t, dir, "p", 10)
	p.say("acquire P 8")
	p.hears("granted")
	var queue []*player
	for i, n := range []int{9, 1, 10, 2, 2} { // the small ones would fit at once
		q := newPlayer(t, dir, fmt.Sprint("q", i), 10)
		q.say("acquire Q %d", n)
		waiting(t, dir, i+1)
		queue = append(queue, q)
	}
	p.say("release P")
	queue[0].hears("granted")
	queue[1].hears("granted") // 9 + 1
	for _, q := range queue[2:] {
		if !q.silent("granted") {
			t.Error("granted out of turn")
		}
	}
	queue[0].say("release Q")
	queue[0].hears("released")
	queue[1].say("release Q")
	queue[2].hears("granted")
	queue[2].say("release Q")
	queue[3].hears("granted")
	queue[4].hears("granted")
}

func TestKilledHolderMakesRoom(t *testing.T) {
	dir := t.TempDir()
	p, q := newPlayer(t, dir, "p", 10), newPlayer(t, dir, "q", 10)
	p.say("acquire P 10")
	p.hears("granted")
	q.say("acquire Q 10")
	waiting(t, dir, 1)
	// One that waits and is killed is in nobody's way either.
	first := newPlayer(t, dir, "first", 10)
	first.say("acquire F 10")
	waiting(t, dir, 2)
	first.cmd.Process.Kill()
	p.cmd.Process.Kill()
	q.hears("granted")
	r := newPlayer(t, dir, "r", 10)
	r.say("acquire R 10")
	q.say("release Q")
	r.hears("granted")
	for _, o := range []*player{q, r} {
		o.in.Close()
		o.gone()
	}
	// Nothing is left of them, the killed ones included.
	if left, _ := filepath.Glob(filepath.Join(dir, "p*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestStoppedProcessesAreNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	p, q, r := newPlayer(t, dir, "p", 10), newPlayer(t, dir, "q", 10), newPlayer(t, dir, "r", 10)
	p.say("acquire P 10")
	p.hears("granted")
	q.say("acquire Q 5")
	waiting(t, dir, 1)
	r.say("acquire R 5")
	waiting(t, dir, 2)
	q.cmd.Process.Signal(syscall.SIGSTOP)
	p.say("release P")
	r.hears("granted")
	q.cmd.Process.Signal(syscall.SIGCONT)
	q.hears("granted")
}

// TestStoppedWithTheTable: what is given back while nobody can write it down, as a
// process has been stopped that had just locked the table, is not lost to others.
func TestStoppedWithTheTable(t *testing.T) {
	dir := t.TempDir()
	p, q := newPlayer(t, dir, "p", 10), newPlayer(t, dir, "q", 10)
	p.say("acquire P 10")
	p.hears("granted")
	table, err := os.Open(filepath.Join(dir, tableFile))
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	if err := syscall.Flock(int(table.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	p.say("release P")
	p.hears("released") // after lockPatience
	if err := syscall.Flock(int(table.Fd()), syscall.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	q.say("acquire Q 5")
	q.hears("granted Q 0")
}

// TestStoppedBeforeTheFirstUse: whoever could not be told of when it took its
// first nodes, as the table was locked for long, is when it can be again.
func TestStoppedBeforeTheFirstUse(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, tableFile)
	table, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	if err := syscall.Flock(int(table.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	p, q := newPlayer(t, dir, "p", 10), newPlayer(t, dir, "q", 10)
	p.say("acquire P 10")
	p.hears("granted") // after lockPatience
	if err := syscall.Flock(int(table.Fd()), syscall.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		b, err := os.ReadFile(file)
		if tab, _ := parse(b); err == nil && len(tab.records) == 1 && tab.records[0].tests == 10 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not told of: %q, %v", b, err)
		}
	}
	q.say("acquire Q 5")
	waiting(t, dir, 1)
	p.say("release P")
	q.hears("granted Q 0")
}

// TestNoDescriptor: a process that has none left leaves the table to the others.
func TestNoDescriptor(t *testing.T) {
	dir := t.TempDir()
	p := newPlayer(t, dir, "p", 10)
	p.say("acquire P 10")
	p.hears("granted")
	before, err := os.Stat(filepath.Join(dir, tableFile))
	if err != nil {
		t.Fatal(err)
	}
	a := open(t, dir, nil)
	func() {
		var was syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
			t.Fatal(err)
		}
		defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: was.Max}); err != nil {
			t.Fatal(err)
		}
		acquire(t, a, Request{Nodes: 1, Total: 10}) // tests are worth more than the limit
	}()
	if after, err := os.Stat(filepath.Join(dir, tableFile)); err != nil || !os.SameFile(before, after) {
		t.Errorf("the table is another one: %v", err)
	}
	a.Open() // there are some again
	b, err := os.ReadFile(filepath.Join(dir, tableFile))
	if tab, whole := parse(b); err != nil || !whole || len(tab.records) != 2 || tab.records[0].tests+tab.records[1].tests != 11 {
		t.Errorf("the table has %q, %v", b, err)
	}
}

func TestWaitingIsAnnounced(t *testing.T) {
	dir := t.TempDir()
	p, q := newPlayer(t, dir, "p", 10), newPlayer(t, dir, "q", 10)
	p.say("acquire TestHolder 8")
	p.hears("granted")
	q.say("acquire TestWaiter 5 2500")
	want := fmt.Sprintf("5 nodes asked for, and 8 of 10 are in use: TestHolder of example.com/p (pid %d) has had 8 nodes for ", p.cmd.Process.Pid)
	for _, line := range []string{q.hears("announce TestWaiter"), q.hears("busy TestWaiter")} {
		if !strings.Contains(line, want) {
			t.Errorf("%s", line)
		}
	}
	waiting(t, dir, 0)
}

func TestIdleNodesAreGivenUp(t *testing.T) {
	dir := t.TempDir()
	p, q, r := newPlayer(t, dir, "p", 10), newPlayer(t, dir, "q", 10), newPlayer(t, dir, "r", 10)
	p.say("reserve 4")
	p.hears("reserved true")
	q.say("reserve 5")
	q.hears("reserved true")
	q.say("reserve 2")
	q.hears("reserved false")
	r.say("acquire R 6")
	r.hears("granted R 0")
	r.say("acquire S 9") // it holds R: more than there is
	r.hears("granted S")
	p.say("reserve 1")
	p.hears("reserved false")
}

func TestTooLargeWaitsUntilItIsAlone(t *testing.T) {
	dir := t.TempDir()
	p, q, r := newPlayer(t, dir, "p", 10), newPlayer(t, dir, "q", 10), newPlayer(t, dir, "r", 10)
	p.say("acquire P 1")
	p.hears("granted")
	r.say("reserve 3")
	r.hears("reserved true")
	q.say("acquire Q 64")
	r.hears("gave 3")
	waiting(t, dir, 1)
	if !q.silent("granted") {
		t.Error("granted though it is not alone")
	}
	p.say("release P")
	q.hears("granted Q 0")
}

// Corrupt, cut, foreign: the table is made anew of what the processes know.
func TestDamagedTable(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(file string) error
	}{
		{"cut", func(file string) error { return os.Truncate(file, 40) }},
		{"empty", func(file string) error { return os.Truncate(file, 0) }},
		{"garbage", func(file string) error { return os.WriteFile(file, []byte(strings.Repeat("\x00\xff\n", 1000)), 0o600) }},
		{"a later version", func(file string) error {
			return os.WriteFile(file, []byte("dist allowance 2 {}\n"), 0o600)
		}},
		{"lies", func(file string) error {
			t := table{next: 3, records: []record{{id: id(1), pid: 1, tests: 9999, wants: 9999, ticket: 1}}}
			return os.WriteFile(file, t.format(), 0o600)
		}},
		{"lies of a file", func(file string) error {
			if err := os.WriteFile(filepath.Join(filepath.Dir(file), id(1)), nil, 0o600); err != nil {
				return err
			}
			t := table{next: 3, records: []record{{id: id(1), pid: 1, tests: 9999, wants: 9999, ticket: 1}}}
			return os.WriteFile(file, t.format(), 0o600)
		}},
		{"lies about several", func(file string) error {
			t := table{next: 3}
			for i := range 4 {
				t.records = append(t.records, record{id: id(i + 1), pid: 1, tests: 99, wants: 99, ticket: 1})
			}
			return os.WriteFile(file, t.format(), 0o600)
		}},
		{"removed", os.Remove},
		{"a directory", instead(func(file string) error { return os.Mkdir(file, 0o700) })},
		{"a link", instead(func(file string) error { return os.Symlink("/dev/zero", file) })},
		{"all removed", func(file string) error {
			for os.RemoveAll(filepath.Dir(file)) != nil { // pipes are made in the background
			}
			return nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "allowance")
			place := func() (string, error) { return dir, os.MkdirAll(dir, 0o700) }
			a, b := New("a", place, nil), New("b", place, nil)
			t.Cleanup(a.Close)
			t.Cleanup(b.Close)
			g := acquire(t, a, Request{Nodes: 6, Total: 10, Test: "A"})
			h := acquire(t, b, Request{Nodes: 1, Total: 10, Test: "B"})
			h.Release()
			if err := test.damage(filepath.Join(dir, tableFile)); err != nil {
				t.Fatal(err)
			}
			// As soon as somebody meets the damage, everybody says again what he has.
			acquire(t, b, Request{Nodes: 1, Total: 10, Test: "B"}).Release()
			gone := strings.Contains("removed a directory a link all removed", test.name)
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
				if gone { // a learns of it when it does something
					acquire(t, a, Request{Nodes: 1, Total: 10, Test: "A"}).Release()
				}
				data, _ := os.ReadFile(filepath.Join(dir, tableFile))
				tab, _ := parse(data)
				used := 0
				for _, r := range tab.records {
					used += r.nodes()
				}
				if used == 6 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%q", data)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			var busy *Busy
			if _, err := b.Acquire(ctx, Request{Nodes: 5, Total: 10, Test: "B"}); !errors.As(err, &busy) {
				t.Errorf("granted beside 6 of 10: %v", err)
			}
			g.Release()
			acquire(t, b, Request{Nodes: 5, Total: 10, Test: "B"}).Release()
		})
	}
}

// instead puts something else in a table's place, whoever makes the table anew
// meanwhile.
func instead(other func(file string) error) func(file string) error {
	return func(file string) error {
		for {
			os.Remove(file)
			if err := other(file); !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
	}
}

func TestNoPlace(t *testing.T) {
	want := errors.New("read-only file system")
	a := New("a", func() (string, error) { return "", want }, nil)
	defer a.Close()
	var said []string
	for range 3 {
		g := acquire(t, a, Request{Nodes: 600, Total: 10, Warn: func(s string) { said = append(said, s) }})
		defer g.Release()
	}
	if !a.Reserve(20, 10, nil) {
		t.Error("no spare nodes, though nothing is limited")
	}
	a.Idle(0, nil)
	if len(said) != 1 || !strings.Contains(said[0], "is not limited: read-only file system") {
		t.Errorf("said %q", said)
	}
}

func TestNoDirectoryThere(t *testing.T) {
	a := New("a", func() (string, error) { return filepath.Join(t.TempDir(), "missing"), nil }, nil)
	defer a.Close()
	acquire(t, a, Request{Nodes: 60, Total: 10}).Release()
	if a.broken == nil {
		t.Error("all is well, it says")
	}
}

// Nodes that are kept for reuse change from one count to the other, and back.
func TestIdleNodesOfOnesOwn(t *testing.T) {
	a := open(t, t.TempDir(), nil)
	spare := func(n int) {
		t.Helper()
		b, _ := os.ReadFile(filepath.Join(a.seat.dir, tableFile))
		if tab, whole := parse(b); !whole || tab.records[0].spare != n {
			t.Errorf("%d spare nodes wanted: %q", n, b)
		}
	}
	if !a.Reserve(5, 10, nil) {
		t.Fatal("no room")
	}
	a.Idle(5, nil)
	spare(5)
	g := acquire(t, a, Request{Nodes: 3, Total: 5, Usable: func() int { return 3 }})
	spare(2)
	a.Idle(2, g)
	spare(2)
	a.Idle(5, nil) // they come back, before
	g.Release()    // their lease ends
	spare(5)
	a.Idle(4, nil) // one dies
	spare(4)
}

// A test that runs go test itself: what it has is no reason for that to wait.
func TestDescendantsDoNotWait(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir, nil)
	g := acquire(t, a, Request{Nodes: 10, Total: 10, Test: "Outer"})
	defer g.Release()
	p := newPlayer(t, dir, "inner", 10)
	p.say("acquire Inner 5")
	p.hears("granted Inner 5")
}

func TestWaitersOfOneProcess(t *testing.T) {
	dir := t.TempDir()
	p, q := newPlayer(t, dir, "p", 10), newPlayer(t, dir, "q", 10)
	p.say("acquire P 10")
	p.hears("granted")
	for i := range 5 {
		q.say("acquire Q%d 3", i)
	}
	q.say("acquire late 3 100")
	q.hears("busy late")
	p.say("release P")
	for i := range 5 { // one waits for the machine, the others for nobody then
		q.hears(fmt.Sprintf("granted Q%d", i))
	}
}

func TestUnprivilegedUserWithReadOnlyHome(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := exec.Command("chattr", "+i", dir).Run(); err != nil {
			t.Skip("root writes everywhere here")
		}
		defer exec.Command("chattr", "-i", dir).Run()
	}
	a := open(t, dir, nil)
	heard := 0
	for range 2 {
		acquire(t, a, Request{Nodes: 11, Total: 10, Warn: func(string) { heard++ }}).Release()
	}
	if heard != 1 {
		t.Errorf("said %d times that there is no limit", heard)
	}
}

func BenchmarkLease(b *testing.B) {
	for _, others := range []int{0, 20} {
		b.Run(fmt.Sprintf("beside %d", others), func(b *testing.B) {
			dir := b.TempDir()
			for range others {
				o := New("example.com/other/package", func() (string, error) { return dir, nil }, nil)
				defer o.Close()
				o.Acquire(b.Context(), Request{Nodes: 1, Total: 100, Test: "TestOther"})
			}
			a := New("example.com/p", func() (string, error) { return dir, nil }, nil)
			defer a.Close()
			for b.Loop() {
				g, err := a.Acquire(b.Context(), Request{Nodes: 3, Total: 100, Test: "TestX"})
				if err != nil {
					b.Fatal(err)
				}
				g.Release()
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		a := New("example.com/p", func() (string, error) { return dir, nil }, nil)
		a.Reserve(3, 10, nil)
		a.Close()
	}
}
