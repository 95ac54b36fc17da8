package raft

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// Config says which member of which cluster a store is.
type Config struct {
	ID        string        // this server's
	Dir       string        // for all that must survive it
	Listen    string        // host:port to bind
	Advertise string        // host:port under which the others reach it
	Peers     []raft.Server // all servers, this one included
	Heartbeat time.Duration // how long to go without a leader before an election
	Log       io.Writer
}

// A Store is one server of a replicated key-value store.
type Store struct {
	raft *raft.Raft
	fsm  *fsm
	db   *raftboltdb.BoltStore
}

// Open starts a server with what it has in its directory; with a new cluster if
// there is nothing.
func Open(c Config) (_ *Store, err error) {
	advertise, err := net.ResolveTCPAddr("tcp", c.Advertise)
	if err != nil {
		return nil, fmt.Errorf("advertise: %w", err)
	}
	log := hclog.New(&hclog.LoggerOptions{Name: "raft", Output: c.Log, Level: hclog.Info})
	db, err := raftboltdb.NewBoltStore(filepath.Join(c.Dir, "raft.db"))
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(c.Dir, 2, log)
	if err != nil {
		return nil, fmt.Errorf("open the snapshots: %w", err)
	}
	transport, err := raft.NewTCPTransportWithConfig(c.Listen, advertise, &raft.NetworkTransportConfig{
		MaxPool: 3, Timeout: 10 * c.Heartbeat, Logger: log,
		// No pipelining: in v1.8.0 a leader that hears of a newer term while two
		// requests to a follower are under way waits for itself, and Shutdown waits
		// for it. TestPartition found that, once in some hundred times.
		MaxRPCsInFlight: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	defer func() {
		if err != nil {
			transport.Close()
		}
	}()

	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(c.ID)
	rc.HeartbeatTimeout, rc.ElectionTimeout, rc.LeaderLeaseTimeout = c.Heartbeat, c.Heartbeat, c.Heartbeat/2
	rc.CommitTimeout = c.Heartbeat / 20
	rc.TrailingLogs = 8 // little, so that one who was away for long is sent a snapshot
	rc.Logger = log
	// Every server is given the same first configuration; one that has been
	// here before knows better.
	err = raft.BootstrapCluster(rc, db, db, snapshots, transport, raft.Configuration{Servers: c.Peers})
	if err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
		return nil, fmt.Errorf("bootstrap: %w", err)
	}
	s := &Store{fsm: newFSM(), db: db}
	if s.raft, err = raft.NewRaft(rc, s.fsm, db, db, snapshots, transport); err != nil {
		return nil, fmt.Errorf("start raft: %w", err)
	}
	return s, nil
}

// Close stops the server.
func (s *Store) Close() error {
	return errors.Join(s.raft.Shutdown().Error(), s.db.Close()) // raft closes its transport
}

// Put gives a key a value, and returns the index of the log entry that does.
// When it returns nil a majority of the servers has that on disk. It is an
// error to ask a server that is not the leader; after any error the write may
// or may not happen yet.
func (s *Store) Put(key, value string) (index uint64, err error) {
	command, err := json.Marshal(entry{key, value})
	if err != nil {
		return 0, err
	}
	f := s.raft.Apply(command, 0)
	if err := f.Error(); err != nil {
		return 0, fmt.Errorf("put %q: %w", key, err)
	}
	return f.Index(), nil
}

// Values returns a copy of what this server itself has applied.
func (s *Store) Values() map[string]string { return s.fsm.values() }

// WaitApplied returns when this server has applied the log up to an index that
// Put has returned.
func (s *Store) WaitApplied(ctx context.Context, index uint64) error {
	return s.fsm.wait(ctx, index)
}

// WaitLeading returns when this server leads the cluster, and a majority agrees
// that it does.
func (s *Store) WaitLeading(ctx context.Context) error {
	return s.waitUntil(ctx, func() bool {
		return s.raft.State() == raft.Leader && s.raft.VerifyLeader().Error() == nil
	})
}

// WaitFollowing returns when this server follows a leader, with that leader's
// ID.
func (s *Store) WaitFollowing(ctx context.Context) (leader string, err error) {
	err = s.waitUntil(ctx, func() bool {
		_, id := s.raft.LeaderWithID()
		leader = string(id)
		return s.raft.State() == raft.Follower && leader != ""
	})
	return leader, err
}

// waitUntil returns when a condition holds. It looks whenever this server sees
// leadership change.
func (s *Store) waitUntil(ctx context.Context, holds func() bool) error {
	// One that does not fit in need not wait: there is another to look for.
	changes := make(chan raft.Observation, 1)
	observer := raft.NewObserver(changes, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.LeaderObservation, raft.RaftState:
			return true
		}
		return false
	})
	s.raft.RegisterObserver(observer)
	defer s.raft.DeregisterObserver(observer)
	for !holds() {
		select {
		case <-changes:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Compact takes a snapshot and shortens the log to what follows it.
func (s *Store) Compact() error { return s.raft.Snapshot().Error() }

// FirstIndex returns the first index that the log still has.
func (s *Store) FirstIndex() (uint64, error) { return s.db.FirstIndex() }
