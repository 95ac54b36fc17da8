package diagnostics

import (
	"slices"
	"sync"
	"time"
)

// The codes. The word after DIST says which part of the world is concerned:
// EXEC starting a file, NODE a node's process, ADDR addresses, LIMIT what the
// system allows, DIR directories, CONFIG and MODE what the configuration says,
// BOOTSTRAP the generated file and TestMain, SIZE how many nodes, CLUSTER those
// that others own or that run already, PROGRAM nodes that run one, ENGINE what
// starts nodes, TIME deadlines, USE how the library is called, LEFT what a test
// left behind. A code never changes its meaning.
const (
	ExecNotFound    Code = "DIST-EXEC-NOTFOUND"
	ExecInterpreter Code = "DIST-EXEC-INTERPRETER"
	ExecPermission  Code = "DIST-EXEC-PERMISSION"
	ExecNoExecMount Code = "DIST-EXEC-NOEXEC-MOUNT"
	ExecFormat      Code = "DIST-EXEC-FORMAT"
	ExecBusy        Code = "DIST-EXEC-BUSY"
	ExecArgsTooLong Code = "DIST-EXEC-ARGS-TOO-LONG"

	NodeExitEarly        Code = "DIST-NODE-EXIT-EARLY"
	NodeInitPanic        Code = "DIST-NODE-INIT-PANIC"
	NodeFlags            Code = "DIST-NODE-FLAGS"
	NodeTestMain         Code = "DIST-NODE-TESTMAIN"
	NodeHandshakeTimeout Code = "DIST-NODE-HANDSHAKE-TIMEOUT"
	NodeNoChannel        Code = "DIST-NODE-NO-CHANNEL"
	NodeChannel          Code = "DIST-NODE-CHANNEL"
	NodeRecursion        Code = "DIST-NODE-RECURSION"
	NodeExit             Code = "DIST-NODE-EXIT"
	NodeSignal           Code = "DIST-NODE-SIGNAL"
	NodeOutOfMemory      Code = "DIST-NODE-OUT-OF-MEMORY"
	NodePanic            Code = "DIST-NODE-PANIC"
	NodeRace             Code = "DIST-NODE-RACE"
	NodeHung             Code = "DIST-NODE-HUNG"
	NodeExitUnnoticed    Code = "DIST-NODE-EXIT-UNNOTICED"

	AddrInUse       Code = "DIST-ADDR-IN-USE"
	AddrExhausted   Code = "DIST-ADDR-EXHAUSTED"
	AddrUnavailable Code = "DIST-ADDR-UNAVAILABLE"
	AddrPermission  Code = "DIST-ADDR-PERMISSION"
	AddrResolve     Code = "DIST-ADDR-RESOLVE"

	LimitFiles       Code = "DIST-LIMIT-FILES"
	LimitFilesSystem Code = "DIST-LIMIT-FILES-SYSTEM"
	LimitProcesses   Code = "DIST-LIMIT-PROCESSES"
	LimitPIDs        Code = "DIST-LIMIT-PIDS-CGROUP"
	LimitMemory      Code = "DIST-LIMIT-MEMORY"
	LimitMachine     Code = "DIST-LIMIT-MACHINE"

	DirPermission Code = "DIST-DIR-PERMISSION"
	DirFull       Code = "DIST-DIR-FULL"
	DirReadOnly   Code = "DIST-DIR-READ-ONLY"
	DirMissing    Code = "DIST-DIR-MISSING"

	ConfigInvalid Code = "DIST-CONFIG-INVALID"
	ConfigMissing Code = "DIST-CONFIG-MISSING"
	ConfigProgram Code = "DIST-CONFIG-PROGRAM"
	ConfigPort    Code = "DIST-CONFIG-PORT"

	BootstrapMissing  Code = "DIST-BOOTSTRAP-MISSING"
	BootstrapStale    Code = "DIST-BOOTSTRAP-STALE"
	BootstrapTestMain Code = "DIST-BOOTSTRAP-TESTMAIN"

	SizeMaxNodes Code = "DIST-SIZE-MAX-NODES"
	SizeCI       Code = "DIST-SIZE-CI"
	SizeMachine  Code = "DIST-SIZE-MACHINE"

	ModeOff    Code = "DIST-MODE-OFF"
	ModeManual Code = "DIST-MODE-MANUAL"
	ModeShort  Code = "DIST-MODE-SHORT"

	ClusterBusy        Code = "DIST-CLUSTER-BUSY"
	ClusterGone        Code = "DIST-CLUSTER-GONE"
	ClusterSize        Code = "DIST-CLUSTER-SIZE"
	ClusterUnfit       Code = "DIST-CLUSTER-UNFIT"
	ClusterUnreachable Code = "DIST-CLUSTER-UNREACHABLE"
	ClusterVersion     Code = "DIST-CLUSTER-VERSION"
	ClusterRefused     Code = "DIST-CLUSTER-REFUSED"

	ProgramBuild     Code = "DIST-PROGRAM-BUILD"
	ProgramNotReady  Code = "DIST-PROGRAM-NOT-READY"
	ProgramUnhealthy Code = "DIST-PROGRAM-UNHEALTHY"
	ProgramReset     Code = "DIST-PROGRAM-RESET"
	ProgramStop      Code = "DIST-PROGRAM-STOP"

	EnginePlatform Code = "DIST-ENGINE-PLATFORM"

	TimeDeadline Code = "DIST-TIME-DEADLINE"
	TimeCanceled Code = "DIST-TIME-CANCELED"

	UseParallel     Code = "DIST-USE-PARALLEL"
	UseFuzz         Code = "DIST-USE-FUZZ"
	UseConflict     Code = "DIST-USE-CONFLICT"
	UseClosure      Code = "DIST-USE-CLOSURE"
	UseMethodValue  Code = "DIST-USE-METHOD-VALUE"
	UseUnregistered Code = "DIST-USE-UNREGISTERED"
	UseValue        Code = "DIST-USE-VALUE"

	LeftGoroutine Code = "DIST-LEFT-GOROUTINE"
	LeftListener  Code = "DIST-LEFT-LISTENER"
	LeftChild     Code = "DIST-LEFT-CHILD"

	Unknown Code = "DIST-UNKNOWN"
)

// Codes returns every code there is, in the order of the documentation.
func Codes() []Code {
	codes := make([]Code, len(table()))
	for i, r := range table() {
		codes[i] = r.code
	}
	return codes
}

// A row is everything that is known about one diagnosis before it happens.
//
// Problem, causes and remedies are templates: {word} stands for a fact of the
// failure (see facts in diagnose.go). A template with a fact that is not known
// is passed over, so a row lists the precise words first and ends with ones
// that are always true.
type row struct {
	code     Code
	title    string   // a short clause, the heading in the documentation
	problem  string   // completes "cannot OPERATION: "; "" is the title
	causes   []string // the first one whose facts are known is taken
	explain  string   // a paragraph for the documentation
	evidence string   // what is looked at, for the documentation
	remedies []remedy // all whose facts are known and whose system it is
	retry    time.Duration
	reduce   bool
	skip     bool
}

// A remedy is one thing to do, on the operating system it helps on.
type remedy struct {
	on   string // runtime.GOOS, "unix" for all but Windows, "" for every one
	text string
}

// suits reports whether the remedy helps on goos.
func (r remedy) suits(goos string) bool {
	return r.on == "" || r.on == goos || r.on == "unix" && goos != "windows"
}

// always makes remedies that help everywhere.
func always(texts ...string) []remedy {
	rs := make([]remedy, len(texts))
	for i, text := range texts {
		rs[i] = remedy{text: text}
	}
	return rs
}

// find returns the row of code, or nil.
func find(code Code) *row {
	i := slices.IndexFunc(table(), func(r *row) bool { return r.code == code })
	if i < 0 {
		return nil
	}
	return table()[i]
}

// table is made when something goes wrong, which it does not in most processes.
var table = sync.OnceValue(func() []*row {
	return []*row{
		// EXEC

		{
			code:     ExecNotFound,
			title:    "the file to be started is not there",
			problem:  "{path} is not there",
			causes:   []string{"{path} does not exist", "{err}"},
			explain:  "The system knows no file by the name of the node's executable. A test binary can lose its file while it runs, if something empties the temporary directory in which `go test` built it; a `command` in distributed.toml may be misspelt or not installed.",
			evidence: "the system's error, whether the file exists",
			remedies: []remedy{
				{"", "check the name: for a program, `command` in [program.NAME] of distributed.toml; a bare name is looked up in PATH"},
				{"", "put the file there, if it is the name that is right: install the program, or build it again"},
				{"unix", "if the file lay in the temporary directory, keep cleaners away from it, or build elsewhere: GOTMPDIR=DIR go test ./..."},
				{"windows", "if a virus scanner removed the file, exempt the directory that GOTMPDIR names"},
			},
		}, {
			code:     ExecInterpreter,
			title:    "the file needs an interpreter that is not there",
			problem:  "{path} needs {interpreter}, which is not there",
			causes:   []string{"{path} exists, but the {interpreter} that it asks for does not", "{err}"},
			explain:  "The system answers \"no such file or directory\" for a file that is there when what it needs to run is not: the interpreter on a script's first line, or the dynamic loader that a program was linked for (a program built against glibc on a system with musl, for instance).",
			evidence: "the first line of the script, or the loader that the ELF header names",
			remedies: []remedy{
				{"", "correct the first line of the script, and see that it does not end in a carriage return"},
				{"", "install {interpreter}"},
				{"linux", "build a Go program without cgo, so that it needs no loader: CGO_ENABLED=0"},
			},
		}, {
			code:    ExecPermission,
			title:   "the file may not be executed",
			problem: "{path} may not be executed",
			causes: []string{
				"{path} is a directory{if-directory}",
				"{path} has no execute permission (mode {mode}){if-noexecbit}",
				"{err}",
			},
			explain:  "The file is there but this user may not execute it: it has no execute bit, a directory above it may not be searched, or a security policy (SELinux, AppArmor, seccomp) forbids it.",
			evidence: "mode and owner of the file, and the user that the test runs as",
			remedies: []remedy{
				{"unix", "chmod +x {path}"},
				{"unix", "see that every directory above the file may be searched: namei -l {path}"},
				{"linux", "if the mode is right, ask the security policy: ausearch -m avc, dmesg"},
				{"darwin", "if the file was downloaded: xattr -d com.apple.quarantine {path}"},
				{"darwin", "check the file's mode and owner, and allow it under Privacy & Security"},
				{"windows", "check the file's security settings, and whether a virus scanner or AppLocker blocks it"},
				{"", "check the file's permissions and owner, and those of the directories above it"},
			},
		}, {
			code:     ExecNoExecMount,
			title:    "the file lies on a file system mounted noexec",
			problem:  "{path} may not be executed",
			causes:   []string{"{mount} is mounted noexec: nothing on it can be started"},
			explain:  "Some hardened systems mount /tmp or home directories with the option noexec. `go test` builds test binaries under GOTMPDIR (by default TMPDIR, or /tmp) and could not run them either, so this concerns programs, and test binaries that were moved. What dist builds from the `package` of a program is in the user's cache directory.",
			evidence: "the mount flags of the file system that the file is on",
			remedies: []remedy{
				{"", "have programs built in another place: XDG_CACHE_HOME=DIR go test ./...{if-built}"},
				{"", "put the file elsewhere, or build elsewhere: GOTMPDIR=$HOME/tmp go test ./..."},
				{"unix", "as root: mount -o remount,exec {mount}"},
			},
		}, {
			code:     ExecFormat,
			title:    "the file is not a program for this machine",
			problem:  "{path} is not a program for this machine",
			causes:   []string{"{path} is {format}; this machine runs {platform}", "{err}"},
			explain:  "The file is executable by its mode but not by its contents: it was built for another operating system or processor, is a script without a first line that names its interpreter, or is empty or cut off.",
			evidence: "the first bytes of the file: ELF, Mach-O, PE or text",
			remedies: []remedy{
				{"", "build the program for this machine: unset GOOS and GOARCH, or set them to {platform}"},
				{"unix", "a script needs a first line such as #!/bin/sh"},
				{"linux", "to run foreign programs through an emulator, install qemu-user and binfmt support"},
				{"darwin", "for amd64 programs on Apple silicon: softwareupdate --install-rosetta"},
			},
		}, {
			code:     ExecBusy,
			title:    "the file is still being written",
			problem:  "{path} is still open for writing",
			causes:   []string{"some process has {path} open for writing", "{err}"},
			explain:  "A program cannot be started while any process has its file open for writing. A process that was forked at the wrong moment can hold such a descriptor for an instant after the build has closed its own, so this passes by itself unless something really keeps writing.",
			evidence: "the system's error",
			remedies: []remedy{
				{"linux", "find the writer: fuser -v {path}"},
				{"", "write the program under another name and rename it when it is complete"},
			},
			retry: 50 * time.Millisecond,
		}, {
			code:     ExecArgsTooLong,
			title:    "arguments and environment are too long",
			problem:  "arguments and environment are too long",
			causes:   []string{"arguments and environment of {path} exceed what the system passes on to a new process", "{err}"},
			explain:  "The system bounds how much a new process may be given: on Linux a quarter of the stack limit in all and 128 KiB for a single string, on macOS 1 MiB, on Windows 32 767 characters.",
			evidence: "the system's error",
			remedies: []remedy{
				{"", "shorten `args` and `env` of the program in distributed.toml: put long values into a file"},
				{"unix", "see how long the environment is: env | wc -c; unset what is large"},
				{"linux", "raise the stack limit, of which a quarter may be arguments: ulimit -s 65536"},
			},
		},

		// NODE

		{
			code:     NodeExitEarly,
			title:    "a node exited before it answered",
			problem:  "{node} exited before it answered ({exit})",
			causes:   []string{"it ended by itself; its last words: {lastlog}", "it ended by itself, without a word, before it reported ready"},
			explain:  "The process was started and ended before it was ready. For a node of the test binary, that is within package initialization, flag parsing or TestMain; for a program, its own log says why.",
			evidence: "exit status or signal, how long it lived, the last lines of its log",
			remedies: always(
				"see to what the program's last words complain of, or start it by hand as dist did: the command is in the evidence{if-program}",
				"see to what its last words complain of, or have the init function that exits not do so on a node{if-spoke}{if-binary}",
				"look for os.Exit, log.Fatal and syscalls in init functions and package variables of the tests and what they import",
				"run what happens before any test by itself, without dist: go test -run '^$' .",
				"for a program, start it by hand with the arguments that distributed.toml gives it",
			),
			retry: 100 * time.Millisecond,
		}, {
			code:     NodeInitPanic,
			title:    "package initialization panicked on a node",
			problem:  "{node} exited before it answered ({exit})",
			causes:   []string{"{initfunc} panicked: {panic}", "package init panicked: {panic}", "package init panicked"},
			explain:  "Nodes run the test binary again, and with it every init function and package variable. One of them panicked: often because it wants something that only one process can have (a port, a lock file, a registration), or that an environment variable or the working directory provides.",
			evidence: "the panic and its first goroutine, in the node's log",
			remedies: always(
				"correct {initfunc}; if it takes what only one process can have, take that in the test, or in the function that the node runs",
				"if init takes something that only one process can have, take it in the test, or in the function that the node runs",
				"run the test binary's init code by itself: go test -run '^$' .",
			),
		}, {
			code:     NodeFlags,
			title:    "a node did not understand its flags",
			problem:  "{node} exited before it answered ({exit})",
			causes:   []string{"it was given a flag that it does not know: {flag}", "it rejected its command line"},
			explain:  "Something parsed the command line before the test binary became a node: an init function or a TestMain that calls flag.Parse, or a program whose `args` do not fit its version.",
			evidence: "exit status 2 and the flag package's message in the node's log",
			remedies: always(
				"take {flag} out of `args` in [program.{name}] of distributed.toml, or use a version of the program that has it{if-program}",
				"do not call flag.Parse in an init function; in a TestMain of your own, do it in the Run method that you pass to dist.Main",
				"for a program, compare `args` in distributed.toml with its -help",
			),
		}, {
			code:     NodeTestMain,
			title:    "TestMain ended the node before dist.Main was reached",
			problem:  "{node} exited before it answered ({exit})",
			causes:   []string{"TestMain panicked before it reached dist.Main: {panic}", "this package's TestMain does something before dist.Main, or does not reach it"},
			explain:  "The package has a TestMain of its own. A node is the same binary and runs the same TestMain: whatever stands before dist.Main happens on every node too, and if it exits there, no node ever answers.",
			evidence: "a TestMain of the package's own, exit status, the last lines of the node's log",
			remedies: always(
				"make this the only statement of TestMain: os.Exit(dist.Main(m))",
				"move set-up and tear-down into a type with a Run() int method that wraps m, and pass that to dist.Main",
				"go vet -vettool=\"$(go tool -n distvet)\" . reports such a TestMain, with the fix",
			),
		}, {
			code:    NodeHandshakeTimeout,
			title:   "a node did not answer in time",
			problem: "{node} did not answer within {limit}",
			causes: []string{
				"it is stopped: by SIGSTOP, a debugger, or because it wanted to read from the terminal{if-stopped}",
				"{initfunc} had not returned: {blocked}",
				"something before its first answer had not returned: {blocked}",
				"it runs, but something before its first answer blocks or is slow; its last words: {lastlog}",
				"it runs, but something before its first answer (package init, TestMain, the program's own start) blocks or is slow",
			},
			explain:  "The process is alive but has not reported ready. Usually an init function waits for something (a network, a lock that the test process holds, standard input), a program takes longer than `ready.timeout`, or the machine is so busy that nothing gets on.",
			evidence: "how long was waited, the stacks of the node's goroutines and the last lines of its log; on Linux what its process does, the load and memory of the machine",
			remedies: always(
				"keep the node from being stopped: no SIGSTOP in an init function, no debugger that waits{if-stopped}",
				"if it waits for what a node does not have, leave that to the test: {initfunc} runs on every node{if-waits}",
				"give it longer: DIST_CLUSTER_START_TIMEOUT=1m, start_timeout in [cluster] of distributed.toml, or timeout=1m in the directive",
				"run what happens before any test by itself and see whether it ends: go test -run '^$' -timeout 30s .",
				"for a program, check that `ready` in distributed.toml describes what it really answers",
			),
			retry:  time.Second,
			reduce: true,
		}, {
			code:     NodeNoChannel,
			title:    "started as a node, but there is nobody to answer to",
			problem:  "this process was started as a node, but has no control channel",
			causes:   []string{"the environment says it is a node, but the channel inherited from the test process is missing or not what it should be; it stops here so that it cannot start nodes without end", "{err}"},
			explain:  "A node learns from its environment that it is one, and checks that against an inherited descriptor. If the first is there and the second is not, the process must not go on as a test: it would start nodes of its own, and those more. This happens when a process on a node starts the test binary again with a copied environment, or when a wrapper (`go test -exec`, a debugger) closes descriptors.",
			evidence: "the node's environment and its descriptor",
			remedies: always(
				"if you start the test binary yourself, do not hand it an environment copied from a node's first moments",
				"if `go test -exec` or another wrapper starts it, let descriptors above 2 through",
			),
		}, {
			code:     NodeChannel,
			title:    "something else than the node's control channel was written to it",
			problem:  "what {node} sent makes no sense",
			causes:   []string{"something on the node wrote to its control channel, which is descriptor 3: {err}", "something on the node wrote to its control channel, which is descriptor 3"},
			explain:  "A node and its test process talk over descriptor 3 of the node. Code that takes that number for something else, because it was so when it ran alone (a socket handed over by a supervisor, a pipe of its own), writes into the middle of it.",
			evidence: "what could not be read, the last lines of the node's log",
			remedies: always(
				"look for code that uses a descriptor by its number, os.NewFile(3, …) or a LISTEN_FDS protocol, in init functions and what they import, and keep it from running on nodes",
				"see what the node does with its descriptors: strace -f -e trace=write go test ./...",
			),
		}, {
			code:     NodeRecursion,
			title:    "the test binary starts itself again and again",
			problem:  "{node} started this test binary again, and that itself again",
			causes:   []string{"code that runs before TestMain, or instead of dist.Main, starts os.Args[0] or os.Executable(), in every process anew: {recursion}", "code that runs before TestMain, or instead of dist.Main, starts os.Args[0] or os.Executable(), in every process anew"},
			explain:  "A package that runs its test binary again as a helper process must tell the two apart before it does so, or every process starts one more. After a few generations dist stops the binary.",
			evidence: "how many of them have started each other, the last lines of the node's log",
			remedies: always(
				"have the code that starts the test binary again not run in what it has started, nor on nodes: set a variable in the child's environment and look for it first",
			),
		}, {
			code:     NodeExit,
			title:    "a node exited while it was in use",
			problem:  "{node} exited ({exit})",
			causes:   []string{"it ended by itself, without a panic: os.Exit, log.Fatal or the end of main; its last words: {lastlog}", "it ended by itself, without a panic: os.Exit, log.Fatal or the end of main"},
			explain:  "The node's process ended by its own doing while the test still used it. Code under test that calls os.Exit or log.Fatal ends the whole node; so does runtime.Goexit of the last goroutine.",
			evidence: "exit status, the last lines of the node's log",
			remedies: always(
				"look for os.Exit and log.Fatal in what the node ran; let it return an error instead",
				"if the test means the node to end, use Node.Stop or Node.Kill, so that it counts as intended",
			),
		}, {
			code:     NodeSignal,
			title:    "a signal ended a node",
			problem:  "{node} was ended from outside ({exit})",
			causes:   []string{"it got {signal}, which dist did not send; the kernel's OOM killer was at work ({oomkills} so far), perhaps here too", "it got {signal}, which dist did not send", "{exit}"},
			explain:  "A signal that the test did not ask for ended the node: somebody's kill, the kernel's memory killer, a container that is being stopped, or, for SIGSEGV and SIGBUS, a crash outside Go's control (cgo).",
			evidence: "the signal, the kernel's count of memory kills, memory limits and their use",
			remedies: []remedy{
				{"linux", "ask the kernel who did it: dmesg | tail, journalctl -k -n 20"},
				{"darwin", "look into Console.app under Crash Reports, and: log show --last 5m --predicate 'eventMessage contains \"kill\"'"},
				{"windows", "look into the Event Viewer under Windows Logs, Application"},
				{"", "for a crash in cgo code, get a traceback: GOTRACEBACK=crash go test ./..."},
			},
			retry: time.Second,
		}, {
			code:     NodeOutOfMemory,
			title:    "the kernel ended a node for lack of memory",
			problem:  "{node} was killed ({exit})",
			causes:   []string{"the kernel ran out of memory and chose it ({oomkills-new} killed since the node started)"},
			explain:  "Memory was used up, that of the machine or of the control group (container, CI job) that the test runs in, and the kernel's OOM killer ended the node. Fewer nodes, or ones that start with less, may fit.",
			evidence: "SIGKILL, and the kernel's count of memory kills having grown since the node started",
			remedies: []remedy{
				{"linux", "give the container or CI job more memory than the {cgroup-memory-max} of its control group"},
				{"", "ask for fewer nodes, or let fewer tests run at once: go test -p 1 -parallel 1 ./..."},
				{"", "do without the race detector (each node takes five to ten times the memory), or set GOMEMLIMIT"},
				{"linux", "raise the memory limit of the container or CI job; see what it is: cat /sys/fs/cgroup/memory.max"},
			},
			retry:  time.Second,
			reduce: true,
		}, {
			code:     NodePanic,
			title:    "a node panicked",
			problem:  "{node} panicked ({exit})",
			causes:   []string{"{panic}", "a goroutine of the node panicked"},
			explain:  "A goroutine on the node panicked, or the Go runtime gave up (deadlock, concurrent map writes, stack overflow), and that ended the whole process. (A panic of the called function itself is caught and returned by Call; this is one in another goroutine.)",
			evidence: "the panic and its first goroutine, in the node's log",
			remedies: always("read the first goroutine in the evidence: its topmost line outside the runtime is where it happened", "see the whole log of the node, and what led to its end: they are in the directory that the test names in its last line, dist: artifacts: …, and dist report draws it"),
		}, {
			code:     NodeRace,
			title:    "the race detector stopped a node",
			problem:  "{node} has a data race ({exit})",
			causes:   []string{"{race}", "the race detector reported a data race on the node"},
			explain:  "The tests run with -race, and nodes with them. A node that saw a data race ends with status 66, and the test that used it fails, as it would if the race had been in the test process.",
			evidence: "exit status 66, and the detector's report in the node's log",
			remedies: always("read the report in the evidence: it names both accesses and where their goroutines were started", "stop at the first race, with its stacks intact: GORACE=halt_on_error=1 go test -race ./..."),
		}, {
			code:    NodeHung,
			title:   "a node does not answer",
			problem: "{node} did not answer within {limit}",
			causes: []string{
				"{node} is stopped: by Node.Pause, SIGSTOP or a debugger{if-stopped}",
				"{node} does not come to an end: {doing}",
				"{node} runs, but nothing on it answers: it is paused, or its only processor is kept busy, or the machine is overloaded",
			},
			explain:  "The node's process exists and its control channel is open, but it does not do what it is asked to in time. At the end of a lease that is most often a cleanup, or a call, that goes on though its context has ended. During a call a paused node (Node.Pause) is the usual case; a cgo call or a debugger that stops the process is another.",
			evidence: "how long was waited, where the node's goroutines are, the last lines of its log; on Linux what its process does, and the load of the machine",
			remedies: []remedy{
				{"", "have it return: what runs on a node ends when its ctx does, and a cleanup waits for nothing without a limit: {doing}"},
				{"", "if the test paused the node, resume it before calling it: Node.Resume{if-silent}"},
				{"unix", "see what it is doing: kill -QUIT {pid} writes all its goroutines to its log{if-silent}"},
				{"windows", "attach a debugger to the node: dlv attach PID{if-silent}"},
			},
			retry: time.Second,
		}, {
			code:     NodeExitUnnoticed,
			title:    "a node had exited, and the test did not notice",
			problem:  "{node} had exited ({exit}) before the test ended",
			causes:   []string{"it ended between calls: {panic}", "it ended between calls; its last words: {lastlog}", "it ended between calls, and nothing asked for it afterwards"},
			explain:  "A node ended by itself during the test, and the test went on and ended without using it again. What it proved, it proved with fewer nodes than it asked for; that is reported rather than passed over. Node.Restart starts such a node again, and the end is reported all the same.",
			evidence: "exit status or signal, the last lines of the node's log, whether the node was started again",
			remedies: always(
				"if the node is meant to end, end it from the test: Node.Stop or Node.Kill",
				"otherwise find out why it ended: its log is in the evidence; end the test with Cluster.WaitHealthy to notice in time",
			),
		},

		// ADDR

		{
			code:    AddrInUse,
			title:   "the address is in use",
			problem: "{address} is in use",
			causes: []string{
				"this very process (pid {pid}) listens on {holding} and did not close it{if-self}",
				"pid {pid} ({command}), which is left over from a run of distributed tests that was killed, has {holding}{if-leftover}",
				"pid {pid} ({command}), which a run of distributed tests has started of which nothing is known any more, has {holding}{if-lost}",
				"pid {pid} ({command}), which a run of distributed tests has started, has {holding}{if-running}",
				"pid {pid} ({command}) has {holding}",
				"a process of another user (uid {holder-uid}) has {holding}",
				"another process has {address}; it could not be found out which",
				"another process has the address",
			},
			explain:  "Another socket is bound to the address that a node was to listen on. A listener on the wildcard address (0.0.0.0 or ::) takes its port on every loopback address too. dist's own nodes never collide with each other; this is a program outside, or a port fixed by hand.",
			evidence: "who holds the address: PID, command, start time, and the run of distributed tests that it comes from (Linux, from /proc)",
			remedies: []remedy{
				{"linux", "end what killed runs have left behind: dist clean (only what provably is such; the next run does the same){if-leftover}"},
				{"linux", "let that run end first, or give each its own addresses: name a port in the directive (ports=NAME){if-running}"},
				{"", "close that listener, or have it in the test, or in the function that the node runs: what init functions and package variables take is taken once by every node, too{if-self}"},
				{"unix", "if that process is not needed: kill {pid}{if-other}"},
				{"linux", "find the holder (as root, other users' too): ss -ltnp 'sport = :{port}'"},
				{"darwin", "find the holder: lsof -nP -iTCP:{port} -sTCP:LISTEN"},
				{"windows", "find the holder: netstat -ano | findstr :{port}"},
				{"", "let dist choose: name a port in the directive (ports=NAME) and listen on Local.ListenAddr(NAME) instead of a fixed number"},
				{"", "keep clear of the port: range in [network] of distributed.toml"},
			},
			retry: 100 * time.Millisecond,
		}, {
			code:     AddrExhausted,
			title:    "no free address is left",
			problem:  "no free address is left",
			causes:   []string{"all of {source} is taken", "every address that may be used is taken"},
			explain:  "Every address or port that the configuration allows for nodes is taken, by other test runs or by other programs.",
			evidence: "the range that was searched, and who holds it",
			remedies: []remedy{
				{"", "widen range in [network] of distributed.toml, or leave it empty"},
				{"", "let fewer tests run at once: go test -p 1 -parallel 1 ./..."},
				{"linux", "see what is taken: ss -ltn"},
				{"darwin", "see what is taken: netstat -an -p tcp"},
				{"windows", "see what is taken: netstat -an; and reserved: netsh int ipv4 show excludedportrange tcp"},
			},
			retry:  time.Second,
			reduce: true,
		}, {
			code:     AddrUnavailable,
			title:    "this machine does not have the address",
			problem:  "{address} is not an address of this machine",
			causes:   []string{"the loopback interface is down, or has lost its addresses{if-unreachable}", "{address} belongs to no interface here", "{err}"},
			explain:  "Nodes get loopback addresses of their own where every address in 127.0.0.0/8 works, as it does on Linux. Elsewhere only 127.0.0.1 does, unless others were added by hand.",
			evidence: "the system's error, the loopback interfaces, and what localhost and this host's name are",
			remedies: []remedy{
				{"linux", "as root, bring the loopback interface up: ip link set lo up{if-unreachable}"},
				{"", "use distinct ports on 127.0.0.1 instead: addresses = \"ports\" in [network] of distributed.toml, or DIST_NETWORK_ADDRESSES=ports"},
				{"linux", "see that the loopback interface is up and has 127.0.0.1/8: ip address show lo"},
				{"darwin", "or add the address, as root: ifconfig lo0 alias {host} up"},
			},
		}, {
			code:     AddrPermission,
			title:    "the address may not be used by this user",
			problem:  "{address} may not be listened on",
			causes:   []string{"port {port} is one of those only an administrator may use{if-lowport}", "{err}"},
			explain:  "Ports below 1024 need privileges on most systems; Windows reserves ranges of ports; security policies can forbid any.",
			evidence: "the system's error, the port",
			remedies: []remedy{
				{"", "give the program a port that anybody may use: {{.Listen \"PORT\"}} in its `args`, and PORT in its `ports`{if-program}"},
				{"", "name a port in the directive (ports=NAME) and listen on Local.ListenAddr(NAME) instead of a fixed number"},
				{"linux", "or allow low ports: sysctl net.ipv4.ip_unprivileged_port_start=80"},
				{"windows", "see which ports are reserved: netsh int ipv4 show excludedportrange tcp"},
			},
		}, {
			code:     AddrResolve,
			title:    "a host name does not resolve",
			problem:  "{hostname} has no address",
			causes:   []string{"{hostname} is in neither /etc/hosts nor the DNS: {resolve}{if-hosts}", "{resolve}", "{err}"},
			explain:  "A node looks for the address of a host name and is told that there is none. dist's own addresses are numbers and need no names; this is one in the `args` or the configuration of a program, or in the tests. Slim containers are known for a /etc/hosts without localhost.",
			evidence: "the node's words, the line of /etc/hosts that is missing",
			remedies: []remedy{
				{"unix", "add it to /etc/hosts: 127.0.0.1 localhost{if-localhost}"},
				{"", "use a number instead of the name: {{.Listen \"PORT\"}} and {{.Addr \"PORT\"}} in `args`, Local.ListenAddr(PORT) in tests"},
				{"unix", "see what it resolves to: getent hosts {hostname}"},
			},
			retry: time.Second,
		},

		// LIMIT

		{
			code:    LimitFiles,
			title:   "this process has too many open files",
			problem: "too many open files",
			causes: []string{
				"it ended with as many open files as a process may have; its words: {files-node}",
				"this process has {files-used} of the {files-max} descriptors it may have",
				"this process has as many open files as it may have",
			},
			explain:  "Every node takes a few descriptors of the test process, and so does every connection of the test itself. The process has reached its limit (RLIMIT_NOFILE); Go has raised the soft limit to the hard one already, so either the hard limit is low or something leaks. A node has the same limit, and may reach it by itself before it has answered: then its log says so.",
			evidence: "the node's words, or RLIMIT_NOFILE, the number of open descriptors, and of what kinds they are",
			remedies: []remedy{
				{"unix", "raise the limit, which is very low: ulimit -n 1024; if the hard one is lower (ulimit -Hn), /etc/security/limits.conf or --ulimit nofile= of the container sets it{if-files-low}"},
				{"", "look for what the tests do not close: connections, response bodies, files; the evidence says which kind there is most of"},
				{"linux", "raise the limit: ulimit -Hn shows it; /etc/security/limits.conf, LimitNOFILE= of the service or --ulimit nofile= of the container sets it"},
				{"darwin", "raise the limit: ulimit -n 10240, and launchctl limit maxfiles"},
			},
			retry:  500 * time.Millisecond,
			reduce: true,
		}, {
			code:     LimitFilesSystem,
			title:    "the whole system has too many open files",
			problem:  "too many open files in the system",
			causes:   []string{"the system has {sysfiles-used} of {sysfiles-max} files open", "the system as a whole has as many open files as it may have"},
			explain:  "Not this process but the whole system has reached its limit of open files. That is rare and mostly somebody else's doing.",
			evidence: "the system's number of open files and its limit (Linux: /proc/sys/fs/file-nr)",
			remedies: []remedy{
				{"linux", "raise it, as root: sysctl fs.file-max=1000000; find who has most: lsof -n | awk '{print $2}' | sort | uniq -c | sort -n | tail"},
				{"darwin", "raise it, as root: sysctl kern.maxfiles=100000"},
				{"", "end programs that hold many files, then run the tests again"},
			},
			retry:  time.Second,
			reduce: true,
		}, {
			code:     LimitProcesses,
			title:    "this user may start no more processes",
			problem:  "the system starts no more processes",
			causes:   []string{"this user has {procs-used} of the {procs-max} processes and threads it may have", "the limit of processes is reached, of this user or of the system", "{err}"},
			explain:  "The system refused to start a process because the user (RLIMIT_NPROC, which counts threads too) or the system has as many as allowed. A Go process has a handful of threads, more on machines with many cores.",
			evidence: "RLIMIT_NPROC, the user's threads, the system's limits",
			remedies: []remedy{
				{"linux", "raise the limit: ulimit -u 4096; if the hard one is lower (ulimit -Hu), /etc/security/limits.conf or LimitNPROC= of the service sets it"},
				{"unix", "see what runs, and end what is left over: ps -u $(id -u) -o pid,etime,args"},
				{"darwin", "raise the limit: ulimit -u 2000; sysctl kern.maxprocperuid shows the most there can be"},
				{"", "let fewer tests run at once: go test -p 1 -parallel 1 ./..."},
			},
			retry:  500 * time.Millisecond,
			reduce: true,
		}, {
			code:     LimitPIDs,
			title:    "the container may start no more processes",
			problem:  "the control group starts no more processes",
			causes:   []string{"the control group has {pids-used} of the {pids-max} processes and threads it may have"},
			explain:  "The control group that the test runs in (a container, a systemd unit, a CI job) has as many processes and threads as its limit (pids.max) allows.",
			evidence: "pids.max and pids.current of the control group and those above it",
			remedies: []remedy{
				{"", "raise it: docker run --pids-limit=-1, podPidsLimit of the kubelet, TasksMax= of the systemd unit"},
				{"", "let fewer tests run at once: go test -p 1 -parallel 1 ./..."},
				{"", "see what runs there, and whether zombies are left because nothing reaps them: docker run --init"},
			},
			retry:  500 * time.Millisecond,
			reduce: true,
		}, {
			code:    LimitMemory,
			title:   "there is not enough memory",
			problem: "not enough memory",
			causes: []string{
				"the control group has used {cgroup-memory-used} of {cgroup-memory-max}{if-cgroup-memory-full}",
				"the machine has used {memory-used} of {memory-max}{if-memory-full}",
				"neither the machine nor a control group is short of memory: the process may have no more address space (ulimit -v){if-address-space}",
				"the system has no memory to give",
			},
			explain:  "The system refused memory for a new process: that of the machine or the control group is used up, or a limit of address space (ulimit -v) or of overcommitment is reached.",
			evidence: "memory of the machine and of the control group, and their use",
			remedies: []remedy{
				{"unix", "let it have as much address space as it likes, in the shell or script that starts it: ulimit -v unlimited{if-address-space}"},
				{"", "ask for fewer nodes, or let fewer tests run at once: go test -p 1 -parallel 1 ./..."},
				{"", "do without the race detector: each node takes five to ten times the memory with it"},
				{"linux", "raise the memory limit of the container or CI job; see ulimit -v and sysctl vm.overcommit_memory"},
			},
			retry:  time.Second,
			reduce: true,
		}, {
			code:     LimitMachine,
			title:    "other tests use all that this machine may run at once",
			problem:  "other tests used all that this machine may run at once",
			causes:   []string{"after {elapsed} there was still no room for {asked} nodes: {allowed} run at once, by {source}", "there was no room in time"},
			explain:  "Test binaries that run at the same time share an allowance of nodes, so that they do not take the machine from each other. Room is given to whole clusters in the order in which it is asked for. A busy machine only delays a test, until the test's own time is up.",
			evidence: "how long it waited, how many nodes may run at once and what says so, and who has them",
			remedies: always("give the tests longer: go test -timeout 30m ./...", "run fewer packages at once: go test -p 1 ./...", "if the machine can take more, say so: max_nodes_on_machine in [resources] of distributed.toml, or DIST_RESOURCES_MAX_NODES_ON_MACHINE=N", "if what has the nodes hangs, end it: its process id is in the evidence"),
			retry:    time.Second,
		},

		// DIR

		{
			code:     DirPermission,
			title:    "a directory may not be written to",
			problem:  "{path} may not be written to",
			causes:   []string{"{dir} belongs to {owner} and has mode {mode}; this is {user}", "{err}"},
			explain:  "Nodes need directories for their data and logs, below the user's cache directory or where [artifacts] says. This one does not let this user in.",
			evidence: "mode and owner of the directory (or the nearest above it), and the user that the test runs as",
			remedies: []remedy{
				{"", "name a temporary directory of your own: TMPDIR=DIR go test ./..."},
				{"unix", "if it should be yours (an earlier run as root, perhaps): sudo chown -R $(id -u) {dir}"},
				{"unix", "see that HOME, XDG_CACHE_HOME and TMPDIR name directories of this user"},
				{"windows", "see that LOCALAPPDATA and TEMP name directories of this user"},
			},
		}, {
			code:    DirFull,
			title:   "a file system is full",
			problem: "no space left for {path}",
			causes: []string{
				"the file system of {dir} has no inode left: too many small files{if-noinodes}",
				"the file system of {dir} has {free} of {size} left",
				"no space is left there, or this user's share is used up",
			},
			explain:  "The file system on which nodes keep data and logs has no space or no inode left, or the user's quota is used up.",
			evidence: "free space and inodes of the file system",
			remedies: []remedy{
				{"", "use another file system: TMPDIR=DIR go test ./..."},
				{"", "make room: go clean -cache -testcache"},
				{"unix", "see what is full: df -h {dir}; df -i {dir}; quota"},
			},
		}, {
			code:     DirReadOnly,
			title:    "a file system is read-only",
			problem:  "{path} is on a read-only file system",
			causes:   []string{"{mount} is mounted read-only", "the file system of {path} is mounted read-only", "the file system is mounted read-only"},
			explain:  "The directory for data and logs is on a file system that cannot be written: common in containers with a read-only root, or after a disk error.",
			evidence: "the mount flags of the file system",
			remedies: []remedy{
				{"", "name a temporary directory that can be written: TMPDIR=DIR go test ./..."},
				{"unix", "give the container a writable cache: docker run --tmpfs /root/.cache, or set XDG_CACHE_HOME"},
				{"linux", "if it should be writable, see whether the kernel turned it read-only after an error: dmesg | tail"},
			},
		}, {
			code:    DirMissing,
			title:   "a directory is not there",
			problem: "{path} is not there",
			causes: []string{
				"{dir} is a file, not a directory{if-notdir}",
				"{path} does not exist; the nearest that does is {dir}{if-above}",
				"{err}",
			},
			explain:  "A directory that should exist does not, or something in its path is a file. A cleaner of temporary files, a HOME that does not exist (as in some CI jobs), or a test that removed its own working directory can be behind it.",
			evidence: "which part of the path exists, and what it is",
			remedies: []remedy{
				{"unix", "create it: mkdir -p {path}"},
				{"unix", "see that HOME, XDG_CACHE_HOME and TMPDIR name directories that exist"},
				{"windows", "see that LOCALAPPDATA and TEMP name directories that exist"},
				{"", "or name another: TMPDIR=DIR go test ./..."},
			},
		},

		// CONFIG

		{
			code:     ConfigInvalid,
			title:    "the configuration is not valid",
			problem:  "the configuration is not valid",
			causes:   []string{"{err}", "{pos}: not valid", "a key or value of the configuration is not valid"},
			explain:  "distributed.toml is read strictly: a key it does not have, or a value of the wrong kind, would otherwise be a setting that silently does nothing. The same goes for environment variables that begin with DIST_.",
			evidence: "file, line and column, and the nearest right key",
			remedies: always("correct what the message names", "if the value comes from the environment, unset it: env | grep ^DIST_"),
		}, {
			code:     ConfigMissing,
			title:    "the configuration file is gone",
			problem:  "{path} is not there",
			causes:   []string{"the bootstrap was generated with {path}, and it cannot be found from here", "the bootstrap was generated with a distributed.toml that cannot be found from here"},
			explain:  "distgen saw a distributed.toml when it generated the bootstrap, and now there is none: the test binary was moved (`go test -c`) or the file deleted. Running with defaults instead could start other clusters than the tests were written for.",
			evidence: "the file that was looked for",
			remedies: always("name it: DIST_CONFIG=/path/to/distributed.toml", "if it is gone for good, generate again: go generate ./..."),
		}, {
			code:     ConfigProgram,
			title:    "the configuration has no such program",
			problem:  "there is no program {name} in the configuration",
			causes:   []string{"neither [program.{name}] nor [attach.{name}] is in {path}", "neither [program.{name}] nor [attach.{name}] is in distributed.toml", "the program is not in distributed.toml"},
			explain:  "The test asks for nodes that run a program, and distributed.toml does not describe one by that name.",
			evidence: "the name asked for, the names there are",
			remedies: always("add [program.{name}] to distributed.toml, with `package` or `command`, `ports` and `ready`", "check the name after program= for a misspelling"),
		}, {
			code:     ConfigPort,
			title:    "the program has no such port",
			problem:  "the test asks for a port that its program does not have",
			causes:   []string{"{err}", "the test's ports= and the program's ports disagree"},
			explain:  "The ports of a program are those of its section in distributed.toml; a test names none, or some of them.",
			evidence: "the port asked for, the ports there are",
			remedies: always("add the port to ports in [program.{name}], and to its arguments", "take the port out of the test's ports=, or correct its name"),
		},

		// BOOTSTRAP

		{
			code:     BootstrapMissing,
			title:    "the bootstrap has not been generated",
			problem:  "this package has no bootstrap",
			causes:   []string{"there is no dist_gen_test.go in {path}", "there is no dist_gen_test.go beside the test"},
			explain:  "A package whose tests need clusters has a generated file, dist_gen_test.go, through which its test binary can be a node. Without it a node would run the tests again instead.",
			evidence: "no plan was registered by the test binary, or only what a build tag adds to it",
			remedies: always("generate it: go generate ./... (with //go:generate go tool distgen in the package), or go tool distgen .", "or run the tests by dist test, which generates what is missing for the run"),
		}, {
			code:     BootstrapStale,
			title:    "the bootstrap is out of date",
			problem:  "the bootstrap does not know what {name} needs",
			causes:   []string{"{err}", "dist_gen_test.go was generated before {name} needed a cluster", "dist_gen_test.go was generated from other tests than these"},
			explain:  "The test asks for a cluster and the generated plan does not know it, or says something else: the test, its directive or a helper changed since dist_gen_test.go was generated. Sizes and limits are judged by the plan before tests run, so it has to be right.",
			evidence: "the test's name and requirement, and what the plan has",
			remedies: always("generate again: go generate ./..., or go tool distgen .", "let distvet tell you before the test does: go vet -vettool=\"$(go tool -n distvet)\" ./...", "a test function made at run time, or a Require reached through a function value, needs a //dist:nodes=N directive"),
		}, {
			code:     BootstrapTestMain,
			title:    "the package's own TestMain does not call dist.Main",
			problem:  "this package's TestMain does not call dist.Main",
			causes:   []string{"{node} ran the tests instead of becoming a node ({exit}){if-ran}", "TestMain must hand over to dist.Main, or the test binary cannot become a node"},
			explain:  "The package has a TestMain of its own, so distgen generates everything but a TestMain. Its first statement has to be os.Exit(dist.Main(m)): that is where a process finds out that it is a node.",
			evidence: "a TestMain of the package's own; a node that printed PASS or FAIL",
			remedies: always("make this the only statement of TestMain: os.Exit(dist.Main(m))", "move set-up and tear-down into a type with a Run() int method that wraps m, and pass that to dist.Main"),
		},

		// SIZE

		{
			code:     SizeMaxNodes,
			title:    "more nodes are asked for than the configuration allows",
			problem:  "{asked} nodes are more than the {allowed} that may be had",
			causes:   []string{"{source} allows {allowed}, the test asks for {asked}", "{source} allows fewer nodes than the test asks for", "max_nodes allows fewer nodes than the test asks for"},
			explain:  "A test gets exactly the nodes it asks for, unless it says with min= that it still means something with fewer. It is never quietly run with less.",
			evidence: "nodes asked for, nodes allowed, and what set the limit",
			remedies: always("set DIST_CLUSTER_MAX_NODES={asked}, or unset it: it counts more than distributed.toml{if-variable}", "raise max_nodes in [cluster] of distributed.toml, or for one run: DIST_CLUSTER_MAX_NODES={asked}{if-file}", "if the test means something with fewer nodes, say so: min=N in its directive"),
			reduce:   true,
		}, {
			code:     SizeCI,
			title:    "more nodes are asked for than are allowed in CI",
			problem:  "{asked} nodes are more than the {allowed} that may be had in CI",
			causes:   []string{"{source} allows {allowed}, the test asks for {asked}", "{source} allows fewer nodes than the test asks for", "max_nodes in [ci] allows fewer nodes than the test asks for"},
			explain:  "A continuous-integration service was detected, and [ci] of distributed.toml bounds clusters there, because such machines are small.",
			evidence: "nodes asked for, nodes allowed, the CI service detected",
			remedies: always("set DIST_CI_MAX_NODES={asked}, or unset it: it counts more than distributed.toml{if-variable}", "raise max_nodes in [ci] of distributed.toml, or for one run: DIST_CI_MAX_NODES={asked}{if-file}", "if the test means something with fewer nodes, say so: min=N in its directive"),
			reduce:   true,
		}, {
			code:     SizeMachine,
			title:    "more nodes are asked for than this machine can carry",
			problem:  "{asked} nodes are more than the {allowed} this machine can carry",
			causes:   []string{"{source} allows {allowed} nodes here, the test asks for {asked}", "this machine can carry {allowed} nodes, the test asks for {asked}", "this machine cannot carry as many nodes as the test asks for"},
			explain:  "Cores, memory (that of the control group too) and limits of processes bound how many nodes this machine can ever carry. A machine that is merely busy delays a test; this is one that could not do it when idle.",
			evidence: "nodes asked for, nodes possible, the resource that bounds them",
			remedies: always("raise max_nodes_on_machine in [resources] of distributed.toml, or for one run: DIST_RESOURCES_MAX_NODES_ON_MACHINE={asked}{if-configured}", "raise the limit of open files: ulimit -n 1024 (ulimit -Hn shows how far you may){if-files-bound}", "raise the limit of processes: ulimit -u 4096 (ulimit -Hu shows how far you may){if-procs-bound}", "run the test on a larger machine, or give the container more memory and processes", "if the estimate is too careful, set it: max_nodes_on_machine in [resources] of distributed.toml, or DIST_RESOURCES_MAX_NODES_ON_MACHINE=N", "if the test means something with fewer nodes, say so: min=N in its directive"),
			reduce:   true,
		},

		// MODE

		{
			code:     ModeOff,
			title:    "distributed tests are switched off",
			problem:  "distributed tests are switched off",
			causes:   []string{"mode is \"off\" by {source}", "mode in [cluster] of the configuration is \"off\""},
			explain:  "The configuration says to skip every test that needs a cluster and run the others.",
			evidence: "the setting and where it comes from",
			remedies: always("to run them: DIST_CLUSTER_MODE=auto go test ./..., or mode = \"auto\" in [cluster] of distributed.toml"),
			skip:     true,
		}, {
			code:     ModeManual,
			title:    "no cluster is up, and none may be started",
			problem:  "no cluster for it is up, and none may be started",
			causes:   []string{"mode is \"manual\" by {source}: only clusters that are up already are used", "mode is \"manual\": only clusters that are up already are used"},
			explain:  "In manual mode tests use only clusters that were started beforehand. None that fits this requirement is up.",
			evidence: "the setting and where it comes from, the clusters that are up",
			remedies: always("let tests start their own: DIST_CLUSTER_MODE=auto", "start the one that is missing, if it is a program's: dist up PROGRAM -nodes N"),
		}, {
			code:     ModeShort,
			title:    "-short skips distributed tests here",
			problem:  "-short is set, and distributed tests are not run then",
			causes:   []string{"short is \"skip\" by {source}, and the tests run with -short", "short = \"skip\" in [cluster], and the tests run with -short"},
			explain:  "The configuration says that -short leaves out tests that need a cluster.",
			evidence: "the flag, the setting and where it comes from",
			remedies: always("to run them: leave out -short, or set DIST_CLUSTER_SHORT=run"),
			skip:     true,
		},

		// CLUSTER

		{
			code:     ClusterBusy,
			title:    "other tests have the cluster",
			problem:  "other tests had the cluster all the time",
			causes:   []string{"its turn had not come after {elapsed}", "its turn did not come in time"},
			explain:  "A program's cluster is leased to one test at a time, unless all of them say `shared`. Leases are given in the order in which they are asked for.",
			evidence: "who has the cluster, for how long, and who else waits",
			remedies: always("let tests that can live with each other's data have it together: the word shared in their directives", "give the tests longer: go test -timeout 30m ./...", "see who has it: dist ps"),
			retry:    time.Second,
		}, {
			code:     ClusterGone,
			title:    "the cluster has ended, or its owner has",
			problem:  "the cluster is gone",
			causes:   []string{"the process that owned it has ended: {err}", "cluster {name} has been ended by its owner", "the process that owned it has ended"},
			explain:  "The cluster belonged to `dist up`, or to a `dist test`, which has ended, by `dist down`, by its idle limit or by force. Its nodes end with it.",
			evidence: "the owner, and how the connection to it ended",
			remedies: always("run the test again: a cluster is started if none is up", "dist up starts one that stays until dist down or its idle limit"),
			retry:    100 * time.Millisecond,
		}, {
			code:     ClusterSize,
			title:    "the cluster that runs already is too small",
			problem:  "cluster {name} has too few nodes",
			causes:   []string{"{asked} nodes are needed, and it has {allowed}", "it has fewer nodes than are needed"},
			explain:  "The test asks for more nodes than an attached cluster of distributed.toml has, and nobody can start more of those.",
			evidence: "the cluster's section in distributed.toml",
			remedies: always("add the missing nodes to [attach.{name}] in distributed.toml", "say what the test bears, with min= in its directive"),
		}, {
			code:     ClusterUnfit,
			title:    "the cluster that is up is not what the test asks for",
			problem:  "the cluster does not fit",
			causes:   []string{"it is {err}", "it has another size, or another configuration or build of its program"},
			explain:  "A test was to have one cluster in particular, which has another number of nodes than it asks for, or runs the program from another section of distributed.toml or another build.",
			evidence: "what differs",
			remedies: always("end the cluster and start it again from what is there now: dist down, dist up", "or let the test have a cluster of its own"),
		}, {
			code:     ClusterUnreachable,
			title:    "the cluster that runs already does not answer",
			problem:  "cluster {name} is not healthy",
			causes:   []string{"{err}", "a node of it does not answer"},
			explain:  "A cluster that is attached by its addresses is used as it is: it is never started or mended by a test.",
			evidence: "the node, its address, and what it answered",
			remedies: always("see that the cluster runs, and that this machine can reach it", "correct the addresses in [attach.{name}] of distributed.toml"),
			retry:    time.Second,
		}, {
			code:     ClusterVersion,
			title:    "the owner of the cluster is of another version",
			problem:  "this version of dist cannot talk to the owner of the cluster",
			causes:   []string{"{err}", "the owner of the cluster is of another version of dist"},
			explain:  "A cluster of `dist up`, or of the `dist test` that runs, is leased over a socket. Both sides must speak the same version of what passes there: that of the dist command, and that of github.com/distkit/dist in the go.mod of the tests.",
			evidence: "both sides' versions",
			remedies: always("use one version: go install github.com/distkit/dist/cmd/dist at the version that go.mod names, or update go.mod", "end clusters that the other version keeps, with its own dist down, or by ending its process"),
		},

		{
			code:     ClusterRefused,
			title:    "the owner of the cluster hangs up",
			problem:  "the owner of the cluster lets nobody in",
			causes:   []string{"{err}", "it does not take the secret that the registry says is its"},
			explain:  "Whoever wants to lease a cluster of `dist up`, or of the `dist test` that runs, must know the secret that its owner has written into the registry, in the user's cache directory. The file is another's, was changed, or was copied from somewhere (a cache that CI restores, for instance).",
			evidence: "the registry file, and how the owner answered",
			remedies: always(
				"end that owner, which the evidence names, and start the cluster again: dist down, or kill, then dist up",
				"see that the user's cache directory is not copied between machines, nor shared by users",
			),
			retry: 100 * time.Millisecond,
		},

		// PROGRAM

		{
			code:     ProgramBuild,
			title:    "the program does not build",
			problem:  "go build of {path} failed",
			causes:   []string{"{err}", "the go command says why below"},
			explain:  "The `package` of a program is built by `go build`, in the directory of distributed.toml and with the flags that the tests were built with (-race, -cover, -tags and the like). What the go command said is in the evidence.",
			evidence: "the lines of the compiler, or of the go command",
			remedies: always(
				"run it by hand, in the directory of distributed.toml: go build {path}",
				"if a module is missing, add it to go.mod: go get {path}",
				"for a program that is not built from here, name its file: command = [\"server\"] in its [program.NAME] section",
			),
		}, {
			code:    ProgramNotReady,
			title:   "a program's node was not ready in time",
			problem: "{node} was not ready within {limit}",
			causes: []string{
				"it runs, but is not ready: {err}",
				"it runs, but is not ready; its last words: {lastlog}",
				"it runs, but did not become ready",
			},
			explain:  "The program was started and still runs, but did not answer in the way that `ready` of its section asks for. Common reasons are an address in `args` that is not the one asked (the evidence names what the program listens on), a server that waits for peers that cannot reach it, and a start that takes longer than the timeout.",
			evidence: "what was asked and what was answered last, what the program listens on (Linux), its command line, the last lines of its log",
			remedies: always(
				"have it listen where it is asked, {address}: {{.Listen \"PORT\"}} in its `args` is the address to bind{if-elsewhere}",
				"see in its answer and its log what it lacks; if it was the wrong question, ask another: ready = { http = \"PORT\", path = \"/…\" }{if-answers}",
				"see in the log what it waits for, or whether it says by other words that it is ready{if-spoke}",
				"if it is only slow, give it longer: ready = { …, timeout = \"60s\" } in its [program.NAME] section of distributed.toml",
				"see in the log what it waits for",
				"compare what was asked with what it listens on: {{.Listen \"PORT\"}} in its `args` is the address to bind",
				"choose what tells that it is ready: http, tcp, log, exec or grpc",
			),
		}, {
			code:     ProgramUnhealthy,
			title:    "a program's node does not answer any more",
			problem:  "{node} is not healthy",
			causes:   []string{"{err}", "it does not answer as it did when it was ready"},
			explain:  "The node's process runs, but does not answer in the way that `ready` of its section asks for, and did so before: it may be paused, cut off from its peers, or busy with recovery.",
			evidence: "what was asked and what was answered, the last lines of its log",
			remedies: always("see in the log what it is doing", "if the test paused it, resume it: Node.Resume", "if it needs time to recover, wait for it: Cluster.WaitHealthy"),
			retry:    time.Second,
		}, {
			code:     ProgramReset,
			title:    "the program's reset command failed",
			problem:  "the reset command of program {name} failed",
			causes:   []string{"{err}; its last words: {lastlog}", "{err}", "it ended with {exit}; its last words: {lastlog}", "it ended with {exit}", "it did not succeed"},
			explain:  "A lease that is not shared begins with fresh data. The program's section has a command for that in `reset`, which is run once for each node and has to exit with status 0.",
			evidence: "the command line, exit status, the last lines of its output",
			remedies: always("run the command by hand against a cluster that is up: dist up", "leave it to dist, which restarts the nodes with empty directories: reset = \"restart\""),
		}, {
			code:     ProgramStop,
			title:    "the program did not stop when it was asked to",
			problem:  "{node} did not stop and was killed",
			causes:   []string{"program {name} did not end within {limit} of its stop signal", "the program did not end in time after its stop signal"},
			explain:  "A program's node is asked to end by the signal of `stop` in its section, and killed if it still runs after the grace given there.",
			evidence: "the last lines of its log",
			remedies: always("see in the log what the program waits for", "give it longer: stop = { grace = \"30s\" } in [program.{name}]", "name the signal that it does heed: stop = { signal = \"SIGINT\" }"),
		},

		// ENGINE

		{
			code:     EnginePlatform,
			title:    "this cannot be done on this platform",
			problem:  "{platform} cannot do this",
			causes:   []string{"{err}", "{name} does not work on {platform}", "what it takes is missing on {platform}"},
			explain:  "Starting processes, or the fault that the test injects, needs something that this operating system does not have.",
			evidence: "operating system and processor, and what was missing",
			remedies: always("run the tests on Linux, where everything works: a container or virtual machine will do", "keep the test from being built here, by a build constraint: //go:build linux"),
		},

		// TIME

		{
			code:     TimeDeadline,
			title:    "too little is left of the test's time",
			problem:  "too little is left of -timeout",
			causes:   []string{"after {elapsed} of waiting for the cluster too little is left to stop it again before -timeout", "{limit} is left until -timeout, less than starting and stopping a cluster takes", "the deadline of the test binary is too near to start and stop a cluster"},
			explain:  "`go test` kills a test binary whose -timeout has passed, 10 minutes by default for all its tests together. A cluster that cannot be stopped in order before that is not started.",
			evidence: "the test binary's deadline, and the time that starting and stopping may take",
			remedies: always("give the tests longer: go test -timeout 30m ./...", "find what takes long: go test -v, or -json; split slow packages"),
		}, {
			code:     TimeCanceled,
			title:    "it was called off",
			problem:  "it was called off",
			causes:   []string{"the context ended: {err}", "the context ended before the cluster was ready"},
			explain:  "The context under which the cluster was being started ended: the test was over, or the run was interrupted (^C, or CI ending the job).",
			evidence: "the context's error and cause",
			remedies: always("if you interrupted the run there is nothing to do: what had been started is stopped", "if not, see that Require is called from the test's goroutine, before the test ends"),
		},

		// USE

		{
			code:     UseParallel,
			title:    "Require comes before t.Parallel",
			problem:  "Require was called before t.Parallel",
			causes:   []string{"{name} would hold its cluster while it is paused, and tests that wait for one could wait for ever", "the test would hold its cluster while it is paused, and tests that wait for one could wait for ever"},
			explain:  "t.Parallel pauses a test until all serial tests of the package are through. A cluster leased before that stays taken for all that time, and a serial test that needs one may wait for it without end.",
			evidence: "the test, and where it called Require",
			remedies: always("call t.Parallel first, then dist.Require", "distvet reports this with the position: go vet -vettool=\"$(go tool -n distvet)\" ."),
		}, {
			code:     UseFuzz,
			title:    "Require is called inside f.Fuzz",
			problem:  "Require was called inside f.Fuzz",
			causes:   []string{"the function passed to f.Fuzz runs once per input, in worker processes: a cluster for each would be no fuzzing"},
			explain:  "A fuzz target runs its inner function many thousand times. The cluster belongs outside: lease it in the FuzzXxx function from f, and use it in the inner function.",
			evidence: "the fuzz target, and where it called Require",
			remedies: always("call dist.Require(f) before f.Fuzz, and use that cluster in the function you pass to f.Fuzz"),
		}, {
			code:     UseConflict,
			title:    "Require asks for something else",
			problem:  "Require asks for something else than it may",
			causes:   []string{"{err}", "{name} has a cluster already, and its options differ", "the test has a cluster already, and its options differ"},
			explain:  "A test has one cluster: a second Require by it, by its subtests or by a helper returns the same one. Options that ask for something else could not be honoured; nor can a call that asks for more than the test's directive says, by which sizes and limits are judged.",
			evidence: "both requirements and where they were made",
			remedies: always("give all Require calls of the test the same options, or only the first one any", "for clusters of different shape, make them tests of their own, not subtests"),
		}, {
			code:     UseClosure,
			title:    "a closure cannot be called on a node",
			problem:  "{name} is a closure",
			causes:   []string{"a function literal may use variables that exist only in the test process"},
			explain:  "Functions cross to a node by name, values by copy. A function literal has no name that both sides know, and what it captures would be missing there.",
			evidence: "the function's name and position",
			remedies: always("make it a package-level function, and pass what it captured as its argument", "then generate again: go generate ./..."),
		}, {
			code:     UseMethodValue,
			title:    "a method value cannot be called on a node",
			problem:  "{name} is a method value",
			causes:   []string{"its receiver exists only in the test process"},
			explain:  "A method value such as srv.Start carries its receiver, which does not exist on the node.",
			evidence: "the function's name and position",
			remedies: always("write a package-level function that makes the receiver on the node and calls the method", "pass what the receiver needs as the function's argument"),
		}, {
			code:     UseUnregistered,
			title:    "the function is not known to the nodes",
			problem:  "{name} is not in the table of node functions",
			causes:   []string{"dist_gen_test.go does not list it, and nothing called dist.Register for it"},
			explain:  "Which functions may run on nodes is written into dist_gen_test.go, from what the tests of the package name in Call, CallAll and CallNodes. A function that a helper package passes on has to be registered by that package.",
			evidence: "the function's name and position",
			remedies: always("if it is named in a test of this package, generate again: go generate ./...", "if a helper package calls it, add there: func init() { dist.Register({name}) }"),
		}, {
			code:     UseValue,
			title:    "a value cannot cross to a node",
			problem:  "a value of {name} cannot cross to a node",
			causes:   []string{"{err}", "the type has parts that mean nothing in another process"},
			explain:  "Arguments and results cross by value, encoded. Channels, functions, unexported fields and interfaces that hold unknown types have no meaning in another process.",
			evidence: "the type, and the part of it that cannot cross",
			remedies: always("pass plain data: exported fields of numbers, strings, slices, maps and structs", "give the type MarshalBinary and UnmarshalBinary methods", "distvet reports such types before the test runs: go vet -vettool=\"$(go tool -n distvet)\" ."),
		},

		// LEFT

		{
			code:     LeftGoroutine,
			title:    "goroutines were left on a node",
			problem:  "{name} left goroutines on {node}",
			causes:   []string{"goroutines that it started were still running when it ended: {leak}", "goroutines that it started were still running when it ended"},
			explain:  "When a test ends, a node that is to be used again must be as it was: no goroutine more than before. What is left keeps acting on the next test's data. The node is replaced; the leak is told here.",
			evidence: "the goroutines' stacks",
			remedies: always("end them when the lease does: watch Local.Context(), or Local.Cleanup(stop)", "if the test needs no used nodes, leave out reuse: its nodes end with it"),
		}, {
			code:     LeftListener,
			title:    "a listener was left on a node",
			problem:  "{name} left a listener on {node}",
			causes:   []string{"what it listened on is still open: {leak}", "what it listened on is still open"},
			explain:  "A node that is to be used again must not listen anywhere: the next test could not take the address, or would talk to the last one's server.",
			evidence: "the listener's address",
			remedies: always("close it when the lease ends: Local.Cleanup(func() { l.Close() }), or use Local.Listen, which does", "if the test needs no used nodes, leave out reuse: its nodes end with it"),
		}, {
			code:     LeftChild,
			title:    "a child process was left on a node",
			problem:  "{name} left a child process on {node}",
			causes:   []string{"a process that it started was still running: {leak}", "a process that it started was still running"},
			explain:  "A process started on a node outlived the test. It is ended with its node; if it left the process group, it is found by its environment and ended too.",
			evidence: "the process's PID and command",
			remedies: always("start it with exec.CommandContext(local.Context(), …), or end and wait for it in Local.Cleanup"),
		},

		{
			code:     Unknown,
			title:    "the cause is not known",
			problem:  "{err}",
			causes:   []string{"not one that dist knows: {err}", "not one that dist knows"},
			explain:  "None of the other diagnoses fits. What was measured is listed all the same.",
			evidence: "the system's error, and whatever the failure came with",
			remedies: always("run it again with more told: go test -v ./..., and look at the node's log", "if dist should know this cause, please report it with this text"),
			retry:    time.Second,
		},
	}
})
