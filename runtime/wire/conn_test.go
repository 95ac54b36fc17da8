package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// pair returns two ends of a real Unix socket, each served.
func pair(t testing.TB, here, there Handler) (*Conn, *Conn) {
	t.Helper()
	dir, err := os.MkdirTemp("", "w")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	dialed, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, b := New(dialed, here), New(<-accepted, there)
	var wg sync.WaitGroup
	wg.Go(func() { a.Serve() })
	wg.Go(func() { b.Serve() })
	t.Cleanup(func() { a.Close(); b.Close(); wg.Wait() })
	return a, b
}

func echo(_ context.Context, _ string, body []byte) ([]byte, error) { return body, nil }

func TestCallCarriesBodies(t *testing.T) {
	a, b := pair(t, echo, echo)
	for _, size := range []int{0, 1, 64, smallBody, smallBody + 1, 1 << 20, trustedBody + 1, 9 << 20} {
		want := bytes.Repeat([]byte("x"), size)
		for _, c := range []*Conn{a, b} {
			got, err := c.Call(t.Context(), "echo", want)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes: got %d bytes, %v", size, len(got), err)
			}
		}
	}
}

func TestManyCallers(t *testing.T) {
	a, _ := pair(t, nil, echo)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for j := range 50 {
				want := fmt.Sprintf("%d/%d", i, j)
				if got, err := a.Call(t.Context(), "echo", []byte(want)); err != nil || string(got) != want {
					t.Errorf("got %q, %v; want %q", got, err, want)
				}
			}
		})
	}
	wg.Wait()
}

func TestFailures(t *testing.T) {
	a, _ := pair(t, nil, func(ctx context.Context, method string, _ []byte) ([]byte, error) {
		switch method {
		case "plain":
			return nil, errors.New("no such key")
		case "eof":
			return nil, fmt.Errorf("reading: %w", io.EOF)
		case "panic":
			panic("deep trouble")
		case "runtime":
			var m map[string]int
			m["x"] = 1
		case "goexit":
			runtime.Goexit()
		case "nil":
			return nil, (*hostileError)(nil)
		case "hostile":
			return nil, &hostileError{}
		case "nil panic":
			panic((*hostileError)(nil))
		case "bytes":
			return nil, fmt.Errorf("key \xff: %w", io.EOF)
		}
		return nil, nil
	})
	_, err := a.Call(t.Context(), "plain", nil)
	if remote := (*RemoteError)(nil); !errors.As(err, &remote) || remote.Text != "no such key" || errors.Is(err, io.EOF) {
		t.Errorf("plain: %v", err)
	}
	_, err = a.Call(t.Context(), "eof", nil)
	if !errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) || err.Error() != "reading: EOF" {
		t.Errorf("eof: %v", err)
	}
	for method, text := range map[string]string{"nil": "<nil>", "hostile": "PANIC"} {
		_, err := a.Call(t.Context(), method, nil)
		if remote := (*RemoteError)(nil); !errors.As(err, &remote) || !strings.Contains(remote.Text, text) {
			t.Errorf("%s: %v", method, err)
		}
	}
	_, err = a.Call(t.Context(), "bytes", nil)
	if !errors.Is(err, io.EOF) || err.Error() != "key \xff: EOF" {
		t.Errorf("bytes: %v", err)
	}
	for method, text := range map[string]string{"panic": "deep trouble", "runtime": "nil map", "goexit": "t.FailNow", "nil panic": "hostileError"} {
		_, err := a.Call(t.Context(), method, nil)
		if p := (*PanicError)(nil); !errors.As(err, &p) || !strings.Contains(p.Value, text) || !strings.Contains(p.Stack, "TestFailures") && method != "goexit" {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// A hostileError panics, whatever it is asked.
type hostileError struct{ text string }

func (e *hostileError) Error() string {
	if e.text == "" {
		panic("no text")
	}
	return e.text
}

func (e *hostileError) Is(error) bool { panic("is it") }

func TestContextCrosses(t *testing.T) {
	started, ended := make(chan bool), make(chan error)
	a, _ := pair(t, nil, func(ctx context.Context, method string, _ []byte) ([]byte, error) {
		_, has := ctx.Deadline()
		started <- has
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	if _, err := a.Call(ctx, "", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled call: %v", err)
	}
	if err := <-ended; err != context.Canceled {
		t.Errorf("far context ended with %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	go func() {
		if !<-started {
			t.Error("the deadline did not cross")
		}
	}()
	if _, err := a.Call(ctx, "", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("late call: %v", err)
	}
	<-ended
}

func TestEndOfConnection(t *testing.T) {
	inside, ended := make(chan bool), make(chan bool)
	a, b := pair(t, nil, func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		close(inside)
		<-ctx.Done()
		close(ended)
		return nil, nil
	})
	go func() { <-inside; b.Close() }()
	if _, err := a.Call(t.Context(), "", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	<-ended
	<-a.Done()
	if _, err := a.Call(t.Context(), "", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("call after the end: %v, want ErrClosed", err)
	}
}

func TestNotAFrame(t *testing.T) {
	for _, junk := range []string{"junk and more of it", "\x00\x00\x00\x09\x63\x00\x00\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x09\x01\x00\x00\x00\x00\x00\x00\x00\x00"} {
		here, there := net.Pipe()
		c := New(here, nil)
		if c.Err() != nil {
			t.Errorf("before its end: %v", c.Err())
		}
		go there.Write([]byte(junk))
		if err := c.Serve(); !errors.Is(err, ErrProtocol) || c.Err() != err {
			t.Errorf("%q: %v, then %v; want ErrProtocol", junk, err, c.Err())
		}
		there.Close()
	}
}

// A peer that reads nothing must not keep a caller beyond its context, however
// much is to be written.
func TestPeerThatDoesNotRead(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	c := New(here, nil)
	defer c.Close()
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if _, err := c.Call(ctx, "x", make([]byte, 1<<20)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		cancel()
	}
}

// TestEndsAfterItsAnswer: what waits for a request's context to end may end the
// process, so the answer must have left it, whoever else is writing.
func TestEndsAfterItsAnswer(t *testing.T) {
	for range 100 {
		var far atomic.Pointer[Conn]
		near, there := pair(t, nil, func(ctx context.Context, method string, body []byte) ([]byte, error) {
			if method == "leave" {
				go func() {
					<-ctx.Done()
					far.Load().Close()
				}()
			}
			return body, nil
		})
		far.Store(there)
		var others sync.WaitGroup
		for range 8 {
			others.Go(func() {
				for near.Err() == nil {
					near.Call(t.Context(), "stay", []byte("x"))
				}
			})
		}
		if got, err := near.Call(t.Context(), "leave", []byte("y")); string(got) != "y" || err != nil {
			t.Fatalf("the answer of one that left: %q, %v", got, err)
		}
		others.Wait()
	}
}

// TestFinishAfterAnAnswer: one that has just been answered, and is still on its
// way out, does not end the connection under who comes next.
func TestFinishAfterAnAnswer(t *testing.T) {
	for range 1000 {
		var here, there *Conn
		here, there = pair(t, nil, func(_ context.Context, method string, body []byte) ([]byte, error) {
			if method == "finish" {
				there.Finish()
				runtime.Gosched()
			}
			return body, nil
		})
		for _, method := range []string{"ask", "finish"} {
			if _, err := here.Call(t.Context(), method, nil); err != nil {
				t.Fatalf("%s: %v", method, err)
			}
		}
		<-here.Done()
	}
}

// TestFinish: the side that says so ends the connection once all is answered that
// it was asked before, and every answer arrives.
func TestFinish(t *testing.T) {
	for range 200 {
		release := make(chan struct{})
		serving := make(chan struct{}, 1)
		var there *Conn
		handler := func(_ context.Context, method string, body []byte) ([]byte, error) {
			switch method {
			case "wait":
				serving <- struct{}{}
				<-release
			case "finish":
				there.Finish()
			}
			return body, nil
		}
		var here *Conn
		here, there = pair(t, nil, handler)
		var wg sync.WaitGroup
		wg.Go(func() {
			if got, err := here.Call(t.Context(), "wait", []byte("1")); err != nil || string(got) != "1" {
				t.Errorf("what was asked before: %q, %v", got, err)
			}
		})
		<-serving
		if got, err := here.Call(t.Context(), "finish", []byte("2")); err != nil || string(got) != "2" {
			t.Errorf("the last answer: %q, %v", got, err)
		}
		if err := here.Err(); err != nil {
			t.Errorf("the connection has ended before all was answered: %v", err)
		}
		close(release)
		wg.Wait()
		<-here.Done()
		if err := here.Err(); err != io.EOF {
			t.Errorf("the connection has ended by %v", err)
		}
	}
}

var errTwin1, errTwin2 = errors.New("twin"), errors.New("twin")

// TestErrorsCross: what an error is on one side errors.Is finds on the other, and
// nothing else.
func TestErrorsCross(t *testing.T) {
	errHere := errors.New("one's own")
	Carry(errHere, errTwin1, errTwin2)
	Carry(errHere) // again
	all := append(slices.Clone(portable), errHere, errTwin1, errTwin2, syscall.ECONNREFUSED, syscall.ENOENT, errors.New("of nobody"))
	var now error
	a, _ := pair(t, nil, func(context.Context, string, []byte) ([]byte, error) { return nil, now })
	for _, err := range append(slices.Clone(all), &fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, errors.Join(errTwin2, io.EOF)) {
		now = fmt.Errorf("wrapped: %w", err)
		_, got := a.Call(t.Context(), "", nil)
		if got == nil || got.Error() != now.Error() {
			t.Errorf("%v arrives as %v", now, got)
		}
		for _, target := range all {
			if want := errors.Is(now, target) && target.Error() != "of nobody"; errors.Is(got, target) != want {
				t.Errorf("%#v arrives: errors.Is of %v is not %t", err, target, want)
			}
		}
	}
	type list struct{ error }
	for _, bad := range []error{nil, list{uncomparable{}}} {
		func() {
			defer func() {
				if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), "give a variable") {
					t.Errorf("%T is taken: %v", bad, v)
				}
			}()
			Carry(bad)
		}()
	}
}

type uncomparable []string

func (uncomparable) Error() string { return "" }

func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 16} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			c, _ := pair(b, nil, echo)
			body := []byte("small")
			b.ReportAllocs()
			b.SetParallelism(callers)
			if callers == 1 {
				for b.Loop() {
					if _, err := c.Call(b.Context(), "m", body); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := c.Call(b.Context(), "m", body); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
