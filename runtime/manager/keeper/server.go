package keeper

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distkit/dist/runtime/lockfile"
	"github.com/distkit/dist/runtime/usersocket"
	"github.com/distkit/dist/runtime/wire"
)

// Options are what a Server must know besides its Keeper.
type Options struct {
	Kind string        // what the owner is, for people: "dist test"
	Open bool          // any test of this user may lease, not only those that EnvOwner tells of it; it ends when Down has ended the last cluster
	Idle time.Duration // it ends when nobody has had a lease, nor waited for one, for that long; 0: never
}

// A Server leases a Keeper's clusters to other processes of the same user.
type Server struct {
	keeper *Keeper
	o      Options
	record Record
	file   *lockfile.File
	listen *net.UnixListener
	hello  time.Duration // how long a client may take to say who it is
	downed chan struct{} // closed when Down has ended the last cluster

	once    sync.Once
	mu      sync.Mutex
	peers   map[*peer]bool
	ending  bool
	serving sync.WaitGroup // requests in progress
	present sync.WaitGroup // peers
}

// Listen enters a Keeper into the registry. From then on others can find it;
// they are answered by Serve.
func Listen(k *Keeper, o Options) (*Server, error) {
	fail := func(err error) (*Server, error) {
		return nil, fmt.Errorf("enter the owner of clusters into the registry: %w", err)
	}
	if !usersocket.Available {
		return fail(errors.New("clusters can be leased to other processes on Unix systems only"))
	}
	dir, err := lockfile.Dir(registry)
	if err != nil {
		return fail(err)
	}
	id := usersocket.NewID()
	listen, socket, err := usersocket.Listen(dir, id)
	if err != nil {
		return fail(err)
	}
	s := &Server{
		keeper: k, o: o, listen: listen, hello: helloTime, peers: make(map[*peer]bool), downed: make(chan struct{}),
		record: Record{
			Version: registryFormat, Module: moduleVersion(), Kind: o.Kind, Open: o.Open,
			PID: os.Getpid(), Started: time.Now(), Socket: socket, Secret: usersocket.Random(),
		},
	}
	data, err := json.Marshal(s.record)
	if err == nil {
		s.file, err = lockfile.Create(dir, id+registrySuffix, data)
	}
	if err != nil {
		listen.Close()
		usersocket.Remove(dir, id, socket)
		return fail(err)
	}
	s.record.File = s.file.Path()
	return s, nil
}

// File is the owner's file in the registry: what EnvOwner is set to.
func (s *Server) File() string { return s.file.Path() }

// Serve answers until ctx ends, or the options say that it is over. Then it
// ends all clusters, and whatever the owner has outside itself. reason says
// why; it is "" if ctx ended.
func (s *Server) Serve(ctx context.Context) (reason string, err error) {
	accepted := make(chan error, 1)
	go func() { accepted <- s.accept() }()
	idle := time.NewTimer(s.o.Idle)
	defer idle.Stop()
	for over := false; !over; {
		over = true
		select {
		case <-ctx.Done():
		case err = <-accepted:
			if errors.Is(err, net.ErrClosed) { // by Close
				err = nil
			}
		case <-s.downed:
			reason = "its last cluster has been ended"
		case <-idle.C:
			left := s.o.Idle - s.keeper.Idle()
			switch {
			case s.o.Idle <= 0:
				over = false
			case left > 0:
				idle.Reset(left)
				over = false
			default:
				reason = fmt.Sprintf("nobody has had a cluster for %v", s.o.Idle)
			}
		}
	}
	s.Close()
	return reason, err
}

// Close ends all clusters and gives back all that the owner has outside itself.
// It is for whoever does not come to Serve, which does the same.
func (s *Server) Close() {
	s.once.Do(func() {
		s.file.Remove() // before anything: nobody is to find what is ending
		s.listen.Close()
		removeSocket(s.file.Path(), s.record)
		s.keeper.Close(context.Background())
		s.mu.Lock()
		s.ending = true
		s.mu.Unlock()
		// Whoever has been waiting for one of the clusters is told.
		answered := make(chan struct{})
		go func() {
			s.serving.Wait()
			close(answered)
		}()
		select {
		case <-answered:
		case <-time.After(time.Second): // a peer that does not read
		}
		s.mu.Lock()
		for p := range s.peers {
			p.stream.Close()
		}
		s.mu.Unlock()
		s.present.Wait()
	})
}

func (s *Server) accept() error {
	for {
		c, err := s.listen.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // no descriptor left, perhaps: others will give some back
			time.Sleep(50 * time.Millisecond)
			continue
		}
		p := &peer{s: s, stream: c, leases: make(map[uint64]Lease), asks: make(map[uint64]*asking)}
		s.mu.Lock()
		if s.ending {
			s.mu.Unlock()
			c.Close()
			continue
		}
		n := len(s.peers)
		s.peers[p] = true
		s.present.Go(func() {
			defer p.close()
			p.serve(n >= peersMost)
		})
		s.mu.Unlock()
	}
}

// A peer is a client, from the server's side.
type peer struct {
	s      *Server
	stream *net.UnixConn
	conn   *wire.Conn

	mu       sync.Mutex
	ended    bool
	requests int
	leases   map[uint64]Lease
	asks     map[uint64]*asking
}

// asking is a lease that has been asked for.
type asking struct {
	cancel    context.CancelFunc
	withdrawn bool
}

// serve is a client's connection from its beginning to its end.
func (p *peer) serve(tooMany bool) {
	if err := p.greet(tooMany); err != nil {
		return
	}
	p.conn = wire.New(p.stream, p.handle)
	p.conn.Limit(frameMost, 4*requestsMost) // beyond requestsMost they are refused; beyond this nobody reads that
	p.conn.Serve()
	// Whatever ended it, a client that is gone has nothing any more. Its asks have
	// ended with their contexts.
	p.mu.Lock()
	p.ended = true
	leases := p.leases
	p.leases = nil
	p.mu.Unlock()
	for _, l := range leases {
		l.Release(context.Background())
	}
}

func (p *peer) close() {
	p.stream.Close()
	p.s.mu.Lock()
	delete(p.s.peers, p)
	p.s.mu.Unlock()
}

// greet finds out who is there. A stranger is not told why it is sent away.
func (p *peer) greet(tooMany bool) error {
	if err := usersocket.CheckUser(p.stream); err != nil {
		return err
	}
	p.stream.SetDeadline(time.Now().Add(p.s.hello))
	var h hello
	if err := readHello(p.stream, &h); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(h.Secret), []byte(p.s.record.Secret)) != 1 {
		return errors.New("wrong secret")
	}
	w := welcome{Protocol: protocol, Module: moduleVersion()}
	switch {
	case h.Protocol != protocol:
		w.Refused = "protocol"
	case tooMany:
		w.Refused = fmt.Sprintf("it has %d clients already", peersMost)
	}
	if err := writeHello(p.stream, w); err != nil {
		return err
	}
	if w.Refused != "" {
		return errors.New(w.Refused)
	}
	return p.stream.SetDeadline(time.Time{})
}

// handle answers one request.
func (p *peer) handle(ctx context.Context, method string, body []byte) ([]byte, error) {
	p.mu.Lock()
	p.requests++
	n := p.requests
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.requests--
		p.mu.Unlock()
	}()
	if n > requestsMost {
		return nil, fmt.Errorf("%d requests at a time: at most %d", n, requestsMost)
	}
	p.s.mu.Lock()
	if p.s.ending {
		p.s.mu.Unlock()
		<-ctx.Done() // in a moment, with the connection
		return nil, ctx.Err()
	}
	p.s.serving.Add(1)
	p.s.mu.Unlock()
	// ctx ends when the answer is on its way.
	context.AfterFunc(ctx, p.s.serving.Done)

	switch method {
	case methodLease:
		return reply(body, func(r leaseRequest) leaseAnswer {
			info, err := p.lease(ctx, r)
			return leaseAnswer{info, faultOf(err)}
		})
	case methodWithdraw:
		return reply(body, func(r nodeRequest) struct{} {
			p.withdraw(r.Lease)
			return struct{}{}
		})
	case methodState, methodAct:
		return reply(body, func(r nodeRequest) (a stateAnswer) {
			l, err := p.held(r.Lease)
			if err == nil && method == methodAct {
				a.State, err = l.Act(ctx, r.Node, r.Action)
			} else if err == nil {
				a.State, err = l.State(ctx, r.Node)
			}
			a.Fault = faultOf(err)
			return a
		})
	case methodRestartAs:
		return reply(body, func(r restartRequest) (a restartAnswer) {
			l, err := p.held(r.Lease)
			if err == nil {
				a.State, a.Inputs, err = l.RestartAs(ctx, r.Node, r.Ask)
			}
			a.Fault = faultOf(err)
			return a
		})
	case methodHealth:
		return reply(body, func(r nodeRequest) (a healthAnswer) {
			l, err := p.held(r.Lease)
			var errs []error
			if err == nil {
				errs, err = l.Health(ctx)
			}
			for _, e := range errs {
				a.Nodes = append(a.Nodes, faultOf(e))
			}
			a.Fault = faultOf(err)
			return a
		})
	case methodRelease:
		return reply(body, func(r nodeRequest) reportAnswer { return answerOf(p.release(ctx, r.Lease)) })
	case methodClusters:
		return reply(body, func(struct{}) []offer {
			offers := p.s.keeper.offers()
			for i := range offers {
				offers[i].Info.Inputs = nil // many, and only for whoever leases it
			}
			return offers
		})
	case methodDown:
		return reply(body, func(r downRequest) downAnswer {
			ended := p.s.keeper.Down(ctx, r.Clusters, r.Force)
			if p.s.o.Open && p.s.keeper.empty() {
				p.s.down()
			}
			return downAnswer{ended}
		})
	}
	return nil, fmt.Errorf("nobody here answers %q", method)
}

func reply[In, Out any](body []byte, f func(In) Out) ([]byte, error) {
	in, err := wire.Unmarshal[In](body)
	if err != nil {
		return nil, fmt.Errorf("unreadable request: %w", err)
	}
	return wire.Marshal(f(in))
}

func (s *Server) down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.downed:
	default:
		close(s.downed)
	}
}

func (p *peer) lease(ctx context.Context, r leaseRequest) (Info, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ask := &asking{cancel: cancel}
	p.mu.Lock()
	if p.asks[r.Lease] != nil || p.leases[r.Lease] != nil {
		p.mu.Unlock()
		return Info{}, fmt.Errorf("there is a lease %d already", r.Lease)
	}
	p.asks[r.Lease] = ask
	p.mu.Unlock()
	r.Ask.Announce = func(reason string) {
		go call[struct{}](ctx, p.conn, methodWaiting, waiting{r.Lease, reason})
	}
	l, err := p.s.keeper.Lease(ctx, r.Ask)
	p.mu.Lock()
	delete(p.asks, r.Lease)
	unwanted := err == nil && (p.ended || ask.withdrawn || ctx.Err() != nil)
	if err == nil && !unwanted {
		p.leases[r.Lease] = l
	}
	p.mu.Unlock()
	if unwanted {
		l.Release(context.Background())
		return Info{}, context.Canceled
	}
	if err != nil {
		return Info{}, err
	}
	return l.Info(), nil
}

// withdraw gives up a lease that is still waited for.
func (p *peer) withdraw(lease uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ask := p.asks[lease]; ask != nil {
		ask.withdrawn = true
		ask.cancel()
	}
}

func (p *peer) held(lease uint64) (Lease, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.leases[lease]; l != nil {
		return l, nil
	}
	return nil, errors.New("the lease has been released")
}

func (p *peer) release(ctx context.Context, lease uint64) Report {
	p.withdraw(lease)
	p.mu.Lock()
	l := p.leases[lease]
	delete(p.leases, lease)
	p.mu.Unlock()
	if l == nil {
		return Report{}
	}
	r, _ := l.Release(ctx)
	return r
}

// Ended is what became of a cluster that was to be ended.
type Ended struct {
	Cluster string `json:"cluster"`
	Refused string `json:"refused,omitempty"` // why it is still there; "" if it has ended
}

// Down ends clusters by their ids, or all if there are none given. One that
// somebody has or waits for is left alone, unless it is to be ended by force.
// Clusters that are not this owner's are passed over.
func (k *Keeper) Down(ctx context.Context, ids []string, force bool) []Ended {
	var (
		mu    sync.Mutex
		ended []Ended
		wg    sync.WaitGroup
	)
	for _, c := range k.list() {
		if ids != nil && !slices.Contains(ids, c.id) {
			continue
		}
		wg.Go(func() {
			e := Ended{Cluster: c.id}
			switch {
			case force:
				c.retire()
				c.end(ctx)
			case c.retireIfIdle():
				c.end(ctx)
			default:
				e.Refused = c.users()
			}
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, e)
		})
	}
	wg.Wait()
	slices.SortFunc(ended, func(a, b Ended) int { return strings.Compare(a.Cluster, b.Cluster) })
	return ended
}

// users says who has a cluster or waits for it.
func (c *cluster) users() string {
	i := c.info()
	var who []string
	for _, l := range i.Leases {
		who = append(who, l.Who)
	}
	switch {
	case len(who) > 0:
		return "leased to " + strings.Join(who, ", ")
	case len(i.Waiting) > 0:
		return "asked for by " + strings.Join(i.Waiting, ", ")
	}
	return "about to be leased"
}
