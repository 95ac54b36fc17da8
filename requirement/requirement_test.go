package requirement

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestString(t *testing.T) {
	for _, test := range []struct {
		r    Requirement
		want string
	}{
		{Requirement{}, ""},
		{Requirement{Nodes: 3}, "nodes=3"},
		{Requirement{Timeout: 2 * time.Minute, Optional: true}, "optional timeout=2m"},
		{Requirement{Timeout: 3 * time.Hour}, "timeout=3h"},
		{Requirement{Timeout: 3*time.Hour + 5*time.Second}, "timeout=3h0m5s"},
		{Requirement{3, 2, "etcd", []string{"a", "b"}, true, true, true, 1500 * time.Millisecond},
			"nodes=3 min=2 program=etcd ports=a,b reuse shared optional timeout=1.5s"},
	} {
		if got := test.r.String(); got != test.want {
			t.Errorf("%#v is %q, want %q", test.r, got, test.want)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		r    Requirement
		want string
	}{
		{Requirement{}, ""},
		{Requirement{Nodes: 3, Min: 3, Program: "etcd", Shared: true, Ports: []string{"a"}}, ""},
		{Requirement{Min: 3}, ""},
		{Requirement{Nodes: -1}, "nodes=-1: a cluster has at least 1 node"},
		{Requirement{Nodes: 100000}, "nodes=100000: a cluster has at most 4096 nodes"},
		{Requirement{Min: 5000}, "min=5000: a cluster has at most 4096 nodes"},
		{Requirement{Nodes: 3, Min: 4}, "min=4 is more than nodes=3"},
		{Requirement{Program: "a b"}, "program=a b: a program's name is of letters, digits, '-' and '_', begins with a letter or a digit and has 64 characters at most"},
		{Requirement{Ports: []string{"a", "b", "a"}}, "ports=a,b,a: port a is named twice"},
		{Requirement{Ports: []string{"a", ""}}, "ports=a,: the name of a port is empty"},
		{Requirement{Ports: []string{"1a"}}, "ports=1a: \"1a\" is no name for a port: letters, digits, '-' and '_', beginning with a letter, 64 characters at most"},
		{Requirement{Shared: true}, "shared needs a program: nodes of the test binary are never shared"},
		{Requirement{Timeout: -time.Second}, "timeout=-1s: a timeout is longer than 0"},
	} {
		got := ""
		if err := test.r.Validate(); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%#v: %q, want %q", test.r, got, test.want)
		}
	}
}

// build makes a Requirement of words without the directive package, which
// imports this one.
func build(words string) (r Requirement) {
	for w := range strings.FieldsSeq(words) {
		name, v, _ := strings.Cut(w, "=")
		switch name {
		case WordNodes:
			fmt.Sscan(v, &r.Nodes)
		case WordMin:
			fmt.Sscan(v, &r.Min)
		case WordProgram:
			r.Program = v
		case WordPorts:
			r.Ports = strings.Split(v, ",")
		case WordReuse:
			r.Reuse = true
		case WordShared:
			r.Shared = true
		case WordOptional:
			r.Optional = true
		case WordTimeout:
			r.Timeout, _ = time.ParseDuration(v)
		}
	}
	return r
}

func TestMerge(t *testing.T) {
	for _, test := range []struct{ directive, call, want, conflict string }{
		{"", "", "", ""},
		{"nodes=3", "", "nodes=3", ""},
		{"", "nodes=3", "nodes=3", ""},
		{"nodes=3", "nodes=3", "nodes=3", ""},
		{"nodes=5", "nodes=3", "nodes=3", ""}, // an upper bound
		{"nodes=3", "nodes=5", "nodes=3", "nodes: the directive says nodes=3, the call asks for more: nodes=5"},
		{"nodes=5 min=3", "nodes=4", "nodes=4 min=3", ""},
		{"nodes=5 min=3", "nodes=2", "nodes=2 min=3", "min: the directive says min=3, the call nodes=2"},
		{"nodes=3", "min=4", "nodes=3 min=4", "min: the directive says nodes=3, the call min=4"},
		{"min=2", "min=3", "min=2", "min: the directive says min=2, the call min=3"},
		{"program=etcd", "program=consul", "program=etcd", "program: the directive says program=etcd, the call program=consul"},
		{"nodes=3", "program=etcd shared", "nodes=3 program=etcd shared", ""},
		{"ports=a,b", "ports=b,a", "ports=a,b", ""},
		{"ports=a,b", "ports=a", "ports=a,b", "ports: the directive says ports=a,b, the call ports=a"},
		{"reuse", "optional", "reuse optional", ""},
		{"timeout=1m", "timeout=60s", "timeout=1m", ""},
		{"timeout=1m", "timeout=30s", "timeout=1m", "timeout: the directive says timeout=1m, the call timeout=30s"},
	} {
		got, err := Merge(build(test.directive), build(test.call))
		conflict := ""
		if c := (*Conflict)(nil); errors.As(err, &c) {
			conflict = c.Word + ": " + c.Error()
		}
		if got.String() != test.want || conflict != test.conflict {
			t.Errorf("Merge(%s, %s) = %s, %q; want %s, %q", test.directive, test.call, got, conflict, test.want, test.conflict)
		}
	}
}

func TestMergeCopiesPorts(t *testing.T) {
	call := build("ports=a,b")
	r, _ := Merge(Requirement{}, call)
	r.Ports[0] = "x"
	if call.Ports[0] != "a" {
		t.Error("changing the result changed the argument")
	}
}

func TestWithDefault(t *testing.T) {
	for _, test := range []struct{ r, def, want string }{
		{"", "nodes=3 ports=a", "nodes=3 ports=a"},
		{"nodes=2", "nodes=3 ports=a", "nodes=2"},
		{"ports=b reuse", "nodes=3 ports=a optional", "nodes=3 ports=b reuse optional"},
	} {
		if got := build(test.r).WithDefault(build(test.def)); got.String() != test.want {
			t.Errorf("%s with default %s = %s, want %s", test.r, test.def, got, test.want)
		}
	}
}

func TestJoin(t *testing.T) {
	for _, test := range []struct{ a, b, want string }{
		{"nodes=3", "nodes=5", "nodes=5"},
		{"nodes=3 min=2", "nodes=5 min=2", "nodes=5 min=2"},
		{"nodes=3 min=2", "nodes=5", "nodes=5"},
		{"nodes=3", "min=4", "nodes=4"},
		{"program=etcd ports=a", "program=consul ports=a", "ports=a"},
		{"program=etcd shared", "program=etcd shared", "program=etcd shared"},
		{"reuse optional", "reuse", "reuse"},
		{"timeout=1s", "timeout=2s", ""},
	} {
		if got := Join(build(test.a), build(test.b)); got.String() != test.want {
			t.Errorf("Join(%s, %s) = %s, want %s", test.a, test.b, got, test.want)
		}
	}
}

// What Join promises: each call still gets what it asks for.
func TestJoinThenMerge(t *testing.T) {
	var calls []Requirement
	for _, size := range []string{"", "nodes=2", "nodes=3", "min=2", "min=4", "nodes=5 min=2"} {
		for _, rest := range []string{"", "program=etcd shared", "ports=a,b reuse", "ports=b,a timeout=1s optional"} {
			calls = append(calls, build(size+" "+rest))
		}
	}
	for _, a := range calls {
		for _, b := range calls {
			j := Join(a, b)
			if err := j.Validate(); err != nil {
				t.Errorf("Join(%s, %s) = %s: %v", a, b, j, err)
			}
			for _, call := range []Requirement{a, b} {
				got, err := Merge(j, call)
				want := call
				want.Nodes, want.Ports = 0, nil // no size: takes the other's; ports: in the other's order
				if call.Nodes == 0 {
					call.Nodes = got.Nodes
				}
				got.Ports = nil
				want.Nodes = call.Nodes
				if err != nil || !got.Equal(want) {
					t.Errorf("Merge(Join(%s, %s) = %s, %s) = %s, %v", a, b, j, call, got, err)
				}
			}
		}
	}
}
