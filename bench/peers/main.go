//go:build unix

// Peers does the same work side by side with dist and with what people use
// instead: Erlang's peer and erpc where erl is installed, net/rpc and grpc between
// home-made processes.
//
//	go run . [-rounds n] [-calls n] [-json]
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	_ "embed"

	"github.com/distkit/dist/bench/peers/work"
)

//go:embed erlang.escript
var script []byte

func main() {
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 3 && args[0] == "serve":
		err = serve(args[1], args[2])
	case len(args) == 2 && args[0] == "lead":
		err = lead(args[1])
	default:
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		err = run(ctx)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "peers: %v\n", err)
		os.Exit(1)
	}
}

// A peer is one way to do the work. round does it once.
type peer struct {
	name  string
	round func(ctx context.Context) (work.Result, error)
	rs    []work.Result
}

func run(ctx context.Context) error {
	rounds := flag.Int("rounds", 9, "do the work `n` times with each, in turns")
	calls := flag.Int("calls", 400, "make `n` small calls in a round")
	asJSON := flag.Bool("json", false, "print one JSON object a line")
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 1 || *calls < 8 {
		return fmt.Errorf("usage: peers [-rounds n] [-calls n] [-json]")
	}
	os.Setenv(work.Env, fmt.Sprint(*calls))
	temp, err := os.MkdirTemp("", "peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)

	binary := filepath.Join(temp, "ours.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-ldflags=-s -w", "-o", binary, "github.com/distkit/dist/bench/peers/ours")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the tests that use dist: %w\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	peers := []*peer{
		{name: "dist", round: command(binary, "-test.run=^TestWork$", "-test.paniconexit0")},
		{name: "net/rpc", round: command(self, "lead", "net/rpc")},
		{name: "grpc", round: command(self, "lead", "grpc")},
	}
	if _, err := exec.LookPath("escript"); err == nil {
		file := filepath.Join(temp, "erlang.escript")
		if err := os.WriteFile(file, script, 0o700); err != nil {
			return err
		}
		stop, err := startEPMD(ctx)
		if err != nil {
			return err
		}
		defer stop()
		erlang := command("escript", file, fmt.Sprint(*calls))
		peers = append(peers, &peer{name: "erlang", round: erlang})
	} else {
		fmt.Fprintln(os.Stderr, "peers: Erlang is skipped: there is no escript (Debian: erlang-base)")
	}
	for i := range *rounds {
		for j := range peers { // whoever begins has a machine that is a little colder
			p := peers[(i+j)%len(peers)]
			r, err := p.round(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			p.rs = append(p.rs, r)
		}
	}
	return report(peers, *asJSON)
}

// command has a program do a round.
func command(name string, args ...string) func(context.Context) (work.Result, error) {
	return func(ctx context.Context) (work.Result, error) {
		cmd := exec.CommandContext(ctx, name, args...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return work.Result{}, fmt.Errorf("%w\n%s%s", err, out, &stderr)
		}
		return work.Find(string(out))
	}
}

// startEPMD starts the name server that Erlang nodes need. Of itself it would
// listen on all addresses, and stay.
func startEPMD(ctx context.Context) (stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	l.Close()
	cmd := exec.CommandContext(ctx, "epmd", "-address", "127.0.0.1", "-port", port)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start epmd: %w", err)
	}
	stop = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			break
		}
		if time.Since(begin) > 10*time.Second {
			stop()
			return nil, fmt.Errorf("epmd does not listen: %w", err)
		}
	}
	os.Setenv("ERL_EPMD_PORT", port)
	os.Setenv("ERL_EPMD_ADDRESS", "127.0.0.1")
	os.Setenv("ERL_FLAGS", "-kernel inet_dist_use_interface {127,0,0,1}")
	return stop, nil
}

func report(peers []*peer, asJSON bool) error {
	columns := []struct {
		name string
		of   func(work.Result) float64
	}{
		{"start_3", func(r work.Result) float64 { return r.Start }},
		{"call_64b", func(r work.Result) float64 { return r.Small }},
		{"call_1mib", func(r work.Result) float64 { return r.Large }},
		{"call_64_callers", func(r work.Result) float64 { return r.Callers }},
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	if !asJSON {
		fmt.Printf("%s/%s, %d CPUs, %s; medians of %d rounds (quartiles)\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), len(peers[0].rs))
		fmt.Fprint(t, "WITH")
		for _, c := range columns {
			fmt.Fprintf(t, "\t%s", c.name)
		}
		fmt.Fprintln(t)
	}
	out := json.NewEncoder(os.Stdout)
	for _, p := range peers {
		if !asJSON {
			fmt.Fprint(t, p.name)
		}
		for _, c := range columns {
			var v []float64
			for _, r := range p.rs {
				v = append(v, c.of(r))
			}
			slices.Sort(v)
			q := func(part float64) time.Duration { return time.Duration(v[int(part*float64(len(v)-1))]) }
			if asJSON {
				if err := out.Encode(map[string]any{"peer": p.name, "name": c.name, "ns": q(0.5), "spread": []time.Duration{q(0.25), q(0.75)}}); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(t, "\t%v (%v–%v)", short(q(0.5)), short(q(0.25)), short(q(0.75)))
		}
		if !asJSON {
			fmt.Fprintln(t)
		}
	}
	return t.Flush()
}

// short keeps three digits.
func short(d time.Duration) time.Duration {
	for unit := time.Duration(1); ; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
}
