package inspect

import (
	"bufio"
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distkit/dist/runtime/lockfile"
	"github.com/distkit/dist/runtime/usersocket"
)

// A Server answers for a test binary.
type Server struct {
	record Record
	dir    string
	id     string
	file   *lockfile.File
	listen *net.UnixListener
	answer func(context.Context, Request) Answer
	hello  atomic.Int64 // nanoseconds that whoever connects may take to say what it wants

	ctx    context.Context
	cancel context.CancelFunc
	seats  chan struct{} // one for each connection
	wg     sync.WaitGroup
}

// askersMost is how many are answered at a time; there is one for each node that
// dist dump asks for.
const askersMost = 64

// Listen has questions answered, until Close.
func Listen(pkg string, answer func(context.Context, Request) Answer) (*Server, error) {
	fail := func(err error) (*Server, error) {
		return nil, fmt.Errorf("let dist dump ask this test binary: %w", err)
	}
	if !usersocket.Available {
		return fail(errors.ErrUnsupported)
	}
	dir, err := lockfile.Dir(place)
	if err != nil {
		return fail(err)
	}
	Tidy()
	id := usersocket.NewID()
	listen, socket, err := usersocket.Listen(dir, id)
	if err != nil {
		return fail(err)
	}
	s := &Server{
		dir: dir, id: id, listen: listen, answer: answer, seats: make(chan struct{}, askersMost),
		record: Record{Version: format, Package: pkg, PID: os.Getpid(), Started: time.Now(), Socket: socket, Secret: usersocket.Random()},
	}
	s.hello.Store(int64(helloTime))
	data, err := json.Marshal(s.record)
	if err == nil {
		s.file, err = lockfile.Create(dir, id+recordSuffix, data)
	}
	if err != nil {
		listen.Close()
		usersocket.Remove(dir, id, socket)
		return fail(err)
	}
	s.record.File = s.file.Path()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Go(s.accept)
	return s, nil
}

// Close ends all answers and removes what there is in the file system. A nil
// Server has nothing.
func (s *Server) Close() {
	if s == nil {
		return
	}
	s.file.Remove() // before anything: nobody is to find what is ending
	s.cancel()
	s.listen.Close()
	usersocket.Remove(s.dir, s.id, s.record.Socket)
	s.wg.Wait()
}

func (s *Server) accept() {
	for {
		c, err := s.listen.AcceptUnix()
		if err != nil && s.ctx.Err() != nil {
			return
		}
		if err != nil { // no descriptor left, perhaps: others will give some back
			select {
			case <-s.ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		select {
		case s.seats <- struct{}{}:
			s.wg.Go(func() {
				defer func() { <-s.seats }()
				s.serve(c)
			})
		default:
			c.Close()
		}
	}
}

// serve answers one question. A stranger is not told why it is sent away.
func (s *Server) serve(c *net.UnixConn) {
	defer c.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	if usersocket.CheckUser(c) != nil {
		return
	}
	c.SetReadDeadline(time.Now().Add(time.Duration(s.hello.Load())))
	q, err := readRequest(c)
	if err != nil || subtle.ConstantTimeCompare([]byte(q.Secret), []byte(s.record.Secret)) != 1 {
		return
	}
	c.SetReadDeadline(time.Time{})
	// Whoever has gone need not be answered, least of all after a profile of ten
	// minutes.
	go func() {
		io.Copy(io.Discard, c)
		cancel()
	}()
	b, err := json.Marshal(s.answer(ctx, q))
	if err != nil {
		return // strings and numbers: cannot happen
	}
	c.SetWriteDeadline(time.Now().Add(time.Duration(s.hello.Load())))
	c.Write(b)
}

// readRequest reads a line, of no more than what a question may have.
func readRequest(r io.Reader) (q Request, err error) {
	line, err := bufio.NewReader(io.LimitReader(r, requestMost)).ReadBytes('\n')
	if err != nil {
		return q, err
	}
	err = json.Unmarshal(bytes.TrimSpace(line), &q)
	return q, err
}
