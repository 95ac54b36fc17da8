package diagnostics

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const nobody = 65534

func init() {
	children["listen"] = listenUntilEOF
	children["process-limit"] = exhaustProcesses
	children["directory"] = func() { becomeNobody(); mkdirReport(os.Getenv("DIR")) }
	children["read-only"] = func() { mountTmpfs(unix.MS_RDONLY, ""); mkdirReport(os.Getenv("DIR") + "/data") }
	children["full"] = fillTmpfs
	children["noexec"] = startNoExec
}

func becomeNobody() {
	if os.Geteuid() == 0 {
		if err := syscall.Setuid(nobody); err != nil {
			skipChild(err)
		}
	}
}

func mkdirReport(dir string) {
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		skipChild(errors.New("nothing keeps this user from writing"))
	}
	report(Failure{Phase: PhasePrepare, Path: dir, Err: err})
}

func TestDirectoryPermission(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // only root may pass
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	cmd := child(t, "directory")
	cmd.Env = append(cmd.Env, "DIR="+filepath.Join(dir, "data"))
	d := diagnosisOf(t, cmd)
	want := fmt.Sprintf("%s belongs to uid %d and has mode dr-xr-xr-x; this is uid ", dir, os.Getuid())
	if d.Code != DirPermission || !strings.HasPrefix(d.Cause, want) {
		t.Errorf("got %s: %s\nwant %s", d.Code, d.Cause, want)
	}
}

// inNamespace lets a child mount what it likes, in namespaces of its own.
func inNamespace(t *testing.T, name, dir string) *exec.Cmd {
	cmd := child(t, name)
	cmd.Env = append(cmd.Env, "DIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	probe := exec.Command("/proc/self/exe", "-test.run=^$")
	probe.SysProcAttr = cmd.SysProcAttr
	if err := probe.Run(); err != nil {
		t.Skipf("no user namespaces here: %v", err)
	}
	return cmd
}

func mountTmpfs(flags uintptr, options string) {
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		skipChild(err)
	}
	if err := unix.Mount("tmpfs", os.Getenv("DIR"), "tmpfs", flags, options); err != nil {
		skipChild(err)
	}
}

func fillTmpfs() {
	mountTmpfs(0, "size=64k")
	name := filepath.Join(os.Getenv("DIR"), "data")
	err := os.WriteFile(name, make([]byte, 1<<20), 0o600)
	report(Failure{Phase: PhasePrepare, Path: name, Err: err})
}

func startNoExec() {
	mountTmpfs(unix.MS_NOEXEC, "")
	name := filepath.Join(os.Getenv("DIR"), "node")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"), 0o755); err != nil {
		skipChild(err)
	}
	report(Failure{Phase: PhaseExec, Path: name, Err: exec.Command(name).Start()})
}

func TestMounts(t *testing.T) {
	for _, tt := range []struct {
		child string
		want  Code
		cause string
	}{
		{"read-only", DirReadOnly, "DIR is mounted read-only"},
		{"full", DirFull, "the file system of DIR has 0 B of 64.0 KiB left"},
		{"noexec", ExecNoExecMount, "DIR is mounted noexec: nothing on it can be started"},
	} {
		t.Run(tt.child, func(t *testing.T) {
			dir := t.TempDir()
			d := diagnosisOf(t, inNamespace(t, tt.child, dir))
			if want := strings.ReplaceAll(tt.cause, "DIR", dir); d.Code != tt.want || d.Cause != want {
				t.Errorf("got %s: %s\nwant %s: %s\n\n%s", d.Code, d.Cause, tt.want, want, d.Error())
			}
		})
	}
}

// exhaustProcesses lowers the number of processes this user may have below what
// it has. The threads that finding evidence takes have to exist before.
func exhaustProcesses() {
	becomeNobody()
	var ready, done sync.WaitGroup
	release := make(chan struct{})
	for range 32 {
		ready.Add(1)
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			ready.Done()
			<-release
		})
	}
	ready.Wait()
	close(release)
	done.Wait()
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: 1, Max: 1}); err != nil {
		skipChild(err)
	}
	err := exec.Command("/bin/true").Start()
	if err == nil {
		skipChild(errors.New("this user's processes are not limited"))
	}
	report(Failure{Phase: PhaseExec, Op: "start 3 nodes for TestX", Path: "/bin/true", Err: err})
}

func TestProcessLimit(t *testing.T) {
	d := diagnosisOf(t, child(t, "process-limit"))
	if d.Code != LimitProcesses || !strings.HasSuffix(d.Cause, "of the 1 processes and threads it may have") {
		t.Errorf("got %s: %s\n%s", d.Code, d.Cause, d.Error())
	}
}

func listenUntilEOF() {
	l, err := net.Listen("tcp", os.Getenv("LISTEN"))
	if err != nil {
		skipChild(err)
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	io.Copy(io.Discard, os.Stdin)
}

// TestAddressHolder looks for the process behind a taken address, whichever
// address it took it on.
func TestAddressHolder(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::]:0", "127.77.0.1:0"} {
		t.Run(listen, func(t *testing.T) {
			start := time.Now()
			cmd := child(t, "listen", "an argument")
			cmd.Env = append(cmd.Env, "LISTEN="+listen)
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer stdin.Close()
			var port int
			if _, err := fmt.Fscan(stdout, &port); err != nil {
				t.Skip("cannot listen there")
			}
			wanted := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
			if strings.HasPrefix(listen, "127.77") {
				wanted = net.JoinHostPort("127.77.0.1", strconv.Itoa(port))
			}
			_, err = net.Listen("tcp", wanted)
			if err == nil {
				t.Fatalf("%s is free", wanted)
			}

			f := Failure{Phase: PhasePrepare, Op: "start 3 nodes for TestX", Err: err}
			measure(t, &f)
			d := check(t, f, AddrInUse, fmt.Sprintf("pid %d (%s an argument) has ", cmd.Process.Pid, cmd.Path))
			if want := fmt.Sprintf("if that process is not needed: kill %d", cmd.Process.Pid); d.Remedies[0] != want {
				t.Errorf("first remedy %q, want %q", d.Remedies[0], want)
			}
			if len(f.Facts.Holders) != 1 {
				t.Fatalf("holders: %v", f.Facts.Holders)
			}
			h := f.Facts.Holders[0]
			if h.Self || h.State != "LISTEN" || h.UID != os.Getuid() {
				t.Errorf("holder %+v", h)
			}
			// /proc counts hundredths since boot, and boot in whole seconds.
			if off := h.Started.Sub(start).Abs(); off > 5*time.Second {
				t.Errorf("started %v, %v off", h.Started, off)
			}
		})
	}
}

func TestAddressHeldByUs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = net.Listen("tcp", l.Addr().String())
	f := Failure{Phase: PhasePrepare, Err: err, Address: l.Addr().String()}
	measure(t, &f)
	check(t, f, AddrInUse, fmt.Sprintf("this very process (pid %d) listens on %s", os.Getpid(), l.Addr()))

	// A node says the same in its log, and ends.
	f = Failure{Phase: PhaseHandshake, Exit: &Exit{Code: 1}, Log: []string{"2026/01/02 15:04:05 " + err.Error()}}
	measure(t, &f)
	check(t, f, AddrInUse, fmt.Sprintf("this very process (pid %d) listens on %s", os.Getpid(), l.Addr()))
}

func TestStopped(t *testing.T) {
	cmd := child(t, "wait")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer stdin.Close()
	defer cmd.Process.Signal(syscall.SIGCONT)
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var ws syscall.WaitStatus // returns when it is stopped
	if _, err := syscall.Wait4(cmd.Process.Pid, &ws, syscall.WUNTRACED, nil); err != nil || !ws.Stopped() {
		t.Fatalf("wait: %v, %v", ws, err)
	}
	f := Failure{Phase: PhaseCall, Node: "node-2", PID: cmd.Process.Pid, Limit: time.Second, Elapsed: time.Second}
	measure(t, &f)
	d := check(t, f, NodeHung, "node-2 is stopped: by Node.Pause, SIGSTOP or a debugger")
	if !strings.Contains(d.Error(), fmt.Sprintf("pid %d: stopped, ", cmd.Process.Pid)) {
		t.Error(d)
	}
	f.Phase = PhaseHandshake
	check(t, f, NodeHandshakeTimeout, "it is stopped")
}
