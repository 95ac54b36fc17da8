package process

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/lockfile"
)

// A port that a leftover holds: it is told from a stranger's and from that of a
// run that is still going, and ending it frees the port.
func TestAddressHeldByLeftover(t *testing.T) {
	cache, _ := state(t)
	run := newID() // of this test alone: others may run at once, and what a run leaves is looked for on the whole machine
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	socket, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "DIST_TEST_ROLE=sleeper", envRun+"="+run+"/1")
	cmd.ExtraFiles = []*os.File{socket}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	ln.Close()
	socket.Close()

	diagnose := func() (*diagnostics.Diagnosis, diagnostics.Failure) {
		t.Helper()
		ln, err := net.Listen("tcp", addr)
		if err == nil {
			ln.Close()
			t.Fatal("nobody holds the address")
		}
		f := diagnostics.Failure{Phase: diagnostics.PhaseCall, Op: "listen", Address: addr, Err: err}
		for deadline := time.Now().Add(30 * time.Second); ; {
			diagnostics.Gather(t.Context(), &f)
			// It is given half a second, which is not enough on a busy machine.
			if len(f.Facts.Missing) == 0 || time.Now().After(deadline) {
				break
			}
			f.Facts = diagnostics.Facts{}
		}
		if len(f.Facts.Holders) != 1 || f.Facts.Holders[0].PID != cmd.Process.Pid || f.Facts.Holders[0].Run != run {
			t.Fatalf("%s is held by %d: %+v", addr, cmd.Process.Pid, f.Facts)
		}
		return diagnostics.Diagnose(f), f
	}
	place, err := lockfile.Dir(entries)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(entryData{Version: 1, Run: run, Dir: filepath.Join(cache, "gone")})
	if err != nil {
		t.Fatal(err)
	}
	entry, err := lockfile.Create(place, run+entrySuffix, data)
	if err != nil {
		t.Fatal(err)
	}
	if d, _ := diagnose(); d.Code != diagnostics.AddrInUse || !strings.Contains(d.Cause, "which a run of distributed tests has started") || strings.Contains(d.Error(), "dist clean") || strings.Contains(d.Remedies[0], "kill") {
		t.Errorf("while the run lives:\n%v", d)
	}
	entry.Remove()
	if d, f := diagnose(); f.Facts.Holders[0].Ended || strings.Contains(d.Error(), "dist clean") {
		t.Errorf("of a run that is entered nowhere nothing is known:\n%v", d)
	}

	// Killed, it leaves its entry, and nobody holds a lock on that.
	if err := os.WriteFile(filepath.Join(place, run+entrySuffix), data, 0o600); err != nil {
		t.Fatal(err)
	}
	d, _ := diagnose()
	if !strings.Contains(d.Cause, "left over from a run") || !strings.Contains(d.Remedies[0], "dist clean") {
		t.Errorf("a leftover:\n%v", d)
	}
	// What dist clean does.
	left, err := Leftovers()
	if err != nil || len(left) != 1 || !left[0].Remove() {
		t.Fatalf("left over: %+v, %v", left, err)
	}
	cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended by itself: %v", cmd.ProcessState)
	}
	again, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("the first remedy does not help: %v", err)
	}
	again.Close()
}
