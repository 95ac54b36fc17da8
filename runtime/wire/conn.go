package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// MaxFrame is the largest frame either side sends or accepts, in bytes. A peer
// that announces more is cut off: the stream cannot be trusted any longer.
const MaxFrame = 1 << 30

const (
	headerSize = 4 + 1 + 8
	maxMethod  = 1 << 12
	// What is copied behind the header to go out in one write.
	smallBody = 16 << 10
	// What is allocated on a peer's word alone; more is allocated as it arrives.
	trustedBody = 4 << 20
	// How many requests of the peer may be unanswered. Each costs a goroutine,
	// also where the answer is there and the peer does not read it.
	maxRequests = 1 << 20
)

const (
	kindRequest = 1 + iota
	kindResponse
	kindFailure
	kindCancel
)

// ErrClosed is returned by calls on a connection that has ended, by either
// side. The cause, where there is one, is wrapped beside it.
var ErrClosed = errors.New("control channel closed")

// ErrProtocol is why a connection has ended whose other side sent something that
// is no frame.
var ErrProtocol = errors.New("not a frame")

// A Handler answers one request. Its context ends with the request: when the
// caller gives up, its deadline passes or the connection ends. body is the
// handler's to keep. An error crosses as its text; see RemoteError.
type Handler func(ctx context.Context, method string, body []byte) ([]byte, error)

// A Conn is one end of a control channel. It is safe for concurrent use.
type Conn struct {
	rw      net.Conn
	handler Handler
	write   writer
	most    int64 // bytes in a frame's body that comes in
	crowd   int64 // requests that may be unanswered

	nextID  atomic.Uint64
	asking  atomic.Int64 // our requests that are not answered yet
	asked   atomic.Int64 // the peer's
	last    atomic.Bool  // see Finish
	mu      sync.Mutex
	pending map[uint64]chan reply              // requests we sent
	serving map[uint64]context.CancelCauseFunc // requests we answer

	closed context.Context // ends with the connection
	close  context.CancelCauseFunc
}

type reply struct {
	kind byte
	body []byte
}

// New makes a Conn of a stream. Nothing is read until Serve runs.
func New(rw net.Conn, h Handler) *Conn {
	c := &Conn{
		rw: rw, handler: h, most: MaxFrame, crowd: maxRequests,
		pending: make(map[uint64]chan reply),
		serving: make(map[uint64]context.CancelCauseFunc),
	}
	c.closed, c.close = context.WithCancelCause(context.Background())
	c.write.init(c)
	return c
}

// Limit sets the largest frame that is accepted, in bytes, and how many requests
// may be unanswered at a time, where the peer never has reason to send what it
// may by default. It is to be called before Serve.
func (c *Conn) Limit(frame, requests int) {
	c.most, c.crowd = int64(min(frame, MaxFrame)), int64(min(requests, maxRequests))
}

// Serve reads frames until the stream ends and returns why it did; io.EOF is
// the peer's orderly end. Every request is answered in a goroutine of its own.
func (c *Conn) Serve() error {
	err := c.read()
	c.shut(err)
	return err
}

// Close ends the connection. Calls in progress return ErrClosed, handlers'
// contexts end.
func (c *Conn) Close() error {
	c.shut(net.ErrClosed)
	return nil
}

// Finish, called by a handler, has the connection end as soon as that and all
// other requests of the peer are answered, and not only when the peer has read
// the answers and closes it.
func (c *Conn) Finish() { c.last.Store(true) }

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.closed.Done() }

// Err is why the connection has ended, in the words of Serve; nil if it has not.
func (c *Conn) Err() error { return context.Cause(c.closed) }

func (c *Conn) shut(cause error) {
	c.close(cause)
	c.rw.Close()
}

func (c *Conn) closedError() error {
	if cause := context.Cause(c.closed); cause != nil && cause != io.EOF && !errors.Is(cause, net.ErrClosed) {
		return fmt.Errorf("%w: %w", ErrClosed, cause)
	}
	return ErrClosed
}

// Call sends a request and waits for its answer. It returns the handler's
// result; a *RemoteError or *PanicError if the handler failed; an error that
// wraps ErrClosed if the connection ended; or ctx's error as soon as ctx ends,
// which also ends the handler's context.
func (c *Conn) Call(ctx context.Context, method string, body []byte) ([]byte, error) {
	if len(method) > maxMethod {
		return nil, fmt.Errorf("method name of %d bytes: at most %d", len(method), maxMethod)
	}
	if len(body) > MaxFrame-headerSize-10-maxMethod {
		return nil, fmt.Errorf("argument of %d bytes: at most %d cross the control channel", len(body), MaxFrame-headerSize-10-maxMethod)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var timeout uint64
	if deadline, ok := ctx.Deadline(); ok {
		timeout = uint64(max(time.Until(deadline), 1))
	}
	id := c.nextID.Add(1)
	answer := make(chan reply, 1)
	c.mu.Lock()
	c.pending[id] = answer
	c.mu.Unlock()
	c.asking.Add(1)
	defer c.asking.Add(-1)

	if err := c.write.frame(ctx, requestHead(id, timeout, method, len(body)), body, nil); err != nil {
		c.forget(id)
		return nil, err
	}

	select {
	case r := <-answer:
		return c.answer(ctx, r)
	case <-ctx.Done():
		c.forget(id)
		c.cancel(id)
		return nil, ctx.Err()
	case <-c.closed.Done():
		c.forget(id)
		// The answer may have come just before the end.
		select {
		case r := <-answer:
			return c.answer(ctx, r)
		default:
			return nil, c.closedError()
		}
	}
}

// Tell sends a request whose answer nobody waits for. Unlike Call it does not
// need Serve to run.
func (c *Conn) Tell(method string) error {
	return c.write.frame(c.closed, requestHead(c.nextID.Add(1), 0, method, 0), nil, nil)
}

func requestHead(id, timeout uint64, method string, size int) []byte {
	head := make([]byte, headerSize+10, headerSize+10+len(method)+min(size, smallBody))
	putHeader(head, kindRequest, id, 10+len(method)+size)
	binary.BigEndian.PutUint64(head[headerSize:], timeout)
	binary.BigEndian.PutUint16(head[headerSize+8:], uint16(len(method)))
	return append(head, method...)
}

func (c *Conn) answer(ctx context.Context, r reply) ([]byte, error) {
	if r.kind == kindResponse {
		return r.body, nil
	}
	err := decodeFailure(r.body)
	// The deadline travels with the request, so the far side may notice first;
	// to the caller it is the same event.
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil, ctx.Err()
	}
	return nil, err
}

func (c *Conn) forget(id uint64) {
	c.mu.Lock()
	delete(c.pending, id)
	c.mu.Unlock()
}

// cancel tells the far side that nobody waits for id any more. It never blocks
// its caller, whose context has ended already.
func (c *Conn) cancel(id uint64) {
	head := make([]byte, headerSize)
	putHeader(head, kindCancel, id, 0)
	go c.write.frame(c.closed, head, nil, nil)
}

func putHeader(b []byte, kind byte, id uint64, rest int) {
	binary.BigEndian.PutUint32(b, uint32(headerSize-4+rest))
	b[4] = kind
	binary.BigEndian.PutUint64(b[5:], id)
}

func (c *Conn) read() error {
	br := bufio.NewReaderSize(c.rw, 64<<10)
	var head [headerSize]byte
	for {
		if _, err := io.ReadFull(br, head[:]); err != nil {
			return err
		}
		size := int64(binary.BigEndian.Uint32(head[:])) - (headerSize - 4)
		if size < 0 || size > c.most {
			return fmt.Errorf("%w: one of %d bytes announced, at most %d", ErrProtocol, size, c.most)
		}
		body, err := readBody(br, size)
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		kind, id := head[4], binary.BigEndian.Uint64(head[5:])
		switch kind {
		case kindRequest:
			if err := c.request(id, body); err != nil {
				return err
			}
		case kindResponse, kindFailure:
			c.mu.Lock()
			answer := c.pending[id]
			delete(c.pending, id)
			c.mu.Unlock()
			if answer != nil { // nil: the caller has given up
				answer <- reply{kind, body}
			}
		case kindCancel:
			c.mu.Lock()
			cancel := c.serving[id]
			c.mu.Unlock()
			if cancel != nil {
				cancel(context.Canceled)
			}
		default:
			return fmt.Errorf("%w: one of unknown kind %d", ErrProtocol, kind)
		}
	}
}

func readBody(br *bufio.Reader, size int64) ([]byte, error) {
	if size <= trustedBody {
		body := make([]byte, size)
		_, err := io.ReadFull(br, body)
		return body, err
	}
	body := make([]byte, 0, trustedBody)
	for int64(len(body)) < size {
		n := min(size-int64(len(body)), int64(max(len(body), trustedBody)))
		start := len(body)
		body = append(body, make([]byte, n)...)
		if _, err := io.ReadFull(br, body[start:]); err != nil {
			return nil, err
		}
	}
	return body, nil
}

func (c *Conn) request(id uint64, body []byte) error {
	if len(body) < 10 {
		return fmt.Errorf("%w: a request cut short", ErrProtocol)
	}
	timeout := binary.BigEndian.Uint64(body)
	n := int(binary.BigEndian.Uint16(body[8:]))
	if n > maxMethod || len(body) < 10+n {
		return fmt.Errorf("%w: a request cut short", ErrProtocol)
	}
	method := string(body[10 : 10+n])
	if c.asked.Load() >= c.crowd {
		return fmt.Errorf("%w: more than %d requests that are not answered yet", ErrProtocol, c.crowd)
	}
	ctx, cancel := context.WithCancelCause(c.closed)
	stop := func() {}
	if timeout > 0 && timeout < uint64(1<<62) {
		ctx, stop = context.WithTimeout(ctx, time.Duration(timeout))
	}
	c.mu.Lock()
	twice := c.serving[id] != nil
	if !twice {
		c.serving[id] = cancel
	}
	c.mu.Unlock()
	if twice { // two answers by one number, and nobody could tell them apart
		stop()
		cancel(nil)
		return fmt.Errorf("%w: request %d comes twice", ErrProtocol, id)
	}
	c.asked.Add(1)
	go c.serve(ctx, id, method, body[10+n:], func() {
		stop()
		cancel(nil)
	})
	return nil
}

// serve runs the handler and answers. All of it happens on the way out, so
// that a panic and runtime.Goexit are answered as well.
func (c *Conn) serve(ctx context.Context, id uint64, method string, body []byte, release func()) {
	var result []byte
	var err error
	returned := false
	defer func() {
		if !returned {
			value := "runtime.Goexit called (t.FailNow, t.Fatal and t.Skip do that; return an error instead)"
			if v := recover(); v != nil {
				value = panicText(v)
			}
			err = &PanicError{Value: value, Stack: string(debug.Stack())}
		}
		c.mu.Lock()
		delete(c.serving, id)
		c.mu.Unlock()
		kind := byte(kindResponse)
		if err == nil && len(result) > MaxFrame-headerSize {
			err = fmt.Errorf("result of %d bytes: at most %d cross the control channel", len(result), MaxFrame-headerSize)
		}
		if err != nil {
			kind, result = kindFailure, encodeFailure(err)
		}
		head := make([]byte, headerSize, headerSize+min(len(result), smallBody))
		putHeader(head, kind, id, len(result))
		// Only the connection's own end keeps an answer back.
		c.write.frame(c.closed, head, result, func() {
			// Before: another one that was the last to be answered when it came here
			// must not end the connection over one that has come, and said so, since.
			last := c.last.Load()
			left := c.asked.Add(-1)
			// Only now: what waits for the context to end may end the process.
			release()
			if last && left == 0 {
				c.shut(io.EOF)
			}
		})
	}()
	if c.handler == nil {
		err = fmt.Errorf("nobody here answers %q", method)
	} else {
		result, err = c.handler(ctx, method, body)
	}
	returned = true
}

func panicText(v any) string {
	switch v := v.(type) {
	case error:
		if _, ok := v.(runtime.Error); ok {
			return v.Error()
		}
		return fmt.Sprintf("%T: %v", v, v) // v.Error may panic, too
	default:
		return fmt.Sprint(v)
	}
}
