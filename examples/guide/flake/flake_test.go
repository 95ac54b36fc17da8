package flake

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"testing"
	"time"

	"github.com/distkit/dist"
	"github.com/distkit/dist/examples/quickstart"
	"github.com/distkit/dist/nemesis"
)

//go:generate go tool distgen

var replica *quickstart.Replica // the node's own

func start(ctx context.Context, _ struct{}) (struct{}, error) {
	self := dist.Self(ctx)
	r, err := quickstart.Open(self.Dir(), self.Index(), self.Addrs("http"))
	if err != nil {
		return struct{}{}, err
	}
	ln, err := self.Listen("http")
	if err != nil {
		return struct{}{}, err
	}
	go http.Serve(ln, r)
	replica = r
	log.Printf("replica %d serves", self.Index())
	return struct{}{}, nil
}

func put(ctx context.Context, e quickstart.Entry) (struct{}, error) {
	return struct{}{}, replica.Put(ctx, e.Key, e.Value)
}

// write is the client: it asks one server after the other.
func write(ctx context.Context, c *dist.Cluster, e quickstart.Entry) (err error) {
	for _, n := range servers(c) {
		try, cancel := context.WithTimeout(ctx, time.Second)
		_, err = dist.Call(try, n, put, e)
		cancel()
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("nobody takes %s: %w", e.Key, err)
}

//dist:nodes=5 ports=http
func TestWritesGoOn(t *testing.T) {
	c := dist.Require(t)
	if _, err := dist.CallAll(t.Context(), c, start, struct{}{}); err != nil {
		t.Fatal(err)
	}
	n := 0
	err := nemesis.Run(t, c, nemesis.Options{
		Rounds: 2,
		During: func(ctx context.Context) error {
			n++
			return write(ctx, c, quickstart.Entry{Key: fmt.Sprint("key-", n), Value: "written"})
		},
		Started: func(ctx context.Context, n *dist.Node) error {
			_, err := dist.Call(ctx, n, start, struct{}{})
			return err
		},
	}, nemesis.Kill(nemesis.Any), nemesis.Pause(nemesis.Any))
	if err != nil {
		t.Error(err)
	}
}
