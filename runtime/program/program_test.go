//go:build linux

package program

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/procstat"
)

// patience is for what happens in milliseconds on a machine that is not busy.
const patience = time.Minute

// The test binary plays the programs too, in a role that its environment says.
func TestMain(m *testing.M) {
	if c := process.Inherited(); c != nil {
		c.Abandoned()
	}
	if role, ok := os.LookupEnv("PROGRAM_TEST_ROLE"); ok {
		play(role, os.Args[1:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// play is what the programs do. Args are "-port=host:port".
func play(role string, args []string) {
	addr := func(name string) string {
		for _, arg := range args {
			if a, ok := strings.CutPrefix(arg, "-"+name+"="); ok {
				return a
			}
		}
		fmt.Println("no address of", name, "in", args)
		os.Exit(1)
		return ""
	}
	listen := func(at string) net.Listener {
		l, err := net.Listen("tcp", at)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return l
	}
	forever := func() { <-time.After(time.Hour) }
	switch role {
	case "exit":
		fmt.Println("cannot find the database")
		os.Exit(3)
	case "panic":
		go panic("no configuration") // not below TestMain, which a program does not have
		forever()
	case "killed":
		fmt.Println("about to be killed")
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "usage":
		fmt.Println("flag provided but not defined: -colour")
		os.Exit(2)
	case "silent":
		fmt.Println("waiting for peers")
		forever()
	case "listen":
		defer listen(addr("client")).Close()
		forever()
	case "listen-when-told":
		for {
			if _, err := os.Stat("told"); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		defer listen(addr("client")).Close()
		forever()
	case "both":
		defer listen(addr("client")).Close()
		defer listen(addr("peer")).Close()
		forever()
	case "talk": // says that it is ready, some time after it has said other things
		for i := range 50 {
			fmt.Println("line", i)
		}
		fmt.Print("ready to ser")
		fmt.Print("ve")
		forever()
	case "environment":
		wd, _ := os.Getwd()
		fmt.Printf("%q %q wd=%s\n", args, []string{os.Getenv("GREETING"), os.Getenv("GODEBUG"), os.Getenv("PWD")}, wd)
		forever()
	case "http", "http-late", "http-redirect":
		http.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {
			switch role {
			case "http-late":
				if _, err := os.Stat("healthy"); err != nil {
					w.WriteHeader(http.StatusInternalServerError)
					fmt.Fprintln(w, "\nno leader yet\nand more")
				}
			case "http-redirect":
				http.Redirect(w, r, "/login", http.StatusFound)
			}
		})
		http.Serve(listen(addr("client")), nil)
	case "stubborn": // heeds no signal but SIGUSR1
		signal.Ignore(syscall.SIGTERM)
		usr1 := make(chan os.Signal, 1)
		signal.Notify(usr1, syscall.SIGUSR1)
		defer listen(addr("client")).Close()
		<-usr1
		fmt.Println("good bye")
	case "parent": // leaves a child behind in its group
		child := exec.Command(os.Args[0], "-client="+addr("client"))
		child.Env = append(os.Environ(), "PROGRAM_TEST_ROLE=listen")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.WriteFile("child", []byte(strconv.Itoa(child.Process.Pid)), 0o600)
		forever()
	case "build":
		playBuild(args[0])
	case "wipe":
		if len(args) > 0 && args[0] == "fail" {
			fmt.Println("cannot wipe", os.Getenv("GREETING"))
			os.Exit(5)
		}
		os.WriteFile("wiped", nil, 0o600)
	default:
		fmt.Println("unknown role", role)
		os.Exit(9)
	}
}

func newEngine(t testing.TB) *process.Engine {
	e := process.New()
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// freeAddr is an address that nobody listens on.
func freeAddr(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// spec is a node of a program that plays a role.
func spec(t testing.TB, role string, change func(p *config.Program)) Spec {
	dir := filepath.Join(t.TempDir(), "a node")
	addrs := map[string]string{"client": freeAddr(t), "peer": freeAddr(t)}
	p := &config.Program{
		Name: "kv", Command: []string{os.Args[0]}, Args: []string{`-client={{.Listen "client"}}`, `-peer={{.Listen "peer"}}`}, Ports: []string{"client", "peer"},
		Env: map[string]string{"PROGRAM_TEST_ROLE": role}, Stop: config.Stop{Signal: "SIGTERM"}, Reset: config.Reset{Mode: "restart"},
	}
	if change != nil {
		change(p)
	}
	x, err := Build(t.Context(), p, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return Spec{
		Program: p, Executable: x, Log: filepath.Join(t.TempDir(), "node.log"), Ready: patience, Grace: patience,
		View: config.View{Cluster: "kv-1", Nodes: []config.NodeView{{Name: "node-1", Dir: dir, Listen: addrs, Addr: addrs}}},
	}
}

// start starts a node that is to be ready.
func startNode(t testing.TB, e engine.Engine, s Spec) engine.Node {
	t.Helper()
	n, err := Start(t.Context(), e, s)
	if err != nil {
		t.Fatal(explain(err))
	}
	t.Cleanup(func() { n.Kill() })
	return n
}

// explain is the diagnosis of an error, as people see it.
func explain(err error) string {
	e, ok := errors.AsType[*engine.Error](err)
	if !ok {
		return fmt.Sprintf("%T: %v", err, err)
	}
	d := diagnostics.Diagnose(e.Failure)
	return fmt.Sprintf("%s\n%s\ncause: %s\n%s", d.Code, d.Problem, d.Cause, strings.Join(d.Evidence, "\n"))
}

// wantError checks for a code, and for texts that the diagnosis has to have.
func wantError(t *testing.T, err error, code diagnostics.Code, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want %s", code)
	}
	got := explain(err)
	for _, text := range append(texts, string(code)+"\n") {
		if !strings.Contains(got, text) {
			t.Errorf("the diagnosis lacks %q:\n%s", text, got)
		}
	}
}

func TestReady(t *testing.T) {
	tests := []struct {
		name, role string
		change     func(p *config.Program)
	}{
		{"ports", "both", nil},
		{"tcp", "listen", func(p *config.Program) { p.Ready.TCP = "client" }},
		{"http", "http", func(p *config.Program) { p.Ready.HTTP, p.Ready.Path = "client", "/health" }},
		{"log", "talk", func(p *config.Program) { p.Ready.Log = "^ready to serve$" }},
		{"no ports", "silent", func(p *config.Program) { p.Ports = nil }},
		{"child listens", "parent", func(p *config.Program) { p.Ready.TCP = "client" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := newEngine(t)
			s := spec(t, test.role, test.change)
			n := startNode(t, e, s)
			if err := Healthy(t.Context(), e, s, n); err != nil && test.name != "log" {
				t.Errorf("not healthy: %s", explain(err))
			}
			if killed, err := Stop(t.Context(), s, n); killed || err != nil {
				t.Errorf("Stop: killed %v, error %v", killed, err)
			}
			wantError(t, Healthy(t.Context(), e, s, n), diagnostics.NodeSignal, "signal: terminated")
		})
	}
}

// TestEnds is about programs that end before they are ready: that is told at
// once, by exit status and last words.
func TestEnds(t *testing.T) {
	tests := []struct {
		role  string
		code  diagnostics.Code
		texts []string
	}{
		{"exit", diagnostics.NodeExitEarly, []string{"exited before it answered (exit status 3)", "its last words: cannot find the database", "command: " + os.Args[0]}},
		{"panic", diagnostics.NodePanic, []string{"no configuration", "| panic: no configuration"}},
		{"killed", diagnostics.NodeSignal, []string{"| about to be killed"}},
		{"usage", diagnostics.NodeFlags, []string{"-colour"}},
	}
	for _, test := range tests {
		t.Run(test.role, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			s := spec(t, test.role, nil)
			s.Ready = 0
			_, err := Start(ctx, newEngine(t), s)
			wantError(t, err, test.code, test.texts...)
			if ctx.Err() != nil {
				t.Error("it was not told before the time was over")
			}
		})
	}
}

func TestAddressTaken(t *testing.T) {
	s := spec(t, "listen", func(p *config.Program) { p.Ready.TCP = "client" })
	stranger, err := net.Listen("tcp", s.View.Nodes[0].Addr["client"])
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	_, err = Start(t.Context(), newEngine(t), s)
	wantError(t, err, diagnostics.AddrInUse, stranger.Addr().String())
}

// A stranger is not taken for a program that is slow.
func TestAddressTakenFromSlow(t *testing.T) {
	s := spec(t, "listen-when-told", func(p *config.Program) { p.Ready.TCP = "client" })
	stranger, err := net.Listen("tcp", s.View.Nodes[0].Addr["client"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stranger.Close() })
	for _, told := range []bool{false, true} {
		t.Run(fmt.Sprintf("told=%v", told), func(t *testing.T) {
			e := newEngine(t)
			s.Ready = 2 * time.Second
			if told {
				s.Ready = patience
				time.AfterFunc(1500*time.Millisecond, func() { os.WriteFile(filepath.Join(s.node().Dir, "told"), nil, 0o600) })
			}
			_, err := Start(t.Context(), e, s)
			wantError(t, err, diagnostics.AddrInUse, stranger.Addr().String())
		})
	}
}

func TestNotReady(t *testing.T) {
	tests := []struct {
		name, role string
		change     func(p *config.Program)
		texts      []string
	}{
		{"hangs", "silent", func(p *config.Program) { p.Ready.TCP = "client" },
			[]string{"node-1 was not ready within 300ms", "connection refused", "asked: a connection to 127.0.0.1:", "it listens on no port", "| waiting for peers"}},
		{"wrong port", "listen", func(p *config.Program) {
			p.Args, p.Ready.HTTP, p.Ready.Path = []string{`-client={{.Listen "peer"}}`}, "client", "/health"
		}, []string{"asked: GET http://127.0.0.1:", "connection refused", "it listens on 127.0.0.1:"}},
		{"status 500", "http-late", func(p *config.Program) { p.Ready.HTTP, p.Ready.Path = "client", "/health" },
			[]string{`HTTP 500 Internal Server Error: "no leader yet"`}},
		{"redirect", "http-redirect", func(p *config.Program) { p.Ready.HTTP, p.Ready.Path = "client", "/health" },
			[]string{`HTTP 302 Found: redirected to "/login"`}},
		{"other words", "silent", func(p *config.Program) { p.Ready.Log = "^READY" },
			[]string{`no line of its output matches ^READY; the last one is "waiting for peers"`}},
		{"exec fails", "silent", func(p *config.Program) {
			p.Ready.Exec = []string{"sh", "-c", "echo not yet; exit 4"}
		}, []string{"sh: exit status 4: not yet"}},
		{"exec hangs", "silent", func(p *config.Program) {
			p.Ready.Exec = []string{"sh", "-c", "echo thinking; sleep 3600"}
		}, []string{"sh had not ended: thinking"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := spec(t, test.role, test.change)
			s.Ready = 300 * time.Millisecond
			begin := time.Now()
			for { // on a busy machine it may not have got far enough to say anything
				n, err := Start(t.Context(), newEngine(t), s)
				if n != nil {
					t.Fatal("a node that was never ready")
				}
				e, ok := errors.AsType[*engine.Error](err)
				texts := slices.Clone(test.texts)
				for i := range texts {
					texts[i] = strings.Replace(texts[i], "300ms", s.Ready.String(), 1)
				}
				lacks := func(text string) bool { return !strings.Contains(explain(err), text) }
				if ok && slices.ContainsFunc(texts, lacks) && time.Since(begin) < patience {
					s.Ready *= 2
					continue
				}
				wantError(t, err, diagnostics.ProgramNotReady, texts...)
				if ok {
					if err := syscall.Kill(e.PID, 0); err == nil {
						t.Errorf("its process %d still runs", e.PID)
					}
				}
				break
			}
		})
	}
}

func TestExecReady(t *testing.T) {
	e := newEngine(t)
	s := spec(t, "silent", func(p *config.Program) {
		p.Ports = nil
		p.Ready.Exec = []string{"sh", "-c", `echo "$0 $GREETING" >> asked; test $(wc -l < asked) -ge 3`, "{{.Name}}"}
		p.Env["GREETING"] = "from {{.Cluster}}"
	})
	n := startNode(t, e, s)
	text, err := os.ReadFile(filepath.Join(s.View.Nodes[0].Dir, "asked"))
	if want := strings.Repeat("node-1 from kv-1\n", 3); string(text) != want || err != nil {
		t.Errorf("the command was run with %q, %v; want %q", text, err, want)
	}
	if err := Healthy(t.Context(), e, s, n); err != nil {
		t.Error(explain(err))
	}
}

// TestExecMissing: waiting would not help.
func TestExecMissing(t *testing.T) {
	s := spec(t, "silent", func(p *config.Program) { p.Ready.Exec = []string{"no-such-command-kv"} })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s.Ready = 0
	_, err := Start(ctx, newEngine(t), s)
	wantError(t, err, diagnostics.ProgramNotReady, "no-such-command-kv: executable file not found")
	if ctx.Err() != nil {
		t.Error("it was waited for")
	}
}

func TestCancelled(t *testing.T) {
	s := spec(t, "silent", func(p *config.Program) { p.Ready.TCP = "client" })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for engine.LogSize(s.Log) == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := Start(ctx, newEngine(t), s); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want context.Canceled", err)
	}
	var err error
	for wait := time.Second; wait < patience; wait *= 2 {
		ctx, cancel = context.WithTimeout(t.Context(), wait)
		_, err = Start(ctx, newEngine(t), s)
		cancel()
		if strings.Contains(explain(err), "connection refused") { // it came as far as to be asked
			break
		}
	}
	wantError(t, err, diagnostics.ProgramNotReady, "connection refused") // what was waited for is worth knowing
}

// TestBecomesHealthy waits through answers that say no, and a log that is not
// the first process's.
func TestBecomesHealthy(t *testing.T) {
	e := newEngine(t)
	s := spec(t, "http-late", func(p *config.Program) { p.Ready.HTTP, p.Ready.Path = "client", "/health" })
	healthy := filepath.Join(s.View.Nodes[0].Dir, "healthy")
	time.AfterFunc(20*time.Millisecond, func() {
		for os.WriteFile(healthy, nil, 0o600) != nil {
			time.Sleep(time.Millisecond)
		}
	})
	n := startNode(t, e, s)
	if err := Healthy(t.Context(), e, s, n); err != nil {
		t.Error(explain(err))
	}
	os.Remove(healthy)
	wantError(t, Healthy(t.Context(), e, s, n), diagnostics.ProgramUnhealthy, `HTTP 500 Internal Server Error: "no leader yet"`, "asked: GET http://")
}

// TestLogOfBefore: a line that an earlier process of the node has printed says
// nothing about this one.
func TestLogOfBefore(t *testing.T) {
	e := newEngine(t)
	s := spec(t, "talk", func(p *config.Program) { p.Ready.Log = "ready to serve" })
	n := startNode(t, e, s)
	n.Kill()
	s.Program.Env["PROGRAM_TEST_ROLE"] = "exit"
	_, err := Start(t.Context(), e, s)
	wantError(t, err, diagnostics.NodeExitEarly, "cannot find the database")
	if strings.Contains(explain(err), "ready to serve") {
		t.Errorf("the diagnosis quotes an earlier process:\n%s", explain(err))
	}
}

// TestPassedOn is about what arrives at a program.
func TestPassedOn(t *testing.T) {
	s := spec(t, "environment", func(p *config.Program) {
		p.Command = append(p.Command, "first {{.Index}}")
		p.Args = []string{"a b", "", "--x='{{.Name}}'", "\u00e9\"$HOME"}
		p.Env["GREETING"] = "hello {{.Name}} of {{.Size}}"
		p.Ready.Log = "wd="
	})
	s.Env = append(os.Environ(), "GODEBUG=gctrace=0", "GREETING=hidden")
	startNode(t, newEngine(t), s)
	dir := s.View.Nodes[0].Dir
	want := fmt.Sprintf("%q %q wd=%s\n", []string{"first 0", "a b", "", "--x='node-1'", "\u00e9\"$HOME"}, []string{"hello node-1 of 1", "gctrace=0", dir}, dir)
	got, err := os.ReadFile(s.Log)
	if err != nil || string(got) != want {
		t.Errorf("it says %s\nwant    %s, %v", got, want, err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its directory: %v, %v", info, err)
	}
}

// TestUntouched: the directory of a command is somebody else's. One that is
// touched is another input to the go command, which runs a test again for it.
func TestUntouched(t *testing.T) {
	s := spec(t, "both", nil)
	dir := filepath.Join(t.TempDir(), "bin")
	old := time.Unix(1e9, 0)
	if err := errors.Join(
		os.Mkdir(dir, 0o700),
		os.Symlink(s.Executable.Path, filepath.Join(dir, "kv")),
		os.Chtimes(dir, old, old),
		os.Chtimes(filepath.Dir(dir), old, old),
	); err != nil {
		t.Fatal(err)
	}
	s.Executable.Path = filepath.Join(dir, "kv")
	startNode(t, newEngine(t), s)
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if f, err := os.Stat(d); err != nil || !f.ModTime().Equal(old) {
			t.Errorf("%s was touched at %v (%v)", d, f.ModTime(), err)
		}
	}
}

func TestStop(t *testing.T) {
	t.Run("killed", func(t *testing.T) {
		s := spec(t, "stubborn", func(p *config.Program) { p.Ready.TCP = "client" })
		s.Grace = 50 * time.Millisecond
		n := startNode(t, newEngine(t), s)
		if killed, err := Stop(t.Context(), s, n); !killed || err != nil || n.Exit().Signal != "killed" {
			t.Errorf("killed %v, error %v, exit %v", killed, err, n.Exit())
		}
	})
	t.Run("end of the context", func(t *testing.T) {
		s := spec(t, "stubborn", func(p *config.Program) { p.Ready.TCP = "client" })
		n := startNode(t, newEngine(t), s)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if killed, err := Stop(ctx, s, n); !killed || err != nil {
			t.Errorf("killed %v, error %v", killed, err)
		}
	})
	t.Run("its signal", func(t *testing.T) {
		s := spec(t, "stubborn", func(p *config.Program) { p.Ready.TCP, p.Stop.Signal = "client", "SIGUSR1" })
		n := startNode(t, newEngine(t), s)
		if killed, err := Stop(t.Context(), s, n); killed || err != nil {
			t.Errorf("killed %v, error %v", killed, err)
		}
		if log, _ := os.ReadFile(s.Log); !strings.HasSuffix(string(log), "good bye\n") {
			t.Errorf("its log: %s", log)
		}
		if killed, err := Stop(t.Context(), s, n); killed || err != nil { // it has ended
			t.Errorf("again: killed %v, error %v", killed, err)
		}
	})
	t.Run("its children", func(t *testing.T) {
		s := spec(t, "parent", func(p *config.Program) { p.Ready.TCP = "client" })
		n := startNode(t, newEngine(t), s)
		child, err := os.ReadFile(filepath.Join(s.View.Nodes[0].Dir, "child"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Stop(t.Context(), s, n); err != nil {
			t.Error(err)
		}
		pid, _ := strconv.Atoi(string(child))
		if running(pid) {
			t.Errorf("its child %d still runs", pid)
		}
		startNode(t, newEngine(t), s) // and has given back its port
	})
}

// running is false for a zombie that init has not got round to.
func running(pid int) bool {
	s, ok := procstat.Of(pid)
	return ok && !s.Zombie()
}

func TestReset(t *testing.T) {
	e := newEngine(t)
	s := spec(t, "wipe", func(p *config.Program) {
		p.Reset = config.Reset{Mode: "exec", Exec: []string{os.Args[0], "{{.Name}}"}}
		p.Env["GREETING"] = "{{.Name}}"
	})
	if err := Reset(t.Context(), e, s); err != nil {
		t.Fatal(explain(err))
	}
	if _, err := os.Stat(filepath.Join(s.View.Nodes[0].Dir, "wiped")); err != nil {
		t.Error(err)
	}
	s.Program.Reset.Exec[1] = "fail"
	wantError(t, Reset(t.Context(), e, s), diagnostics.ProgramReset, "exit status 5", "its last words: cannot wipe node-1", "command: "+os.Args[0]+" fail")
	s.Program.Reset.Exec[0] = "no-such-command-kv"
	wantError(t, Reset(t.Context(), e, s), diagnostics.ProgramReset, "no-such-command-kv: executable file not found")
	s.Program.Reset.Exec = nil
	if err := Reset(t.Context(), e, s); err != nil {
		t.Error(err)
	}
}

func TestAttached(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	e := newEngine(t)
	v := config.View{Nodes: []config.NodeView{{Name: "node-1", Addr: map[string]string{"client": l.Addr().String()}}}}
	a := &config.Attach{Name: "staging"}
	if err := Attached(t.Context(), e, a, v); err != nil {
		t.Error(explain(err))
	}
	a.Ready.Exec = []string{"sh", "-c", "test $0 = " + l.Addr().String(), `{{.Addr "client"}}`}
	if err := Attached(t.Context(), e, a, v); err != nil {
		t.Error(explain(err))
	}
	a.Ready = config.Ready{TCP: "client"}
	l.Close()
	wantError(t, Attached(t.Context(), e, a, v), diagnostics.ClusterUnreachable, "connection refused", "asked: a connection to "+l.Addr().String())
}

// TestHTTP has servers that do not behave.
func TestHTTP(t *testing.T) {
	tests := []struct{ answer, want string }{
		{"HTTP/1.1 200 OK\r\n\r\n", ""},
		{"HTTP/1.0 204\r\n\r\n", ""},
		{"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", ""},
		{"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwait\n\r\n0\r\n\r\n", `HTTP 503 Service Unavailable: "wait"`},
		{"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP 404 Not Found"},
		{"SSH-2.0-OpenSSH_9.6\r\n", `does not speak HTTP: it says "SSH-2.0-OpenSSH_9.6"`},
		{"", "closed the connection without an answer"},
		{"HTTP/1.1 200", ""},
		{strings.Repeat("x", 1<<20), "does not speak HTTP"},
		{"HTTP/1.1 500 X\r\n" + strings.Repeat("A: b\r\n", 1<<16), "HTTP 500 X"},
	}
	for _, test := range tests {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan string, 1)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			r, err := http.ReadRequest(bufio.NewReader(conn))
			if err != nil {
				asked <- err.Error()
				return
			}
			asked <- fmt.Sprint(r.Method, " ", r.URL, " ", r.Host, " ", r.Close)
			conn.Write([]byte(test.answer))
		}()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err = new(check).askHTTP(ctx, l.Addr().String(), "/a/b?c=d")
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%.60q: error %v; want %q", test.answer, err, test.want)
		}
		if got, want := <-asked, "GET /a/b?c=d "+l.Addr().String()+" true"; got != want {
			t.Errorf("asked %s; want %s", got, want)
		}
		cancel()
		l.Close()
	}
}
