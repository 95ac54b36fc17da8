package events

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFull fills a small file system: what fits stays, and nothing else happens.
func TestFull(t *testing.T) {
	for _, size := range []string{"8k", "64k", "1m"} {
		t.Run(size, func(t *testing.T) {
			dir := t.TempDir()
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=700,size="+size); err != nil {
				t.Skipf("a file system cannot be mounted: %v", err)
			}
			t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
			r := New(Header{})
			err := r.Open(filepath.Join(dir, FileName))
			for range 100_000 {
				r.Add(Event{Kind: Log, Text: strings.Repeat("x", 100)})
			}
			if err == nil {
				err = r.Err()
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("%v", err)
			}
			r.Close()
			if size == "1m" && len(read(t, filepath.Join(dir, FileName)).Events) < 1000 {
				t.Error("little is left")
			}
		})
	}
}

// TestWritten records where a file cannot be mapped.
func TestWritten(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), FileName))
	if err != nil {
		t.Fatal(err)
	}
	r := newRecorder(Header{}, layout{head: 512 << 10, reserve: 128 << 10, half: 256 << 10})
	early := r.early
	r.early, r.file = nil, written{f}
	r.put(&r.head, early)
	const n = 50_000
	for i := range n {
		r.Add(Event{Kind: Log, ID: uint64(i + 1), Text: "something that a node has to say, of some length"})
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	rec := read(t, f.Name())
	if last := rec.Events[len(rec.Events)-1]; rec.Events[0].ID != 1 || last.ID != n {
		t.Errorf("%+v to %+v", rec.Events[0], last)
	}
}

// TestKilled has a process record events that is killed while it does.
func TestKilled(t *testing.T) {
	if name := os.Getenv("EVENTS_FILE"); name != "" {
		r := New(Header{})
		if err := r.Open(name); err != nil {
			t.Fatal(err)
		}
		for i := 1; ; i++ {
			r.Add(Event{Kind: CallDone, ID: uint64(i)})
			if i == 1000 {
				os.Stdout.WriteString("go ahead\n")
			}
		}
	}
	name := filepath.Join(t.TempDir(), FileName)
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "EVENTS_FILE="+name)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }).Stop()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	rec, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(rec.Events) < 1000 || rec.Bad > 1 {
		t.Errorf("%d events, %d bad lines", len(rec.Events), rec.Bad)
	}
	for i, e := range rec.Events[:1000] {
		if e.ID != uint64(i+1) {
			t.Fatalf("event %d is %+v", i, e)
		}
	}
}
