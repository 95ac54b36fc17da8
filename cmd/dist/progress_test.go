//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	goruntime "runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/distkit/dist/cmd/internal/script"
	"github.com/distkit/dist/generator"
	"github.com/distkit/dist/runtime"
)

func TestActivity(t *testing.T) {
	packages := []*generator.Package{
		{Path: "m/a", Tests: make([]generator.Test, 2)},
		{Path: "m/b", Tests: make([]generator.Test, 1)},
		{Path: "m/c"},
	}
	a := newActivity(packages)
	steps := []struct {
		e          runtime.Event
		line, news string
	}{
		{runtime.Event{PID: 1, Package: "m/a", Kind: "begin"}, "0 of 2 packages done", ""},
		{runtime.Event{PID: 1, Package: "m/a", Kind: "want", Test: "TestX"}, "0 of 2 packages done, 1 starting", ""},
		{runtime.Event{PID: 1, Package: "m/a", Kind: "leased", Test: "TestX", Nodes: 3}, "0 of 2 packages done, 1 cluster up with 3 nodes", ""},
		{runtime.Event{PID: 2, Package: "m/b_test", Kind: "begin"}, "0 of 2 packages done, 1 cluster up with 3 nodes", ""},
		{runtime.Event{PID: 2, Package: "m/b_test", Kind: "want", Test: "TestX"}, "0 of 2 packages done, 1 cluster up with 3 nodes, 1 starting", ""},
		{runtime.Event{PID: 2, Package: "m/b_test", Kind: "wait", Test: "TestX", Reason: "no room\nat all"}, "0 of 2 packages done, 1 cluster up with 3 nodes, 1 waiting: no room", "TestX of m/b_test waits: no room"},
		{runtime.Event{PID: 2, Package: "m/b_test", Kind: "leased", Test: "TestX", Nodes: 1}, "0 of 2 packages done, 2 clusters up with 4 nodes", ""},
		{runtime.Event{PID: 1, Package: "m/a", Kind: "released", Test: "TestX"}, "0 of 2 packages done, 1 cluster up with 1 node", ""},
		{runtime.Event{PID: 1, Package: "m/a", Kind: "want", Test: "TestY"}, "0 of 2 packages done, 1 cluster up with 1 node, 1 starting", ""},
		{runtime.Event{PID: 1, Package: "m/a", Kind: "refused", Test: "TestY"}, "0 of 2 packages done, 1 cluster up with 1 node", ""},
		{runtime.Event{PID: 2, Package: "m/b_test", Kind: "end"}, "1 of 2 packages done", ""}, // as if it had crashed with its lease
		{runtime.Event{PID: 1, Package: "m/a", Kind: "something new"}, "1 of 2 packages done", ""},
		{runtime.Event{PID: 1, Package: "m/a", Kind: "end"}, "2 of 2 packages done", ""},
	}
	for i, s := range steps {
		if a.idle() != (i == 0) {
			t.Errorf("before step %d, idle is %v", i, a.idle())
		}
		if news := a.apply(s.e); news != s.news {
			t.Errorf("%+v: news %q, want %q", s.e, news, s.news)
		}
		if line := a.String(); line != s.line {
			t.Errorf("after %+v: %q, want %q", s.e, line, s.line)
		}
	}
	if !a.idle() {
		t.Error("not idle at the end")
	}
}

// holdTest holds a cluster until a file is there.
const holdTest = `package m

import (
	"os"
	"testing"
	"time"

	"github.com/distkit/dist"
)

//dist:nodes=2
func TestHold(t *testing.T) {
	dist.Require(t)
	t.Log("holding")
	for {
		if _, err := os.Stat("` + "go.on" + `"); err == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
`

// TestTerminal runs dist test on a terminal: the status line comes and goes, and
// without it what is there is what go test has printed.
func TestTerminal(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs test binaries")
	}
	dir := t.TempDir()
	if err := script.WriteModule(dir, "example.com/m", script.Repository(t)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "m_test.go"), []byte(holdTest), 0o666); err != nil {
		t.Fatal(err)
	}
	start := func(term string) (seen func() string, press func(string), pid int, wait func() error) {
		cmd := exec.CommandContext(t.Context(), "dist", "test", "-v", "-count=1", ".")
		cmd.Dir = dir
		cmd.Env = append(append(os.Environ(), script.Offline...), "CI=", "TERM="+term)
		f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 20, Cols: 90})
		if err != nil {
			t.Skipf("no terminal to be had: %v", err)
		}
		var mu sync.Mutex
		var out bytes.Buffer
		read := make(chan struct{})
		go func() {
			defer close(read)
			in := bufio.NewReader(f)
			for {
				b, err := in.ReadByte()
				if err != nil { // on Linux EIO, when the other side is closed
					return
				}
				mu.Lock()
				out.WriteByte(b)
				mu.Unlock()
			}
		}()
		seen = func() string {
			mu.Lock()
			defer mu.Unlock()
			return out.String()
		}
		return seen, func(key string) { f.WriteString(key) }, cmd.Process.Pid, func() error {
			err := cmd.Wait()
			<-read
			f.Close()
			return err
		}
	}
	await := func(seen func() string, text string) {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(seen(), text); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no %q in %q", text, seen())
			}
		}
	}
	goOn := filepath.Join(dir, "go.on")

	seen, press, pid, wait := start("xterm")
	const status = "dist: 0 of 1 package done, 1 cluster up with 2 nodes"
	await(seen, status)
	const region, gone = "\x1b7\x1b[1;19r\x1b8", "\x1b7\x1b[20;1H\x1b[2K\x1b[r\x1b8"
	if goruntime.GOOS == "linux" {
		press("\x1a") // ^Z: the terminal is given back until dist goes on
		await(seen, gone)
		stopped := regexp.MustCompile(`(?m)^State:\sT`)
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err != nil || stopped.Match(b) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("^Z does not stop it")
			}
		}
		before := len(seen())
		if p, err := os.FindProcess(pid); err != nil || p.Signal(syscall.SIGCONT) != nil {
			t.Fatal("cannot let it go on")
		}
		await(func() string { return seen()[before:] }, status)
	}
	if err := os.WriteFile(goOn, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := wait(); err != nil {
		t.Fatalf("%v\n%s", err, seen())
	}
	all := seen()
	if strings.Count(all, region) == 0 || strings.Count(all, region) != strings.Count(all, gone) {
		t.Errorf("the region is set %d times and given back %d times: %q", strings.Count(all, region), strings.Count(all, gone), all)
	}
	rest := regexp.MustCompile("\x1bD\x1b\\[A|\x1b7[^\x1b]*\x1b\\[(1;19r|20;1H\x1b\\[2K[^\x1b]*(\x1b\\[r)?)\x1b8").ReplaceAllString(all, "")
	rest = strings.Replace(rest, "^Z", "", 1) // the terminal's echo
	if strings.Contains(rest, "\x1b") || !regexp.MustCompile(`(?s)^=== RUN   TestHold\r\n.*holding\r\n--- PASS: TestHold .*\r\nPASS\r\nok  \texample.com/m\t[\d.]+s\r\ndist: 1 test on clusters: [^\n]*\r\n$`).MatchString(rest) {
		t.Errorf("without the status line: %q", rest)
	}

	// A terminal that understands nothing is left alone.
	seen, _, _, wait = start("dumb")
	if err := wait(); err != nil {
		t.Fatalf("%v\n%s", err, seen())
	}
	if strings.Contains(seen(), "\x1b") {
		t.Errorf("on a dumb terminal: %q", seen())
	}
}

// TestPlainProgress is what is said where there is no terminal.
func TestPlainProgress(t *testing.T) {
	name := filepath.Join(t.TempDir(), runtime.EventsFile)
	w, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out strings.Builder
	begin := time.Now()
	p := &progress{file: r, act: newActivity([]*generator.Package{{Path: "m/a", Tests: make([]generator.Test, 1)}}), out: &out, began: begin, said: begin}
	io.WriteString(w, `{"pid":1,"package":"m/a","kind":"begin"}`+"\n"+`{"pid":1,"package":"m/a","kind":"want","test":"TestX"}`+"\nnonsense\n"+`{"pid":1,"package":"m/a","ki`)
	p.tick(begin.Add(time.Second))
	if out.String() != "" {
		t.Errorf("said too soon: %q", out.String())
	}
	io.WriteString(w, `nd":"wait","test":"TestX","reason":"no room"}`+"\n")
	p.tick(begin.Add(2 * time.Second))
	p.tick(begin.Add(3 * time.Second))
	p.tick(begin.Add(2*time.Second + progressBeat))
	p.tick(begin.Add(3*time.Second + progressBeat))
	want := "dist: TestX of m/a waits: no room\ndist: 0 of 1 package done, 1 waiting: no room\n"
	if out.String() != want {
		t.Errorf("said %q, want %q", out.String(), want)
	}
	fmt.Fprintln(w, `{"pid":1,"package":"m/a","kind":"end"}`)
	p.tick(begin.Add(4 * progressBeat))
	if out.String() != want {
		t.Errorf("said at the end: %q", strings.TrimPrefix(out.String(), want))
	}
}
