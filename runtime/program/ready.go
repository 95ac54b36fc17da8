package program

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/network/namespaces"
)

// Readiness is looked for after these pauses: a program that is fast is ready
// in milliseconds, one that is slow is not kept from its work.
const (
	minPause     = 2 * time.Millisecond
	maxPause     = 50 * time.Millisecond
	maxExecPause = 500 * time.Millisecond // a command costs more than a connection
)

// attempt bounds one answer: one that is lost must not use up all the time.
const attempt = 2 * time.Second

// A hopeless error does not pass by waiting.
type hopeless struct{ error }

func (h hopeless) Unwrap() error { return h.error }

// A check tells whether one node is ready.
type check struct {
	ready  *config.Ready
	addr   map[string]string // by port
	exec   []string
	dir    string
	env    []string
	engine engine.Engine
	host   *namespaces.Host // whose network is asked in; nil: that of this process
	log    *matcher         // of a file that is known once the node runs

	// plan sets these.
	what  string // what is asked, for messages: "GET http://127.0.0.1:80/health"
	addrs []string
	probe func(ctx context.Context) error
}

// check is that of a node. Its log tells only while it starts.
func (s *Spec) check(e engine.Engine, x *config.Expanded, starts bool) *check {
	c := &check{ready: &s.Program.Ready, addr: s.node().Listen, exec: x.Ready, dir: s.node().Dir, env: s.env(x), engine: e, host: s.Host}
	if starts && s.Program.Ready.Log != "" {
		c.log = &matcher{pattern: regexp.MustCompile(s.Program.Ready.Log)}
	}
	c.plan(s.Program.Ports)
	return c
}

// plan chooses what is asked.
func (c *check) plan(ports []string) {
	r := c.ready
	one := func(port string) string {
		addr := c.addr[port]
		c.addrs = []string{addr}
		return addr
	}
	switch {
	case r.HTTP != "":
		addr := one(r.HTTP)
		c.what = "GET http://" + addr + r.Path
		c.probe = func(ctx context.Context) error { return c.askHTTP(ctx, addr, r.Path) }
	case r.GRPC != "":
		addr := one(r.GRPC)
		c.what = "grpc.health.v1.Health/Check of " + addr
		c.probe = func(ctx context.Context) error { return c.askGRPC(ctx, addr, r.GRPC) }
	case r.TCP != "":
		addr := one(r.TCP)
		c.what = "a connection to " + addr
		c.probe = func(ctx context.Context) error { return c.connect(ctx, addr) }
	case r.Exec != nil:
		c.what = "exit status 0 of " + shell(c.exec[0], c.exec[1:])
		c.probe = c.run
	case c.log != nil:
		c.what = "a line of its output that matches " + r.Log
		c.probe = func(context.Context) error { return c.log.look() }
	case len(ports) > 0:
		for _, port := range ports {
			c.addrs = append(c.addrs, c.addr[port])
		}
		c.what = "connections to " + strings.Join(c.addrs, ", ")
		c.probe = func(ctx context.Context) error {
			for _, addr := range c.addrs {
				if err := c.connect(ctx, addr); err != nil {
					return err
				}
			}
			return nil
		}
	default:
		c.what = "that it runs"
		c.probe = func(context.Context) error { return nil }
	}
}

// once asks once. It does not wait longer than people would.
func (c *check) once(ctx context.Context) error {
	limit := attempt
	if c.ready.Exec != nil {
		limit = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.probe(ctx)
}

// poll asks until the answer is yes, or ctx ends. Then last is what was
// answered last; final says that no other answer can come.
func (c *check) poll(ctx context.Context) (last error, final bool) {
	most, limit := maxPause, attempt
	if c.ready.Exec != nil {
		most, limit = maxExecPause, time.Hour // it may wait by itself
	}
	last = errNothing
	for pause := minPause; ; pause = min(pause*3/2, most) {
		asking, cancel := context.WithTimeout(ctx, limit)
		err := c.probe(asking)
		cancel()
		if err == nil {
			return nil, false
		}
		if h, ok := errors.AsType[hopeless](err); ok {
			return h.error, true
		}
		// An answer that was cut off says less than the one before it.
		if deadline, ok := ctx.Deadline(); last == errNothing || ctx.Err() == nil && !(ok && time.Now().After(deadline)) {
			last = err
		}
		select {
		case <-ctx.Done():
			return last, false
		case <-time.After(pause):
		}
	}
}

func (c *check) connect(ctx context.Context, addr string) error {
	conn, err := c.dial(ctx, addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// answered returns one of the addresses at which somebody listens; "" if there is
// none. In a network of the node's own nobody does before it.
func (c *check) answered(ctx context.Context) string {
	if c.host != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, addr := range c.addrs {
		if err := c.connect(ctx, addr); err == nil || errors.Is(err, errNoAnswer) {
			return addr
		}
	}
	return ""
}

// dial connects, with an error that says no more than is new.
func (c *check) dial(ctx context.Context, addr string) (net.Conn, error) {
	dial := (&net.Dialer{}).DialContext
	if c.host != nil { // what is outside in front of the node accepts everything
		dial = c.host.Dial
	}
	conn, err := dial(ctx, "tcp", addr)
	if err != nil {
		err = fmt.Errorf("%s: %w", addr, plain(err))
		if errors.Is(err, syscall.ENETUNREACH) && loopback(addr) {
			return nil, hopeless{err} // its interface is down
		}
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	return conn, nil
}

// plain is what a network error comes down to: "connection refused".
func plain(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return errNoAnswer
	}
	if o, ok := errors.AsType[*net.OpError](err); ok {
		return o.Err
	}
	return err
}

var (
	errNothing  = errors.New("nothing was answered")
	errNoAnswer = errors.New("no answer in time")
)

// run asks by the program's own command.
func (c *check) run(ctx context.Context) error {
	r, err := command(ctx, c.engine, c.host, c.exec, c.dir, c.env)
	said := ""
	if n := len(r.said); n > 0 {
		said = ": " + r.said[n-1]
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("%s had not ended%s", c.exec[0], said)
	case err != nil:
		return hopeless{err} // it cannot be started
	case r.exit.Code != 0 || r.exit.Signal != "":
		return fmt.Errorf("%s: %s%s", c.exec[0], r.exit.String(), said)
	}
	return nil
}

// A matcher looks for a line in a growing file.
type matcher struct {
	file    string
	pattern *regexp.Regexp
	offset  int64
	line    []byte // the last one, which may not be complete
	last    string // the last one that said something
}

// maxLine bounds what is kept of a line.
const maxLine = 64 << 10

// look reads on, and matches the last line too while it is not complete: a
// program may prompt.
func (m *matcher) look() error {
	f, err := os.Open(m.file)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := f.ReadAt(buf, m.offset)
		m.offset += int64(n)
		for _, part := range splitAfter(buf[:n]) {
			m.line = append(m.line, part[:min(len(part), max(0, maxLine-len(m.line)))]...)
			text := strings.TrimRight(string(m.line), "\r\n")
			if m.pattern.MatchString(text) {
				return nil
			}
			if strings.TrimSpace(text) != "" {
				m.last = text
			}
			if part[len(part)-1] == '\n' {
				m.line = m.line[:0]
			}
		}
		if n == 0 || err != nil {
			break
		}
	}
	if m.last == "" {
		return fmt.Errorf("it has printed nothing; wanted is a line that matches %s", m.pattern)
	}
	return fmt.Errorf("no line of its output matches %s; the last one is %.200q", m.pattern, m.last)
}

// splitAfter splits into lines that keep their ends.
func splitAfter(b []byte) (lines [][]byte) {
	for len(b) > 0 {
		i := strings.IndexByte(string(b), '\n') + 1
		if i == 0 {
			i = len(b)
		}
		lines = append(lines, b[:i])
		b = b[i:]
	}
	return lines
}
