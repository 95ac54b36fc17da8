//go:build linux

package failures

import (
	"bufio"
	"cmp"
	"debug/elf"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/distkit/dist/e2e"
)

// A world is where one failure happens: what is run, and what is done to it.
type world struct {
	*testing.T
	dir        string // its own, which everybody may enter
	cache, tmp string
	args       []string
	env        map[string]string
	wrap       []string          // a command that starts the test binary, which is added to it
	uid        int               // who runs it; 0: whoever runs this
	cwd        string            // "": the package's directory
	server     map[string]string // keys of [program.server], instead of or besides the usual ones
	config     string            // all of distributed.toml

	patience time.Duration // how long something may take that never comes
	hasty    bool          // that, or the whole run, is rather short

	bin  string             // run instead of the binary, of which it is a copy
	more func(limit string) // gives the control group more
	done func()             // has somebody end what is in the way
	addr string

	shared bool     // others run in it, too
	other  *e2e.Run // one of them
}

// newWorld is one where everything is as it should be.
func newWorld(t *testing.T) *world {
	dir, err := os.MkdirTemp("", "dist world ")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &world{T: t, dir: dir, env: map[string]string{
		"DIST_FALLBACK_RETRIES": "0",
		"GORACE":                "atexit_sleep_ms=0", // or each end of a process takes a second under -race
	}}
	w.chmod(dir, 0o755)
	w.cache, w.tmp = w.mkdir("cache"), w.mkdir("tmp")
	return w
}

// run is the test binary in that world.
func (w *world) run(b *e2e.Binary) *e2e.Run {
	w.Helper()
	bin, err := b.Path()
	if err != nil {
		w.Fatal(err)
	}
	bin = cmp.Or(w.bin, bin)
	argv := append(slices.Clone(w.wrap), append([]string{bin}, w.args...)...)
	r := e2e.Prepare(w.T, "", exec.Command(argv[0], argv[1:]...))
	r.Cache, r.Tmp = w.cache, w.tmp
	r.Cmd.Dir = cmp.Or(w.cwd, b.Dir())
	r.Cmd.Env = append(r.Cmd.Env, "XDG_CACHE_HOME="+w.cache, "TMPDIR="+w.tmp, "DIST_NETWORK_ADDRESSES=") // some failures are about addresses of their own
	text := w.config
	if w.server != nil && text == "" {
		text = w.section()
	}
	if text != "" {
		r.Cmd.Env = append(r.Cmd.Env, "DIST_CONFIG="+w.write("distributed.toml", text))
	}
	for _, name := range slices.Sorted(maps.Keys(w.env)) {
		r.Cmd.Env = append(r.Cmd.Env, name+"="+w.env[name])
	}
	if w.uid != 0 {
		r.Cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(w.uid), Gid: uint32(w.uid)}}
	}
	return r
}

func (w *world) write(name, text string) (file string) {
	w.Helper()
	file = filepath.Join(w.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		w.Fatal(err)
	}
	return file
}

// section is [program.server] of distributed.toml.
func (w *world) section() string {
	keys := map[string]string{
		"command": quotes(w.executable()),
		"args":    quotes(listenArg),
		"ports":   quotes("main"),
		"ready":   `{ tcp = "main" }`,
	}
	maps.Copy(keys, w.server)
	text := "[program.server]\n"
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		text += key + " = " + keys[key] + "\n"
	}
	return text
}

// quotes is a list as TOML has it.
func quotes(words ...string) string {
	for i := range words {
		words[i] = strconv.Quote(words[i])
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// executable is the program that goes wrong as it is told to.
func (w *world) executable() string {
	w.Helper()
	file, err := e2e.Server.Path()
	if err != nil {
		w.Fatal(err)
	}
	return file
}

// command is the one that a remedy ends with.
func command(remedy string) string {
	text := remedy
	if _, after, ok := strings.Cut(remedy, ": "); ok {
		text = after
	}
	text, _, _ = strings.Cut(text, " (")
	text, _, _ = strings.Cut(text, ";")
	return text
}

// typed does as a remedy says by a command for the shell.
func typed(w *world, remedy string) {
	if out, err := exec.Command("sh", "-ec", command(remedy)).CombinedOutput(); err != nil {
		w.Fatalf("%s: %v %s", command(remedy), err, out)
	}
}

// before does the same in the shell that starts the tests.
func before(w *world, remedy string) {
	under(command(remedy))(w)
}

// under has a script run before the test binary, in the same shell. Not every sh
// has all that is asked of ulimit.
func under(script string) func(*world) {
	return func(w *world) {
		w.needs("needs a shell with ulimit", "bash", "-c", "ulimit -u")
		w.wrap = append(w.wrap, "bash", "-ec", script+"\nexec \"$@\"", "sh")
	}
}

// needs skips the case where a command of the system does not do what it is
// needed for.
func (w *world) needs(why string, argv ...string) {
	w.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		w.Skipf("%s: %s: %v %s", why, strings.Join(argv, " "), err, out)
	}
}

// needsRoot skips the case for ordinary users.
func (w *world) needsRoot(why string) {
	w.Helper()
	if os.Getuid() != 0 {
		w.Skip("needs root: " + why)
	}
}

// private wraps the run in namespaces of its own, after a script of sh.
func (w *world) private(kinds, script string) {
	w.Helper()
	argv := []string{"unshare", kinds}
	if os.Getuid() != 0 {
		argv = append(argv, "-Ur")
	}
	w.needs("needs namespaces", append(argv, "true")...)
	w.wrap = append(argv, "sh", "-ec", script+"\nexec \"$@\"", "sh")
}

// mount has the run see a file system of its own in a directory of the world,
// after a script that finds the directory in $1.
func (w *world) mount(options, script string) (dir string) {
	w.Helper()
	dir = filepath.Join(w.dir, "mount")
	if err := os.Mkdir(dir, 0o777); err != nil {
		w.Fatal(err)
	}
	w.private("-m", fmt.Sprintf("set -- '%s' \"$@\"\nmount -t tmpfs -o %s none \"$1\"\n%s\nshift", dir, options, script))
	return dir
}

// cgroup has the run in a control group of its own, where this machine lets one
// be made, with a limit.
func (w *world) cgroup(controller, file, limit string) (change func(limit string)) {
	w.Helper()
	w.needsRoot("a control group")
	dir := ""
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		w.Skip(err)
	}
	for line := range strings.Lines(string(own)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if slices.Contains(strings.Split(parts[1], ","), controller) {
			dir = filepath.Join("/sys/fs/cgroup", controller, parts[2])
		}
	}
	if dir == "" {
		w.Skip("needs control groups of version 1: in version 2 one with processes has none below it")
	}
	dir = filepath.Join(dir, filepath.Base(w.dir))
	if err := os.Mkdir(dir, 0o755); err != nil {
		w.Skip(err)
	}
	w.Cleanup(func() {
		for range 100 { // until the last of its processes has been reaped
			if os.Remove(dir) == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		w.Errorf("%s cannot be removed", dir)
	})
	change = func(limit string) {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(limit), 0); err != nil {
			w.Fatal(err)
		}
	}
	change(limit)
	w.wrap = []string{"sh", "-ec", "echo $$ >'" + dir + "/cgroup.procs'\nexec \"$@\"", "sh"}
	return change
}

// What follows makes causes, and remedies.

func fails(what string) func(*world) {
	return func(w *world) { w.env["FAILURE"] = what }
}

// corrected is the code of the tests without its fault.
func corrected(w *world, _ string) {
	delete(w.env, "FAILURE")
	delete(w.env, "DIST_CLUSTER_START_TIMEOUT")
}

// serves has the server run with keys of its section: key, value, …
func serves(keys ...string) func(*world) {
	return func(w *world) {
		w.server = make(map[string]string)
		for i := 0; i < len(keys); i += 2 {
			w.server[keys[i]] = keys[i+1]
		}
	}
}

// repaired is the program without its fault.
func repaired(w *world, _ string) { w.server = map[string]string{} }

var shellVariable = regexp.MustCompile(`\b(DIST_[A-Z_]+)=(\w+)`)

// asTold sets the variable that the remedy names.
func asTold(w *world, remedy string) {
	m := shellVariable.FindStringSubmatch(remedy)
	if m == nil {
		w.Fatalf("no variable in %q", remedy)
	}
	w.env[m[1]] = m[2]
}

// freeAddr is an address that nobody listens on.
func (w *world) freeAddr() string {
	w.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// faulty has it run with arguments that it does not bear, and not for long.
func faulty(args ...string) func(*world) {
	return func(w *world) {
		serves("args", quotes(append([]string{listenArg}, args...)...), "ready", `{ tcp = "main", timeout = "`+w.hurry()+`" }`)(w)
	}
}

func both(causes ...func(*world)) func(*world) {
	return func(w *world) {
		for _, cause := range causes {
			cause(w)
		}
	}
}

func set(name, value string) func(*world) { return func(w *world) { w.env[name] = value } }

func with(arg string) func(*world) { return func(w *world) { w.args = append(w.args, arg) } }

// hurry is how long a start may take in which something never comes: nobody needs
// to wait long for it.
func (w *world) hurry() string {
	w.hasty = true
	return w.patience.String()
}

func impatient(w *world) { w.env["DIST_CLUSTER_START_TIMEOUT"] = w.hurry() }

func otherTmp(w *world, _ string) { w.tmp = w.mkdir("other tmp") }

func (w *world) mkdir(name string) (dir string) {
	w.Helper()
	dir = filepath.Join(w.dir, name)
	if err := os.Mkdir(dir, 0o777); err != nil {
		w.Fatal(err)
	}
	w.chmod(dir, 0o777)
	return dir
}

func (w *world) chmod(name string, mode os.FileMode) {
	w.Helper()
	if err := os.Chmod(name, mode); err != nil {
		w.Fatal(err)
	}
}

func (w *world) abs(name ...string) string {
	w.Helper()
	path, err := filepath.Abs(filepath.Join(name...))
	if err != nil {
		w.Fatal(err)
	}
	return path
}

// otherUser has the tests run by somebody else than owns all that is there.
func (w *world) otherUser() {
	w.Helper()
	w.needsRoot("another user")
	w.uid = 1<<20 + os.Getpid()
}

// copyOf copies an executable into the world. Another process does it: a
// descriptor of this one could be open in a child that is just being started,
// and the copy be busy.
func (w *world) copyOf(executable, name string) (file string) {
	w.Helper()
	file = filepath.Join(w.dir, name)
	if out, err := exec.Command("cp", executable, file).CombinedOutput(); err != nil {
		w.Fatalf("%v %s", err, out)
	}
	w.chmod(file, 0o755)
	return file
}

// ownBinary is a copy of the test binary that only this world runs.
func (w *world) ownBinary() string {
	w.Helper()
	bin, err := e2e.Failures.Path()
	if err != nil {
		w.Fatal(err)
	}
	w.bin = w.copyOf(bin, "failures.test")
	return w.bin
}

// foreign is a program for a machine that this one is not: all that the system
// looks at is the number of the machine in its header.
func (w *world) foreign() string {
	w.Helper()
	file := w.copyOf(w.executable(), "foreign")
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte{byte(elf.EM_S390)}, 18)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		w.Fatal(err)
	}
	return file
}

// commands has the server be a file.
func (w *world) commands(file string) { serves("command", quotes(file))(w) }

// startedBy has the server started by a shell, after a script.
func (w *world) startedBy(script string) {
	serves("command", quotes("/bin/sh", "-c", script+`; exec "$@"`, "sh", w.executable()))(w)
}

// script has the server started by a script with a first line.
func (w *world) script(first string) {
	w.Helper()
	file := filepath.Join(w.dir, "server.sh")
	// As with copyOf: not by this process.
	cmd := exec.Command("sh", "-ec", `printf '%s\nexec "%s" "$@"\n' "$2" "$3" >"$1"; chmod +x "$1"`, "sh", file, first, w.executable())
	if out, err := cmd.CombinedOutput(); err != nil {
		w.Fatalf("%v %s", err, out)
	}
	w.commands(file)
}

// module has the server built from a source of its own.
func (w *world) module(source string) {
	w.write("go.mod", "module example.com/server\n\ngo 1.26\n")
	w.write("main.go", source)
	w.config = "[program.server]\npackage = \".\"\n"
	w.env["GOWORK"], w.env["GOFLAGS"] = "off", ""
}

// start has another test run at the same time that holds its cluster until a
// file of the world is there.
func (w *world) start(test, until string) {
	w.Helper()
	args, env := w.args, w.env
	defer func() { w.args, w.env = args, env }()
	ready := filepath.Join(w.dir, "ready")
	w.args = []string{"-test.run=^" + test + "$"}
	w.env = maps.Clone(env)
	w.env["FAILURE_READY"], w.env["FAILURE_UNTIL"] = ready, filepath.Join(w.dir, until)
	r := w.run(e2e.Failures)
	r.Start(w.T)
	w.shared, w.other = true, r
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(ready); err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("%s does not come to have its cluster\n%s", test, r.Out.String())
		}
	}
}

// owner has a cluster of the server up for whoever wants it, until end. file is
// what the registry has of its owner.
func (w *world) owner(args ...string) (file string, end func()) {
	w.Helper()
	bin, err := e2e.Owner.Path()
	if err != nil {
		w.Fatal(err)
	}
	cmd := exec.Command(bin, args...)
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+w.cache, "TMPDIR="+w.tmp, "DIST_NETWORK_ADDRESSES=", "DIST_CONFIG="+w.write("distributed.toml", w.section()))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		w.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	shared := w.shared
	w.shared = true
	end = sync.OnceFunc(func() {
		stdin.Close()
		cmd.Wait()
		w.shared = shared
	})
	w.Cleanup(end)
	file, err = bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		w.Fatalf("the owner does not say that it is up: %v", err)
	}
	return strings.TrimSpace(file), end
}

// stale has an owner in the registry that has been killed.
func (w *world) stale() (file string) {
	w.Helper()
	file, end := w.owner()
	b, err := os.ReadFile(file)
	if err != nil {
		w.Fatal(err)
	}
	end()
	if err := os.WriteFile(file, b, 0o600); err != nil { // as if it had not come to remove it
		w.Fatal(err)
	}
	return file
}

// leftover has a program's helper survive its run, all of which was killed at
// once, and have an address.
func (w *world) leftover() (addr string) {
	w.Helper()
	addr = w.freeAddr()
	serves("args", quotes(listenArg, "-leaves="+addr))(w)
	w.start("TestServerHang", "never")
	test := w.other.Cmd.Process
	test.Signal(syscall.SIGSTOP) // so that it does not see the others go
	var children []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", test.Pid))
	for _, task := range tasks {
		b, _ := os.ReadFile(task)
		for _, word := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(word); err == nil {
				children = append(children, pid)
			}
		}
	}
	if len(children) < 2 {
		w.Fatalf("children of the test are %v; want a node and the reaper", children)
	}
	for _, pid := range children {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	test.Kill()
	w.other.Cmd.Wait()
	w.done = func() { w.vacated(addr) }
	return addr
}

// vacated waits until nobody has an address any more.
func (w *world) vacated(addr string) {
	w.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		ln, err := net.Listen("tcp", addr)
		if err == nil {
			ln.Close()
			return
		}
		if time.Now().After(deadline) {
			w.Fatal(err)
		}
	}
}

// holds has somebody listen on an address until the test ends.
func (w *world) holds(addr string) string {
	w.Helper()
	holder := exec.Command(w.executable(), "-listen="+addr)
	stderr, err := holder.StderrPipe()
	if err == nil {
		err = holder.Start()
	}
	if err != nil {
		w.Fatal(err)
	}
	ended := make(chan struct{})
	w.Cleanup(func() { holder.Process.Kill(); <-ended })
	w.done = func() { <-ended }
	line, err := bufio.NewReader(stderr).ReadString('\n')
	go func() { holder.Wait(); close(ended) }()
	_, addr, ok := strings.Cut(strings.TrimSpace(line), "serving on ")
	if !ok {
		w.Fatalf("the holder says %q, %v", line, err)
	}
	return addr
}
