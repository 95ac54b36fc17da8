package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/usersocket"
	"github.com/distkit/dist/runtime/wire"
)

// withdrawTime is how long the owner may take to say why a lease could not be
// had, after its client has given up.
const withdrawTime = 500 * time.Millisecond

// A Client leases clusters from the Server of another process. It is safe for
// concurrent use, and an Owner. When it is closed, or its process ends in any
// way, its leases have ended.
type Client struct {
	record Record
	conn   *wire.Conn
	seq    atomic.Uint64

	mu    sync.Mutex
	waits map[uint64]*wait
}

// A wait is a lease that has not been granted yet.
type wait struct {
	mu       sync.Mutex
	announce func(string) // nil when nobody listens any more
	reason   string       // the last one given
}

// tell passes on why it takes long.
func (w *wait) tell(reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reason = reason
	if w.announce != nil {
		w.announce(reason)
	}
}

// over returns the last reason. Nothing is announced after it.
func (w *wait) over() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.announce = nil
	return w.reason
}

// Dial connects to an owner. Its error is a *diagnostics.Diagnosis or an
// *engine.Error, unless ctx ended.
func Dial(ctx context.Context, r Record) (*Client, error) {
	op := "talk to the owner of clusters (" + r.name() + ")"
	fail := func(code diagnostics.Code, err error) (*Client, error) {
		return nil, &engine.Error{Failure: diagnostics.Failure{Phase: diagnostics.PhasePrepare, Code: code, Op: op, Err: err}}
	}
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	var d net.Dialer
	stream, err := d.DialContext(ctx, "unix", r.Socket)
	if err != nil {
		return fail(diagnostics.ClusterGone, err)
	}
	unix, ok := stream.(*net.UnixConn)
	if !ok {
		stream.Close()
		return fail(diagnostics.ClusterGone, fmt.Errorf("%T is no Unix socket", stream))
	}
	stop := context.AfterFunc(ctx, func() { stream.SetDeadline(time.Unix(1, 0)) })
	var w welcome
	err = usersocket.CheckUser(unix)
	if err == nil {
		err = writeHello(stream, hello{Protocol: protocol, Module: moduleVersion(), Secret: r.Secret})
	}
	if err == nil {
		err = readHello(stream, &w)
	}
	switch {
	case err == nil && w.Protocol != protocol:
		stop()
		stream.Close()
		return fail(diagnostics.ClusterVersion, fmt.Errorf("it speaks version %d of the protocol (dist %s), this process version %d (dist %s)", w.Protocol, w.Module, protocol, moduleVersion()))
	case err == nil && w.Refused != "":
		err = errors.New(w.Refused)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		stream.Close()
		if errors.Is(err, io.EOF) { // it says no more to whoever does not know its secret
			return fail(diagnostics.ClusterRefused, fmt.Errorf("it hung up on what %s says is its secret", r.File))
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("it does not answer: %w", err)
		}
		return fail(diagnostics.ClusterGone, err)
	}
	c := &Client{record: r, waits: make(map[uint64]*wait)}
	c.conn = wire.New(stream, c.handle)
	c.conn.Limit(frameMost, requestsMost)
	go c.conn.Serve()
	return c, nil
}

// name tells owners apart for people.
func (r *Record) name() string { return fmt.Sprintf("%s, pid %d", r.Kind, r.PID) }

// Record is what the registry says of the owner.
func (c *Client) Record() Record { return c.record }

// Done is closed when the owner is gone, or the Client was closed.
func (c *Client) Done() <-chan struct{} { return c.conn.Done() }

func (c *Client) alive() bool {
	select {
	case <-c.Done():
		return false
	default:
		return true
	}
}

// Close ends the connection, and with it all leases.
func (c *Client) Close() error { return c.conn.Close() }

func (c *Client) handle(_ context.Context, method string, body []byte) ([]byte, error) {
	if method != methodWaiting {
		return nil, fmt.Errorf("nobody here answers %q", method)
	}
	w, err := wire.Unmarshal[waiting](body)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	wait := c.waits[w.Lease]
	c.mu.Unlock()
	if wait != nil {
		wait.tell(w.Reason)
	}
	return wire.Marshal(struct{}{})
}

// lost makes the end of the connection a diagnosis.
func (c *Client) lost(op string, err error) error {
	if errors.Is(err, wire.ErrClosed) {
		return gone(op, "", fmt.Errorf("%s: %w", c.record.name(), err))
	}
	return err
}

// Lease implements Owner.
func (c *Client) Lease(ctx context.Context, a Ask) (Lease, error) {
	op := "lease a cluster"
	if a.Program != nil {
		op += " of " + a.Program.Name
	}
	begin := time.Now()
	if a.Env == nil {
		a.Env = os.Environ()
	}
	// The directory for coverage ends with this process's package.
	a.Env = slices.DeleteFunc(slices.Clone(a.Env), func(v string) bool { return strings.HasPrefix(v, "GOCOVERDIR=") })
	id := c.seq.Add(1)
	w := &wait{announce: a.Announce}
	c.mu.Lock()
	c.waits[id] = w
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waits, id)
		c.mu.Unlock()
		w.over()
	}()

	// The owner knows why it takes long: when ctx ends, it is asked for that.
	callCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		withdrawCtx, done := context.WithTimeout(callCtx, withdrawTime)
		defer done()
		call[struct{}](withdrawCtx, c.conn, methodWithdraw, nodeRequest{Lease: id})
		<-withdrawCtx.Done()
		cancel()
	})
	defer stop()
	answer, err := call[leaseAnswer](callCtx, c.conn, methodLease, leaseRequest{id, a})
	switch {
	case err == nil && answer.Fault == nil && ctx.Err() == nil:
		return &remote{c: c, id: id, info: answer.Info}, nil
	case err == nil && answer.Fault != nil:
		return nil, answer.Fault.err()
	case errors.Is(err, wire.ErrClosed):
		return nil, c.lost(op, err)
	case ctx.Err() != nil:
		// Granted at the last moment, or never answered.
		go call[reportAnswer](context.Background(), c.conn, methodRelease, nodeRequest{Lease: id})
		f := diagnostics.Failure{
			Phase: diagnostics.PhasePrepare, Code: diagnostics.ClusterBusy, Op: op, Name: a.Cluster,
			Err: ctx.Err(), Elapsed: time.Since(begin),
		}
		if reason := w.over(); reason != "" {
			f.Details = []string{reason}
		}
		return nil, &engine.Error{Failure: f}
	}
	return nil, err
}

// Clusters describes the owner's clusters, by id.
func (c *Client) Clusters(ctx context.Context) ([]Info, error) {
	offers, err := c.offers(ctx)
	var infos []Info
	for _, o := range offers {
		infos = append(infos, o.Info)
	}
	return infos, err
}

func (c *Client) offers(ctx context.Context) ([]offer, error) {
	offers, err := call[[]offer](ctx, c.conn, methodClusters, struct{}{})
	return offers, c.lost("see what clusters are up", err)
}

// Down is Keeper.Down of the owner. An open one ends with its last cluster.
func (c *Client) Down(ctx context.Context, ids []string, force bool) ([]Ended, error) {
	a, err := call[downAnswer](ctx, c.conn, methodDown, downRequest{ids, force})
	return a.Ended, c.lost("end clusters", err)
}

// A remote is a Lease of another process's Keeper.
type remote struct {
	c    *Client
	id   uint64
	info Info

	mu       sync.Mutex
	released bool
}

// Info implements Lease.
func (r *remote) Info() Info { return r.info }

// check says why nothing can be asked of the lease any more.
func (r *remote) check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.released {
		return fmt.Errorf("the lease of cluster %s has been released", r.info.ID)
	}
	return nil
}

func (r *remote) node(i int) string {
	if i >= 0 && i < len(r.info.Nodes) {
		return r.info.Nodes[i].Name
	}
	return fmt.Sprintf("node %d", i)
}

// State implements Lease.
func (r *remote) State(ctx context.Context, node int) (State, error) {
	return r.ask(ctx, methodState, "look at "+r.node(node), nodeRequest{Lease: r.id, Node: node})
}

// Act implements Lease.
func (r *remote) Act(ctx context.Context, node int, a Action) (State, error) {
	return r.ask(ctx, methodAct, string(a)+" "+r.node(node), nodeRequest{Lease: r.id, Node: node, Action: a})
}

// RestartAs implements Lease.
func (r *remote) RestartAs(ctx context.Context, node int, a Ask) (State, []string, error) {
	if err := r.check(); err != nil {
		return State{}, nil, err
	}
	in := restartRequest{Lease: r.id, Node: node, Ask: Ask{Program: a.Program, Dir: a.Dir, Ready: a.Ready, Grace: a.Grace}}
	answer, err := call[restartAnswer](ctx, r.c.conn, methodRestartAs, in)
	if err != nil {
		return State{}, nil, r.c.lost("restart "+r.node(node), err)
	}
	return answer.State, answer.Inputs, answer.Fault.err()
}

func (r *remote) ask(ctx context.Context, method, op string, in nodeRequest) (State, error) {
	if err := r.check(); err != nil {
		return State{}, err
	}
	a, err := call[stateAnswer](ctx, r.c.conn, method, in)
	if err != nil {
		return State{}, r.c.lost(op, err)
	}
	return a.State, a.Fault.err()
}

// Health implements Lease.
func (r *remote) Health(ctx context.Context) ([]error, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	a, err := call[healthAnswer](ctx, r.c.conn, methodHealth, nodeRequest{Lease: r.id})
	if err != nil {
		return nil, r.c.lost("see whether cluster "+r.info.ID+" is healthy", err)
	}
	errs := make([]error, len(a.Nodes))
	for i, f := range a.Nodes {
		errs[i] = f.err()
	}
	return errs, a.Fault.err()
}

// Release implements Lease.
func (r *remote) Release(ctx context.Context) (Report, error) {
	r.mu.Lock()
	if r.released {
		r.mu.Unlock()
		return Report{}, nil
	}
	r.released = true
	r.mu.Unlock()
	a, err := call[reportAnswer](ctx, r.c.conn, methodRelease, nodeRequest{Lease: r.id})
	if err != nil {
		return Report{}, r.c.lost("release cluster "+r.info.ID, err)
	}
	return a.report(), nil
}
