package program

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/network/namespaces"
)

// A Spec is one node of a program's cluster.
type Spec struct {
	Program    *config.Program
	Executable *Executable
	View       config.View   // the cluster from this node; its Dir is made if it is not there
	Env        []string      // what the program's env is added to; nil: os.Environ()
	Log        string        // file its output is appended to; "": the engine makes one
	Ready      time.Duration // how long it may take to be ready: config.ReadyTimeout; 0: as long as ctx
	Grace      time.Duration // how long it may take to stop: config.Grace; 0: as long as ctx

	Host *namespaces.Host // the network that it and its commands are started in; nil: that of this process

	// Spawned, if not nil, is called when its process runs, long before it is ready.
	Spawned func(engine.Node)
}

func (s *Spec) node() *config.NodeView { return &s.View.Nodes[s.View.Index] }

// expand fills in the node's templates.
func (s *Spec) expand() (*config.Expanded, error) {
	x, err := s.Program.Expand(s.View)
	if err != nil {
		return nil, &engine.Error{Failure: diagnostics.Failure{
			Phase: diagnostics.PhaseConfig, Code: diagnostics.ConfigInvalid, Op: "fill in the templates of program " + s.Program.Name,
			Node: s.node().Name, Name: s.Program.Name, Err: err,
		}}
	}
	return x, nil
}

// env is the environment of the node and of its commands.
func (s *Spec) env(x *config.Expanded) []string {
	env := s.Env
	if env == nil {
		env = os.Environ()
	}
	env = append(env[:len(env):len(env)], "PWD="+s.node().Dir)
	for _, name := range slices.Sorted(maps.Keys(x.Env)) {
		env = append(env, name+"="+x.Env[name])
	}
	return env
}

// Start starts the node and returns when it is ready. If it is not, it has
// been killed, and the error is an *engine.Error unless ctx was cancelled. The
// node's working directory is its own (View.Dir).
func Start(ctx context.Context, e engine.Engine, s Spec) (engine.Node, error) {
	x, err := s.expand()
	if err != nil {
		return nil, err
	}
	dir := s.node().Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &engine.Error{Failure: diagnostics.Failure{Phase: diagnostics.PhasePrepare, Op: "create the directory of " + s.node().Name, Node: s.node().Name, Path: dir, Err: err}}
	}
	args := x.Args
	if len(x.Command) > 1 {
		args = slices.Concat(x.Command[1:], x.Args)
	}
	if s.Program.Package != "" { // whose file is in a directory of ours
		used(s.Executable.Path)
	}
	st := &start{Spec: s, check: s.check(e, x, true), args: args, begin: time.Now(), oom: diagnostics.OOMKills()}
	st.stranger = st.check.answered(ctx)
	node, err := run(ctx, e, engine.Command{Path: s.Executable.Path, Args: args, Env: s.env(x), Dir: dir, Log: s.Log, Host: s.Host})
	if err != nil {
		if ee, ok := errors.AsType[*engine.Error](err); ok {
			ee.Node, ee.Name = s.node().Name, s.Program.Name
			diagnostics.Gather(ctx, &ee.Failure) // now: its directory is going to be removed
		}
		return nil, err
	}
	if s.Spawned != nil {
		s.Spawned(node)
	}
	if err := st.await(ctx, node); err != nil {
		node.Kill()
		return nil, err
	}
	return node, nil
}

// run has the engine start a command. A file that has just been written can
// still be open in a process that was forked meanwhile and has not got as far
// as its own exec.
func run(ctx context.Context, e engine.Engine, c engine.Command) (engine.Node, error) {
	for pause := time.Millisecond; ; pause *= 2 {
		n, err := e.Run(ctx, c)
		if err == nil || !errors.Is(err, syscall.ETXTBSY) || pause > 100*time.Millisecond {
			return n, err
		}
		time.Sleep(pause)
	}
}

// A start is one process on its way to being ready.
type start struct {
	Spec
	check    *check
	args     []string
	begin    time.Time
	oom      *uint64
	stranger string // an address where somebody listened before; ""
}

// await returns when the process is ready, or cannot be any more.
func (st *start) await(ctx context.Context, n engine.Node) error {
	waiting, stop := context.WithCancel(ctx)
	if st.Ready > 0 {
		waiting, stop = context.WithTimeout(ctx, st.Ready)
	}
	defer stop()
	go func() {
		select {
		case <-n.Done():
			stop()
		case <-waiting.Done():
		}
	}()
	c := st.check
	if c.log != nil {
		c.log.file, c.log.offset = n.LogFile(), n.LogFrom()
	}
	last, final := c.poll(waiting)
	taken := false
	if last == nil && !st.ours(waiting, n) {
		last, taken = fmt.Errorf("%s: who answers there listened before", st.stranger), true
	}
	select {
	case <-n.Done():
		exit := n.Exit()
		f := st.failure(n, nil)
		f.Exit, f.OOMBefore = &exit, st.oom
		if exit.Code == 0 {
			f.Details = append(f.Details, "if it puts itself into the background, give it the flag that keeps it in the foreground")
		}
		return &engine.Error{Failure: f}
	default:
	}
	switch {
	case last == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	}
	f := st.failure(n, last)
	f.Code, f.PID = diagnostics.ProgramNotReady, n.PID()
	f.Details = append([]string{"asked: " + c.what}, f.Details...)
	if len(c.addrs) > 0 {
		f.Address = c.addrs[0]
		if errors.Is(last, syscall.ENETUNREACH) && loopback(f.Address) {
			f.Code = diagnostics.AddrUnavailable
		}
	}
	if taken {
		f.Code, f.Address = diagnostics.AddrInUse, st.stranger
	}
	if f.Limit = st.Ready; final {
		f.Limit = f.Elapsed.Round(time.Millisecond)
	} else if deadline, ok := ctx.Deadline(); ok && ctx.Err() != nil {
		f.Limit = deadline.Sub(st.begin)
	}
	f.Facts.Listening = listeners(n.PID())
	if listens := f.Facts.Listening; len(listens) > 0 {
		f.Details = append(f.Details, "it listens on "+strings.Join(listens, ", "))
	} else if listens != nil && len(c.addrs) > 0 {
		f.Details = append(f.Details, "it listens on no port")
	}
	return &engine.Error{Failure: f}
}

func (st *start) failure(n engine.Node, err error) diagnostics.Failure {
	return diagnostics.Failure{
		Phase: diagnostics.PhaseHandshake, Op: fmt.Sprintf("start program %s as %s", st.Program.Name, st.node().Name),
		Node: st.node().Name, Name: st.Program.Name, Err: err, Path: st.Executable.Path, Elapsed: time.Since(st.begin),
		Log: engine.LogTail(n), Details: []string{"command: " + shell(st.Executable.Path, st.args)},
	}
}

func loopback(addr string) bool {
	a, err := netip.ParseAddrPort(addr)
	return err == nil && a.Addr().IsLoopback()
}

// shell is a command as one would type it.
func shell(path string, args []string) string {
	const most = 2000
	var b strings.Builder
	for i, word := range append([]string{path}, args...) {
		if i > 0 {
			b.WriteByte(' ')
		}
		if word == "" || strings.ContainsAny(word, " \t\r\n\"'\\$`*?[]{}()<>|&;#~!") {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		b.WriteString(word)
		if b.Len() > most {
			return strings.ToValidUTF8(b.String()[:most], "") + "…"
		}
	}
	return strings.ReplaceAll(b.String(), "\n", "␊")
}

// ours reports whether a process may be the one that answers, and gives it time to
// fail where it is not: a stranger may have its port. Where nobody listened before,
// it does not insist, because a program can be listened for by somebody else (a
// container by its proxy).
func (st *start) ours(ctx context.Context, n engine.Node) bool {
	var patience <-chan time.Time
	if st.stranger == "" {
		timer := time.NewTimer(time.Second)
		defer timer.Stop()
		patience = timer.C
	}
	for pause := time.Millisecond; ; pause = min(2*pause, maxPause) {
		if len(st.check.addrs) == 0 || listensOn(n.PID(), st.check.addrs) {
			return true
		}
		select {
		case <-time.After(pause):
		case <-patience:
			return true
		case <-ctx.Done(): // the process has ended, or the time has
			return st.stranger == ""
		}
	}
}

// Healthy tries once whether a node that was ready still is. Readiness by log
// cannot be tried again: then the node's ports have to accept connections. Its
// error is an *engine.Error.
func Healthy(ctx context.Context, e engine.Engine, s Spec, n engine.Node) error {
	x, err := s.expand()
	if err != nil {
		return err
	}
	c := s.check(e, x, false)
	err = c.once(ctx)
	failure := diagnostics.Failure{
		Phase: diagnostics.PhaseCall, Code: diagnostics.ProgramUnhealthy, Op: "look after " + s.node().Name, Node: s.node().Name,
		Name: s.Program.Name, PID: n.PID(), Err: err, Details: []string{"asked: " + c.what}, Log: engine.LogTail(n),
	}
	select {
	case <-n.Done():
		exit := n.Exit()
		failure.Code, failure.Exit, failure.Err, failure.Details = "", &exit, nil, nil
	default:
		if err == nil {
			return nil
		}
	}
	return &engine.Error{Failure: failure}
}

// Attached tries once whether a node of an attached cluster answers as its
// ready says; without one, its ports have to accept connections. Its error is
// an *engine.Error.
func Attached(ctx context.Context, e engine.Engine, a *config.Attach, v config.View) error {
	node := v.Nodes[v.Index]
	failed := func(code diagnostics.Code, err error, details ...string) error {
		return &engine.Error{Failure: diagnostics.Failure{
			Phase: diagnostics.PhasePrepare, Code: code, Op: "look at " + node.Name + " of cluster " + a.Name,
			Node: node.Name, Name: a.Name, Err: err, Details: details,
		}}
	}
	exec, err := a.Ready.Expand(v)
	if err != nil {
		return failed(diagnostics.ConfigInvalid, err)
	}
	c := &check{ready: &a.Ready, addr: node.Addr, exec: exec, env: os.Environ(), engine: e}
	c.plan(slices.Sorted(maps.Keys(node.Addr)))
	if err := c.once(ctx); err != nil {
		return failed(diagnostics.ClusterUnreachable, err, "asked: "+c.what)
	}
	return nil
}

// Stop asks a node to end as its program's stop says, and kills it if it has
// not by the end of the grace, or of ctx. It returns when the node and its
// process group are gone; killed says that it had to be. The error, an
// *engine.Error, is about a node that could not be ended.
func Stop(ctx context.Context, s Spec, n engine.Node) (killed bool, err error) {
	kill := func() error {
		if err := n.Kill(); err != nil {
			return &engine.Error{Failure: diagnostics.Failure{
				Phase: diagnostics.PhaseStop, Op: "kill " + s.node().Name, Node: s.node().Name, Name: s.Program.Name, PID: n.PID(), Err: err,
			}}
		}
		return nil
	}
	signal := s.Program.Stop.Signal
	if signal == "" {
		signal = "SIGTERM"
	}
	if signal == "SIGKILL" {
		return false, kill()
	}
	if err := n.Interrupt(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return true, kill() // there is no such signal here
	}
	var over <-chan time.Time
	if s.Grace > 0 {
		timer := time.NewTimer(s.Grace)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-n.Done():
		return false, nil
	case <-over:
	case <-ctx.Done():
	}
	return true, kill()
}

// Reset runs the program's reset command for one node. Its error is an
// *engine.Error with the command's last lines, unless ctx ended.
func Reset(ctx context.Context, e engine.Engine, s Spec) error {
	x, err := s.expand()
	if err != nil {
		return err
	}
	if len(x.Reset) == 0 {
		return nil
	}
	begin := time.Now()
	r, err := command(ctx, e, s.Host, x.Reset, s.node().Dir, s.env(x))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil && r.exit.Code == 0 && r.exit.Signal == "" {
		return nil
	}
	f := diagnostics.Failure{
		Phase: diagnostics.PhasePrepare, Code: diagnostics.ProgramReset, Op: "reset " + s.node().Name, Node: s.node().Name, Name: s.Program.Name,
		Err: err, Details: []string{"command: " + shell(x.Reset[0], x.Reset[1:])}, Elapsed: time.Since(begin), Log: r.said,
	}
	if err == nil {
		f.Exit = &r.exit
	}
	return &engine.Error{Failure: f}
}

// A result is how a command ended.
type result struct {
	exit diagnostics.Exit
	said []string // its last lines
}

// command runs a command of the program's to its end; it is killed when ctx
// ends. It is a node to the engine, so that it outlives nobody.
func command(ctx context.Context, e engine.Engine, host *namespaces.Host, argv []string, dir string, env []string) (result, error) {
	path, err := lookPath(argv[0], dir, env)
	if err != nil {
		return result{}, fmt.Errorf("%s: %w", path, err)
	}
	root, err := e.Root()
	if err != nil {
		return result{}, err
	}
	log, err := os.CreateTemp(root, "command-*.log")
	if err != nil {
		return result{}, err
	}
	log.Close()
	defer os.Remove(log.Name())
	if dir == "" {
		dir = root
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return result{}, err
	}
	n, err := run(ctx, e, engine.Command{Path: filepath.Clean(path), Args: argv[1:], Env: env, Dir: dir, Log: log.Name(), Host: host})
	if err != nil {
		return result{}, err
	}
	select {
	case <-n.Done():
	case <-ctx.Done():
		n.Kill()
	}
	e.Sweep([]engine.Node{n})
	return result{n.Exit(), engine.Tail(log.Name(), engine.LogLines)}, ctx.Err()
}
