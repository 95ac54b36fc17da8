package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/manager/keeper"
)

// An owned cluster is one that some process on this machine has, and the
// connection to that process. Its JSON form is documented in docs/dist.md.
type owned struct {
	keeper.Info
	Owner owner `json:"owner"`

	client *keeper.Client
}

type owner struct {
	Kind    string    `json:"kind"` // "dist up"
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Kept    bool      `json:"kept"` // until dist down: it is not one run's
}

// A survey is the clusters that are up. It has connections open.
type survey struct {
	clusters []owned
	notes    []string // owners that could not be asked, files that do not belong there
	clients  []*keeper.Client
}

func (v *survey) close() {
	for _, c := range v.clients {
		c.Close()
	}
}

// surveyTime is how long an owner may take to answer.
const surveyTime = 5 * time.Second

// lookAround asks all owners of this user what clusters they have.
func lookAround(ctx context.Context) (*survey, error) {
	records, notes, err := keeper.Records()
	if err != nil {
		return nil, fmt.Errorf("look for clusters that are up: %w", err)
	}
	v := &survey{notes: notes, clusters: []owned{}}
	ctx, cancel := context.WithTimeout(ctx, surveyTime)
	defer cancel()
	var (
		mu sync.Mutex
		wg sync.WaitGroup
	)
	for _, r := range records {
		wg.Go(func() {
			c, err := keeper.Dial(ctx, r)
			var infos []keeper.Info
			if err == nil {
				infos, err = c.Clusters(ctx)
			}
			mu.Lock()
			defer mu.Unlock()
			if c != nil {
				v.clients = append(v.clients, c)
			}
			if err != nil {
				v.notes = append(v.notes, fmt.Sprintf("%s (pid %d) could not be asked: %s", r.Kind, r.PID, oneLine(explain(err).Error())))
				return
			}
			for _, i := range infos {
				v.clusters = append(v.clusters, owned{Info: i, Owner: owner{r.Kind, r.PID, r.Started, r.Open}, client: c})
			}
		})
	}
	wg.Wait()
	slices.Sort(v.notes)
	slices.SortFunc(v.clusters, func(a, b owned) int {
		return a.Started.Compare(b.Started)
	})
	return v, nil
}

// tell prints the notes.
func (v *survey) tell(command string, w io.Writer) {
	for _, n := range v.notes {
		fmt.Fprintf(w, "dist %s: %s\n", command, n)
	}
}

// named returns the clusters with an id, or of a program.
func (v *survey) named(name string) []owned {
	var found []owned
	for _, c := range v.clusters {
		if c.ID == name || c.Program == name {
			found = append(found, c)
		}
	}
	return found
}

// ids are for people who have to choose.
func ids(clusters []owned) string {
	names := make([]string, len(clusters))
	for i, c := range clusters {
		names[i] = c.ID
	}
	return strings.Join(names, ", ")
}

// clusterWords are what completion offers for a cluster.
func clusterWords() []string {
	v, err := lookAround(context.Background())
	if err != nil {
		return []string{}
	}
	defer v.close()
	words := []string{}
	for _, c := range v.clusters {
		words = append(words, c.ID, c.Program)
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// explain makes a diagnosis of what an engine or an owner could not do.
func explain(err error) error {
	e, ok := errors.AsType[*engine.Error](err)
	if !ok {
		return err
	}
	f := e.Failure
	diagnostics.Gather(context.Background(), &f)
	return diagnostics.Diagnose(f)
}

// addresses are those of a node by port: "client=127.1.2.3:7000".
func addresses(n keeper.NodeInfo) []string {
	var all []string
	for port, addr := range n.Addr {
		all = append(all, port+"="+addr)
	}
	slices.Sort(all)
	return all
}
