package diagnostics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestTable holds the table to what the rest of the package relies on.
func TestTable(t *testing.T) {
	shape := regexp.MustCompile(`^DIST-[A-Z]+(-[A-Z]+)*$`)
	seen := make(map[Code]bool)
	for _, r := range table() {
		t.Run(string(r.code), func(t *testing.T) {
			if !shape.MatchString(string(r.code)) || seen[r.code] {
				t.Errorf("code %q is malformed or used twice", r.code)
			}
			seen[r.code] = true
			for what, text := range map[string]string{"title": r.title, "explanation": r.explain, "evidence": r.evidence} {
				if text == "" {
					t.Errorf("no %s", what)
				}
			}
			if strings.Contains(r.title, "{") {
				t.Errorf("title %q has facts: it is what is left when none is known", r.title)
			}
			if r.skip && (r.retry > 0 || r.reduce) {
				t.Error("a skip is not tried again")
			}
			// With nothing known there is still a cause, and something to do.
			for _, goos := range []string{"linux", "darwin", "windows", "freebsd"} {
				d := Diagnose(Failure{Code: r.code, OS: goos})
				if d.Code != r.code {
					t.Fatalf("Failure.Code %s gives %s", r.code, d.Code)
				}
				if d.Cause == "" {
					t.Errorf("%s: no cause when nothing is known", goos)
				}
				if len(d.Remedies) == 0 {
					t.Errorf("%s: no remedy when nothing is known", goos)
				}
				for _, remedy := range d.Remedies {
					if len(remedy) < 10 || strings.Contains(remedy, "{if-") {
						t.Errorf("%s: remedy %q", goos, remedy)
					}
				}
			}
		})
	}
}

// TestDiagnose has a failure for every row, and the text that matters of what
// comes out. Failures that a test can cause for real are in the other files,
// too; here is what decides.
func TestDiagnose(t *testing.T) {
	three, four := uint64(3), uint64(4)
	killed := &Exit{Code: -1, Signal: "killed"}
	full := func(name string) Facts { return Facts{Limits: []Limit{{Name: name, Max: 100, Used: 100}}} }
	race := []string{
		"==================", "WARNING: DATA RACE", "Write at 0x00c000012 by goroutine 7:", "  example.com/p.f()", "      /src/p.go:10 +0x1",
		"", "Previous write at 0x00c000012 by goroutine 6:", "==================", "exit status 66",
	}
	stacks := []string{
		"SIGQUIT: quit", "PC=0x1 m=0 sigcode=0", "", "goroutine 0 gp=0x1 m=0 mp=0x1 [idle]:", "runtime.futex()", "\t/go/src/runtime/futex.go:1 +0x1", "",
		"goroutine 1 gp=0x2 m=nil [chan receive, locked to thread]:", "runtime.gopark(0x1)", "\t/go/src/runtime/proc.go:1 +0x1", "a.b/p.wait(...)", "\t/src/p.go:7 +0x1", "a.b/p.init.0()", "\t/src/p.go:3 +0x1", "",
		"goroutine 2 gp=0x3 m=nil [force gc (idle)]:", "runtime.gopark(0x1)",
	}
	early := []string{ // it has not come to any package
		"SIGQUIT: quit", "PC=0x1 m=0 sigcode=0", "", "goroutine 1 gp=0x2 m=nil [runnable, locked to thread]:", "runtime.doInit1(0x1)", "\t/go/src/runtime/proc.go:1 +0x1", "",
		"rax    0x0", "gs     0x0",
	}
	tests := []struct {
		want  Code
		f     Failure
		cause string
	}{
		{ExecNotFound, Failure{Phase: PhaseExec, Path: "/x", Err: exec.ErrNotFound, Facts: Facts{Executable: &Executable{Path: "/x", Missing: true}}}, "/x does not exist"},
		{ExecInterpreter, Failure{Phase: PhaseExec, Path: "/x", Err: syscall.ENOENT, Facts: Facts{Executable: &Executable{Path: "/x", Interpreter: "/lib/ld-musl.so", NoInterp: true}}}, "/x exists, but the /lib/ld-musl.so"},
		{ExecPermission, Failure{Phase: PhaseExec, Path: "/x", Err: syscall.EACCES}, "permission denied"},
		{ExecNoExecMount, Failure{Phase: PhaseExec, Path: "/x/y", Err: syscall.EACCES, Facts: Facts{Executable: &Executable{Exec: true, NoExec: "/x"}}}, "/x is mounted noexec"},
		{ExecFormat, Failure{Phase: PhaseExec, Path: "/x", Err: syscall.ENOEXEC, Facts: Facts{Executable: &Executable{Format: "an ELF program for s390x"}}}, "/x is an ELF program for s390x; this machine runs"},
		{ExecBusy, Failure{Phase: PhaseExec, Path: "/x", Err: syscall.ETXTBSY}, "/x open for writing"},
		{ExecArgsTooLong, Failure{Phase: PhaseExec, Path: "/x", Err: syscall.E2BIG}, "arguments and environment of /x"},

		{NodeExitEarly, Failure{Phase: PhaseHandshake, Exit: &Exit{}}, "without a word"},
		{NodeInitPanic, Failure{Phase: PhaseHandshake, Exit: &Exit{Code: 2}, Log: []string{"panic: x", "", "goroutine 1 [running]:", "a.b/p.init()"}}, "a.b/p.init panicked: x"},
		{NodeFlags, Failure{Phase: PhaseHandshake, Exit: &Exit{Code: 2}, Log: []string{"flag provided but not defined: -x", "Usage of p.test:"}}, "-x"},
		{NodeTestMain, Failure{Phase: PhaseHandshake, Exit: &Exit{Code: 1}, OwnTestMain: true}, "before dist.Main"},
		{NodeHandshakeTimeout, Failure{Phase: PhaseHandshake, Err: context.DeadlineExceeded, Limit: time.Second, Log: []string{"waiting for network", ""}}, "its last words: waiting for network"},
		{NodeNoChannel, Failure{Phase: PhaseBootstrap, Code: NodeNoChannel}, "the environment says it is a node"},
		{NodeHandshakeTimeout, Failure{Phase: PhaseHandshake, Err: context.DeadlineExceeded, Limit: time.Second, Log: stacks}, "a.b/p.init.0 had not returned: [chan receive] in a.b/p.wait at /src/p.go:7"},
		{NodeChannel, Failure{Phase: PhaseHandshake, Code: NodeChannel, Err: errors.New("not a frame: one of unknown kind 9")}, "descriptor 3: not a frame"},
		{NodeHandshakeTimeout, Failure{Phase: PhaseHandshake, Err: context.DeadlineExceeded, Limit: time.Second, Log: slices.Concat([]string{"loading"}, early)}, "blocks or is slow; its last words: loading"},
		{NodeHandshakeTimeout, Failure{Phase: PhaseHandshake, Err: context.DeadlineExceeded, Limit: time.Second, Log: early}, "the program's own start) blocks or is slow"},
		{NodeRecursion, Failure{Phase: PhaseHandshake, Exit: &Exit{Code: 1}, Log: []string{"dist: this test binary has been started by itself 9 times over: it stops here"}}, "in every process anew: 9 times over"},
		{NodeExit, Failure{Phase: PhaseCall, Exit: &Exit{Code: 1}}, "os.Exit, log.Fatal"},
		{NodeSignal, Failure{Phase: PhaseCall, Exit: &Exit{Code: 137}}, "SIGKILL (137 is 128+9)"},
		{NodeSignal, Failure{Phase: PhaseCall, Exit: killed, Facts: Facts{OOMKills: &three}}, "the kernel's OOM killer was at work (3 so far), perhaps here too"},
		{NodeOutOfMemory, Failure{Phase: PhaseCall, Exit: killed, OOMBefore: &three, Facts: Facts{OOMKills: &four}}, "(1 killed since the node started)"},
		{NodePanic, Failure{Phase: PhaseCall, Exit: &Exit{Code: 2}, Log: []string{"fatal error: all goroutines are asleep - deadlock!"}}, "fatal error: all goroutines are asleep"},
		{LimitProcesses, Failure{Phase: PhaseCall, Exit: &Exit{Code: 2}, Log: []string{"runtime/cgo: pthread_create failed: Resource temporarily unavailable", "SIGABRT: abort", "PC=0x7fb85cdfaeec m=4 sigcode=18446744073709551610", "", "goroutine 0 gp=0x3d8b6ea2d860 m=4 mp=0x3d8b6ea6b808 [idle]:"}}, "the limit of processes is reached"},
		{NodePanic, Failure{Phase: PhaseCall, Exit: &Exit{Code: 2}, Log: []string{"panic: dial tcp: cannot allocate memory", "", "goroutine 1 [running]:"}}, "cannot allocate memory"},
		{NodeRace, Failure{Phase: PhaseStop, Exit: &Exit{Code: 66}, Log: race}, "Write at 0x00c000012 by goroutine 7: example.com/p.f() /src/p.go:10 +0x1"},
		{NodeExit, Failure{Phase: PhaseCall, Exit: &Exit{Code: 66}}, "os.Exit"}, // 66 alone is no race
		{NodeHung, Failure{Phase: PhaseCall, Node: "node-3", Elapsed: 2 * time.Second, Limit: time.Second}, "node-3 runs, but nothing on it answers"},
		{NodeHung, Failure{Phase: PhaseStop, Code: NodeHung, Node: "node-3", Doing: "a cleanup is at p.go:7 [select]"}, "node-3 does not come to an end: a cleanup is at p.go:7"},
		{NodeExitUnnoticed, Failure{Phase: PhaseStop, Exit: &Exit{}}, "between calls"},
		{NodeExitUnnoticed, Failure{Phase: PhaseStop, Code: NodeExitUnnoticed, Exit: &Exit{Code: 2}, Log: []string{"panic: no quorum", "", "goroutine 7 [running]:", "main.f()"}}, "it ended between calls: no quorum"},

		{AddrInUse, Failure{Phase: PhasePrepare, Address: "127.0.0.1:80", Err: syscall.EADDRINUSE, Facts: Facts{Holders: []Holder{{UID: 7, Local: "0.0.0.0:80", State: "LISTEN"}}}}, "a process of another user (uid 7) has 0.0.0.0:80"},
		{AddrInUse, Failure{Phase: PhaseCall, Address: "127.0.0.1:80", Err: syscall.EADDRINUSE, Facts: Facts{Holders: []Holder{{PID: 7, Command: "p.test", Local: "0.0.0.0:80", State: "LISTEN", Run: "abc", Ended: true}}}}, "pid 7 (p.test), which is left over from a run of distributed tests that was killed, has 0.0.0.0:80"},
		{AddrInUse, Failure{Phase: PhaseCall, Address: "127.0.0.1:80", Err: syscall.EADDRINUSE, Facts: Facts{Holders: []Holder{{PID: 7, Command: "p.test", Local: "0.0.0.0:80", State: "LISTEN", Run: "abc", Lost: true}}}}, "which a run of distributed tests has started of which nothing is known any more, has 0.0.0.0:80"},
		{AddrExhausted, Failure{Phase: PhasePrepare, Code: AddrExhausted, Source: "20000-20010"}, "all of 20000-20010 is taken"},
		{AddrUnavailable, Failure{Phase: PhasePrepare, Address: "127.9.9.9:0", Err: syscall.EADDRNOTAVAIL}, "127.9.9.9:0 belongs to no interface"},
		{AddrPermission, Failure{Phase: PhasePrepare, Address: "127.0.0.1:80", Err: syscall.EACCES}, "port 80 is one of those only an administrator may use"},

		{AddrUnavailable, Failure{Phase: PhaseHandshake, Code: AddrUnavailable, Address: "127.9.9.9:80", Err: syscall.ENETUNREACH}, "the loopback interface is down"},
		{AddrPermission, Failure{Phase: PhaseHandshake, Exit: &Exit{Code: 1}, Log: []string{"listen tcp 127.0.0.1:81: bind: permission denied"}}, "port 81 is one of those"},
		{AddrResolve, Failure{Phase: PhaseHandshake, Exit: &Exit{Code: 1}, Log: []string{"listen tcp: lookup localhost on 10.0.0.1:53: no such host"}}, "localhost is in neither /etc/hosts nor the DNS: lookup localhost"},
		{AddrResolve, Failure{Phase: PhaseHandshake, Exit: &Exit{Code: 1}, Log: []string{"dial tcp: lookup db.internal: no such host"}}, "lookup db.internal: no such host"},

		{LimitFiles, Failure{Phase: PhaseConfig, Err: syscall.EMFILE}, "as many open files as it may have"},
		{LimitFiles, Failure{Phase: PhaseExec, Err: syscall.EMFILE}, "as many open files as it may have"},
		{LimitFiles, Failure{Phase: PhaseHandshake, Exit: &Exit{Code: 1}, Log: []string{"open a: too many open files"}}, "its words: open a: too many open files"},
		{LimitFiles, Failure{Phase: PhaseHandshake, Exit: &Exit{Code: 2}, Log: []string{"runtime: epollcreate failed with 24", "fatal error: runtime: netpollinit failed"}}, "its words: runtime: epollcreate failed with 24"},
		{LimitFilesSystem, Failure{Phase: PhaseExec, Err: syscall.ENFILE, Facts: full("system files")}, "the system has 100 of 100 files open"},
		{LimitProcesses, Failure{Phase: PhaseExec, Err: syscall.EAGAIN, Facts: full("RLIMIT_NPROC")}, "100 of the 100 processes"},
		{LimitProcesses, Failure{Phase: PhaseHandshake, Exit: &Exit{Code: 2}, Log: []string{"runtime: failed to create new OS thread (have 2 already; errno=11)"}, Facts: full("RLIMIT_NPROC")}, "100 of the 100 processes"},
		{LimitPIDs, Failure{Phase: PhaseExec, Err: syscall.EAGAIN, Facts: full("pids.max")}, "the control group has 100 of the 100"},
		{LimitMemory, Failure{Phase: PhaseExec, Err: syscall.ENOMEM, Facts: Facts{Limits: []Limit{{Name: "cgroup memory", Max: 64 << 20, Used: 64 << 20, Unit: "B"}}}}, "the control group has used 64.0 MiB of 64.0 MiB"},
		{LimitMemory, Failure{Phase: PhaseHandshake, Exit: &Exit{Code: 2}, Log: []string{"fatal error: runtime: out of memory"}}, "no memory to give"},
		{LimitMemory, Failure{Phase: PhaseHandshake, Exit: &Exit{Code: 2}, Log: []string{"fatal error: failed to reserve page summary memory"}, Facts: Facts{Limits: []Limit{{Name: "memory", Max: 100, Used: 1}}}}, "the process may have no more address space"},
		{LimitMachine, Failure{Phase: PhaseLimits, Code: LimitMachine, Asked: 5, Allowed: 10, Source: "2 cores, at 5 nodes each", Elapsed: 3 * time.Second, Details: []string{"TestX of p (pid 7) has had 10 nodes for 3s"}}, "after 3s there was still no room for 5 nodes: 10 run at once, by 2 cores"},

		{DirPermission, Failure{Phase: PhasePrepare, Path: "/d", Err: syscall.EACCES}, "permission denied"},
		{DirFull, Failure{Phase: PhasePrepare, Path: "/d", Err: syscall.ENOSPC, Facts: Facts{Dir: &Directory{Asked: "/d", Path: "/d", IsDir: true, NoInodes: true}}}, "the file system of /d has no inode left"},
		{DirReadOnly, Failure{Phase: PhasePrepare, Path: "/d", Err: syscall.EROFS}, "the file system of /d is mounted read-only"},
		{DirMissing, Failure{Phase: PhasePrepare, Path: "/d", Err: syscall.ENOENT}, "no such file"},

		{ConfigInvalid, Failure{Phase: PhaseConfig, Err: errors.New("distributed.toml:3:1: unknown key \"max_node\"; did you mean max_nodes?")}, "distributed.toml:3:1: unknown key"},
		{ConfigMissing, Failure{Phase: PhaseConfig, Path: "/m/distributed.toml", Err: fs.ErrNotExist}, "generated with /m/distributed.toml"},
		{ConfigProgram, Failure{Phase: PhaseConfig, Code: ConfigProgram, Name: "etcd"}, "neither [program.etcd] nor [attach.etcd] is in distributed.toml"},

		{ConfigPort, Failure{Phase: PhaseLimits, Code: ConfigPort, Name: "etcd", Err: errors.New(`the test asks for port "raft", and etcd has client, peer`)}, "etcd has client, peer"},

		{BootstrapMissing, Failure{Phase: PhaseBootstrap}, "no dist_gen_test.go beside the test"},
		{BootstrapStale, Failure{Phase: PhaseBootstrap, Name: "TestX"}, "before TestX needed a cluster"},
		{BootstrapTestMain, Failure{Phase: PhaseBootstrap, OwnTestMain: true}, "must hand over to dist.Main"},

		{SizeMaxNodes, Failure{Phase: PhaseLimits, Asked: 20, Allowed: 16, Source: "max_nodes of distributed.toml"}, "max_nodes of distributed.toml allows 16, the test asks for 20"},
		{BootstrapTestMain, Failure{Phase: PhaseHandshake, Node: "node-1", Exit: &Exit{Code: 97}, OwnTestMain: true, Log: []string{"dist: this process was started as a node, but its TestMain has run the tests: …"}}, "node-1 ran the tests instead"},
		{SizeCI, Failure{Phase: PhaseLimits, Asked: 20, Allowed: 8, Source: "ci.max_nodes"}, "ci.max_nodes allows 8"},
		{SizeMachine, Failure{Phase: PhaseLimits, Asked: 20, Allowed: 4, Source: "512 MiB of memory"}, "512 MiB of memory allows 4 nodes here"},

		{ModeOff, Failure{Phase: PhaseLimits, Code: ModeOff, Source: "DIST_CLUSTER_MODE"}, `mode is "off" by DIST_CLUSTER_MODE`},
		{ModeManual, Failure{Phase: PhaseLimits, Code: ModeManual}, `mode is "manual"`},
		{ModeShort, Failure{Phase: PhaseLimits, Code: ModeShort}, "the tests run with -short"},
		{ClusterBusy, Failure{Code: ClusterBusy, Phase: PhasePrepare, Name: "etcd-1", Elapsed: 3 * time.Second, Details: []string{"TestX has had it for 2s"}}, "its turn had not come after 3s"},
		{ClusterGone, Failure{Code: ClusterGone, Phase: PhaseCall, Err: errors.New("EOF")}, "has ended: EOF"},
		{ClusterGone, Failure{Code: ClusterGone, Phase: PhasePrepare, Name: "etcd-1"}, "cluster etcd-1 has been ended"},
		{ClusterSize, Failure{Code: ClusterSize, Phase: PhaseLimits, Name: "staging", Asked: 5, Allowed: 3}, "5 nodes are needed, and it has 3"},
		{ClusterUnfit, Failure{Code: ClusterUnfit, Phase: PhaseLimits, Name: "etcd-1", Err: errors.New("too small: 3 nodes, 5 asked for")}, "it is too small: 3 nodes"},
		{ClusterUnreachable, Failure{Code: ClusterUnreachable, Phase: PhasePrepare, Name: "staging", Err: errors.New("connection refused")}, "connection refused"},
		{ClusterVersion, Failure{Code: ClusterVersion, Phase: PhasePrepare, Err: errors.New("protocol 2 here, 1 there")}, "protocol 2 here"},
		{ClusterRefused, Failure{Code: ClusterRefused, Phase: PhasePrepare, Err: errors.New("it hung up on what /c/x.owner says is its secret")}, "it hung up on what /c/x.owner says"},
		{ProgramBuild, Failure{Code: ProgramBuild, Phase: PhasePrepare, Path: "./cmd/kv", Err: errors.New("cmd/kv/main.go:7:2: undefined: x"), Details: []string{"# example.com/kv", "cmd/kv/main.go:7:2: undefined: x"}}, "cmd/kv/main.go:7:2: undefined: x"},
		{ProgramNotReady, Failure{Code: ProgramNotReady, Phase: PhaseHandshake, Node: "node-1", Limit: time.Second, Err: errors.New("GET http://127.0.0.1:1/: connection refused")}, "it runs, but is not ready: GET http://127.0.0.1:1/: connection refused"},
		{ProgramNotReady, Failure{Code: ProgramNotReady, Phase: PhaseHandshake, Node: "node-1", Log: []string{"waiting for peers"}}, "its last words: waiting for peers"},
		{ProgramUnhealthy, Failure{Code: ProgramUnhealthy, Phase: PhaseCall, Node: "node-1", Err: errors.New("HTTP 503")}, "HTTP 503"},
		{ProgramReset, Failure{Code: ProgramReset, Phase: PhasePrepare, Name: "kv", Exit: &Exit{Code: 3}, Log: []string{"no such table"}}, "it ended with exit status 3; its last words: no such table"},
		{ProgramStop, Failure{Code: ProgramStop, Phase: PhaseStop, Node: "node-1", Name: "etcd", Limit: 5 * time.Second}, "program etcd did not end within 5s"},
		{EnginePlatform, Failure{Phase: PhasePrepare, Err: errors.ErrUnsupported}, "unsupported operation"},
		{TimeDeadline, Failure{Phase: PhaseLimits, Limit: 2 * time.Second}, "2s is left until -timeout"},
		{TimeCanceled, Failure{Phase: PhaseHandshake, Err: context.Canceled}, "context canceled"},

		{UseParallel, Failure{Code: UseParallel, Name: "TestX"}, "TestX would hold its cluster"},
		{UseFuzz, Failure{Code: UseFuzz}, "once per input"},
		{UseConflict, Failure{Code: UseConflict, Name: "TestX", Details: []string{"nodes=3", "nodes=5"}}, "TestX has a cluster already"},
		{UseClosure, Failure{Code: UseClosure, Name: "p.TestX.func1"}, "function literal"},
		{UseMethodValue, Failure{Code: UseMethodValue}, "its receiver exists only in the test process"},
		{UseUnregistered, Failure{Code: UseUnregistered, Name: "helper.Start"}, "does not list it"},
		{UseValue, Failure{Code: UseValue, Name: "p.Config", Err: errors.New("field Done is a channel")}, "field Done is a channel"},
		{LeftGoroutine, Failure{Code: LeftGoroutine, Phase: PhaseStop, Name: "TestX", Details: []string{"p.loop at p.go:7"}}, "were still running when it ended: p.loop at p.go:7"},
		{LeftListener, Failure{Code: LeftListener, Phase: PhaseStop, Details: []string{"127.0.0.1:8080"}}, "still open: 127.0.0.1:8080"},
		{LeftChild, Failure{Code: LeftChild, Phase: PhaseStop, Details: []string{"pid 7 (sleep 60)"}}, "pid 7 (sleep 60)"},
		{Unknown, Failure{Phase: PhaseExec, Err: errors.New("something odd")}, "something odd"},
	}
	covered := make(map[Code]bool)
	for _, tt := range tests {
		covered[tt.want] = true
		t.Run(string(tt.want), func(t *testing.T) {
			if strings.Contains(string(tt.want), "EXEC") && runtime.GOOS == "windows" {
				t.Skip("package syscall invents these numbers on Windows")
			}
			d := check(t, tt.f, tt.want, tt.cause)
			text := d.Error()
			first, _, _ := strings.Cut(text, "\n")
			if !strings.HasPrefix(first, "dist: cannot ") || !strings.HasSuffix(first, "   ["+string(tt.want)+"]") {
				t.Errorf("first line %q", first)
			}
			if strings.HasSuffix(text, "\n") || looseEnd.MatchString(text) {
				t.Errorf("text with a loose end:\n%s", text)
			}
			if again := Diagnose(tt.f).Error(); again != text {
				t.Errorf("the same failure gives another text:\n%s\n%s", text, again)
			}
		})
	}
	for _, code := range Codes() {
		if !covered[code] {
			t.Errorf("nothing here gives %s", code)
		}
	}
}

// TestFirstRemedy has the same diagnosis for different causes: what is to be done
// first depends on what is known.
func TestFirstRemedy(t *testing.T) {
	exits := func(log string) Failure {
		return Failure{Phase: PhaseHandshake, Exit: &Exit{Code: 1}, Log: []string{log}, OS: "linux"}
	}
	held := func(self bool) Failure {
		return Failure{Phase: PhasePrepare, Address: "127.0.0.1:80", Err: syscall.EADDRINUSE, OS: "linux", Facts: Facts{Holders: []Holder{{PID: 7, Command: "x", Local: "127.0.0.1:80", Self: self}}}}
	}
	program := func(f Failure) Failure {
		f.Path, f.Name = "/bin/kv", "kv"
		return f
	}
	unready := func(listens ...string) Failure {
		return Failure{Phase: PhaseHandshake, Code: ProgramNotReady, Address: "127.1.1.1:80", OS: "linux", Facts: Facts{Listening: append([]string{}, listens...)}}
	}
	size := func(source string) Failure {
		return Failure{Phase: PhaseLimits, Code: SizeMachine, Asked: 5, Allowed: 2, Source: source, OS: "linux"}
	}
	files := func(most uint64) Failure {
		return Failure{Phase: PhaseExec, Err: syscall.EMFILE, OS: "linux", Facts: Facts{Limits: []Limit{{Name: "RLIMIT_NOFILE", Max: most, Used: most}}}}
	}
	for _, tt := range []struct {
		f    Failure
		want string
	}{
		{exits("no licence"), "see to what its last words complain of"},
		{exits(""), "look for os.Exit"},
		{program(exits("no licence")), "see to what the program's last words complain of"},
		{held(true), "close that listener"},
		{held(false), "if that process is not needed: kill 7"},
		{unready("127.0.0.1:80"), "have it listen where it is asked, 127.1.1.1:80: {{.Listen"},
		{unready("127.1.1.1:80"), "see in its answer and its log"},
		{unready(), "if it is only slow"},
		{size("the limit of 12 open files (ulimit -n)"), "raise the limit of open files: ulimit -n"},
		{size("the limit of 12 processes (ulimit -u)"), "raise the limit of processes: ulimit -u"},
		{size("resources.max_nodes_on_machine"), "raise max_nodes_on_machine"},
		{size("512 MiB of memory"), "run the test on a larger machine"},
		{files(64), "raise the limit, which is very low"},
		{files(4096), "look for what the tests do not close"},
		{Failure{Phase: PhaseExec, Path: "/a b/it's", Err: syscall.EACCES, OS: "linux"}, `chmod +x '/a b/it'\''s'`},
	} {
		if d := Diagnose(tt.f); len(d.Remedies) == 0 || !strings.HasPrefix(d.Remedies[0], tt.want) {
			t.Errorf("%s: %q; want %q first", d.Code, d.Remedies, tt.want)
		}
	}
}

// looseEnd is a fact that was not filled in.
var looseEnd = regexp.MustCompile(`\{[a-z-]+\}`)

func TestText(t *testing.T) {
	var log []string
	for i := range 30 {
		log = append(log, fmt.Sprintf("line %d", i+1))
	}
	d := Diagnose(Failure{
		Phase: PhaseHandshake, Op: "start 3 nodes for TestLeader", Node: "node-2", OS: "linux",
		Exit: &Exit{Code: 3}, Elapsed: 4123 * time.Microsecond, Log: log[:22], PID: 4711,
		Fallback: "tried 3 times (100ms, 200ms, 400ms apart)",
	})
	want := `dist: cannot start 3 nodes for TestLeader: node-2 exited before it answered (exit status 3)   [DIST-NODE-EXIT-EARLY]
    cause:    it ended by itself; its last words: line 22
    evidence: exit status 3 after 4.1ms
              phase: handshake, from the start of the process to its first answer
              pid of node-2: 4711
              | … (2 lines before)
              | ` + strings.Join(log[2:22], "\n              | ") + `
    remedy:   see to what its last words complain of, or have the init function that exits not do so on a node
              look for os.Exit, log.Fatal and syscalls in init functions and package variables of the tests and what they import
              run what happens before any test by itself, without dist: go test -run '^$' .
              for a program, start it by hand with the arguments that distributed.toml gives it
    instead:  tried 3 times (100ms, 200ms, 400ms apart)
    more:     docs/diagnoses.md#dist-node-exit-early`
	if diff := cmp.Diff(want, d.Error()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestJSON(t *testing.T) {
	d := Diagnose(Failure{Phase: PhaseExec, Op: "start node-1", Path: "/x", Err: syscall.ETXTBSY, OS: "windows"})
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"code": "DIST-EXEC-BUSY", "title": "the file is still being written", "problem": "cannot start node-1: /x is still open for writing",
		"cause": "some process has /x open for writing", "evidence": []any{syscall.ETXTBSY.Error(), "phase: exec, the starting of the process"}, "phase": "exec",
		"remedies": []any{"write the program under another name and rename it when it is complete"},
		"retry":    true, "retry_after": "50ms", "retry_after_ns": 5e7, "reduce": false, "skip": false,
		"error": syscall.ETXTBSY.Error(), "more": "docs/diagnoses.md#dist-exec-busy",
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	back := new(Diagnosis)
	if err := json.Unmarshal(data, back); err != nil {
		t.Fatal(err)
	}
	if back.Error() != d.Error() || back.RetryAfter != d.RetryAfter || back.Err.Error() != d.Err.Error() {
		t.Errorf("read back: %+v", back)
	}
}

// TestInner checks that a diagnosis made below is not made again above.
func TestInner(t *testing.T) {
	inner := Diagnose(Failure{Phase: PhaseExec, Op: "start node-1", Err: syscall.EMFILE})
	outer := Diagnose(Failure{Phase: PhaseHandshake, Err: fmt.Errorf("cluster: %w", inner), Fallback: "tried twice"})
	if outer.Code != LimitFiles || outer.Problem != inner.Problem || outer.Fallback != "tried twice" || inner.Fallback != "" {
		t.Errorf("got %+v", outer)
	}
}

func TestGatherBounded(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	var facts Facts
	gather(ctx, &facts, []probe{
		{"a dead file system", func(context.Context) (func(*Facts), error) { <-release; return nil, nil }},
		{"a bug", func(context.Context) (func(*Facts), error) { panic("oops") }},
	})
	if len(facts.Missing) != 2 || facts.Missing[0] != "a dead file system: took too long" {
		t.Errorf("missing: %q", facts.Missing)
	}
}
