package keeper

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/program"
)

// askTime is how long an owner that one has not asked to lease anything may
// take to say what clusters it has.
const askTime = 2 * time.Second

// A Finder knows the owners on this machine, for one test binary. Its zero
// value knows those of the registry. It is safe for concurrent use.
type Finder struct {
	Run  string                 // registry file of this run's owner: what EnvOwner says; "": there is none
	Root func() (string, error) // see program.Options

	mu      sync.Mutex
	clients map[string]*Client // by registry file
}

// Found says where to lease a cluster.
type Found struct {
	Owner  Owner    // nil: nobody has it, or would start it; whoever wants it is to own it
	Ask    Ask      // what to ask the Owner for
	Kind   string   // what the owner is: "dist up"
	Passed []string // why clusters and owners that are up are not used, one a line
	Err    error    // why an owner that is up could not be asked for its clusters, an *engine.Error; nil if all could
	Notes  []string // what was found in the registry that does not belong there
}

// Find finds the owner to lease a cluster from. One that is up and fits in
// every respect comes first, whoever is asked by Ask.Cluster alone; then the
// owner of the run, which starts what there is not. Its error is about a
// cluster that was asked for by its id, or the program's build.
func (f *Finder) Find(ctx context.Context, a Ask) (Found, error) {
	found := Found{Ask: a}
	clients, offers := f.survey(ctx, &found)
	best, passed := choose(&a, offers, "")
	if best >= 0 {
		// Only a build here can tell whether it is the same program.
		exe, err := program.Build(ctx, a.Program, program.Options{Dir: a.Dir, Env: a.Env, Flags: a.Flags, Root: f.Root})
		if err != nil {
			return found, err
		}
		best, passed = choose(&a, offers, exe.Key)
	}
	found.Passed = append(found.Passed, passed...)
	if best >= 0 {
		c := clients[best]
		found.Owner, found.Kind, found.Ask.Cluster = c, c.record.Kind, offers[best].Info.ID
		return found, nil
	}
	if a.Cluster != "" {
		op := "lease cluster " + a.Cluster
		if len(passed) == 0 {
			return found, gone(op, a.Cluster, nil)
		}
		_, reason, _ := strings.Cut(passed[0], notUsed)
		return found, unfit(op, a.Cluster, reason)
	}
	if f.Run == "" {
		return found, nil
	}
	record, err := ReadRecord(f.Run)
	var c *Client
	if err == nil {
		c, err = f.dial(ctx, record)
	}
	if err != nil {
		found.Passed = append(found.Passed, fmt.Sprintf("the owner of this run's clusters cannot be asked: %v", err))
		return found, nil
	}
	found.Owner, found.Kind = c, record.Kind
	return found, nil
}

// survey asks all open owners at once what they have. An offer's client has
// its index.
func (f *Finder) survey(ctx context.Context, found *Found) (clients []*Client, offers []offer) {
	records, notes, err := Records()
	if err != nil {
		notes = append(notes, fmt.Sprintf("the registry of clusters cannot be read: %v", err))
	}
	found.Notes = notes
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var (
		mu sync.Mutex
		wg sync.WaitGroup
	)
	for _, r := range records {
		if !r.Open {
			continue
		}
		wg.Go(func() {
			c, err := f.dial(ctx, r)
			var has []offer
			if err == nil {
				if has, err = c.offers(ctx); err != nil {
					err = wrap(err, diagnostics.Failure{Phase: diagnostics.PhasePrepare, Code: diagnostics.ClusterGone,
						Op: "talk to the owner of clusters (" + r.name() + ")"})
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				found.Passed = append(found.Passed, fmt.Sprintf("the clusters of %s are not used: %v", r.name(), err))
				if found.Err == nil {
					found.Err = err
				}
			}
			for _, o := range has {
				clients, offers = append(clients, c), append(offers, o)
			}
		})
	}
	wg.Wait()
	slices.Sort(found.Passed)
	return clients, offers
}

// dial returns the connection to an owner that there is, or makes one.
func (f *Finder) dial(ctx context.Context, r Record) (*Client, error) {
	f.mu.Lock()
	c := f.clients[r.File]
	f.mu.Unlock()
	if c != nil && c.alive() {
		return c, nil
	}
	c, err := Dial(ctx, r)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if other := f.clients[r.File]; other != nil && other.alive() { // meanwhile
		c.Close()
		return other, nil
	}
	if f.clients == nil {
		f.clients = make(map[string]*Client)
	}
	f.clients[r.File] = c
	return c, nil
}

// Close ends all connections, and with them all leases.
func (f *Finder) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.clients {
		c.Close()
	}
	f.clients = nil
}

// choose returns the cluster to be leased of those that are up, -1 for none,
// and why the others of the program will not do. build is what the program
// comes to here; "": not known yet.
func choose(a *Ask, offers []offer, build string) (best int, passed []string) {
	best = -1
	for i, o := range offers {
		if a.Cluster != "" && o.Info.ID != a.Cluster || a.Cluster == "" && o.Info.Program != a.Program.Name {
			continue
		}
		if reason := why(a, o.Size, o.Shape, o.Info.Build, build); reason != "" {
			passed = append(passed, "cluster "+o.Info.ID+" is up and "+notUsed+reason)
			continue
		}
		if best < 0 || before(a, &o.Info, &offers[best].Info) {
			best = i
		}
	}
	slices.Sort(passed)
	return best, passed
}

// notUsed stands before the reason.
const notUsed = "is not used: "

// before reports whether a lease is to be had sooner from x than from y; the
// one that has been up for longer decides.
func before(a *Ask, x, y *Info) bool {
	if n, m := inFront(a, x), inFront(a, y); n != m {
		return n < m
	}
	if !x.Started.Equal(y.Started) {
		return x.Started.Before(y.Started)
	}
	return x.ID < y.ID
}

// inFront is how many leases have to end before one can begin.
func inFront(a *Ask, i *Info) int {
	n := len(i.Waiting)
	for _, l := range i.Leases {
		if !a.Shared || !l.Shared {
			n++
		}
	}
	return n
}
