package keeper

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/wire"
)

// protocol is the version of what passes between a Client and a Server. They
// may be of different versions of this module: whatever changes below, or in
// the types that cross, makes another one (TestProtocol notices).
const protocol = 2

// Before a wire.Conn begins, each side says one thing: two bytes of length,
// then JSON, which both will understand for all times.
type (
	hello struct { // the client's
		Protocol int    `json:"protocol"`
		Module   string `json:"module"`
		Secret   string `json:"secret"`
	}
	welcome struct { // the server's
		Protocol int    `json:"protocol"`
		Module   string `json:"module"`
		Refused  string `json:"refused,omitempty"` // why there is no connection
	}
)

const (
	helloMost    = 4 << 10 // bytes
	helloTime    = 5 * time.Second
	frameMost    = 16 << 20 // bytes: environments and the last lines of logs
	requestsMost = 1024     // in progress at a time, from one client
	peersMost    = 512
)

func writeHello(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	return err
}

func readHello(r io.Reader, v any) error {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint16(size[:]))
	if n > helloMost {
		return fmt.Errorf("a greeting of %d bytes: at most %d", n, helloMost)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// Methods that a client calls.
const (
	methodLease     = "lease"
	methodWithdraw  = "withdraw"
	methodState     = "state"
	methodAct       = "act"
	methodHealth    = "health"
	methodRestartAs = "restart as"
	methodRelease   = "release"
	methodClusters  = "clusters"
	methodDown      = "down"
)

// methodWaiting is called by the server.
const methodWaiting = "waiting"

// The requests. Lease is a number that the client has given the lease.
type (
	leaseRequest struct {
		Lease uint64
		Ask   Ask
	}
	nodeRequest struct {
		Lease  uint64
		Node   int
		Action Action
	}
	restartRequest struct {
		Lease uint64
		Node  int
		Ask   Ask
	}
	downRequest struct {
		Clusters []string // all if nil
		Force    bool
	}
	waiting struct {
		Lease  uint64
		Reason string
	}
)

// The answers.
type (
	leaseAnswer struct {
		Info  Info
		Fault *fault
	}
	stateAnswer struct {
		State State
		Fault *fault
	}
	restartAnswer struct {
		State  State
		Inputs []string
		Fault  *fault
	}
	healthAnswer struct {
		Nodes []*fault // nil: healthy
		Fault *fault
	}
	reportAnswer struct {
		Problems []problem
		Left     []string
		Logs     map[string][]string
	}
	downAnswer struct {
		Ended []Ended
	}
	problem struct {
		Node      string
		Diagnosis []byte // JSON
		Fails     bool
	}
)

// An offer is a cluster as whoever looks for one wants to know it.
type offer struct {
	Info  Info
	Size  int
	Shape string
}

// A fault is an error on its way. What can be diagnosed has been, where the
// evidence is.
type fault struct {
	Text      string
	Diagnosis []byte // JSON
}

func faultOf(err error) *fault {
	if err == nil {
		return nil
	}
	f := &fault{Text: err.Error()}
	var (
		d *diagnostics.Diagnosis
		e *engine.Error
	)
	if !errors.As(err, &d) && errors.As(err, &e) {
		failure := e.Failure
		diagnostics.Gather(context.Background(), &failure)
		d = diagnostics.Diagnose(failure)
	}
	if d != nil {
		f.Diagnosis = diagnosisJSON(d)
	}
	return f
}

func (f *fault) err() error {
	if f == nil {
		return nil
	}
	if d := diagnosisOf(f.Diagnosis); d != nil {
		return d
	}
	return errors.New(f.Text)
}

func diagnosisJSON(d *diagnostics.Diagnosis) []byte {
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // strings and numbers: cannot happen
	}
	return b
}

func diagnosisOf(b []byte) *diagnostics.Diagnosis {
	if len(b) == 0 {
		return nil
	}
	d := new(diagnostics.Diagnosis)
	if err := json.Unmarshal(b, d); err != nil {
		return nil
	}
	return d
}

func answerOf(r Report) reportAnswer {
	a := reportAnswer{Left: r.Left, Logs: r.Logs}
	for _, p := range r.Problems {
		a.Problems = append(a.Problems, problem{p.Node, diagnosisJSON(p.Diagnosis), p.Fails})
	}
	return a
}

func (a reportAnswer) report() Report {
	r := Report{Left: a.Left, Logs: a.Logs}
	for _, p := range a.Problems {
		d := diagnosisOf(p.Diagnosis)
		if d == nil {
			d = diagnostics.Diagnose(diagnostics.Failure{Phase: diagnostics.PhaseStop, Op: "read what went wrong on " + p.Node, Node: p.Node})
		}
		r.Problems = append(r.Problems, Problem{Node: p.Node, Diagnosis: d, Fails: p.Fails})
	}
	return r
}

// call asks the other side, and decodes what it says.
func call[Out any](ctx context.Context, c *wire.Conn, method string, in any) (Out, error) {
	var none Out
	b, err := wire.Marshal(in)
	if err != nil {
		return none, err
	}
	if b, err = c.Call(ctx, method, b); err != nil {
		return none, err
	}
	return wire.Unmarshal[Out](b)
}
