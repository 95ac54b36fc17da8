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
		{name: "program", Situation: Situation{Requirement: R{Nodes: 3, Program: "etcd"}},
			want: Decision{Action: Fail, Row: "program", Code: diagnostics.EnginePrograms, Reason: `program "etcd"`}},
		{name: "optional program", Situation: Situation{Requirement: R{Nodes: 3, Program: "etcd", Optional: true}},
			want: Decision{Action: Skip, Row: "program", Code: diagnostics.EnginePrograms, Reason: "optional"}},
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
