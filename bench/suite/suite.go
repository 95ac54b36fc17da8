//go:build unix

package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/distkit/dist"
	"github.com/distkit/dist/requirement"
	"github.com/distkit/dist/runtime"
	"github.com/distkit/dist/runtime/engine/process"
)

// What this process is to do, and when it began to.
var (
	job   Job
	begin time.Time
)

func init() {
	dist.Register(echo)
	dist.Register(parent)
}

// parent starts a child that lasts.
func parent(context.Context, struct{}) (int, error) {
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	return cmd.Process.Pid, nil
}

// echo is the node function that is called.
func echo(_ context.Context, b []byte) ([]byte, error) { return b, nil }

// Init leads the lives of processes that do not come to their tests, and makes
// a plan for the others. The test binary calls it at the very end of its
// package initialisation, a few microseconds before TestMain.
func Init() {
	begin = time.Now()
	value, ok := os.LookupEnv(Env)
	if !ok {
		return
	}
	if err := json.Unmarshal([]byte(value), &job); err != nil {
		fmt.Fprintf(os.Stderr, "%s=%s: %v\n", Env, value, err)
		os.Exit(2)
	}
	if process.Inherited() != nil {
		if job.Kind == Diagnose {
			os.Exit(exitStatus)
		}
		return
	}
	switch job.Kind {
	case Exit:
		os.Exit(exitStatus)
	case ExitBare:
		lead(func() error {
			s, err := exitBare(job.Nodes)
			if err == nil {
				emit(s)
			}
			return err
		})
	case Bare:
		bare() // does not return
	case Frames:
		lead(func() error {
			f, err := newFrames(os.NewFile(3, "frames"))
			if err == nil {
				f.serve()
			}
			return err
		})
	case StartBare:
		lead(func() error {
			s, err := startBare(job.Nodes)
			if err == nil {
				emit(s)
			}
			return err
		})
	}
	runtime.Load(requirement.Plan{Package: "bench", Tests: []requirement.Test{{
		Name:        Test,
		Requirement: requirement.Requirement{Nodes: job.Nodes, Ports: []string{"bench"}, Reuse: job.Reuse},
		Faults:      job.Faults != "" || slices.Contains([]string{Link, Stream, Cut, Heal}, job.Kind),
	}}})
}

// lead leads a process's life to its end. The goroutine that initialises
// packages is locked to its thread, and every wait would cost it a switch of
// threads: a floor must not have that handicap.
func lead(life func() error) {
	go func() {
		if err := life(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}()
	select {}
}

// Run is the test that measures.
func Run(t *testing.T) {
	switch job.Kind {
	case "":
		t.Skipf("only measures: run by go run ./bench")
	case Start:
		c := dist.Require(t)
		callAll(t, c)
		emit(Sample{Ours: since(begin)})
	case Diagnose:
		diagnose(t)
	case Calls:
		calls(t)
	case Leases:
		leases(t)
	case Stops:
		stops(t)
	case Link, Stream:
		proxied(t)
	case Talk, Flow:
		spoken(t)
	case Cut, Heal:
		faults(t)
	case Hold:
		c := dist.Require(t)
		callAll(t, c)
		var pids []int
		for _, n := range c.Nodes() {
			pids = append(pids, n.PID())
		}
		if job.Parents {
			children, err := dist.CallAll(t.Context(), c, parent, struct{}{})
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, children...)
		}
		emit(Sample{PIDs: pids})
		select {}
	default:
		t.Fatalf("%s: unknown kind of job %q", Env, job.Kind)
	}
}

func emit(s Sample) {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // numbers: cannot happen
	}
	fmt.Printf("%s%s\n", Mark, b)
}

func since(t time.Time) float64 { return float64(time.Since(t)) }

func callAll(t *testing.T, c *dist.Cluster) {
	t.Helper()
	if _, err := dist.CallAll(t.Context(), c, echo, []byte("here")); err != nil {
		t.Fatal(err)
	}
}

func startBare(n int) (Sample, error) {
	path, err := os.Executable()
	if err != nil {
		return Sample{}, err
	}
	start := time.Now()
	processes, err := StartBareProcesses(path, os.Args, n)
	if err != nil {
		return Sample{}, err
	}
	s := Sample{Floor: since(start)}
	for _, p := range processes {
		p.Kill()
		p.Wait()
	}
	return s, nil
}

// quantile sorts what it is given.
func quantile(v []float64, q float64) float64 {
	slices.Sort(v)
	return v[min(int(q*float64(len(v))), len(v)-1)]
}
