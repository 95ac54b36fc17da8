// Package quickstart is a replicated key-value store, small enough to read in
// two minutes, and its tests, which run it on three real processes.
//
// Every replica keeps all of the data. A write counts when a majority has it,
// and a read asks a majority, so that the two always meet in some replica;
// versions tell which value is the newer. That is the shared register of
// Attiya, Bar-Noy and Dolev (Sharing Memory Robustly in Message-Passing
// Systems, 1995).
package quickstart

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// An Entry is the value of a key. Version 0 is a key that has none yet.
type Entry struct {
	Key, Value string
	Version    int
}

// A Replica is one member of a store. It answers the others over HTTP.
type Replica struct {
	dir   string
	self  int
	peers []string // addresses by index, this replica's included

	putting sync.Mutex // held while a version is chosen

	mu      sync.Mutex
	entries map[string]Entry
}

// Open returns replica number self of peers, with the entries it has saved in
// dir.
func Open(dir string, self int, peers []string) (*Replica, error) {
	r := &Replica{dir: dir, self: self, peers: peers, entries: make(map[string]Entry)}
	files := os.DirFS(dir)
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		var e Entry
		data, err := fs.ReadFile(files, name)
		if err == nil {
			err = json.Unmarshal(data, &e)
		}
		if err != nil {
			return nil, fmt.Errorf("open replica: %s: %w", name, err)
		}
		r.entries[e.Key] = e
	}
	return r, nil
}

// Put gives a key a value. It returns nil when a majority of the replicas has
// saved it.
func (r *Replica) Put(ctx context.Context, key, value string) error {
	r.putting.Lock()
	defer r.putting.Unlock()
	e, err := r.exchange(ctx, Entry{Key: key})
	if err != nil {
		return fmt.Errorf("put %q: %w", key, err)
	}
	// The next version up that is this replica's: no two choose the same.
	n := len(r.peers)
	e.Value, e.Version = value, (e.Version/n+1)*n+r.self
	if _, err := r.exchange(ctx, e); err != nil {
		return fmt.Errorf("put %q: %w", key, err)
	}
	return nil
}

// Get returns the value of a key, the newest that any Put has returned for.
func (r *Replica) Get(ctx context.Context, key string) (string, error) {
	e, err := r.exchange(ctx, Entry{Key: key})
	if err == nil {
		// A majority must have what is returned, or a later Get might not see it.
		_, err = r.exchange(ctx, e)
	}
	if err != nil {
		return "", fmt.Errorf("get %q: %w", key, err)
	}
	return e.Value, nil
}

// Local returns what this replica itself has for a key.
func (r *Replica) Local(key string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.entries[key].Value
}

// CatchUp fetches what the replica has missed while it was down.
func (r *Replica) CatchUp(ctx context.Context) error {
	return r.majority(ctx, func(ctx context.Context, addr string) error {
		var theirs map[string]Entry
		if err := call(ctx, http.MethodGet, addr, nil, &theirs); err != nil {
			return err
		}
		for _, e := range theirs {
			if _, err := r.merge(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// exchange offers an entry to all replicas, and returns the newest one for its
// key that a majority has.
func (r *Replica) exchange(ctx context.Context, e Entry) (Entry, error) {
	// This replica comes first, or it could choose a version again after a
	// crash.
	newest, err := r.merge(e)
	if err != nil {
		return Entry{}, err
	}
	var mu sync.Mutex
	err = r.majority(ctx, func(ctx context.Context, addr string) error {
		var theirs Entry
		if err := call(ctx, http.MethodPost, addr, e, &theirs); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if theirs.Version > newest.Version {
			newest = theirs
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	return newest, err
}

// majority asks the other replicas at once, and returns when so many have
// answered that they and this one are a majority, or when they cannot be any
// more. The slower ones are not interrupted.
func (r *Replica) majority(ctx context.Context, ask func(ctx context.Context, addr string) error) error {
	answers := make(chan error, len(r.peers))
	for i, addr := range r.peers {
		if i != r.self {
			go func() { answers <- ask(context.WithoutCancel(ctx), addr) }()
		}
	}
	var failed []error
	for have := 1; have <= len(r.peers)/2; {
		select {
		case err := <-answers:
			if err == nil {
				have++
				continue
			}
			failed = append(failed, err)
			if len(failed) >= (len(r.peers)+1)/2 {
				return fmt.Errorf("no majority: %w", errors.Join(failed...))
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// merge keeps an entry if it is newer than what the replica has for the key,
// and returns the newer of the two.
func (r *Replica) merge(e Entry) (Entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if have := r.entries[e.Key]; e.Version <= have.Version {
		have.Key = e.Key
		return have, nil
	}
	if err := r.save(e); err != nil {
		return Entry{}, err
	}
	r.entries[e.Key] = e
	return e, nil
}

// save replaces the file of a key, so that a crash leaves the old entry or the
// new one. (One that must outlive the machine, too, would have to be synced.)
func (r *Replica) save(e Entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	name := filepath.Join(r.dir, url.PathEscape(e.Key)+".json")
	if err := os.WriteFile(name+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// ServeHTTP answers another replica: a POST merges an entry and returns the
// newest for its key, a GET returns all entries.
func (r *Replica) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		r.mu.Lock()
		defer r.mu.Unlock()
		json.NewEncoder(w).Encode(r.entries)
		return
	}
	var e Entry
	err := json.NewDecoder(req.Body).Decode(&e)
	if err == nil {
		e, err = r.merge(e)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	json.NewEncoder(w).Encode(e)
}

// client is for talking to other replicas, who may be slow but not for ever.
var client = http.Client{Timeout: 5 * time.Second}

// call sends in to the replica at addr and decodes its answer into out.
func call(ctx context.Context, method, addr string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", addr, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
