package manager

import (
	"strings"
	"testing"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/requirement"
	"github.com/distkit/dist/runtime/diagnostics"
)

func TestDecide(t *testing.T) {
	type R = requirement.Requirement
	etcd := func(c *config.Config) {
		c.Programs["etcd"] = &config.Program{Name: "etcd", Ports: []string{"client", "peer"}}
		node := map[string]string{"client": "staging.example:2379"}
		c.Attach["staging"] = &config.Attach{Name: "staging", Nodes: []map[string]string{node, node, node}}
	}
	up := []Up{{"etcd-2", 2, "this test binary"}, {"etcd-3", 3, "dist up"}}
	applied := make(map[string]bool)
	for _, test := range []struct {
		name string
		Situation
		change func(*config.Config)
		want   Decision // Reason: a part of it
	}{
		{name: "plain", Situation: Situation{Requirement: R{Nodes: 3}},
			want: Decision{Action: Start, Row: "start", Nodes: 3, Reason: "3 nodes, by the test"}},
		{name: "no size named", Situation: Situation{},
			want: Decision{Action: Start, Row: "start", Nodes: 2, Reason: "cluster.default_nodes = 2"}},
		{name: "default beyond the limit", Situation: Situation{}, change: func(c *config.Config) { c.Cluster.DefaultNodes, c.Cluster.MaxNodes = 5, 3 },
			want: Decision{Action: Start, Row: "start", Nodes: 3, Reason: "max_nodes"}},
		{name: "off", Situation: Situation{Requirement: R{Nodes: 3}}, change: func(c *config.Config) { c.Cluster.Mode = "off" },
			want: Decision{Action: Skip, Row: "off", Code: diagnostics.ModeOff, Reason: "cluster.mode = off"}},
		{name: "off comes before what is too large", Situation: Situation{Requirement: R{Nodes: 300}}, change: func(c *config.Config) { c.Cluster.Mode = "off" },
			want: Decision{Action: Skip, Row: "off", Code: diagnostics.ModeOff, Reason: "cluster.mode = off"}},
		{name: "short and skip", Situation: Situation{Requirement: R{Nodes: 3}, Short: true}, change: func(c *config.Config) { c.Cluster.Short = "skip" },
			want: Decision{Action: Skip, Row: "short", Code: diagnostics.ModeShort, Reason: "-short"}},
		{name: "short and run", Situation: Situation{Requirement: R{Nodes: 3}, Short: true},
			want: Decision{Action: Start, Row: "start", Nodes: 3, Reason: "by the test"}},
		{name: "not short and skip", Situation: Situation{Requirement: R{Nodes: 3}}, change: func(c *config.Config) { c.Cluster.Short = "skip" },
			want: Decision{Action: Start, Row: "start", Nodes: 3, Reason: "by the test"}},
		{name: "program", Situation: Situation{Requirement: R{Nodes: 3, Program: "etcd", Ports: []string{"client"}}}, change: etcd,
			want: Decision{Action: Start, Row: "start", Nodes: 3, Reason: "3 nodes, by the test"}},
		{name: "unknown program", Situation: Situation{Requirement: R{Nodes: 3, Program: "etcd"}},
			want: Decision{Action: Fail, Row: "unknown-program", Code: diagnostics.ConfigProgram, Reason: `neither [program.etcd] nor [attach.etcd]`}},
		{name: "optional unknown program", Situation: Situation{Requirement: R{Nodes: 3, Program: "etcd", Optional: true}},
			want: Decision{Action: Skip, Row: "unknown-program", Code: diagnostics.ConfigProgram, Reason: "optional"}},
		{name: "unknown port", Situation: Situation{Requirement: R{Nodes: 3, Program: "etcd", Ports: []string{"client", "raft"}}}, change: etcd,
			want: Decision{Action: Fail, Row: "unknown-port", Code: diagnostics.ConfigPort, Reason: `port "raft", and etcd has client, peer`}},
		{name: "attached", Situation: Situation{Requirement: R{Nodes: 2, Program: "staging"}}, change: etcd,
			want: Decision{Action: Reuse, Row: "attached", Nodes: 2, Cluster: "staging", Reason: "runs already"}},
		{name: "attached, beyond the limits of what may be started", Situation: Situation{Requirement: R{Nodes: 2, Program: "staging"}}, change: func(c *config.Config) { etcd(c); c.Cluster.MaxNodes = 1 },
			want: Decision{Action: Reuse, Row: "attached", Nodes: 2, Cluster: "staging", Reason: "runs already"}},
		{name: "attached, all of it", Situation: Situation{Requirement: R{Nodes: 5, Min: 2, Program: "staging"}}, change: etcd,
			want: Decision{Action: Reuse, Row: "attached", Nodes: 3, Cluster: "staging", Reason: "3 of 5 nodes"}},
		{name: "attached, too small", Situation: Situation{Requirement: R{Nodes: 5, Program: "staging"}}, change: etcd,
			want: Decision{Action: Fail, Row: "attached-small", Code: diagnostics.ClusterSize, Limit: Limit{Nodes: 3}, Reason: "staging has 3"}},
		{name: "unknown port of an attached cluster", Situation: Situation{Requirement: R{Nodes: 1, Program: "staging", Ports: []string{"peer"}}}, change: etcd,
			want: Decision{Action: Fail, Row: "unknown-port", Code: diagnostics.ConfigPort, Reason: "staging has client"}},
		{name: "up", Situation: Situation{Requirement: R{Nodes: 3, Program: "etcd"}, Up: up}, change: etcd,
			want: Decision{Action: Reuse, Row: "up", Nodes: 3, Cluster: "etcd-3", Reason: "etcd-3 is up, of dist up"}},
		{name: "up, of another size", Situation: Situation{Requirement: R{Nodes: 4, Program: "etcd"}, Up: up}, change: etcd,
			want: Decision{Action: Start, Row: "start", Nodes: 4, Reason: "by the test"}},
		{name: "up, and never to be reused", Situation: Situation{Requirement: R{Nodes: 3, Program: "etcd"}, Up: up}, change: func(c *config.Config) { etcd(c); c.Cluster.Reuse = "never" },
			want: Decision{Action: Start, Row: "start", Nodes: 3, Reason: "by the test"}},
		{name: "up, mode manual", Situation: Situation{Requirement: R{Nodes: 3, Program: "etcd"}, Up: up}, change: func(c *config.Config) { etcd(c); c.Cluster.Mode = "manual" },
			want: Decision{Action: Reuse, Row: "up", Nodes: 3, Cluster: "etcd-3", Reason: "etcd-3 is up"}},
		{name: "not up, mode manual", Situation: Situation{Requirement: R{Nodes: 4, Program: "etcd"}, Up: up}, change: func(c *config.Config) { etcd(c); c.Cluster.Mode = "manual" },
			want: Decision{Action: Fail, Row: "manual", Code: diagnostics.ModeManual, Reason: "no cluster of etcd with 4 nodes is up"}},
		{name: "a program beyond the limit", Situation: Situation{Requirement: R{Nodes: 17, Program: "etcd"}}, change: etcd,
			want: Decision{Action: Fail, Row: "too-large", Code: diagnostics.SizeMaxNodes, Limit: Limit{Nodes: 16}, Reason: "17 nodes are needed"}},
		{name: "clean nodes of the test binary are no program's", Situation: Situation{Requirement: R{Nodes: 3, Program: "etcd", Reuse: true}, Clean: 3}, change: etcd,
			want: Decision{Action: Start, Row: "start", Nodes: 3, Reason: "by the test"}},
		{name: "manual", Situation: Situation{Requirement: R{Nodes: 3}}, change: func(c *config.Config) { c.Cluster.Mode = "manual" },
			want: Decision{Action: Fail, Row: "manual", Code: diagnostics.ModeManual, Reason: "cluster.mode = manual"}},
		{name: "at the limit", Situation: Situation{Requirement: R{Nodes: 16}},
			want: Decision{Action: Start, Row: "start", Nodes: 16, Reason: "by the test"}},
		{name: "beyond the limit", Situation: Situation{Requirement: R{Nodes: 17}},
			want: Decision{Action: Fail, Row: "too-large", Code: diagnostics.SizeMaxNodes, Limit: Limit{Nodes: 16}, Reason: "17 nodes are needed and 16 allowed"}},
		{name: "beyond the limit, and may skip", Situation: Situation{Requirement: R{Nodes: 17}}, change: func(c *config.Config) { c.Fallback.Unavailable = "skip" },
			want: Decision{Action: Skip, Row: "too-large", Code: diagnostics.SizeMaxNodes, Limit: Limit{Nodes: 16}, Reason: "fallback.unavailable"}},
		{name: "CI decides what unavailable means there", Situation: Situation{Requirement: R{Nodes: 17}}, change: func(c *config.Config) { c.Fallback.Unavailable, c.CI = "skip", "CI" },
			want: Decision{Action: Fail, Row: "too-large", Code: diagnostics.SizeCI, Limit: Limit{Nodes: 8}, Reason: "17 nodes are needed and 8 allowed"}},
		{name: "beyond the limit, bears fewer", Situation: Situation{Requirement: R{Nodes: 20, Min: 10}},
			want: Decision{Action: Start, Row: "reduced", Nodes: 16, Reason: "16 of 20 nodes"}},
		{name: "bears not few enough", Situation: Situation{Requirement: R{Nodes: 30, Min: 17}},
			want: Decision{Action: Fail, Row: "too-large", Code: diagnostics.SizeMaxNodes, Limit: Limit{Nodes: 16}, Reason: "17 nodes are needed"}},
		{name: "bears fewer, and must not", Situation: Situation{Requirement: R{Nodes: 20, Min: 10}}, change: func(c *config.Config) { c.Fallback.Reduce = false },
			want: Decision{Action: Fail, Row: "too-large", Code: diagnostics.SizeMaxNodes, Limit: Limit{Nodes: 16}, Reason: "20 nodes are needed"}},
		{name: "machine", Situation: Situation{Requirement: R{Nodes: 5}, Machine: Limit{4, "2 cores"}},
			want: Decision{Action: Fail, Row: "too-large", Code: diagnostics.SizeMachine, Limit: Limit{Nodes: 4}, Reason: "2 cores"}},
		{name: "machine by configuration", Situation: Situation{Requirement: R{Nodes: 5}, Machine: Limit{100, "2 cores"}}, change: func(c *config.Config) { c.Resources.MaxNodesOnMachine = 3 },
			want: Decision{Action: Fail, Row: "too-large", Code: diagnostics.SizeMachine, Limit: Limit{Nodes: 3}, Reason: "max_nodes_on_machine"}},
		{name: "reuse", Situation: Situation{Requirement: R{Nodes: 3, Reuse: true}, Clean: 3},
			want: Decision{Action: Reuse, Row: "reuse", Nodes: 3, Reason: "3 used nodes"}},
		{name: "reuse not asked for", Situation: Situation{Requirement: R{Nodes: 3}, Clean: 3},
			want: Decision{Action: Start, Row: "start", Nodes: 3, Reason: "by the test"}},
		{name: "reuse by configuration", Situation: Situation{Requirement: R{Nodes: 3}, Clean: 4}, change: func(c *config.Config) { c.Cluster.Reuse = "always" },
			want: Decision{Action: Reuse, Row: "reuse", Nodes: 3, Reason: "4 used nodes"}},
		{name: "reuse forbidden", Situation: Situation{Requirement: R{Nodes: 3, Reuse: true}, Clean: 3}, change: func(c *config.Config) { c.Cluster.Reuse = "never" },
			want: Decision{Action: Start, Row: "start", Nodes: 3, Reason: "by the test"}},
		{name: "too few to reuse", Situation: Situation{Requirement: R{Nodes: 3, Reuse: true}, Clean: 2},
			want: Decision{Action: Start, Row: "start", Nodes: 3, Reason: "by the test"}},
	} {
		s := test.Situation
		s.Config = config.Default()
		if test.change != nil {
			test.change(s.Config)
		}
		got := Decide(s)
		applied[got.Row] = true
		reason := got.Reason
		got.Reason, got.Limit.Source = test.want.Reason, ""
		if got != test.want || !strings.Contains(reason, test.want.Reason) {
			t.Errorf("%s:\n got %+v\nwant %+v\nreason %q", test.name, got, test.want, reason)
		}
	}
	for _, row := range Rows {
		if !applied[row.Name] {
			t.Errorf("no case for row %q: %s", row.Name, row.Doc)
		}
		delete(applied, row.Name)
	}
	if len(applied) > 0 {
		t.Errorf("rows that are not listed: %v", applied)
	}
}

func TestCapacity(t *testing.T) {
	plain, race := capacity(false), capacity(true)
	if plain.Nodes < 1 || plain.Source == "" || race.Nodes > plain.Nodes {
		t.Errorf("plain %+v, with the race detector %+v", plain, race)
	}
}
