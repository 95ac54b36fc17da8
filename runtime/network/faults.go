package network

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// A Pair is one direction of traffic between two nodes of a cluster, by index:
// what From sends to To, whoever opened the connection.
type Pair struct{ From, To int }

// A Condition is what happens to the traffic of a Pair. The zero value is a link
// without faults.
type Condition struct {
	Cut       bool          // nothing arrives
	Delay     time.Duration // everything arrives so much later
	Jitter    time.Duration // and up to so much more, at random; order is kept
	Bandwidth int64         // bytes a second; 0: as many as the machine bears
	Loss      float64       // the part of the packets that is lost, by chance: 0 to 1
	Seed      uint64        // what Loss loses follows from it, where the backend decides that
}

// Faults are the faults of one cluster's network. It is safe for concurrent use.
type Faults interface {
	// Backend is the name by which [network] faults chooses it.
	Backend() string
	// Set has exactly these conditions hold from now on, and every other pair
	// have none. It returns when they do: nothing crosses a pair that is cut,
	// also of connections that were there before, and what was held up on one
	// that is not flows again. An error says that something goes, or went, past the
	// faults; the conditions hold all the same. But where it is an *Unsupported
	// error, nothing has changed.
	Set(conditions map[Pair]Condition) error
	// Reset ends the connections between the nodes of each pair, in both
	// directions, as if both ends had sent a reset. It returns how many.
	Reset(pairs []Pair) (int, error)
	// Close ends all that there is. The nodes must have ended.
	Close() error
}

// An Unsupported error is a fault that a backend cannot do, here or at all. None
// is ever imitated.
type Unsupported struct {
	Fault   string // "packet loss"
	Backend string
	Why     string
}

func (e *Unsupported) Error() string {
	return fmt.Sprintf("%s is unsupported here: network faults are made by %q, and %s", e.Fault, e.Backend, e.Why)
}

// EnvSeed is the variable with the seed of all that is left to chance: of
// schedules of faults, and of loss.
const EnvSeed = "DIST_SEED"

// Seed is the seed that EnvSeed gives; 0 if it gives none.
func Seed() (uint64, error) {
	text := os.Getenv(EnvSeed)
	if text == "" {
		return 0, nil
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil || seed == 0 {
		return 0, fmt.Errorf("%s=%s: a seed is a number from 1 to 18446744073709551615", EnvSeed, text)
	}
	return seed, nil
}

// Across returns the pairs between groups of n nodes, in both directions. Nodes
// that are in none make up a group of their own.
func Across(n int, groups [][]int) ([]Pair, error) {
	const none = -1
	of := make([]int, n)
	for i := range of {
		of[i] = none
	}
	for g, group := range groups {
		if len(group) == 0 {
			return nil, fmt.Errorf("group %d is empty", g+1)
		}
		for _, i := range group {
			if i < 0 || i >= n {
				return nil, fmt.Errorf("there is no node with index %d in a cluster of %d", i, n)
			}
			if of[i] != none {
				return nil, fmt.Errorf("%s is in two groups, or twice in one", nodeName(i))
			}
			of[i] = g
		}
	}
	var pairs []Pair
	for from := range n {
		for to := range n {
			if of[from] != of[to] {
				pairs = append(pairs, Pair{from, to})
			}
		}
	}
	if pairs == nil {
		return nil, errors.New("all nodes are in one group: nothing is parted")
	}
	return pairs, nil
}

func nodeName(i int) string { return fmt.Sprintf("node-%d", i+1) }
