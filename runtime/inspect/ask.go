package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/distkit/dist/runtime/usersocket"
)

// What a test binary can be asked.
const (
	List    = "list"    // for Tests
	Stacks  = "stacks"  // for Lines, and the stacks of all goroutines as Data
	Profile = "profile" // for a profile as Data
)

// A Request is a question.
type Request struct {
	Secret string `json:"secret"`
	Do     string `json:"do"` // List, Stacks or Profile

	Test    string        `json:"test,omitempty"`    // that has the node
	Node    string        `json:"node,omitempty"`    // "": the test process itself
	Profile string        `json:"profile,omitempty"` // "cpu", "trace", or one of package runtime/pprof
	For     time.Duration `json:"for,omitempty"`     // how long the profile is recorded; 0: what there is now
}

// An Answer is what comes back.
type Answer struct {
	Error string   `json:"error,omitempty"` // why there is nothing else in it
	Tests []Test   `json:"tests,omitempty"` // that have a cluster now
	Lines []string `json:"lines,omitempty"` // where the node is, for people
	Data  []byte   `json:"data,omitempty"`
}

// A Test is one that has a cluster.
type Test struct {
	Name    string    `json:"name"`
	Cluster string    `json:"cluster"`           // its id
	Program string    `json:"program,omitempty"` // that its nodes run; "": the test binary
	Since   time.Time `json:"since"`             // when it asked for the cluster
	Nodes   []Node    `json:"nodes"`
}

// A Node is a node of a test.
type Node struct {
	Name    string            `json:"name"`
	PID     int               `json:"pid,omitempty"`
	Running bool              `json:"running"`
	Addr    map[string]string `json:"addr,omitempty"` // host:port by the name of a port
}

const (
	requestMost = 4 << 10   // bytes
	answerMost  = 128 << 20 // bytes: stacks have 16 MiB at most, profiles may have more
	helloTime   = 5 * time.Second
)

// Ask asks a test binary.
func Ask(ctx context.Context, r Record, q Request) (*Answer, error) {
	a, err := ask(ctx, r, q)
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

func ask(ctx context.Context, r Record, q Request) (*Answer, error) {
	fail := func(err error) (*Answer, error) {
		switch {
		case ctx.Err() != nil:
			err = ctx.Err()
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
			err = errors.New("it hung up: it is ending, or too many ask it")
		}
		return nil, fmt.Errorf("ask the test process %d: %w", r.PID, err)
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", r.Socket)
	if err != nil {
		return fail(err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	if err := usersocket.CheckUser(c.(*net.UnixConn)); err != nil {
		return fail(err)
	}
	q.Secret = r.Secret
	b, err := json.Marshal(q)
	if err != nil {
		return fail(err)
	}
	if _, err := c.Write(append(b, '\n')); err != nil {
		return fail(err)
	}
	if b, err = io.ReadAll(io.LimitReader(c, answerMost)); err != nil {
		return fail(err)
	}
	if len(b) == 0 {
		return fail(io.EOF)
	}
	a := new(Answer)
	if err := json.Unmarshal(b, a); err != nil {
		return fail(fmt.Errorf("its answer cannot be read: %w", err))
	}
	return a, nil
}
