package keeper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/network"
	"github.com/distkit/dist/runtime/program"
)

// A Keeper owns clusters of programs. It is safe for concurrent use, and an
// Owner.
type Keeper struct {
	// Room, if not nil, is asked for room on the machine before a cluster starts;
	// release is called when it has ended. It must be set before the first lease.
	Room func(ctx context.Context, a *Ask) (release func(), err error)

	engine engine.Engine
	seq    atomic.Int64
	settle time.Duration // see settleTime

	mu       sync.Mutex
	clusters map[string]*cluster // by key
	leaving  map[*cluster]bool   // retired, and not ended yet
	closed   bool
	used     time.Time                        // when the last lease ended
	nets     map[[2]string]*network.Allocator // by what they were made of
}

// New returns a Keeper that starts nodes by an engine, which it does not close.
func New(e engine.Engine) *Keeper {
	return &Keeper{
		engine: e, settle: settleTime, used: time.Now(),
		clusters: make(map[string]*cluster), leaving: make(map[*cluster]bool),
		nets: make(map[[2]string]*network.Allocator),
	}
}

// Lease implements Owner. Leases are given in the order in which they were
// asked for: an exclusive one when the one before has ended, shared ones that
// follow each other together.
func (k *Keeper) Lease(ctx context.Context, a Ask) (Lease, error) {
	l, err := k.lease(ctx, a, false)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Up starts the cluster that an Ask is about, if it is not up, without leasing
// it to anybody: the first exclusive lease has it as it is.
func (k *Keeper) Up(ctx context.Context, a Ask) (Info, error) {
	a.Shared = false
	l, err := k.lease(ctx, a, true)
	if err != nil {
		return Info{}, err
	}
	l.c.leave(l)
	return l.c.info(), nil
}

// nodesMost is more than any machine carries: whoever asks for more is mistaken.
const nodesMost = 4096

func (k *Keeper) lease(ctx context.Context, a Ask, idle bool) (*lease, error) {
	if a.Program == nil || a.Nodes < 1 || a.Nodes > nodesMost {
		return nil, fmt.Errorf("lease a cluster for %s: a program and 1 to %d nodes are needed, not %d", a.Who, nodesMost, a.Nodes)
	}
	a.Env = environment(a.Env)
	for {
		c, err := k.cluster(&a)
		if err != nil {
			return nil, err
		}
		l, err := c.lease(ctx, a, idle)
		if err == errRetired { // while we waited for it; there is a new one, or will be
			continue
		}
		return l, err
	}
}

// environment is what nodes get of an environment: not what concerns only the
// process that it is of.
func environment(env []string) []string {
	if env == nil {
		env = os.Environ()
	}
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		return strings.HasPrefix(v, EnvOwner+"=")
	})
}

// cluster finds the cluster that an Ask is about, or makes one.
func (k *Keeper) cluster(a *Ask) (*cluster, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, gone("lease a cluster of "+a.Program.Name, "", errors.New("it is ending"))
	}
	if a.Cluster != "" {
		for _, c := range k.clusters {
			if c.id != a.Cluster {
				continue
			}
			if reason := why(a, c.ask.Nodes, c.ask.shape(), "", ""); reason != "" {
				return nil, unfit("lease cluster "+c.id, c.id, reason)
			}
			return c, nil
		}
		return nil, gone("lease cluster "+a.Cluster, a.Cluster, nil)
	}
	key := a.key()
	if c := k.clusters[key]; c != nil {
		return c, nil
	}
	root, err := k.engine.Root()
	if err != nil {
		return nil, err
	}
	id := fmt.Sprintf("%s-%s-%d", a.Program.Name, strings.TrimPrefix(filepath.Base(root), "dist-"), k.seq.Add(1))
	c := &cluster{
		k: k, id: id, key: key, ask: *a, dir: filepath.Join(root, id), made: time.Now(),
		holders: make(map[*lease]bool), acting: make(chan struct{}, 1),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.ask.Announce = nil
	k.clusters[key] = c
	return c, nil
}

// gone is the error of whoever wants something of a cluster that has ended, or
// whose owner has.
func gone(op, cluster string, err error) error {
	return &engine.Error{Failure: diagnostics.Failure{
		Phase: diagnostics.PhasePrepare, Code: diagnostics.ClusterGone, Op: op, Name: cluster, Err: err,
	}}
}

// unfit is the error of whoever wants a cluster in particular that will not do.
func unfit(op, cluster, reason string) error {
	return &engine.Error{Failure: diagnostics.Failure{
		Phase: diagnostics.PhaseLimits, Code: diagnostics.ClusterUnfit, Op: op, Name: cluster, Err: errors.New(reason),
	}}
}

// forget takes a cluster that is being retired off the list; leaving says that its
// end is still to come.
func (k *Keeper) forget(c *cluster, leaving bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if leaving {
		k.leaving[c] = true
	}
	if k.clusters[c.key] == c {
		delete(k.clusters, c.key)
	}
}

func (k *Keeper) list() []*cluster {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Collect(maps.Values(k.clusters))
}

func (k *Keeper) empty() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.clusters)+len(k.leaving) == 0
}

// Clusters describes what there is, by id.
func (k *Keeper) Clusters() []Info {
	var infos []Info
	for _, o := range k.offers() {
		infos = append(infos, o.Info)
	}
	return infos
}

// offers are the clusters that are up.
func (k *Keeper) offers() []offer {
	offers := []offer{}
	for _, c := range k.list() {
		if i := c.info(); len(i.Nodes) > 0 {
			offers = append(offers, offer{Info: i, Size: len(i.Nodes), Shape: c.ask.shape()})
		}
	}
	slices.SortFunc(offers, func(a, b offer) int { return strings.Compare(a.Info.ID, b.Info.ID) })
	return offers
}

// Idle is how long nobody has had a lease, nor waited for one.
func (k *Keeper) Idle() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.clusters {
		if c.busy() {
			return 0
		}
	}
	return time.Since(k.used)
}

// Retire ends the clusters that nobody has or waits for and that match says yes
// to; all of those if it is nil.
func (k *Keeper) Retire(ctx context.Context, match func(Info) bool) {
	var wg sync.WaitGroup
	for _, c := range k.list() {
		if match == nil || match(c.info()) {
			wg.Go(func() {
				if c.retireIfIdle() {
					c.end(ctx)
				}
			})
		}
	}
	wg.Wait()
}

// Close ends all clusters, leased or not: gracefully, or when ctx ends by
// force. Nobody gets a lease from now on.
func (k *Keeper) Close(ctx context.Context) {
	k.mu.Lock()
	k.closed = true
	all := slices.AppendSeq(slices.Collect(maps.Values(k.clusters)), maps.Keys(k.leaving))
	k.mu.Unlock()
	var wg sync.WaitGroup
	for _, c := range all {
		wg.Go(func() {
			c.retire()
			c.end(ctx)
		})
	}
	wg.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range k.nets {
		a.Close()
	}
	clear(k.nets)
}

func (k *Keeper) allocator(c config.Network) (*network.Allocator, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	conf := [2]string{c.Addresses, c.Range}
	if a := k.nets[conf]; a != nil {
		return a, nil
	}
	a, err := network.New(c.Addresses, c.Range)
	if err != nil {
		return nil, &engine.Error{Failure: diagnostics.Failure{Phase: diagnostics.PhaseConfig, Op: "choose addresses", Code: diagnostics.ConfigInvalid, Err: err}}
	}
	k.nets[conf] = a
	return a, nil
}

// build has the program's executable ready. What is remembered is up to the go
// command: it knows best whether there is anything to do.
func (k *Keeper) build(ctx context.Context, a *Ask) (*program.Executable, error) {
	return program.Build(ctx, a.Program, program.Options{Dir: a.Dir, Env: a.Env, Flags: a.Flags, Root: k.engine.Root})
}

// fresh empties a directory, or makes it.
func fresh(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o700)
}
