package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/manager"
	"github.com/distkit/dist/runtime/manager/allowance"
	"github.com/distkit/dist/runtime/manager/keeper"
	"github.com/distkit/dist/runtime/program"
)

const upHelp = `usage: dist up [flags] program [-- go build flags]

Starts a cluster of a program of distributed.toml, and keeps it for all tests of
this user that need such a one, until dist down or its idle limit. A process of
its own owns it, in the background: it is all there is, and ends with its cluster;
if it is killed the nodes are gone too. If a cluster that fits is up, that is told.

  -nodes N       how many; without it, default_nodes of the configuration
  -idle D        end it when nobody has had it for D; 30m without it, 0 for never
  -foreground    own it here: until ^C
  -json          print one JSON object when it is ready
  -C dir         change to dir first: it decides which distributed.toml is read

What follows -- are flags for go build, if the tests are built with some: a
program that is built in another way than the tests ask for is another program.

Examples:

  dist up etcd -nodes 3
  dist up etcd -nodes 3 -idle 2h -- -race
  dist up -foreground kv

Exit status: 0 when it is ready; 1 if it could not be started, 2 for usage and
environment.
`

// An upping is one dist up.
type upping struct {
	streams
	program string
	build   []string // flags
	nodes   int      // 0: as configured
	idle    time.Duration
	json    bool
	shown   bool // by the process that is asked, not in the background
}

func setupUp(flags *flag.FlagSet) action {
	u := &upping{}
	flags.IntVar(&u.nodes, "nodes", 0, "")
	flags.DurationVar(&u.idle, "idle", 30*time.Minute, "")
	flags.BoolVar(&u.shown, "foreground", false, "")
	flags.BoolVar(&u.json, "json", false, "")
	dir := flags.String("C", "", "")
	return func(ctx context.Context, args []string, s streams) error {
		u.streams = s
		if len(args) == 0 {
			return errors.New("which program? name one of distributed.toml (dist help up)")
		}
		u.program, u.build = args[0], args[1:]
		for _, f := range u.build {
			if !strings.HasPrefix(f, "-") {
				return fmt.Errorf("unexpected argument %q: one program at a time (dist help up)", f)
			}
		}
		set := false
		flags.Visit(func(f *flag.Flag) { set = set || f.Name == "nodes" })
		switch {
		case set && u.nodes < 1:
			return fmt.Errorf("-nodes=%d: a cluster has at least 1 node", u.nodes)
		case u.idle < 0:
			return fmt.Errorf("-idle=%v: a limit is not negative; 0 is none", u.idle)
		}
		if err := chdir(*dir); err != nil {
			return err
		}
		return u.run(ctx)
	}
}

func (u *upping) run(ctx context.Context) error {
	background := os.Getenv(envUp) != "" // we are the process that owns it
	os.Unsetenv(envUp)
	cfg, err := config.Load("")
	if err != nil {
		return err
	}
	a, err := u.ask(cfg)
	if err != nil {
		return err
	}
	switch {
	case background:
		return u.own(ctx, cfg, a, u.announceTo)
	case u.shown:
		return u.own(ctx, cfg, a, nil)
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintf(u.err, "dist up: %s\n", w)
	}
	found, err := u.isUp(ctx, a)
	if err != nil || found {
		return err
	}
	fmt.Fprintf(u.err, "dist up: starting %s of %s\n", plural(a.Nodes, "node"), u.program)
	return u.startOwner(ctx)
}

// ask is what the configuration makes of the command line.
func (u *upping) ask(cfg *config.Config) (keeper.Ask, error) {
	p := cfg.Programs[u.program]
	if p == nil {
		if cfg.Attach[u.program] != nil {
			return keeper.Ask{}, fmt.Errorf("[attach.%s] is a cluster that runs already: there is nothing to start", u.program)
		}
		f := diagnostics.Failure{Phase: diagnostics.PhaseConfig, Op: "start a cluster", Code: diagnostics.ConfigProgram, Name: u.program, Path: cfg.File}
		if names := slices.Sorted(maps.Keys(cfg.Programs)); len(names) > 0 {
			f.Details = []string{"there are " + strings.Join(names, ", ")}
		}
		fmt.Fprintln(u.err, diagnostics.Diagnose(f))
		return keeper.Ask{}, failed(exitTrouble)
	}
	n, _ := cfg.DefaultNodes()
	if u.nodes > 0 {
		n = u.nodes
	}
	if most, source := cfg.MaxNodes(); n > most {
		return keeper.Ask{}, fmt.Errorf("%d nodes are asked for and %d allowed, by %s", n, most, source)
	}
	return keeper.Ask{
		Who: "dist up", Program: p, Dir: filepath.Dir(cfg.File), Flags: program.Flags{Args: u.build},
		Nodes: n, Shared: true, Network: cfg.Network,
		AtOnce: cfg.Resources.MaxNodesOnMachine,
		Start:  cfg.StartTimeout(), Ready: cfg.ReadyTimeout(p.Ready), Grace: cfg.Grace(p.Stop),
	}, nil
}

// isUp tells of a cluster that fits, if one is up.
func (u *upping) isUp(ctx context.Context, a keeper.Ask) (bool, error) {
	e := process.New()
	defer e.Close()
	f := keeper.Finder{Root: e.Root}
	defer f.Close()
	found, err := f.Find(ctx, a)
	if err != nil {
		return false, u.trouble(err)
	}
	for _, p := range append(found.Passed, found.Notes...) {
		fmt.Fprintf(u.err, "dist up: %s\n", p)
	}
	if found.Owner == nil {
		return false, nil
	}
	v, err := lookAround(ctx)
	if err != nil {
		return false, err
	}
	defer v.close()
	for _, c := range v.named(found.Ask.Cluster) {
		return true, u.tell(c, "is up already")
	}
	return false, nil // it has just ended
}

// tell says what there is.
func (u *upping) tell(c owned, how string) error {
	if u.json {
		return printJSON(u.out, c)
	}
	fmt.Fprintf(u.out, "%s %s, owned by process %d\n", c.ID, how, c.Owner.PID)
	if err := c.printNodes(u.out); err != nil {
		return fmt.Errorf("print the cluster: %w", err)
	}
	fmt.Fprintf(u.out, "to end it: dist down %s\n", c.ID)
	return nil
}

// trouble prints a diagnosis, which is no matter of one line.
func (u *upping) trouble(err error) error {
	err = explain(err)
	if d, ok := errors.AsType[*diagnostics.Diagnosis](err); ok {
		fmt.Fprintln(u.err, d)
		return failed(exitFailed)
	}
	return err
}

// own starts the cluster and keeps it, until ctx ends, somebody ends it, or
// nobody has had it for too long. ready is told when it is up; nil for a process
// that somebody looks at.
func (u *upping) own(ctx context.Context, cfg *config.Config, a keeper.Ask, ready func(owned, string) error) error {
	// A terminal that closes ends what is shown there. What is in the background
	// has none.
	for _, v := range []string{keeper.EnvOwner, "GOCOVERDIR"} {
		os.Unsetenv(v)
	}
	e := process.New()
	defer e.Close()
	root, err := e.Root()
	if err != nil {
		return u.trouble(err)
	}
	k := keeper.New(e)
	room := allowance.New("dist up", allowance.Place, nil)
	defer room.Close()
	k.Room = manager.RoomFor(room)
	s, err := keeper.Listen(k, keeper.Options{Kind: "dist up", Open: true, Idle: u.idle})
	if err != nil {
		k.Close(ctx)
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	type end struct {
		reason string
		err    error
	}
	served := make(chan end, 1)
	go func() {
		reason, err := s.Serve(ctx)
		served <- end{reason, err}
	}()
	a.Announce = func(reason string) { fmt.Fprintf(u.err, "dist up: waits: %s\n", reason) }
	i, err := k.Up(ctx, a)
	if err != nil {
		stop()
		<-served
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return failed(exitFailed)
		}
		return u.trouble(err)
	}
	c := owned{Info: i, Owner: owner{"dist up", os.Getpid(), time.Now(), true}}
	if ready == nil {
		ready = func(c owned, _ string) error { return u.tell(c, "is up") }
	}
	if err := ready(c, root); err != nil {
		stop()
		<-served
		return err
	}
	over := <-served
	if over.err != nil {
		return over.err
	}
	if over.reason != "" {
		fmt.Fprintf(u.err, "dist up: %s has ended: %s\n", c.ID, over.reason)
	}
	return nil
}

// envUp makes the dist up that owns the cluster. Its descriptor 3 is a pipe, over
// which it says when it is ready; until then it shares standard error.
const envUp = "DIST_UP"

const upPipe = 3

// announceTo tells the process that was asked, and leaves everything that is its.
func (u *upping) announceTo(c owned, root string) error {
	pipe := os.NewFile(upPipe, "ready")
	defer pipe.Close()
	data, err := json.Marshal(c)
	if err == nil {
		err = leaveTerminal(filepath.Join(root, "owner.log"))
	}
	if err == nil {
		_, err = pipe.Write(append(data, '\n'))
	}
	if err != nil { // nobody waits any more
		return fmt.Errorf("tell that the cluster is up: %w", err)
	}
	return nil
}

// startOwner starts the process that owns the cluster, and waits until it is
// ready or has ended.
func (u *upping) startOwner(ctx context.Context) error {
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer read.Close()
	cmd, err := ownerCommand(os.Args[1:])
	if err != nil {
		write.Close()
		return err
	}
	cmd.Env = append(os.Environ(), envUp+"=1")
	cmd.Stderr = u.err
	cmd.ExtraFiles = []*os.File{write}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, endSignals()...)
	defer signal.Stop(signals)
	err = cmd.Start()
	write.Close()
	if err != nil {
		return fmt.Errorf("start the owner of the cluster: %w", err)
	}
	ready := make(chan []byte, 1)
	go func() {
		data, _ := io.ReadAll(read) // until it is ready, or has ended
		ready <- data
	}()
	var data []byte
	for data == nil {
		select {
		case data = <-ready:
		case <-signals: // it is in a session of its own
			cmd.Process.Signal(os.Interrupt)
		}
	}
	var c owned
	if err := json.Unmarshal(data, &c); err != nil {
		err := cmd.Wait()
		if exit, ok := errors.AsType[interface {
			error
			ExitCode() int
		}](err); ok && exit.ExitCode() > 0 {
			return failed(exit.ExitCode()) // it has said why
		}
		return fmt.Errorf("the owner of the cluster has ended before it was ready: %w", err)
	}
	cmd.Process.Release()
	return u.tell(c, "is up")
}

// programNames are what completion offers for a program.
func programNames() []string {
	cfg, err := config.Load("")
	if err != nil {
		return []string{}
	}
	return append([]string{}, slices.Sorted(maps.Keys(cfg.Programs))...)
}
