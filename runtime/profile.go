package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"strings"
	"time"

	"github.com/distkit/dist/runtime/manager"
	"github.com/distkit/dist/runtime/wire"
)

// profileFlags are go test's, each with what it asks for. Nodes do as the test
// process does: they have the same flags.
var profileFlags = []string{"cpuprofile", "memprofile", "blockprofile", "mutexprofile", "trace"}

// isProfiling reports whether go test was asked for profiles.
func isProfiling() bool {
	for _, name := range profileFlags {
		if flagValue(os.Args[1:], "test."+name) != "" {
			return true
		}
	}
	return false
}

// A profiling is what a node records during a lease.
type profiling struct {
	id    manager.Identity
	cpu   *bytes.Buffer // nil if it is not recorded
	trace *os.File
}

// setProfileRates is called when a node's life begins, as package testing does
// before the tests.
func setProfileRates() {
	rate := func(profile, flag string, byDefault int) int {
		if flagValue(os.Args[1:], "test."+profile) == "" {
			return 0
		}
		if n, err := strconv.Atoi(flagValue(os.Args[1:], "test."+flag)); err == nil {
			return n
		}
		return byDefault
	}
	if n := rate("memprofile", "memprofilerate", 0); n > 0 {
		goruntime.MemProfileRate = n
	}
	if n := rate("blockprofile", "blockprofilerate", 1); n > 0 {
		goruntime.SetBlockProfileRate(n)
	}
	if n := rate("mutexprofile", "mutexprofilefraction", 1); n > 0 {
		goruntime.SetMutexProfileFraction(n)
	}
}

// beginProfiles begins to record what takes time. Whatever fails is told in the
// node's log: no test is to fail for it.
func beginProfiles(id manager.Identity) *profiling {
	if !isProfiling() {
		return nil
	}
	p := &profiling{id: id}
	if p.file("cpuprofile") != "" {
		p.cpu = new(bytes.Buffer)
		if err := pprof.StartCPUProfile(p.cpu); err != nil {
			p.cpu = nil
			p.failed("cpuprofile", err)
		}
	}
	if file := p.file("trace"); file != "" {
		f, err := os.Create(file)
		if err == nil {
			err = trace.Start(f)
		}
		if err != nil {
			p.failed("trace", err)
		} else {
			p.trace = f
		}
	}
	return p
}

// end writes what has been recorded. A nil profiling has nothing.
func (p *profiling) end() {
	if p == nil {
		return
	}
	if p.cpu != nil {
		pprof.StopCPUProfile()
		p.write("cpuprofile", func(w io.Writer) error { _, err := p.cpu.WriteTo(w); return err })
	}
	if p.trace != nil {
		trace.Stop()
		if err := p.trace.Close(); err != nil {
			p.failed("trace", err)
		}
	}
	for name, profile := range map[string]string{"memprofile": "allocs", "blockprofile": "block", "mutexprofile": "mutex"} {
		if p.file(name) == "" {
			continue
		}
		if name == "memprofile" {
			goruntime.GC() // statistics are of the last one
		}
		p.write(name, func(w io.Writer) error { return pprof.Lookup(profile).WriteTo(w, 0) })
	}
}

func (p *profiling) write(name string, to func(io.Writer) error) {
	f, err := os.Create(p.file(name))
	if err == nil {
		err = to(f)
		if closed := f.Close(); err == nil {
			err = closed
		}
	}
	if err != nil {
		p.failed(name, err)
	}
}

func (p *profiling) failed(name string, err error) {
	fmt.Fprintf(os.Stderr, "dist: -%s of %s is not recorded: %v\n", name, p.id.Name, err)
}

// file is where the node's part of a flag's file goes; "" if the flag is not given.
func (p *profiling) file(name string) string {
	file := flagValue(os.Args[1:], "test."+name)
	if file == "" {
		return ""
	}
	return profileFile(file, flagValue(os.Args[1:], "test.outputdir"), p.id)
}

// profileFile is beside the file of the test process: cpu.TestLeader.node-1.out
// beside cpu.out. A node's second process in a test is node-1-2.
func profileFile(file, outputDir string, id manager.Identity) string {
	if outputDir != "" && !filepath.IsAbs(file) {
		file = filepath.Join(outputDir, file)
	}
	node := id.Name
	if id.Life > 0 {
		node += "-" + strconv.Itoa(id.Life+1)
	}
	ext := filepath.Ext(file)
	return strings.TrimSuffix(file, ext) + "." + pathless(id.Test) + "." + node + ext
}

// pathless is a test's name as a part of a file's name.
func pathless(test string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>| `, r) {
			return '_'
		}
		return r
	}, test)
}

// record makes a profile of this process, for the test side or dist dump, by a
// name of package runtime/pprof, or "cpu" or "trace".
func record(ctx context.Context, r manager.ProfileRequest) ([]byte, error) {
	var b bytes.Buffer
	wait := func() {
		select {
		case <-time.After(r.For):
		case <-ctx.Done():
		}
	}
	switch r.Name {
	case "cpu":
		if err := pprof.StartCPUProfile(&b); err != nil {
			return nil, err
		}
		wait()
		pprof.StopCPUProfile()
		return b.Bytes(), ctx.Err()
	case "trace":
		if err := trace.Start(&b); err != nil {
			return nil, err
		}
		wait()
		trace.Stop()
		return b.Bytes(), ctx.Err()
	case "block":
		// What -blockprofile counts, it counts on.
		if flagValue(os.Args[1:], "test.blockprofile") != "" {
			wait()
		} else if r.For > 0 {
			goruntime.SetBlockProfileRate(1)
			wait()
			goruntime.SetBlockProfileRate(0)
		}
	case "mutex":
		if r.For > 0 {
			before := goruntime.SetMutexProfileFraction(1)
			wait()
			goruntime.SetMutexProfileFraction(before)
		}
	case "heap", "allocs":
		wait()
		goruntime.GC() // statistics are of the last one
	default:
		wait()
	}
	p := pprof.Lookup(r.Name)
	if p == nil {
		var names []string
		for _, p := range pprof.Profiles() {
			names = append(names, p.Name())
		}
		return nil, fmt.Errorf("there is no profile %q: there are cpu, trace, %s", r.Name, strings.Join(names, ", "))
	}
	if err := p.WriteTo(&b, 0); err != nil {
		return nil, err
	}
	return b.Bytes(), ctx.Err()
}

// Profile has a node make a profile.
func (h *Held) Profile(ctx context.Context, n manager.Node, name string, d time.Duration) ([]byte, error) {
	op := fmt.Sprintf("make a %s profile of %s", name, n.Name())
	body, err := wire.Marshal(manager.ProfileRequest{Name: name, For: d})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return h.inspect(ctx, n, op, manager.MethodProfile, body)
}

// Goroutines has a node print the stacks of its goroutines.
func (h *Held) Goroutines(ctx context.Context, n manager.Node) ([]byte, error) {
	return h.inspect(ctx, n, "ask "+n.Name()+" for its goroutines", manager.MethodStacks, nil)
}

func (h *Held) inspect(ctx context.Context, n manager.Node, op, method string, body []byte) ([]byte, error) {
	if program := h.Program(); program != "" {
		return nil, fmt.Errorf("%s: it runs program %s: nodes of the test binary tell, and a program where it serves net/http/pprof itself, which dist dump finds", op, program)
	}
	b, err := n.Call(ctx, op, method, body)
	if lost := (*manager.LostError)(nil); err == nil || errors.As(err, &lost) {
		return b, err
	}
	return nil, fmt.Errorf("%s: %w", op, err)
}
