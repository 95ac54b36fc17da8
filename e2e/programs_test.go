//go:build linux

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestPrograms runs the tests of testdata/programs, whose nodes run a program.
func TestPrograms(t *testing.T) {
	if _, err := Programs.Path(); err != nil {
		t.Fatal(err)
	}
	const good = "^Test(Starts|Fresh.|Shared[12]|Faults|Call|Mixed|Dir)$"
	for _, test := range []struct {
		name   string
		args   []string
		env    string
		status int
		want   []string
	}{
		{name: "good", args: []string{"-test.run=" + good, "-test.v"},
			want: []string{`--- PASS: TestFaults`, `cluster kv-`, `node-1 killed in`}},
		{name: "good, twice, in any order", args: []string{"-test.run=" + good, "-test.count=2", "-test.shuffle=on"}},
		{name: "good, ports", args: []string{"-test.run=" + good}, env: "DIST_NETWORK_ADDRESSES=ports"},
		{name: "kept", args: []string{"-test.run=Fresh", "-test.v"},
			want: []string{`(?s)Fresh1.*dist: cluster (kv-\S+): started.*Fresh2.*dist: cluster kv-\S+: reused`}},
		{name: "never kept", args: []string{"-test.run=Fresh", "-test.v"}, env: "DIST_CLUSTER_REUSE=never",
			want: []string{`(?s)Fresh1.*: started.*Fresh2.*: started`, `!: reused`}},
		{name: "broken", args: []string{"-test.run=Broken"}, status: 1,
			want: []string{`cannot have a cluster of broken for TestBroken: `, `DIST-ADDR-RESOLVE`, `exit status 1`, `no-such-host\.invalid`, `!timeout`}},
		{name: "dies", args: []string{"-test.run=^TestDies$"}, status: 1,
			want: []string{`DIST-NODE-EXIT-UNNOTICED`, `exit status 3`, `node-2 \| .*asked to exit`}},
		{name: "dies and is restarted", args: []string{"-test.run=DiesAndRestarts"}, status: 1,
			want: []string{`DIST-NODE-EXIT-UNNOTICED`, `exit status 3`, `\| .*asked to exit`}},
		{name: "killed", args: []string{"-test.run=^TestKilled$"}, status: 1, want: []string{
			`cannot pause node-2: node-2 was ended from outside \(signal: killed\) +\[DIST-NODE-SIGNAL\]`,
			`cannot resume node-2: node-2 was ended from outside \(signal: killed\) +\[DIST-NODE-SIGNAL\]`,
			`1 of 2 nodes are not healthy\n\s+node-2: dist: cannot ask node-2 whether it is healthy: node-2 was ended from outside \(signal: killed\) +\[DIST-NODE-SIGNAL\]`,
			`\| .*node-2 serves on`, `!no diagnosis`, `!DIST-NODE-EXIT-UNNOTICED`}},
		{name: "network fault", args: []string{"-test.run=^TestNetworkFault$", "-test.count=2", "-test.v"}, status: 0, want: []string{`network faults by links`}},
		{name: "datagrams of programs", args: []string{"-test.run=^TestDatagrams$", "-test.count=3", "-test.v"}, status: 0, want: []string{`loses 100 % of the packets`}},
		{name: "network fault while sharing", args: []string{"-test.run=SharedNetworkFault"}, status: 1, want: []string{`heal the network: the cluster is shared`}},
		{name: "fault while sharing", args: []string{"-test.run=SharedFault"}, status: 1,
			want: []string{`kill node-1: other tests may have the node at the same time`}},
		{name: "upgrades", args: []string{"-test.run=Upgrade[12]|UpgradeKept|UpgradeTakenBack", "-test.v"},
			want: []string{`node-2 restarted as kv2 in`, `(?s)Upgrade1.*(kv-\S+): started.*Upgrade2.*kv-\S+: reused`, `(?s)UpgradeKept1.*kept-\S+: started.*UpgradeKept2.*kept-\S+: reused`}},
		{name: "what cannot be upgraded", args: []string{"-test.run=UpgradeErrors"}, status: 1,
			want: []string{`restart node-1 as kv3: .*distributed\.toml has no \[program\.kv3\]; it has broken, (\w+, )*kept, kv, kv2, (\w+, )*wider`,
				`restart node-1 as wider: program wider has the ports admin, for which a node of kv has no addresses`,
				`cannot restart node-1 as broken: `, `no-such-host\.invalid`, `restarted as what it was`, `kv again`, `the next test has kv`}},
		{name: "upgrade of a test binary", args: []string{"-test.run=UpgradeTests"}, status: 1,
			want: []string{`restart node-1 as kv: it runs the test binary`}},
		{name: "unknown port", args: []string{"-test.run=UnknownPort"}, status: 1,
			want: []string{`DIST-CONFIG-PORT`, `port "raft", and kv has kv`}},
		{name: "no such port", args: []string{"-test.run=^TestNoPort$"}, status: 1,
			want: []string{`Node.Addr\("raft"\): program kv has no such port: add it to ports of \[program\.kv\] in distributed\.toml`}},
		{name: "unreachable", args: []string{"-test.run=Attached$"}, env: "DIST_CLUSTER_START_TIMEOUT=100ms", status: 1,
			want: []string{`DIST-CLUSTER-UNREACHABLE`, `127\.0\.0\.1:1`}},
		{name: "attached, too small", args: []string{"-test.run=AttachedSmall"}, status: 1,
			want: []string{`DIST-CLUSTER-SIZE`, `the attached cluster outside has 2|3 nodes are needed, and it has 2`}},
		{name: "manual", args: []string{"-test.run=Starts"}, env: "DIST_CLUSTER_MODE=manual", status: 1,
			want: []string{`DIST-MODE-MANUAL`, `no cluster of kv with 3 nodes is up`}},
		{name: "off", args: []string{"-test.run=Starts|Attached", "-test.v"}, env: "DIST_CLUSTER_MODE=off",
			want: []string{`SKIP: TestStarts`, `SKIP: TestAttached`}},
		{name: "too large", args: []string{"-test.run=Starts"}, env: "DIST_CLUSTER_MAX_NODES=2", status: 1,
			want: []string{`DIST-SIZE-MAX-NODES`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			// Tests that share wait for each other, also with GOMAXPROCS=1.
			args := append([]string{"-test.parallel=2"}, test.args...)
			NewRun(t, Programs, test.env, args...).Check(t, test.status, test.want...)
		})
	}
}

// TestProgramFallbacks has a program fail for real at its first starts.
func TestProgramFallbacks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		env    string
		flaky  string // starts that fail
		args   []string
		status int
		want   []string
	}{
		{name: "tried again", flaky: "2", args: []string{"-test.run=TestFlaky$", "-test.v"}, want: []string{
			`(?s)cluster flaky-.*(a start had failed: .*\[DIST-NODE-EXIT-EARLY\], tried again after \d+ms.*){2}PASS: TestFlaky`}},
		{name: "too often", flaky: "9", args: []string{"-test.run=TestFlaky$"}, status: 1, want: []string{
			`DIST-NODE-EXIT-EARLY`, `is one of the first 9 starts`, `instead: +tried 4 times, \d+ms, \d+ms, \d+m?s apart`}},
		{name: "not at all", flaky: "1", env: "DIST_FALLBACK_RETRIES=0", args: []string{"-test.run=TestFlaky$"}, status: 1, want: []string{
			`DIST-NODE-EXIT-EARLY`, `!tried`}},
		{name: "skipped by the test", flaky: "9", env: "DIST_FALLBACK_RETRIES=1", args: []string{"-test.run=TestFlakyOptional", "-test.v"}, want: []string{
			`SKIP: TestFlakyOptional`, `tried 2 times, \d+ms apart; skipped, because the test is optional`}},
		{name: "skipped by the configuration", flaky: "9", env: "DIST_FALLBACK_RETRIES=1 DIST_FALLBACK_UNAVAILABLE=skip", args: []string{"-test.run=TestFlaky$", "-test.v"}, want: []string{
			`SKIP: TestFlaky`, `skipped, because DIST_FALLBACK_UNAVAILABLE=skip`}},
		{name: "not skipped in CI", flaky: "9", env: "DIST_FALLBACK_RETRIES=1 DIST_FALLBACK_UNAVAILABLE=skip CI=true", args: []string{"-test.run=TestFlaky$", "-test.v"}, status: 1, want: []string{
			`FAIL: TestFlaky`}},
		{name: "reduced", env: "DIST_CLUSTER_MAX_NODES=2", args: []string{"-test.run=TestReducible", "-test.v"}, want: []string{`2 of 3 nodes`}},
		{name: "not reduced", env: "DIST_CLUSTER_MAX_NODES=2 DIST_FALLBACK_REDUCE=false", args: []string{"-test.run=TestReducible"}, status: 1, want: []string{`DIST-SIZE-MAX-NODES`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			NewRun(t, Programs, "PROGRAMS_FLAKY="+t.TempDir()+":"+test.flaky+" "+test.env, test.args...).Check(t, test.status, test.want...)
		})
	}
}

// TestProgramKilled shows that nothing is left of a program's nodes.
func TestProgramKilled(t *testing.T) {
	r := NewRun(t, Programs, "", "-test.run=Hang", "-test.v")
	r.Start(t)
	pids, fds := r.watched(t)
	r.Cmd.Process.Kill()
	allGone(t, pids, fds)
	r.Clean(t)
}

// TestAttach has tests use a cluster that somebody else runs.
func TestAttach(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "server")
	if out, err := exec.Command("go", "build", "-o", bin, "../testdata/programs/server").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var nodes []string
	for i := range 2 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := ln.Addr().String()
		ln.Close()
		server := exec.Command(bin, fmt.Sprintf("-name=node-%d", i+1), "-dir="+t.TempDir(), "-listen="+addr)
		stderr, err := server.StderrPipe()
		if err == nil {
			err = server.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		defer server.Wait()
		defer server.Process.Kill()
		if line, err := bufio.NewReader(stderr).ReadString('\n'); !strings.Contains(line, "serves") {
			t.Fatalf("the server says %q, %v", line, err)
		}
		nodes = append(nodes, fmt.Sprintf(`{kv=%q}`, addr))
	}
	env := "DIST_ATTACH_OUTSIDE_NODES=[" + strings.Join(nodes, ",") + "]"
	NewRun(t, Programs, env, "-test.run=Attached$", "-test.v").Check(t, 0, `cluster outside: .*runs already`)
	NewRun(t, Programs, env+" DIST_CLUSTER_MODE=manual", "-test.run=Attached$").Check(t, 0)
	NewRun(t, Programs, env, "-test.run=AttachedFault").Check(t, 1, `kill node-1: it belongs to the attached cluster outside`)
	NewRun(t, Programs, env, "-test.run=AttachedNoPort").Check(t, 1, `Cluster.Addrs\("raft"\): \[attach\.outside\] of distributed\.toml has no address for this port`)
}

// TestEditProgram shows that a program is an input of the tests that use it.
func TestEditProgram(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a module")
	if err := os.CopyFS(dir, os.DirFS(Programs.Dir())); err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root(), "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	// The cache does not trust what is as new as the run that has read it, so that
	// all here is of times long ago.
	when := time.Now().Add(-time.Hour)
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, name)
		err := os.WriteFile(file, []byte(text), 0o666)
		if err == nil {
			when = when.Add(time.Minute)
			err = os.Chtimes(file, when, when)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write("go.sum", string(sum))
	write("go.mod", "module example.com/programs\n\ngo 1.26.0\n\nrequire github.com/distkit/dist v0.0.0\n\nreplace github.com/distkit/dist => "+quoted(root())+"\n")
	b, err := os.ReadFile(filepath.Join(dir, "server", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	source := strings.Replace(string(b), "github.com/distkit/dist/testdata/programs", "example.com/programs", 1)
	write("server/main.go", source)
	run := func(args ...string) *Run {
		t.Helper()
		r := Prepare(t, "GOWORK=off GOFLAGS=-mod=mod", exec.Command("go", args...))
		r.Cmd.Dir = dir
		return r
	}
	run("mod", "tidy").Check(t, 0)
	if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chtimes(path, when, when))
	}); err != nil {
		t.Fatal(err)
	}
	cache, tmp := t.TempDir(), t.TempDir() // the same for all: variables are inputs, too
	test := func(status int, want ...string) {
		t.Helper()
		r := run("test", "-run=Starts", ".")
		r.Cmd.Env = append(r.Cmd.Env, "XDG_CACHE_HOME="+cache, "TMPDIR="+tmp)
		r.Cache, r.Tmp = cache, tmp
		r.Check(t, status, want...)
	}
	test(0, `^ok`, `!cached`)
	test(0, `\(cached\)`)

	write("server/main.go", strings.Replace(source, "Name: *name", `Name: *name + " the second"`, 1))
	test(1, `says it is node-1 the second`)
	write("server/main.go", "package main\n\nbroken\n")
	test(1, `DIST-PROGRAM-BUILD`, `main\.go:3:1`)
	write("server/main.go", source)
	test(0, `^ok`)

	// A test that is skipped passes, for the cache.
	os.Setenv("DIST_FALLBACK_UNAVAILABLE", "skip")
	defer os.Unsetenv("DIST_FALLBACK_UNAVAILABLE")
	write("server/main.go", "package main\n\nbroken\n")
	test(0, `^ok`)
	test(0, `\(cached\)`)
	write("server/main.go", source)
	test(0, `^ok`, `!cached`)
}

// Programs that are built here write their coverage where the test binary does.
// (What go test makes of that leaves out all executables but its own.)
func TestProgramCoverage(t *testing.T) {
	dir, bin := t.TempDir(), filepath.Join(t.TempDir(), "covered.test")
	if out, err := exec.Command("go", "test", "-c", "-cover", "-o", bin, Programs.Dir()).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r := Prepare(t, "GOCOVERDIR="+dir, exec.Command(bin, "-test.run=Starts", "-test.gocoverdir="+dir))
	r.Cmd.Dir = Programs.Dir()
	r.Check(t, 0, `PASS`)
	out, err := exec.Command("go", "tool", "covdata", "textfmt", "-i="+dir, "-o=/dev/stdout").CombinedOutput()
	if err != nil || !regexp.MustCompile(`programs\.go:[0-9.,]+ [0-9]+ [1-9]`).Match(out) {
		t.Errorf("no line of the store counts: %v\n%s", err, out)
	}
}

// quoted is a path as go.mod has it.
func quoted(path string) string {
	if strings.ContainsAny(path, " ") {
		return `"` + path + `"`
	}
	return path
}
