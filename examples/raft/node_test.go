package raft

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/raft"

	"github.com/distkit/dist"
)

// store is the server of this node, between calls.
var store *Store

// heartbeat is long enough for nodes that share a busy machine, and short
// enough for an impatient reader.
const heartbeat = 100 * time.Millisecond

// start starts the node's server, with what an earlier one has left in the
// node's directory.
func start(ctx context.Context, _ struct{}) (struct{}, error) {
	self := dist.Self(ctx)
	var peers []raft.Server
	for i, addr := range self.Addrs("raft") {
		peers = append(peers, raft.Server{ID: raft.ServerID(fmt.Sprintf("node-%d", i+1)), Address: raft.ServerAddress(addr)})
	}
	s, err := Open(Config{
		ID:        self.Name(),
		Dir:       self.Dir(),
		Listen:    self.ListenAddr("raft"),
		Advertise: self.Addr("raft"),
		Peers:     peers,
		Heartbeat: heartbeat,
		Log:       os.Stderr, // shown with a test that fails
	})
	if err != nil {
		return struct{}{}, err
	}
	self.Cleanup(func() {
		if err := s.Close(); err != nil {
			panic(err) // fails the test
		}
	})
	store = s
	return struct{}{}, nil
}

// put returns the index of the log entry.
func put(ctx context.Context, e entry) (uint64, error) { return store.Put(e.Key, e.Value) }

// values returns what the node has, once it has applied the log up to an index.
func values(ctx context.Context, index uint64) (map[string]string, error) {
	if err := store.WaitApplied(ctx, index); err != nil {
		return nil, err
	}
	return store.Values(), nil
}

// lead returns when the node leads.
func lead(ctx context.Context, _ struct{}) (struct{}, error) {
	return struct{}{}, store.WaitLeading(ctx)
}

// follow returns whom the node follows, when it does.
func follow(ctx context.Context, _ struct{}) (leader string, err error) {
	return store.WaitFollowing(ctx)
}

// compact returns the first index that the log still has afterwards.
func compact(ctx context.Context, _ struct{}) (uint64, error) {
	if err := store.Compact(); err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return 0, err
	}
	return store.FirstIndex()
}
