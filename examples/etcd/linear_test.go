package etcd

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distkit/dist"
	"github.com/distkit/dist/nemesis"
)

// Clients that read, write and compare-and-swap a few keys see them as one
// copy, while members are killed, paused and restarted. Another run has another
// schedule of faults; one that fails says how to have it again.
//
//dist:nodes=3 program=etcd ports=client
func TestLinearizable(t *testing.T) {
	c := startCluster(t)
	c.leader() // before the clock of the clients starts
	h := &history{began: time.Now()}
	ctx, stop := context.WithCancel(c.ctx)
	defer stop()

	var clients sync.WaitGroup
	defer clients.Wait()
	defer stop()
	for id := range 6 {
		// Half of them have one member to talk to, the others all.
		endpoints := c.Addrs("client")
		if id < c.Size() {
			endpoints = endpoints[id : id+1]
		}
		client := c.dial(endpoints...)
		clients.Go(func() { h.work(ctx, id, client) })
	}

	// A fault lasts until those who are left have served the clients.
	progress := func(ctx context.Context) error {
		h.await(ctx, 30)
		return ctx.Err()
	}
	leader := nemesis.Who(func(context.Context) (*dist.Node, error) { return c.leader(), nil })
	if err := nemesis.Run(t, c.Cluster, nemesis.Options{Context: ctx, Rounds: 12, During: progress, After: progress},
		nemesis.Kill(leader), nemesis.Pause(leader), nemesis.Pause(nemesis.Any), nemesis.Restart(nemesis.Any),
	); err != nil {
		t.Fatal(err)
	}
	stop()
	clients.Wait()

	operations := h.operations()
	if result := porcupine.CheckOperationsTimeout(model, operations, time.Minute); result != porcupine.Ok {
		t.Errorf("the history of %d operations is not linearizable: %v", len(operations), result)
	}
	t.Logf("%d operations, %d of them with an unknown outcome", len(operations), h.unknown)
}

// An input is what a client asked for, an output what it was told.
type input struct {
	op       string // get | put | cas
	key      string
	old, new string
}

type output struct {
	value   string
	swapped bool
	unknown bool // nobody has told: it may have happened, or may yet
}

// model is a register a key; "" is a key that is not there.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := make(map[string][]porcupine.Operation)
		for _, o := range history {
			key := o.Input.(input).key
			byKey[key] = append(byKey[key], o)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, in, out any) (bool, any) {
		i, o, value := in.(input), out.(output), state.(string)
		switch i.op {
		case "get":
			return o.value == value, value
		case "put":
			return true, i.new
		}
		if o.unknown {
			o.swapped = i.old == value
		}
		if o.swapped != (i.old == value) {
			return false, value
		}
		if o.swapped {
			return true, i.new
		}
		return true, value
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
}

// A history is what clients have seen.
type history struct {
	began time.Time

	mu      sync.Mutex
	ops     []porcupine.Operation
	done    int // operations with a known outcome
	unknown int
	more    chan struct{} // closed at the next one that is done; nil if nobody waits
}

// work does one operation after the other until ctx ends.
func (h *history) work(ctx context.Context, id int, client *clientv3.Client) {
	seen := make(map[string]string) // by key: what to compare with
	for n := 0; ctx.Err() == nil; n++ {
		key := fmt.Sprintf("register-%d", rand.IntN(3))
		in := input{op: "put", key: key, old: seen[key], new: fmt.Sprintf("%d/%d", id, n)}
		switch rand.IntN(3) {
		case 0:
			in = input{op: "get", key: key}
		case 1:
			in.op = "cas"
		}
		call := time.Since(h.began)
		out, err := do(ctx, client, in)
		h.add(porcupine.Operation{ClientId: id, Input: in, Call: int64(call), Output: out, Return: int64(time.Since(h.began))}, err)
		if err == nil && in.op == "get" {
			seen[key] = out.value
		}
	}
}

// do is one operation, given up after a while: there may be nobody to answer.
func do(ctx context.Context, client *clientv3.Client, in input) (output, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	switch in.op {
	case "get":
		r, err := client.Get(ctx, in.key)
		if err != nil || len(r.Kvs) == 0 {
			return output{}, err
		}
		return output{value: string(r.Kvs[0].Value)}, nil
	case "put":
		_, err := client.Put(ctx, in.key, in.new)
		return output{unknown: err != nil}, err
	}
	is := clientv3.Compare(clientv3.Value(in.key), "=", in.old)
	if in.old == "" {
		is = clientv3.Compare(clientv3.CreateRevision(in.key), "=", 0)
	}
	r, err := client.Txn(ctx).If(is).Then(clientv3.OpPut(in.key, in.new)).Commit()
	if err != nil {
		return output{unknown: true}, err
	}
	return output{swapped: r.Succeeded}, nil
}

// add notes an operation that has ended. A read that failed says nothing; a
// write that failed may take effect at any later time.
func (h *history) add(o porcupine.Operation, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		if o.Input.(input).op != "get" {
			o.Return = math.MaxInt64
			h.ops = append(h.ops, o)
			h.unknown++
		}
		return
	}
	h.ops = append(h.ops, o)
	h.done++
	if h.more != nil {
		close(h.more)
		h.more = nil
	}
}

// await returns when n more operations are done.
func (h *history) await(ctx context.Context, n int) {
	h.mu.Lock()
	target := h.done + n
	for h.done < target {
		if h.more == nil {
			h.more = make(chan struct{})
		}
		more := h.more
		h.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return
		}
		h.mu.Lock()
	}
	h.mu.Unlock()
}

func (h *history) operations() []porcupine.Operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ops
}
