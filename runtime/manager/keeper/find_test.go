//go:build unix

package keeper

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/distkit/dist/config"
)

// TestChoose has a row for every reason to lease a cluster that is up, or not
// to.
func TestChoose(t *testing.T) {
	now := time.Now()
	ask := Ask{Program: &config.Program{Name: "kv", Args: []string{"-v"}, Ports: []string{"main"}}, Nodes: 3}
	exclusive := LeaseInfo{Who: "TestX"}
	shared := LeaseInfo{Who: "TestS", Shared: true}
	up := func(id string, change func(*offer)) offer {
		o := offer{Info: Info{ID: id, Program: "kv", Build: "b1", Started: now}, Size: 3, Shape: ask.shape()}
		if change != nil {
			change(&o)
		}
		return o
	}
	shape := func(f func(*Ask)) string {
		a := ask
		p := *ask.Program
		a.Program = &p
		f(&a)
		return a.shape()
	}
	tests := []struct {
		name   string
		ask    func(*Ask)
		offers []offer
		build  string
		want   string // id
		passed []string
	}{
		{name: "nothing is up"},
		{name: "fits, for all one knows", offers: []offer{up("kv-1", nil)}, want: "kv-1"},
		{name: "fits", offers: []offer{up("kv-1", nil)}, build: "b1", want: "kv-1"},
		{name: "another build", offers: []offer{up("kv-1", nil)}, build: "b2", passed: []string{"cluster kv-1 is up and is not used: another build of the program"}},
		{name: "too small", ask: func(a *Ask) { a.Nodes = 5 }, offers: []offer{up("kv-1", nil)}, build: "b1", passed: []string{"cluster kv-1 is up and is not used: too small: 3 nodes, 5 asked for"}},
		{name: "too large", ask: func(a *Ask) { a.Nodes = 1 }, offers: []offer{up("kv-1", nil)}, build: "b1", passed: []string{"cluster kv-1 is up and is not used: too large: 3 nodes, 1 asked for"}},
		{name: "other arguments", offers: []offer{up("kv-1", func(o *offer) { o.Shape = shape(func(a *Ask) { a.Program.Args = nil }) })}, build: "b1", passed: []string{"cluster kv-1 is up and is not used: started from another configuration: args"}},
		{name: "other network and ports", offers: []offer{up("kv-1", func(o *offer) {
			o.Shape = shape(func(a *Ask) { a.Program.Ports, a.Network.Addresses = []string{"x"}, "ports" })
		})}, passed: []string{"cluster kv-1 is up and is not used: started from another configuration: network.addresses, ports"}},
		{name: "a shape that cannot be read", offers: []offer{up("kv-1", func(o *offer) { o.Shape = "{" })}, passed: []string{"cluster kv-1 is up and is not used: started from another configuration: args, command, env, name, network.addresses, network.range, package, ports, ready, reset, stop"}},
		{name: "too small and another build", ask: func(a *Ask) { a.Nodes = 4 }, offers: []offer{up("kv-1", nil)}, build: "b2", passed: []string{"cluster kv-1 is up and is not used: too small: 3 nodes, 4 asked for; another build of the program"}},
		{name: "another program", offers: []offer{up("db-1", func(o *offer) { o.Info.Program = "db" })}},
		{name: "two of which one fits", offers: []offer{up("kv-1", func(o *offer) { o.Size = 2 }), up("kv-2", nil)}, want: "kv-2", passed: []string{"cluster kv-1 is up and is not used: too small: 2 nodes, 3 asked for"}},
		{name: "the free one", offers: []offer{up("kv-1", func(o *offer) { o.Info.Leases = []LeaseInfo{exclusive} }), up("kv-2", nil)}, want: "kv-2"},
		{name: "the shorter queue", offers: []offer{
			up("kv-1", func(o *offer) { o.Info.Leases, o.Info.Waiting = []LeaseInfo{exclusive}, []string{"TestY"} }),
			up("kv-2", func(o *offer) { o.Info.Leases = []LeaseInfo{exclusive} }),
		}, want: "kv-2"},
		{name: "shared with others", ask: func(a *Ask) { a.Shared = true }, offers: []offer{
			up("kv-1", func(o *offer) { o.Info.Leases = []LeaseInfo{exclusive} }),
			up("kv-2", func(o *offer) { o.Info.Leases = []LeaseInfo{shared, shared} }),
		}, want: "kv-2"},
		{name: "alone, where others share", offers: []offer{
			up("kv-1", func(o *offer) { o.Info.Leases = []LeaseInfo{exclusive} }),
			up("kv-2", func(o *offer) { o.Info.Leases = []LeaseInfo{shared, shared} }),
		}, want: "kv-1"},
		{name: "the older one", offers: []offer{up("kv-1", nil), up("kv-2", func(o *offer) { o.Info.Started = now.Add(-time.Hour) })}, want: "kv-2"},
		{name: "the first by name", offers: []offer{up("kv-2", nil), up("kv-1", nil)}, want: "kv-1"},
		{name: "one in particular", ask: func(a *Ask) { a.Cluster = "kv-2" }, offers: []offer{up("kv-1", nil), up("kv-2", nil)}, want: "kv-2"},
		{name: "one in particular that is not up", ask: func(a *Ask) { a.Cluster = "kv-3" }, offers: []offer{up("kv-1", nil)}},
		{name: "one in particular that does not fit", ask: func(a *Ask) { a.Cluster = "kv-1" }, offers: []offer{up("kv-1", nil), up("kv-2", nil)}, build: "b2", passed: []string{"cluster kv-1 is up and is not used: another build of the program"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := ask
			if tt.ask != nil {
				tt.ask(&a)
			}
			best, passed := choose(&a, tt.offers, tt.build)
			got := ""
			if best >= 0 {
				got = tt.offers[best].Info.ID
			}
			if got != tt.want {
				t.Errorf("%q is chosen, want %q", got, tt.want)
			}
			if diff := cmp.Diff(tt.passed, passed); diff != "" {
				t.Errorf("passed over (-want +got):\n%s", diff)
			}
		})
	}
}

// TestKey: what makes two asks of one owner ask for different clusters.
func TestKey(t *testing.T) {
	base := func() *Ask {
		return &Ask{Program: &config.Program{Name: "kv"}, Nodes: 3, Dir: "/m", Env: []string{"A=1", "PWD=/x"}}
	}
	for name, tt := range map[string]struct {
		change func(*Ask)
		same   bool
	}{
		"who":       {func(a *Ask) { a.Who = "TestX" }, true},
		"shared":    {func(a *Ask) { a.Shared = true }, true},
		"time":      {func(a *Ask) { a.Start, a.Ready, a.Grace = 1, 2, 3 }, true},
		"directory": {func(a *Ask) { a.Env = []string{"A=1", "PWD=/y"} }, true},
		"coverage":  {func(a *Ask) { a.Env = append(a.Env, "GOCOVERDIR=/tmp/1") }, true},
		"nodes":     {func(a *Ask) { a.Nodes = 2 }, false},
		"program":   {func(a *Ask) { a.Program.Args = []string{"-x"} }, false},
		"module":    {func(a *Ask) { a.Dir = "/n" }, false},
		"flags":     {func(a *Ask) { a.Flags.Args = []string{"-race"} }, false},
		"build env": {func(a *Ask) { a.Flags.Env = []string{"CGO_ENABLED=0"} }, false},
		"env":       {func(a *Ask) { a.Env = []string{"A=2"} }, false},
		"network":   {func(a *Ask) { a.Network.Range = "127.5.0.0/16" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := base()
			tt.change(a)
			if same := a.key() == base().key(); same != tt.same {
				t.Errorf("the same cluster: %v, want %v", same, tt.same)
			}
		})
	}
	if d := differences(base().shape(), base().shape()); len(d) > 0 {
		t.Errorf("differences of the same: %s", strings.Join(d, ", "))
	}
}
