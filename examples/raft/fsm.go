package raft

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"sync"

	"github.com/hashicorp/raft"
)

// An entry of the log: a command to give a key a value.
type entry struct{ Key, Value string }

// state is what the log comes to, and what a snapshot holds.
type state struct {
	Index  uint64 // of the last entry in it
	Values map[string]string
}

// An fsm is the state machine that raft drives.
type fsm struct {
	mu      sync.Mutex
	state   state
	changed chan struct{} // closed with every change
}

func newFSM() *fsm {
	return &fsm{state: state{Values: make(map[string]string)}, changed: make(chan struct{})}
}

// Apply implements raft.FSM.
func (f *fsm) Apply(l *raft.Log) any {
	var e entry
	if err := json.Unmarshal(l.Data, &e); err != nil {
		panic("the log holds what no Put has written: " + err.Error())
	}
	f.change(func() {
		f.state.Index = l.Index
		f.state.Values[e.Key] = e.Value
	})
	return nil
}

// Snapshot implements raft.FSM.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &state{f.state.Index, maps.Clone(f.state.Values)}, nil
}

// Restore implements raft.FSM.
func (f *fsm) Restore(r io.ReadCloser) error {
	defer r.Close()
	var s state
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return err
	}
	f.change(func() { f.state = s })
	return nil
}

func (f *fsm) change(what func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fsm) values() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.state.Values)
}

// wait returns when all up to an index has been applied.
func (f *fsm) wait(ctx context.Context, index uint64) error {
	for {
		f.mu.Lock()
		applied, changed := f.state.Index, f.changed
		f.mu.Unlock()
		if applied >= index {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Persist implements raft.FSMSnapshot.
func (s *state) Persist(sink raft.SnapshotSink) error {
	if err := json.NewEncoder(sink).Encode(s); err != nil {
		sink.Cancel()
		return err
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (s *state) Release() {}
