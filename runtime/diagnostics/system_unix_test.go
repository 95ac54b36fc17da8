//go:build unix

package diagnostics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func init() {
	children["file-limit"] = exhaustFiles
	children["wait"] = func() { io.Copy(io.Discard, os.Stdin) }
}

// report writes a diagnosis for the parent to read.
func report(f Failure) {
	gather(context.Background(), &f.Facts, probes(&f))
	json.NewEncoder(os.Stdout).Encode(Diagnose(f))
}

// diagnosisOf runs a child that calls report. A child that cannot cause what it
// should says why on standard error and ends with status 77.
func diagnosisOf(t *testing.T, cmd *exec.Cmd) *Diagnosis {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == cannot {
		t.Skip(stderr.String())
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	d := new(Diagnosis)
	if err := json.Unmarshal(out, d); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return d
}

const cannot = 77

func skipChild(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(cannot)
}

func TestExec(t *testing.T) {
	dir := t.TempDir()
	file := func(name, data string, mode os.FileMode) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(data), mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	foreign := append([]byte(nil), self[:1<<16]...)
	if runtime.GOOS == "linux" {
		foreign[18], foreign[19] = 22, 22 // a machine that is none
	}

	tests := []struct {
		name  string
		path  string
		edit  func(*exec.Cmd)
		want  Code
		cause string
	}{
		{"missing", filepath.Join(dir, "none"), nil, ExecNotFound, "none does not exist"},
		{"not in PATH", "no-such-program-anywhere", nil, ExecNotFound, "no-such-program-anywhere does not exist"},
		{"below a file", filepath.Join(file("plain", "", 0o644), "x"), nil, ExecNotFound, ""},
		{"interpreter", file("script", "#!/no/such/interpreter -x\n", 0o755), nil, ExecInterpreter, "script exists, but the /no/such/interpreter that it asks for does not"},
		{"carriage return", file("dos", "#!/bin/sh\r\n", 0o755), nil, ExecInterpreter, ""},
		{"mode", file("unset", "#!/bin/sh\n", 0o644), nil, ExecPermission, "unset has no execute permission (mode -rw-r--r--)"},
		{"directory", dir, nil, ExecPermission, "is a directory"},
		{"text", file("text", "hello\n", 0o755), nil, ExecFormat, "text is a text file without a #! line; this machine runs " + runtime.GOOS},
		{"empty", file("empty", "", 0o755), nil, ExecFormat, "is an empty file"},
		{"foreign", file("foreign", string(foreign), 0o755), nil, ExecFormat, "for processor 5654"},
		{"arguments", exe, func(c *exec.Cmd) { c.Args = append(c.Args, strings.Repeat("x", 8<<20)) }, ExecArgsTooLong, "arguments and environment"},
		{"chdir", exe, func(c *exec.Cmd) { c.Dir = filepath.Join(dir, "gone") }, DirMissing, "gone does not exist; the nearest that does is " + dir},
		{"chdir, unchecked", exe, func(c *exec.Cmd) {
			c.Dir = filepath.Join(dir, "gone")
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		}, DirMissing, "gone does not exist; the nearest that does is " + dir},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if runtime.GOOS != "linux" && (tt.want == ExecFormat || tt.want == ExecInterpreter) {
				t.Skip("other systems word it differently")
			}
			cmd := exec.Command(tt.path)
			if tt.edit != nil {
				tt.edit(cmd)
			}
			err := cmd.Start()
			if err == nil {
				cmd.Process.Kill()
				cmd.Wait()
				t.Fatal("it started")
			}
			f := Failure{Phase: PhaseExec, Op: "start a node", Path: tt.path, Dir: cmd.Dir, Err: err}
			measure(t, &f)
			d := check(t, f, tt.want, tt.cause)
			if !errors.Is(d, err) {
				t.Errorf("%v is not in the diagnosis", err)
			}
		})
	}
}

func TestExecBusy(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems start a file that is being written")
	}
	name := filepath.Join(t.TempDir(), "busy")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("#!/bin/sh\n"); err != nil {
		t.Fatal(err)
	}
	d := check(t, Failure{Phase: PhaseExec, Path: name, Err: exec.Command(name).Start()}, ExecBusy, "open for writing")
	if !d.Retry {
		t.Error("busy files become free: a retry helps")
	}
}

func TestAddressErrors(t *testing.T) {
	_, err := net.Listen("tcp", "192.0.2.1:0") // TEST-NET-1, nobody's
	if err == nil {
		t.Fatal("192.0.2.1 can be listened on")
	}
	check(t, Failure{Phase: PhasePrepare, Err: err}, AddrUnavailable, "192.0.2.1:0 belongs to no interface")
}

// exhaustFiles opens files until no more may be, which also is the state in
// which evidence has to be found.
func exhaustFiles() {
	const most = 64
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: most}); err != nil {
		skipChild(err)
	}
	for {
		if _, err := os.Open(os.DevNull); err != nil {
			report(Failure{Phase: PhasePrepare, Op: "start 3 nodes for TestX", Err: err})
			return
		}
	}
}

func TestFileLimit(t *testing.T) {
	d := diagnosisOf(t, child(t, "file-limit"))
	if d.Code != LimitFiles || d.Cause != "this process has 64 of the 64 descriptors it may have" {
		t.Errorf("got %s: %s", d.Code, d.Cause)
	}
	if text := d.Error(); runtime.GOOS == "linux" && !strings.Contains(text, "× /dev/null") {
		t.Errorf("the kind of what is open is not told:\n%s", text)
	}
}

func TestDirectoryErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path  string
		want  Code
		cause string
	}{
		{filepath.Join(file, "data"), DirMissing, file + " is a file, not a directory"},
		{filepath.Join(dir, "a", "b"), DirMissing, "a/b does not exist; the nearest that does is " + dir},
	} {
		f := Failure{Phase: PhasePrepare, Err: os.Mkdir(tt.path, 0o700)}
		measure(t, &f)
		check(t, f, tt.want, tt.cause)
	}
}

func TestKilled(t *testing.T) {
	cmd := child(t, "wait")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	before := OOMKills()
	cmd.Process.Kill()
	cmd.Wait()
	f := Failure{Phase: PhaseCall, Node: "node-1", Exit: exitStatus(cmd.ProcessState), OOMBefore: before}
	measure(t, &f)
	d := check(t, f, NodeSignal, "it got SIGKILL, which dist did not send")
	if !strings.Contains(d.Problem, "node-1 was ended from outside (signal: killed)") {
		t.Error(d.Problem)
	}
}
