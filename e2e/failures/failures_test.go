//go:build linux

package failures

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/distkit/dist/e2e"
	"github.com/distkit/dist/runtime/manager"
)

// A failure is one way not to have a cluster, really caused: by what is done to
// the machine, to the configuration, to the program or to the test binary.
type failure struct {
	name   string
	binary *e2e.Binary // failing if nil
	test   string      // what is run of it; TestTwo if ""
	cause  func(w *world)
	code   string                        // the first one told; "": there is no failure, though one might expect it
	says   string                        // an expression for what is told besides
	remedy string                        // an expression for the first remedy told
	follow func(w *world, remedy string) // does as the first remedy says
	person string                        // what of it only a person can do, which follow stands in for
}

var failures = []failure{
	// The nodes of the test binary.
	{
		name: "init exits", cause: fails("exits"),
		code: "DIST-NODE-EXIT-EARLY", says: `last words: no licence was found`,
		remedy: `its last words complain of, or have the init function that exits not do so`, follow: corrected, person: "to correct the tests",
	}, {
		name: "init panics", cause: fails("panics"),
		code: "DIST-NODE-INIT-PANIC", says: `failures\.init\.\d panicked: runtime error: index out of range`,
		remedy: `correct \S+failures\.init\.\d`, follow: corrected, person: "to correct the tests",
	}, {
		name: "init is killed", cause: fails("killed"),
		code: "DIST-NODE-SIGNAL", says: `it got SIGKILL, which dist did not send`,
		remedy: `who did it`, follow: corrected, person: "to find who sends it",
	}, {
		name: "init blocks", cause: both(fails("blocks"), impatient),
		code: "DIST-NODE-HANDSHAKE-TIMEOUT", says: `failures\.init\.\d had not returned: \[select \(no cases\)\] in \S+failures\.goWrongOnNode at .+init_test\.go:\d+`,
		remedy: `leave that to the test: \S+failures\.init`, follow: corrected, person: "to correct the tests",
	}, {
		name: "init is slow", cause: func(w *world) {
			impatient(w)
			fails("slow=" + (3 * w.patience).String())(w)
		},
		code: "DIST-NODE-HANDSHAKE-TIMEOUT", says: `had not returned: \[sleep\] in`,
		remedy: `give it longer`, follow: asTold,
	}, {
		name: "init is stopped", cause: both(fails("stopped"), impatient),
		code: "DIST-NODE-HANDSHAKE-TIMEOUT", says: `it is stopped`,
		remedy: `keep the node from being stopped`, follow: corrected, person: "to correct the tests",
	}, {
		name: "init prints to stdout", cause: fails("prints"),
	}, {
		name: "init writes to descriptor 3", cause: fails("junk"),
		code: "DIST-NODE-CHANNEL", says: `wrote to its control channel`,
		remedy: `uses a descriptor by its number`, follow: corrected, person: "to correct the tests",
	}, {
		name: "init starts the test binary again", cause: fails("recursion"),
		code: "DIST-NODE-RECURSION", says: `started by itself 9 times`,
		remedy: `set a variable in the child's environment`, follow: corrected, person: "to correct the tests",
	}, {
		name: "init listens", test: "TestListens", cause: both(fails("init listens"), func(w *world) { w.env["FAILURE_ADDR"] = w.freeAddr() }),
		code: "DIST-ADDR-IN-USE", says: `this very process`,
		remedy: `have it in the test, or in the function that the node runs`, follow: corrected, person: "to correct the tests",
	}, {
		name: "TestMain exits early", binary: e2e.OwnMain, cause: fails("main exits"),
		code: "DIST-NODE-TESTMAIN", says: `the database is set up already`,
		remedy: `os\.Exit\(dist\.Main\(m\)\)`, follow: corrected, person: "to correct the tests",
	}, {
		name: "TestMain panics", binary: e2e.OwnMain, cause: fails("main panics"),
		code: "DIST-NODE-TESTMAIN", says: `TestMain panicked before it reached dist\.Main: the database is set up already`,
		remedy: `os\.Exit\(dist\.Main\(m\)\)`, follow: corrected, person: "to correct the tests",
	}, {
		name: "TestMain runs the tests on nodes", binary: e2e.OwnMain, cause: fails("no divert"),
		code: "DIST-BOOTSTRAP-TESTMAIN", says: `node-\d ran the tests instead of becoming a node`,
		remedy: `os\.Exit\(dist\.Main\(m\)\)`, follow: corrected, person: "to correct the tests",
	}, {
		name: "TestMain without dist.Main", binary: e2e.OwnMain, cause: fails("no dist.Main"),
		code: "DIST-BOOTSTRAP-TESTMAIN", says: `TestMain must hand over to dist\.Main`,
		remedy: `os\.Exit\(dist\.Main\(m\)\)`, follow: corrected, person: "to correct the tests",
	}, {
		name: "a race on a node", test: "TestRace", cause: both(fails("race"), func(w *world) {
			if !manager.RaceEnabled {
				w.Skip("needs -race")
			}
		}),
		code: "DIST-NODE-RACE", says: `exit status 66`,
		remedy: `read the report`, follow: corrected, person: "to correct the tests",
	}, {
		name: "the test binary is removed during the run", test: "TestThem", cause: func(w *world) {
			w.env["FAILURE_MEANWHILE"] = "rm '" + w.ownBinary() + "'"
		},
	}, {
		name: "the test binary is replaced during the run", test: "TestThem", cause: func(w *world) {
			bin := w.ownBinary()
			w.env["FAILURE_MEANWHILE"] = fmt.Sprintf("printf '#!/bin/sh\\nexit 1\\n' >'%s.new'; chmod +x '%[1]s.new'; mv '%[1]s.new' '%[1]s'", bin)
		},
	},

	// Limits.
	{
		name: "ulimit -n", cause: under("ulimit -n 12"),
		code: "DIST-SIZE-MACHINE", says: `the limit of 12 open files \(ulimit -n\)`,
		remedy: `ulimit -n 1024`, follow: func(w *world, remedy string) { w.wrap = nil; before(w, remedy) },
	}, {
		name: "files are not closed", cause: both(fails("leaks"), under("ulimit -n 300")),
		code: "DIST-LIMIT-FILES", says: `this process has \d+ of the 300 descriptors it may have`,
		remedy: `what the tests do not close`, follow: corrected, person: "to correct the tests",
	}, {
		name: "init opens files without end", cause: both(fails("opens"), under("ulimit -n 300")),
		code: "DIST-LIMIT-FILES", says: `its words: open /dev/null: too many open files`,
		remedy: `what the tests do not close`, follow: corrected, person: "to correct the tests",
	}, {
		name: "ulimit -u", cause: func(w *world) {
			w.needsRoot("a user of whom nothing else runs")
			w.uid = 2<<20 + os.Getpid()
			fails("threads=52")(w)
			under("ulimit -u 56")(w)
		},
		code: "DIST-LIMIT-PROCESSES", says: `this user has \d+ of the \d+ processes and threads it may have`,
		remedy: `ulimit -u 4096`, follow: func(w *world, remedy string) { w.wrap = nil; before(w, remedy) },
	}, {
		name: "ulimit -v", test: "TestServer", cause: func(w *world) { w.startedBy("ulimit -v 200000") },
		code: "DIST-LIMIT-MEMORY", says: `no more address space`,
		remedy: `ulimit -v unlimited`, follow: func(w *world, remedy string) { w.startedBy(command(remedy)) },
	}, {
		name: "memory of the control group", cause: func(w *world) {
			w.more = w.cgroup("memory", "memory.limit_in_bytes", strconv.Itoa(eaten<<20))
			fails("eats=" + strconv.Itoa(eaten))(w)
			set("DIST_CLUSTER_START_TIMEOUT", "5m")(w)
		},
		code: "DIST-NODE-OUT-OF-MEMORY", says: `since the node started`,
		remedy: `more memory than the [\d.]+ MiB of its control group`, follow: func(w *world, _ string) { w.more("-1") },
	}, {
		name: "processes of the control group", cause: func(w *world) {
			w.more = w.cgroup("pids", "pids.max", "64")
			fails("threads=62")(w)
		},
		code: "DIST-LIMIT-PIDS-CGROUP", says: `the control group has \d+ of the 64 processes and threads`,
		remedy: `raise it`, follow: func(w *world, _ string) { w.more("1000") },
	}, {
		name: "the deadline is too near", cause: func(w *world) {
			w.hasty = true // all of it may be over before anybody asks for a cluster
			with("-test.timeout=500ms")(w)
		},
		code: "DIST-TIME-DEADLINE", says: `-timeout`,
		remedy: `go test -timeout 30m`, follow: func(w *world, _ string) { w.args = append(w.args, "-test.timeout=30m") },
	}, {
		name: "limit of the configuration", cause: set("DIST_CLUSTER_MAX_NODES", "1"),
		code: "DIST-SIZE-MAX-NODES", says: `DIST_CLUSTER_MAX_NODES=1`,
		remedy: `DIST_CLUSTER_MAX_NODES=2`, follow: asTold,
	}, {
		name: "limit of CI", cause: both(set("CI", "true"), set("DIST_CI_MAX_NODES", "1")),
		code: "DIST-SIZE-CI", says: `DIST_CI_MAX_NODES=1`,
		remedy: `DIST_CI_MAX_NODES=2`, follow: asTold,
	}, {
		name: "limit of the machine", cause: set("DIST_RESOURCES_MAX_NODES_ON_MACHINE", "1"),
		code: "DIST-SIZE-MACHINE", says: `max_nodes_on_machine`,
		remedy: `DIST_RESOURCES_MAX_NODES_ON_MACHINE=2`, follow: asTold,
	}, {
		name: "other tests have the machine", cause: func(w *world) {
			set("DIST_RESOURCES_MAX_NODES_ON_MACHINE", "2")(w)
			w.start("TestHang", "until")
			with("-test.timeout=3s")(w)
		},
		code: "DIST-LIMIT-MACHINE", says: `TestHang of \S+/failures \(pid \d+\) has had 2 nodes`,
		remedy: `go test -timeout 30m`, follow: func(w *world, _ string) {
			w.args = append(w.args, "-test.timeout=30m")
			w.write("until", "") // they take their time, and end
		},
	},

	// Directories.
	{
		name: "temporary directory noexec", cause: func(w *world) { w.tmp = w.mount("noexec", "") },
	}, {
		name: "temporary directory full", cause: func(w *world) { w.tmp = w.mount("nr_inodes=2", `touch "$1/x"`) },
		code: "DIST-DIR-FULL", says: `has no inode left`,
		remedy: `TMPDIR=DIR`, follow: otherTmp,
	}, {
		name: "temporary directory read-only", cause: func(w *world) { w.tmp = w.mount("ro", "") },
		code: "DIST-DIR-READ-ONLY", says: `mount is mounted read-only`,
		remedy: `TMPDIR=DIR`, follow: otherTmp,
	}, {
		name: "temporary directory missing", cause: func(w *world) { w.tmp = filepath.Join(w.dir, "not", "there") },
		code: "DIST-DIR-MISSING", says: `not/there does not exist`,
		remedy: `mkdir -p '.*/not/there'$`, follow: typed,
	}, {
		name: "temporary directory of another user", cause: func(w *world) {
			w.otherUser()
			w.chmod(w.tmp, 0o755)
		},
		code: "DIST-DIR-PERMISSION", says: `belongs to uid 0 and has mode drwxr-xr-x; this is uid \d+`,
		remedy: `TMPDIR=DIR`, follow: otherTmp,
	}, {
		name: "state directory of another user", cause: func(w *world) {
			w.otherUser()
			w.chmod(w.cache, 0o755)
		},
	}, {
		name: "state directory without permission", cause: func(w *world) {
			w.otherUser()
			if err := os.MkdirAll(filepath.Join(w.cache, "dist", "runs"), 0o700); err != nil {
				w.Fatal(err)
			}
		},
	}, {
		name: "state directory read-only", cause: func(w *world) { w.cache = w.mount("ro", "") },
	},

	// Programs: their files.
	{
		name: "program not in PATH", test: "TestServer", cause: serves("command", `["no-such-server"]`),
		code: "DIST-EXEC-NOTFOUND", says: `no-such-server does not exist`,
		remedy: `a bare name is looked up in PATH`, follow: repaired, person: "to know the name",
	}, {
		name: "program not in PATH, of which a part may not be searched", test: "TestServer", cause: func(w *world) {
			w.otherUser()
			dir := w.mkdir("bin")
			w.chmod(dir, 0o700)
			set("PATH", dir+":"+os.Getenv("PATH"))(w)
			serves("command", `["no-such-server"]`)(w)
		},
		code: "DIST-EXEC-NOTFOUND", says: `no-such-server does not exist`,
		remedy: `a bare name is looked up in PATH`, follow: repaired, person: "to know the name",
	}, {
		name: "program not there", test: "TestServer", cause: serves("command", `["/no/such/server"]`),
		code: "DIST-EXEC-NOTFOUND", says: `/no/such/server does not exist`,
		remedy: "check the name: for a program, `command`", follow: repaired, person: "to know the name",
	}, {
		name: "program removed during the run", test: "TestServerAgain", cause: func(w *world) {
			w.commands(w.copyOf(w.executable(), "server"))
			w.env["FAILURE_MEANWHILE"] = "rm '" + filepath.Join(w.dir, "server") + "'"
		},
		code: "DIST-EXEC-NOTFOUND", says: `restart node-1: .*server is not there`,
		remedy: "check the name", follow: func(w *world, _ string) {
			delete(w.env, "FAILURE_MEANWHILE")
			w.copyOf(w.executable(), "server")
		}, person: "to know who removes it",
	}, {
		name: "program not executable", test: "TestServer", cause: func(w *world) {
			w.commands(w.copyOf(w.executable(), "server"))
			w.chmod(filepath.Join(w.dir, "server"), 0o644)
		},
		code: "DIST-EXEC-PERMISSION", says: `has no execute permission \(mode -rw-r--r--\)`,
		remedy: `chmod \+x`, follow: typed,
	}, {
		name: "program of another architecture", test: "TestServer", cause: func(w *world) { w.commands(w.copyOf(w.foreign(), "server")) },
		code: "DIST-EXEC-FORMAT", says: `an ELF program for s390x; this machine runs`,
		remedy: `unset GOOS and GOARCH`, follow: func(w *world, _ string) { w.copyOf(w.executable(), "server") },
	}, {
		name: "program without its interpreter", test: "TestServer", cause: func(w *world) { w.script("#!/no/such/sh") },
		code: "DIST-EXEC-INTERPRETER", says: `/no/such/sh`,
		remedy: `correct the first line`, follow: func(w *world, _ string) { w.script("#!/bin/sh") },
	}, {
		name: "program being written", test: "TestServer", cause: func(w *world) {
			file := w.copyOf(w.executable(), "server")
			w.commands(file)
			writer, err := os.OpenFile(file, os.O_WRONLY, 0)
			if err != nil {
				w.Fatal(err)
			}
			w.done = func() { writer.Close() }
		},
		code: "DIST-EXEC-BUSY", says: `open for writing`,
		remedy: `find the writer: fuser -v`, follow: func(w *world, _ string) { w.done() }, person: "to end what writes",
	}, {
		name: "program with too much to be told", test: "TestServer", cause: serves("env", `{ BIG = "`+strings.Repeat("x", 200<<10)+`" }`),
		code: "DIST-EXEC-ARGS-TOO-LONG", says: `exceed what the system passes on`,
		remedy: "shorten `args` and `env`", follow: repaired, person: "to know what is not needed",
	}, {
		name: "program on a noexec mount", test: "TestServer", cause: func(w *world) {
			dir := w.mount("noexec", `cp '`+w.executable()+`' "$1/server"`)
			w.commands(dir + "/server")
		},
		code: "DIST-EXEC-NOEXEC-MOUNT", says: `mount is mounted noexec`,
		remedy: `put the file elsewhere`, follow: func(w *world, _ string) { w.commands(w.copyOf(w.executable(), "server")) },
	}, {
		name: "program built on a noexec mount", test: "TestServer", cause: func(w *world) { w.cache = w.mount("noexec", "") },
		code: "DIST-EXEC-NOEXEC-MOUNT", says: `mount is mounted noexec`,
		remedy: `XDG_CACHE_HOME=DIR`, follow: func(w *world, _ string) { w.cache = w.mkdir("other cache") },
	}, {
		name: "program does not build", test: "TestServer", cause: func(w *world) {
			w.module("package main\n\nfunc main() { undefined() }\n")
		},
		code: "DIST-PROGRAM-BUILD", says: `main\.go:3:15: undefined`,
		remedy: `run it by hand`, follow: func(w *world, _ string) { w.module("package main\n\nfunc main() { select {} }\n") }, person: "to correct the program",
	},

	// Programs: what they do.
	{
		name: "program exits", test: "TestServer", cause: faulty("-fault=exits"),
		code: "DIST-NODE-EXIT-EARLY", says: `last words: .*the schema is of another version`,
		remedy: `the program's last words`, follow: repaired, person: "to understand its words",
	}, {
		name: "program panics", test: "TestServer", cause: faulty("-fault=panics"),
		code: "DIST-NODE-PANIC", says: `assignment to entry in nil map`,
		remedy: `read the first goroutine`, follow: repaired, person: "to correct the program",
	}, {
		name: "program is killed", test: "TestServer", cause: serves("args", quotes(listenArg, "-fault=killed")),
		code: "DIST-NODE-SIGNAL", says: `it got SIGKILL`,
		remedy: `who did it`, follow: repaired, person: "to find who sends it",
	}, {
		name: "program hangs", test: "TestServer", cause: faulty("-fault=hangs"),
		code: "DIST-PROGRAM-NOT-READY", says: `it listens on no port`,
		remedy: `see in the log what it waits for`, follow: repaired, person: "to correct the program",
	}, {
		name: "program is slow", test: "TestServer", cause: func(w *world) {
			faulty("-slow="+(2*w.patience).String(), "-quiet")(w)
		},
		code: "DIST-PROGRAM-NOT-READY", says: `it listens on no port`,
		remedy: `give it longer: ready = { …, timeout = "60s" }`, follow: func(w *world, _ string) { w.server["ready"] = `{ tcp = "main", timeout = "60s" }` },
	}, {
		name: "program on another port", test: "TestServer", cause: faulty("-listen=127.0.0.1:0"),
		code: "DIST-PROGRAM-NOT-READY", says: `it listens on 127\.0\.0\.1:\d+`,
		remedy: `have it listen where it is asked, 127[\d.]+:\d+: {{\.Listen "PORT"}}`, follow: repaired,
	}, {
		name: "program answers 500", test: "TestServer", cause: serves("args", quotes("-status=500", listenArg), "ready", `{ http = "main", path = "/health", timeout = "5s" }`),
		code: "DIST-PROGRAM-NOT-READY", says: `HTTP 500 Internal Server Error: "the database is not migrated"`,
		remedy: `see in its answer and its log what it lacks`, follow: func(w *world, _ string) { w.server["args"] = quotes(listenArg) }, person: "to repair the program",
	}, {
		name: "program is never ready", test: "TestServer", cause: func(w *world) {
			serves("ready", `{ log = "ready to serve", timeout = "`+w.hurry()+`" }`)(w)
		},
		code: "DIST-PROGRAM-NOT-READY", says: `no line of its output matches ready to serve`,
		remedy: `see in the log`, follow: func(w *world, _ string) { w.server["ready"] = `{ log = "serving on" }` }, person: "to know its words",
	}, {
		name: "program with an unknown flag", test: "TestServer", cause: faulty("-no-such-flag"),
		code: "DIST-NODE-FLAGS", says: `a flag that it does not know: -no-such-flag`,
		remedy: "take -no-such-flag out of `args` in \\[program\\.server\\]", follow: repaired,
	}, {
		name: "program with a port that a stranger has", test: "TestServer", cause: func(w *world) {
			addr := w.holds("127.0.0.1:0")
			serves("args", quotes("-listen="+addr), "ready", `{ log = "serving on" }`)(w)
		},
		code: "DIST-ADDR-IN-USE", says: `pid \d+ \(.*server -listen=127\.0\.0\.1:0\) has 127`,
		remedy: `kill \d+$`, follow: func(w *world, remedy string) { typed(w, remedy); w.done() },
	}, {
		name: "program with a port that a leftover has", test: "TestServer", cause: func(w *world) {
			addr := w.leftover()
			w.cache = w.mkdir("cache of a run that does not know of it")
			otherTmp(w, "") // nor finds its directory
			serves("args", quotes("-listen="+addr), "ready", `{ log = "serving on" }`)(w)
		},
		code: "DIST-ADDR-IN-USE", says: `pid \d+ \(.*server -listen=127[\d.:]+ -for=5m\), which a run of distributed tests has started of which nothing is known`,
		remedy: `kill \d+$`, follow: func(w *world, remedy string) { typed(w, remedy); w.done() },
	}, {
		name: "program with a port that a leftover of a known run has", test: "TestServer", cause: func(w *world) {
			addr := w.leftover()
			serves("args", quotes("-listen="+addr), "ready", `{ log = "serving on" }`)(w)
			set("DIST_FALLBACK_RETRIES", "8")(w) // it is removed meanwhile
		},
	}, {
		name: "program with a port of the administrator", test: "TestServer", cause: func(w *world) {
			if os.Getuid() == 0 {
				w.otherUser()
			}
			if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err != nil || strings.TrimSpace(string(b)) != "1024" {
				w.Skipf("anybody may listen on low ports here: %s, %v", b, err)
			}
			serves("args", quotes("-listen=127.0.0.1:81"), "ready", `{ log = "serving on" }`)(w)
		},
		code: "DIST-ADDR-PERMISSION", says: `port 81 is one of those only an administrator may use`,
		remedy: "{{\\.Listen \"PORT\"}} in its `args`", follow: repaired,
	}, {
		name: "localhost does not resolve", test: "TestServer", cause: func(w *world) {
			serves("args", quotes("-listen=localhost:0"), "ready", `{ log = "serving on" }`)(w)
			w.private("-m", "mount --bind '"+w.write("hosts", "127.0.1.1 other\n")+"' /etc/hosts\nmount --bind '"+w.write("resolv.conf", "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n")+"' /etc/resolv.conf")
		},
		code: "DIST-ADDR-RESOLVE", says: `localhost is in neither /etc/hosts nor the DNS`,
		remedy: `add it to /etc/hosts: 127\.0\.0\.1 localhost`, follow: func(w *world, remedy string) { w.write("hosts", command(remedy)+"\n") },
	}, {
		name: "the loopback interface is down", test: "TestServer", cause: func(w *world) {
			w.server = map[string]string{}
			w.needs("needs ip", "ip", "-V")
			w.private("-n", "true")
		},
		code: "DIST-ADDR-UNAVAILABLE", says: `the loopback interface is down`,
		remedy: `ip link set lo up`, follow: before,
	}, {
		name: "the loopback interface has one address", test: "TestServer", cause: func(w *world) {
			w.server = map[string]string{}
			w.needs("needs ip", "ip", "-V")
			w.private("-n", "ip link set lo up; ip address del 127.0.0.1/8 dev lo; ip address add 127.0.0.1/32 dev lo")
		},
		code: "DIST-ADDR-UNAVAILABLE", says: `127[\d.]+:\d+ belongs to no interface here`,
		remedy: `DIST_NETWORK_ADDRESSES=ports`, follow: asTold,
	}, {
		name: "the range of addresses is used up", test: "TestServer", cause: func(w *world) {
			w.server = map[string]string{}
			addr := w.holds("127.0.0.1:0")
			_, port, _ := net.SplitHostPort(addr)
			set("DIST_NETWORK_ADDRESSES", "ports")(w)
			set("DIST_NETWORK_RANGE", port+"-"+port)(w)
		},
		code: "DIST-ADDR-EXHAUSTED", says: `is taken`,
		remedy: `widen range in \[network\]`, follow: func(w *world, _ string) { delete(w.env, "DIST_NETWORK_RANGE") },
	},

	// The configuration.
	{
		name: "broken template", test: "TestServer", cause: serves("args", quotes(`-listen={{.Lisen "main"}}`)),
		code: "DIST-CONFIG-INVALID", says: `distributed\.toml:2:\d+: .*unknown field \.Lisen; did you mean "Listen"\?`,
		remedy: `correct what the message names`, follow: repaired, person: "to correct the file",
	}, {
		name: "broken TOML", test: "TestServer", cause: func(w *world) { w.config = "[program.server\n" },
		code: "DIST-CONFIG-INVALID", says: `distributed\.toml:1:\d+: expected`,
		remedy: `correct what the message names`, follow: func(w *world, _ string) { w.config = w.section() }, person: "to correct the file",
	}, {
		name: "unknown key", test: "TestServer", cause: serves("comand", `["server"]`),
		code: "DIST-CONFIG-INVALID", says: `did you mean "?command`,
		remedy: `correct what the message names`, follow: repaired, person: "to correct the file",
	}, {
		name: "bad variable", cause: set("DIST_CLUSTER_MAX_NODES", "many"),
		code: "DIST-CONFIG-INVALID", says: `DIST_CLUSTER_MAX_NODES`,
		remedy: `correct what the message names`, follow: func(w *world, _ string) { delete(w.env, "DIST_CLUSTER_MAX_NODES") }, person: "to know the number",
	}, {
		name: "unknown program", test: "TestOther", cause: func(w *world) { w.config = w.section() },
		code: "DIST-CONFIG-PROGRAM", says: `neither \[program\.other\] nor \[attach\.other\]`,
		remedy: `add \[program\.other\] to distributed\.toml`, follow: func(w *world, _ string) { w.config += strings.Replace(w.section(), ".server", ".other", 1) },
	}, {
		name: "the test binary was moved", cause: func(w *world) { w.cwd = w.dir },
		code: "DIST-CONFIG-MISSING", says: `generated with`,
		remedy: `name it: DIST_CONFIG=`, follow: func(w *world, _ string) { w.env["DIST_CONFIG"] = w.abs(e2e.Failures.Dir(), "distributed.toml") },
	},

	// Clusters of others.
	{
		name: "an attached cluster is down", test: "TestOther", cause: func(w *world) {
			w.addr = w.freeAddr()
			w.config = fmt.Sprintf("[attach.other]\nnodes = [{ main = %q }]\n", w.addr)
			impatient(w)
		},
		code: "DIST-CLUSTER-UNREACHABLE", says: `connection refused`,
		remedy: `see that the cluster runs`, follow: func(w *world, _ string) {
			w.holds(w.addr)
			delete(w.env, "DIST_CLUSTER_START_TIMEOUT")
		}, person: "to start it",
	}, {
		name: "the owner of a cluster speaks another version", test: "TestServer", cause: func(w *world) {
			w.server = map[string]string{}
			_, w.done = w.owner("-protocol=99")
			set("DIST_CLUSTER_MODE", "manual")(w)
		},
		code: "DIST-CLUSTER-VERSION", says: `it speaks version 99 of the protocol \(dist v9\.0\.0\), this process version \d+`,
		remedy: `use one version`, follow: func(w *world, _ string) { w.done(); w.owner() },
	}, {
		name: "the owner of a cluster speaks another version, and may be done without", test: "TestServer", cause: func(w *world) {
			w.server = map[string]string{}
			w.owner("-protocol=99")
		},
	}, {
		name: "wrong secret", test: "TestServer", cause: func(w *world) {
			w.server = map[string]string{}
			file, end := w.owner()
			b, err := os.ReadFile(file)
			if err != nil {
				w.Fatal(err)
			}
			secret := regexp.MustCompile(`("secret":")[^"]*`)
			if err := os.WriteFile(file, secret.ReplaceAll(b, []byte("${1}"+strings.Repeat("x", 32))), 0o600); err != nil {
				w.Fatal(err)
			}
			w.done = end
			set("DIST_CLUSTER_MODE", "manual")(w)
		},
		code: "DIST-CLUSTER-REFUSED", says: `it hung up on what .*\.owner says is its secret`,
		remedy: `end that owner, which the evidence names, and start the cluster again`, follow: func(w *world, _ string) { w.done(); w.owner() },
	}, {
		name: "stale registry", test: "TestServer", cause: func(w *world) {
			w.server = map[string]string{}
			w.stale()
		},
	}, {
		name: "stale registry, and none may be started", test: "TestServer", cause: func(w *world) {
			w.server = map[string]string{}
			w.stale()
			set("DIST_CLUSTER_MODE", "manual")(w)
		},
		code: "DIST-MODE-MANUAL", says: `no cluster of server with 1 node is up`,
		remedy: `DIST_CLUSTER_MODE=auto`, follow: asTold,
	}, {
		name: "the owner of the run has ended", test: "TestServer", cause: func(w *world) {
			w.server = map[string]string{}
			w.env["DIST_OWNER"] = w.stale()
		},
	},
}

const listenArg = `-listen={{.Listen "main"}}`

// eaten is how much memory a node takes that eats, in MiB: more than anything
// else in this test.
const eaten = 200

var (
	firstCode   = regexp.MustCompile(`\[(DIST-[A-Z-]+)\]`)
	firstRemedy = regexp.MustCompile(`(?m)^ +remedy: +(.*)$`)
)

// TestFailures has each failure happen, and looks at what is told first. Then
// it does as the first remedy says, and the same run has to pass.
func TestFailures(t *testing.T) {
	names := make(map[string]bool)
	for _, f := range failures {
		if names[f.name] {
			t.Fatalf("two failures are called %q", f.name)
		}
		names[f.name] = true
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w, remedy := happen(t, &f)
			if f.code == "" {
				return
			}
			f.follow(w, remedy)
			if _, wrong := w.try(&f, ""); wrong != "" {
				t.Fatal(wrong)
			}
		})
	}
}

// happen has a failure happen, and returns where it did and the first remedy. What
// does not come as far as that within the little time it has gets more of it:
// machines are slow at times.
func happen(t *testing.T, f *failure) (w *world, remedy string) {
	for patience := time.Second; ; patience *= 4 {
		w = newWorld(t)
		w.patience = patience
		w.args = []string{"-test.run=^" + cmp.Or(f.test, "TestTwo") + "$"}
		f.cause(w)
		out, wrong := w.try(f, f.code)
		if f.code != "" && wrong == "" {
			remedy, wrong = f.told(out)
		}
		switch {
		case wrong == "":
			return w, remedy
		case !w.hasty || patience > time.Minute:
			t.Fatal(wrong)
		}
	}
}

// told returns the first remedy of what is told, or what is wrong with it.
func (f *failure) told(out string) (remedy, wrong string) {
	m := firstRemedy.FindStringSubmatch(out)
	switch {
	case !regexp.MustCompile(f.says).MatchString(out):
		return "", fmt.Sprintf("output does not have %q\n%s", f.says, out)
	case m == nil || !regexp.MustCompile(f.remedy).MatchString(m[1]):
		return "", fmt.Sprintf("the first remedy is not %q\n%s", f.remedy, out)
	}
	return m[1], ""
}

// try runs the test binary, which has to fail with a code, or to pass if that is
// "", and leaves nothing behind. It returns what is printed, and what is wrong.
func (w *world) try(f *failure, code string) (out, wrong string) {
	w.Helper()
	r := w.run(cmp.Or(f.binary, e2e.Failures))
	err := r.Cmd.Run()
	out = r.Out.String()
	if r.Cmd.ProcessState == nil {
		w.Fatal(err)
	}
	got := ""
	if m := firstCode.FindStringSubmatch(out); m != nil {
		got = m[1]
	}
	if (err == nil) != (code == "") || got != code {
		return out, fmt.Sprintf("%v, and the first code is %q; want %q\n%s", err, got, code, out)
	}
	if !w.shared {
		r.Clean(w.T)
	}
	return out, ""
}
