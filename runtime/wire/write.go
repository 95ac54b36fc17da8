package wire

import (
	"context"
	"net"
	"syscall"
)

// A writer puts frames on the stream one after the other. It never keeps a
// caller longer than the caller's context: a peer that is stopped (SIGSTOP)
// does not read, and what the socket does not take at once is written by a
// goroutine that holds the lock until it is through.
type writer struct {
	conn *Conn
	raw  syscall.RawConn // nil where the stream is not a plain socket
	lock chan struct{}
}

func (w *writer) init(c *Conn) {
	w.conn = c
	w.lock = make(chan struct{}, 1)
	if s, ok := c.rw.(syscall.Conn); ok {
		if _, plain := c.rw.(*net.UnixConn); plain {
			w.raw, _ = s.SyscallConn()
		}
	}
}

// frame writes head and body. head must have room for a small body behind it.
// Neither is read any more when frame has returned.
func (w *writer) frame(ctx context.Context, head, body []byte) error {
	select {
	case w.lock <- struct{}{}:
	case <-ctx.Done():
		if w.conn.closed.Err() != nil {
			return w.conn.closedError()
		}
		return ctx.Err()
	case <-w.conn.closed.Done():
		return w.conn.closedError()
	}
	var rest net.Buffers
	if len(body) <= cap(head)-len(head) {
		head, body = append(head, body...), nil
	}
	n, err := w.try(head)
	if err == nil && n == len(head) && len(body) > 0 {
		var m int
		m, err = w.try(body)
		n += m
	}
	switch {
	case err != nil:
		<-w.lock
		w.conn.shut(err)
		return w.conn.closedError()
	case n == len(head)+len(body):
		<-w.lock
		return nil
	case n < len(head):
		rest = net.Buffers{head[n:], append([]byte(nil), body...)}
	default:
		rest = net.Buffers{append([]byte(nil), body[n-len(head):]...)}
	}
	go func() {
		defer func() { <-w.lock }()
		if _, err := rest.WriteTo(w.conn.rw); err != nil {
			w.conn.shut(err)
		}
	}()
	return nil
}

// try writes what the socket takes without waiting.
func (w *writer) try(b []byte) (n int, err error) {
	if w.raw == nil {
		return 0, nil
	}
	cerr := w.raw.Write(func(fd uintptr) bool {
		for n < len(b) {
			var m int
			m, err = ignoringEINTR(func() (int, error) { return syscall.Write(sysfd(fd), b[n:]) })
			if m > 0 {
				n += m
			}
			if err == syscall.EAGAIN {
				err = nil
				return true
			}
			if err != nil {
				return true
			}
		}
		return true
	})
	if err == nil {
		err = cerr
	}
	return n, err
}

func ignoringEINTR(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if err != syscall.EINTR {
			return n, err
		}
	}
}
