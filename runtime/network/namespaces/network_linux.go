package namespaces

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/forkexec"
	"github.com/distkit/dist/runtime/network"
	"github.com/distkit/dist/runtime/procstat"
)

// A Network is the networks of the nodes of one cluster. It implements
// network.Faults.
type Network struct {
	hosts []*Host
	ports []uint16 // that nodes listen on

	cmd      *exec.Cmd // the switch
	pid      int       // of it
	said     *bytes.Buffer
	lifeline *os.File // its write end

	asking   sync.Mutex
	requests int // a socket; -1 after Close

	setting    sync.Mutex // conditions change one after the other
	conditions map[network.Pair]network.Condition
	unsure     []network.Pair // which may have others, since a change of them has failed
	since      time.Time      // the first of them
	tried      bool           // whether anything can be shaped:
	shapeless  error          // why it cannot

	forwarders
}

// A Host is what a node has for a network.
type Host struct {
	n    *Network
	node int
	addr netip.Addr
}

// Between makes a network for each node, and returns when what one node sends
// arrives at another. addr is the address of a port by node. Each is the node's
// in the networks, where it binds it and where the others reach it, and
// forwarded to it outside. What this machine has at 127.0.0.1, at one of the
// hostPorts, a node reaches at its own 127.0.0.1. Where there are no networks to
// be had, the error is a *network.Unsupported.
func Between(nodes int, ports []string, addr func(node int, port string) string, hostPorts ...int) (*Network, error) {
	n := &Network{requests: -1, forwarders: newForwarders()}
	at := make(map[netip.Addr]bool)
	var all [][]netip.AddrPort
	for i := range nodes {
		var own []netip.AddrPort
		for _, port := range ports {
			a, err := netip.ParseAddrPort(addr(i, port))
			if err != nil {
				return nil, err
			}
			own = append(own, a)
			if !slices.Contains(n.ports, a.Port()) {
				n.ports = append(n.ports, a.Port())
			}
		}
		if len(own) == 0 {
			return nil, errors.New("the nodes have no ports")
		}
		h := &Host{n: n, node: i, addr: own[0].Addr()}
		if at[h.addr] || !h.addr.Is4() {
			return nil, unsupported("the nodes have to share an address ([network] addresses)")
		}
		at[h.addr] = true
		n.hosts = append(n.hosts, h)
		all = append(all, own)
	}
	if err := n.start(); err != nil {
		n.Close()
		if passing(err) {
			return nil, err
		}
		return nil, unsupported(err.Error())
	}
	for i, h := range n.hosts {
		for _, a := range all[i] {
			if err := n.forward(h, a); err != nil {
				n.Close()
				return nil, fmt.Errorf("listen in front of node-%d: %w", i+1, err)
			}
		}
		for _, p := range hostPorts {
			if err := n.giveHost(h, p); err != nil {
				n.Close()
				return nil, fmt.Errorf("have node-%d reach port %d of this machine's 127.0.0.1 ([network] host_ports): %w", i+1, p, err)
			}
		}
	}
	return n, nil
}

// passing reports whether err says that there is no more of something now. It
// may be there when the network is tried again.
func passing(err error) bool {
	return slices.ContainsFunc([]error{unix.EMFILE, unix.ENFILE, unix.EAGAIN, unix.ENOMEM, unix.ENOBUFS}, func(e error) bool { return errors.Is(err, e) })
}

func unsupported(why string) error {
	return &network.Unsupported{Fault: "a fault between nodes", Backend: Backend, Why: why}
}

// Try makes the networks of two nodes, and cuts one off from the other. The
// error is why that cannot be had.
func Try() error { return try(network.Condition{Cut: true}) }

// TryShaping makes the networks of two nodes, and delays what is sent between
// them. The error is a *[network.Unsupported] where only that cannot be had.
func TryShaping() error { return try(network.Condition{Delay: time.Millisecond}) }

func try(c network.Condition) error {
	n := &Network{requests: -1, forwarders: newForwarders()}
	for i := range 2 {
		n.hosts = append(n.hosts, &Host{n: n, node: i, addr: netip.AddrFrom4([4]byte{127, 77, 77, byte(i + 1)})})
	}
	defer n.Close()
	if err := n.start(); err != nil {
		return err
	}
	return n.Set(map[network.Pair]network.Condition{{From: 0, To: 1}: c})
}

// onlyBridge is for tests: as on a kernel without macvlan.
var onlyBridge bool

// start starts the switch, and has it make the networks.
func (n *Network) start() error {
	r := request{Op: opSetUp, Bridged: onlyBridge}
	for _, h := range n.hosts {
		r.Addrs = append(r.Addrs, h.addr)
	}
	ways := []*syscall.SysProcAttr{{
		Setpgid: true, Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		// The same user as outside: what runs there finds its files its own.
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN, unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_RAW},
	}}
	if os.Geteuid() == 0 {
		// With all rights there is no need to be a user of another kind, who has
		// less of them.
		ways = append([]*syscall.SysProcAttr{{Setpgid: true, Cloneflags: unix.CLONE_NEWNET}}, ways...)
	}
	var err error
	for _, how := range ways {
		if err = n.run(how); err == nil {
			if _, _, err = n.ask(r); err == nil {
				return nil
			}
			n.stop()
		}
	}
	return fmt.Errorf("no networks could be made for them: %w", err)
}

// self is this binary, also where the file has been removed since.
const self = "/proc/self/exe"

// answerTime is how long the switch may take to answer.
const answerTime = 60 * time.Second

// run starts the switch.
func (n *Network) run(how *syscall.SysProcAttr) error {
	key, err := binaryKey()
	if err != nil {
		return err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "switch")
	defer theirs.Close()
	n.requests = pair[0]
	read, write, err := os.Pipe()
	if err != nil {
		n.stop()
		return err
	}
	defer read.Close()
	n.lifeline, n.said = write, new(bytes.Buffer)
	patience := unix.NsecToTimeval(answerTime.Nanoseconds())
	unix.SetsockoptTimeval(pair[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience)
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GOCOVERDIR=") })
	n.cmd = &exec.Cmd{
		Path:        self,
		Args:        []string{os.Args[0], "(dist: the networks of a cluster)"},
		Dir:         "/",
		Env:         append(env, envSwitch+"="+protocol+" "+key),
		Stderr:      n.said,
		ExtraFiles:  []*os.File{theirs, read},
		SysProcAttr: how,
	}
	if err := forkexec.Start(n.cmd); err != nil {
		n.cmd = nil
		n.stop()
		return err
	}
	n.pid = n.cmd.Process.Pid
	children.Store(n.pid, true)
	return nil
}

// stop ends the switch, and with it the networks in which nobody is any more.
func (n *Network) stop() {
	n.asking.Lock()
	defer n.asking.Unlock()
	if n.cmd != nil {
		n.cmd.Process.Kill()
		n.cmd.Wait()
		n.cmd = nil
		children.Delete(n.pid)
	}
	if n.requests >= 0 {
		unix.Close(n.requests)
		n.requests = -1
	}
	if n.lifeline != nil {
		n.lifeline.Close()
		n.lifeline = nil
	}
}

// ask asks the switch.
func (n *Network) ask(r request, descriptors ...int) (a reply, got []int, err error) {
	n.asking.Lock()
	defer n.asking.Unlock()
	if n.requests < 0 {
		return a, nil, net.ErrClosed
	}
	if err = send(n.requests, &r, descriptors...); err == nil {
		got, err = receive(n.requests, &a)
	}
	if err == errLost {
		return a, nil, fmt.Errorf("%s: %w", r.Op, err)
	}
	if err != nil {
		// What is asked next would get the answer to this.
		n.cmd.Process.Kill()
		n.cmd.Wait()
		if errors.Is(err, unix.EAGAIN) {
			err = fmt.Errorf("the process that has the nodes' networks did not answer in %v, and was killed: %w", answerTime, err)
		}
		if said, _, _ := bytes.Cut(bytes.TrimSpace(n.said.Bytes()), []byte("\n")); len(said) > 0 {
			err = fmt.Errorf("%w: %s", err, said)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
			err = fmt.Errorf("the process that has the nodes' networks has ended: %w", err)
		}
		return a, nil, fmt.Errorf("%s: %w", r.Op, err)
	}
	if err = a.err(); err != nil {
		closeAll(got)
		return a, nil, err
	}
	return a, got, nil
}

// Backend implements network.Faults.
func (n *Network) Backend() string { return Backend }

// Host returns the network of a node.
func (n *Network) Host(node int) *Host { return n.hosts[node] }

// healTime is how long connections may take to go on after a cut, over the time
// that it has lasted.
const healTime = 30 * time.Second

// canShape says why nothing can be delayed, slowed down and lost, if so: with what
// error of the kernel, where that has no such thing.
func (n *Network) canShape() error {
	if n.tried {
		return n.shapeless
	}
	_, _, err := n.ask(request{Op: opTryNetem})
	if err == nil || lacking(err) {
		n.tried, n.shapeless = true, err
	}
	return err
}

// unshapeable is the first of what is asked for that cannot be had here.
func (n *Network) unshapeable(c network.Condition) error {
	for _, f := range []struct {
		fault string
		asked bool
	}{
		{"a delay", c.Delay > 0 || c.Jitter > 0}, {"a bandwidth", c.Bandwidth > 0}, {"packet loss", c.Loss > 0},
	} {
		if !f.asked {
			continue
		}
		if err := n.canShape(); lacking(err) {
			return &network.Unsupported{Fault: f.fault, Backend: Backend, Why: err.Error() + `, or set [network] faults = "links"`}
		} else if err != nil {
			return err
		}
		if c.Jitter > mostJitter {
			return &network.Unsupported{Fault: fmt.Sprintf("a jitter of %v", c.Jitter), Backend: Backend,
				Why: fmt.Sprintf("the kernel spreads by at most %v", mostJitter.Truncate(time.Millisecond))}
		}
	}
	return nil
}

// Set implements network.Faults.
func (n *Network) Set(conditions map[network.Pair]network.Condition) error {
	n.setting.Lock()
	defer n.setting.Unlock()
	before := n.conditions
	after := make(map[network.Pair]network.Condition)
	for p, c := range conditions {
		if err := n.unshapeable(c); err != nil {
			return err
		}
		if c != (network.Condition{}) {
			after[p] = c
		}
	}
	if len(before) == 0 {
		n.since = time.Now()
	}
	lasted := time.Since(n.since)
	var (
		ended   []change // what is under way there is lost,
		running []change // and here it goes on
		patient time.Duration
		shapes  []shape
		cuts    []change
		healed  []change
	)
	pairs := union(before, after)
	for _, p := range n.unsure {
		if !slices.Contains(pairs, p) {
			pairs = append(pairs, p)
		}
	}
	for _, p := range pairs {
		was, is, unsure := before[p], after[p], slices.Contains(n.unsure, p)
		cut := change{From: p.From, To: p.To, Cut: is.Cut}
		if was.Cut != is.Cut || unsure {
			cuts = append(cuts, cut)
		}
		old, now := shapeOf(was), shapeOf(is)
		none := now == network.Condition{}
		switch {
		// Nothing that is sent across a cut arrives later, and nobody waits for
		// what is long under way.
		case old != network.Condition{} && (was.Cut && !is.Cut || none && (is.Cut || old.Delay+old.Jitter > runOutTime)):
			ended = append(ended, cut)
			if !none {
				shapes = append(shapes, shape{p.From, p.To, now})
			}
		case unsure && none:
			ended = append(ended, cut)
		case old == now && !unsure:
		default:
			shapes = append(shapes, shape{p.From, p.To, now})
			if none {
				running = append(running, cut)
				patient = max(patient, old.Delay+old.Jitter)
			}
		}
		// Who has waited for something that was lost does so for some time more.
		back := after[network.Pair{From: p.To, To: p.From}]
		if (was.Cut || was.Loss > is.Loss || old != now && none || unsure) && !is.Cut && !back.Cut && is.Loss == 0 && back.Loss == 0 {
			healed = append(healed, cut)
		}
	}
	for _, r := range []request{
		{Op: opUnshape, Changes: ended}, {Op: opShape, Shapes: shapes}, {Op: opCut, Changes: cuts},
	} {
		if len(r.Changes)+len(r.Shapes) == 0 {
			continue
		}
		if _, _, err := n.ask(r); err != nil {
			n.unsure = pairs // any part of it may have been done
			return err
		}
	}
	n.conditions, n.unsure = after, nil
	if err := n.runOut(running, patient); err != nil {
		return err
	}
	return n.goOn(healed, lasted)
}

// union is the pairs that have a condition, in an order.
func union(a, b map[network.Pair]network.Condition) []network.Pair {
	all := maps.Clone(a)
	if all == nil {
		all = make(map[network.Pair]network.Condition)
	}
	maps.Copy(all, b)
	return slices.SortedFunc(maps.Keys(all), func(a, b network.Pair) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
}

// shapeOf is the part of a condition that is not about cuts.
func shapeOf(c network.Condition) network.Condition {
	c.Cut = false
	if c.Loss == 0 {
		c.Seed = 0
	}
	return c
}

// runOutTime is the longest delay at whose end what is under way still arrives, and
// how long it may take for that, over its delay.
const runOutTime = time.Second

// runOut returns when what was sent in directions while they were shaped has
// arrived, or was given up, and they are not shaped any more.
func (n *Network) runOut(directions []change, patient time.Duration) error {
	if len(directions) == 0 {
		return nil
	}
	ask := request{Op: opUnder, Changes: directions}
	begin := time.Now()
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		a, _, err := n.ask(ask)
		if err != nil {
			return err
		}
		if a.Count == 0 || time.Since(begin) > patient+runOutTime {
			break
		}
		time.Sleep(pause)
	}
	_, _, err := n.ask(request{Op: opUnshape, Changes: directions})
	return err
}

// goOn returns when connections go on that were held up in directions, for no
// longer than that has lasted.
func (n *Network) goOn(healed []change, lasted time.Duration) error {
	if len(healed) == 0 {
		return nil
	}
	// What was sent meanwhile is sent again in a moment, and not at once.
	begin := time.Now()
	ask := request{Op: opHeld, Changes: healed}
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		a, _, err := n.ask(ask)
		if err != nil || a.Count == 0 {
			return err
		}
		ask = request{Op: opWaiting}
		if time.Since(begin) > lasted+healTime {
			return fmt.Errorf("%d ends of connections that were held up have not gone on for %v", a.Count, time.Since(begin).Round(time.Second))
		}
		time.Sleep(pause)
	}
}

// Reset implements network.Faults. The end that has dialled is told of a reset,
// the other that the connection was aborted.
func (n *Network) Reset(pairs []network.Pair) (int, error) {
	n.setting.Lock()
	defer n.setting.Unlock()
	r := request{Op: opReset, Ports: n.ports}
	for _, p := range pairs {
		r.Changes = append(r.Changes, change{From: p.From, To: p.To})
	}
	a, _, err := n.ask(r)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = &network.Unsupported{Fault: "a reset", Backend: Backend, Why: "this kernel does not end other people's connections (CONFIG_INET_DIAG_DESTROY)"}
	}
	return a.Count, err
}

// Close implements network.Faults.
func (n *Network) Close() error {
	n.forwarders.close()
	n.stop()
	return nil
}

// Start starts a command in the network of the host, as a child of this process
// that leads a process group. Its standard output and error must be files. What
// the command's SysProcAttr says is not regarded but for PidFD.
func (h *Host) Start(cmd *exec.Cmd) error {
	r := request{Op: opStart, Node: h.node, Path: cmd.Path, Args: cmd.Args, Dir: cmd.Dir, Env: cmd.Environ()}
	// What would fail is found out here, if it can be: a child that was not to be
	// remains to be reaped.
	if info, err := os.Stat(cmd.Dir); cmd.Dir != "" && err != nil {
		return err
	} else if cmd.Dir != "" && !info.IsDir() {
		return &os.PathError{Op: "chdir", Path: cmd.Dir, Err: unix.ENOTDIR}
	}
	if err := unix.Access(cmd.Path, unix.X_OK); err != nil {
		return &os.PathError{Op: "fork/exec", Path: cmd.Path, Err: err}
	}
	if cmd.Dir == "" {
		r.Dir, _ = os.Getwd()
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	files := []*os.File{null}
	for _, w := range []io.Writer{cmd.Stdout, cmd.Stderr} {
		f, ok := w.(*os.File)
		if !ok {
			return errors.New("the output of a command in a network of its own goes to files only")
		}
		files = append(files, f)
	}
	var fds []int
	for _, f := range append(files, cmd.ExtraFiles...) {
		fds = append(fds, int(f.Fd()))
	}
	a, _, err := h.n.ask(r, fds...)
	if err != nil {
		null.Close() // there may be no other descriptor
		if s, ok := procstat.Of(h.n.pid); ok {
			reapFailed(s.Comm)
		}
		return &os.PathError{Op: "fork/exec", Path: cmd.Path, Err: err}
	}
	if filepath.Base(cmd.Path) == filepath.Base(self) {
		children.Store(a.PID, true)
	}
	if cmd.Process, err = os.FindProcess(a.PID); err != nil {
		unix.Kill(a.PID, unix.SIGKILL)
		return err
	}
	if attr := cmd.SysProcAttr; attr != nil && attr.PidFD != nil {
		if *attr.PidFD, err = unix.PidfdOpen(a.PID, 0); err != nil {
			*attr.PidFD = -1
		}
	}
	return nil
}

// Dial connects to an address as a process on the host would. The network is
// "tcp" or "udp". What is between nodes does not concern it.
func (h *Host) Dial(ctx context.Context, netw, addr string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	failed := func(err error) error {
		return &net.OpError{Op: "dial", Net: netw, Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	kind := unix.SOCK_STREAM
	if netw == "udp" {
		kind = unix.SOCK_DGRAM
	}
	_, got, err := h.n.ask(request{Op: opSocket, Node: h.node, Type: kind})
	if err != nil {
		return nil, failed(err)
	}
	if len(got) != 1 {
		closeAll(got)
		return nil, failed(errors.New("no socket was made"))
	}
	unix.SetNonblock(got[0], true)
	f := os.NewFile(uintptr(got[0]), "socket")
	defer f.Close()
	err = unix.Connect(got[0], &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	if err == unix.EINPROGRESS {
		err = awaitConnect(ctx, f)
	}
	if err != nil {
		return nil, failed(err)
	}
	c, err := net.FileConn(f)
	if err != nil {
		return nil, failed(err)
	}
	return c, nil
}

// awaitConnect returns when a socket that connects has done so.
func awaitConnect(ctx context.Context, f *os.File) error {
	stop := context.AfterFunc(ctx, func() { f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var outcome error
	err = raw.Write(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if n, err := unix.Poll(p, 0); err == unix.EINTR || err == nil && n == 0 {
			return false
		}
		errno, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			outcome = err
		} else if errno != 0 {
			outcome = unix.Errno(errno)
		}
		return true
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(err, outcome)
}
