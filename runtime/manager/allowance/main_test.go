//go:build unix

package allowance

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The environment that makes this binary a player: the directory and how many
// nodes may run at once.
const (
	envPlayer = "DIST_TEST_PLAYER"
	envTotal  = "DIST_TEST_TOTAL"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(envPlayer); dir != "" {
		play(dir)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// play does what it reads, a line each, and says what comes of it:
//
//	acquire NAME NODES [MILLISECONDS]  granted NAME OVER | busy NAME TEXT | announce NAME TEXT
//	release NAME                       released NAME
//	reserve NODES                      reserved true | reserved false; later, gave NODES
func play(dir string) {
	total, _ := strconv.Atoi(os.Getenv(envTotal))
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	var a *Allowance
	idle := 0
	a = New("example.com/"+os.Args[1], func() (string, error) { return dir, nil }, func() {
		mu.Lock()
		n := idle
		idle = 0
		mu.Unlock()
		if n > 0 {
			say("gave %d", n)
			a.Idle(0, nil)
		}
	})
	var grants sync.Map
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		f := strings.Fields(in.Text())
		switch f[0] {
		case "acquire":
			n, _ := strconv.Atoi(f[2])
			ctx, cancel := context.Background(), func() {}
			if len(f) > 3 {
				ms, _ := strconv.Atoi(f[3])
				ctx, cancel = context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
			}
			go func() {
				defer cancel()
				g, err := a.Acquire(ctx, Request{
					Nodes: n, Total: total, Test: f[1],
					Announce: func(s string) { say("announce %s %s", f[1], s) },
				})
				if err != nil {
					say("busy %s %v", f[1], err)
					return
				}
				grants.Store(f[1], g)
				say("granted %s %d", f[1], g.Over)
			}()
		case "release":
			if g, ok := grants.LoadAndDelete(f[1]); ok {
				g.(*Grant).Release()
				say("released %s", f[1])
			}
		case "reserve":
			n, _ := strconv.Atoi(f[1])
			ok := a.Reserve(n, total, nil)
			mu.Lock()
			if ok {
				idle += n
			}
			mu.Unlock()
			say("reserved %v", ok)
		}
	}
	a.Close()
}

// A player is a process of its own that takes part in an allowance.
type player struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser

	gone func() // returns when it has ended

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed and replaced with each line
}

func newPlayer(t *testing.T, dir, name string, total int) *player {
	t.Helper()
	p := &player{t: t, cmd: exec.Command(os.Args[0], name), more: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", envPlayer+"="+dir, envTotal+"="+strconv.Itoa(total))
	p.cmd.Stderr = os.Stderr
	p.in, _ = p.cmd.StdinPipe()
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	p.gone = sync.OnceFunc(func() {
		<-read
		p.cmd.Wait()
	})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, s.Text())
			close(p.more)
			p.more = make(chan struct{})
			p.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		p.in.Close()
		p.gone()
	})
	return p
}

func (p *player) say(format string, args ...any) { fmt.Fprintf(p.in, format+"\n", args...) }

// hears returns the first line, not returned before, that begins as wanted.
func (p *player) hears(want string) string {
	p.t.Helper()
	late := time.After(time.Minute)
	for {
		p.mu.Lock()
		for i, line := range p.lines {
			if strings.HasPrefix(line, want) {
				p.lines = append(p.lines[:i:i], p.lines[i+1:]...)
				p.mu.Unlock()
				return line
			}
		}
		more, have := p.more, fmt.Sprint(p.lines)
		p.mu.Unlock()
		select {
		case <-more:
		case <-late:
			p.t.Fatalf("no %q; it says %s", want, have)
		}
	}
}

// silent reports whether the player has said nothing that begins so.
func (p *player) silent(about string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.lines {
		if strings.HasPrefix(line, about) {
			return false
		}
	}
	return true
}

// waiting returns when n processes are in the queue.
func waiting(t *testing.T, dir string, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		b, err := os.ReadFile(dir + "/" + tableFile)
		if err != nil {
			t.Fatal(err)
		}
		tab, _ := parse(b)
		have := 0
		for _, r := range tab.records {
			if r.wants > 0 {
				have++
			}
		}
		if have == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d in the queue, want %d", have, n)
		}
	}
}
