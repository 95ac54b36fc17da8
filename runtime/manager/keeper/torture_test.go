//go:build linux

package keeper

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	rounds = flag.Int("torture.rounds", 20, "rounds of TestTorture")
	seeded = flag.Uint64("torture.seed", 0, "seed of TestTorture; 0: another one each time")
)

// TestTorture kills clients and owners at random moments, again and again. No
// process may be left, no lease stay, no file of the registry stand in
// anybody's way, and the next client has its cluster at once.
func TestTorture(t *testing.T) {
	dir := home(t)
	seed := *seeded
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("go test -run TestTorture ./runtime/manager/keeper -args -torture.seed=%d -torture.rounds=%d", seed, *rounds)
	r := rand.New(rand.NewPCG(seed, 0))
	var (
		owner *child
		c     *Client
		a     Ask
		mark  string
	)
	var kills [2]int // of clients, of owners
	for round := range *rounds {
		if owner == nil {
			a, mark = markedAsk(t, 2)
			owner = startChild(t, "owner", ownerTask{Options{Kind: "dist up", Open: true}, []Ask{a}})
			file := owner.line(t)
			if file == "" {
				<-owner.ended
				t.Fatalf("round %d: no owner: %s", round, &owner.stderr)
			}
			c = dial(t, file)
		}
		var clients []*child
		for range 3 {
			clients = append(clients, startChild(t, "client", clientTask{Ask: a, Leases: 2, Seed: r.Uint64()}))
		}
		// The moment is any: before they have connected, while they wait, have it, or
		// are through.
		moment := time.Duration(r.Int64N(int64(250 * time.Millisecond)))
		victim := r.IntN(4)
		select {
		case <-time.After(moment):
		case <-owner.ended:
			t.Fatalf("round %d: the owner has ended: %s", round, &owner.stderr)
		}
		if victim < len(clients) {
			kills[0]++
			clients[victim].kill()
		} else {
			kills[1]++
			owner.cmd.Process.Signal(syscall.SIGKILL)
			<-owner.ended
		}
		for i, cl := range clients {
			if i != victim {
				cl.finish(t)
			}
		}
		if victim < len(clients) {
			eventually(t, func() string {
				infos, err := c.Clusters(t.Context())
				if err != nil || len(infos) != 1 || len(infos[0].Nodes) != 2 || len(infos[0].Leases)+len(infos[0].Waiting) > 0 {
					return fmt.Sprintf("clusters: %+v, %v", infos, err)
				}
				return ""
			})
		} else {
			owner = nil
			<-c.Done()
			if records, notes, err := Records(); len(records)+len(notes) > 0 || err != nil {
				t.Errorf("Records() = %+v, %q, %v", records, notes, err)
			}
			if left := isEmpty(dir)(); left != "" {
				t.Error(left)
			}
			eventually(t, noneLeft(mark))
		}
		if t.Failed() {
			t.Fatalf("that was round %d: victim %d after %v", round, victim, moment)
		}
	}
	if owner != nil {
		owner.in.Close()
		owner.finish(t)
		eventually(t, noneLeft(mark))
	}
	eventually(t, isEmpty(dir))
	eventually(t, func() string {
		files, err := os.ReadDir(os.TempDir())
		for _, f := range files {
			if strings.HasPrefix(f.Name(), "dist-") {
				return fmt.Sprintf("%s is left, %v", f.Name(), err)
			}
		}
		return ""
	})
	t.Logf("killed %d clients and %d owners", kills[0], kills[1])
}
