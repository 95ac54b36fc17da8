package agreement

import (
	"strconv"
	"testing"
	"time"

	"clustertest"
	"github.com/distkit/dist"
)

//dist:nodes=3
func TestMore(t *testing.T) {
	dist.Require(t, dist.Ports("a"), dist.Nodes(5)) // want `the directive says nodes=3, the call asks for more: nodes=5`
}

//dist:nodes=5 // want `the directive says nodes=5, but no call of TestFewer asks for more than 3`
func TestFewer(t *testing.T) {
	dist.Require(t, dist.Nodes(2))
	t.Run("", func(t *testing.T) { dist.Require(t, dist.Nodes(3)) })
}

//dist:nodes=5
func TestFewerSomewhere(t *testing.T) {
	t.Run("", func(t *testing.T) { dist.Require(t, dist.Nodes(3)) })
	t.Run("", func(t *testing.T) { dist.Require(t, dist.Nodes(5)) })
}

//dist:nodes=3 program=etcd
func TestProgram(t *testing.T) {
	dist.Require(t, dist.Program("consul")) // want `the directive says program=etcd, the call program=consul`
}

//dist:nodes=3 ports=a,b
func TestPorts(t *testing.T) {
	dist.Require(t, dist.Ports("b", "a"))
	dist.Require(t, dist.Ports("a")) // want `the directive says ports=a,b, the call ports=a`
}

//dist:timeout=1m nodes=3
func TestTimeout(t *testing.T) {
	dist.Require(t, dist.Timeout(60*time.Second))
	dist.Require(t, dist.Timeout(30*time.Second)) // want `the directive says timeout=1m, the call timeout=30s`
}

//dist:nodes=5 min=3
func TestMin(t *testing.T) {
	dist.Require(t)
	dist.Require(t, dist.Nodes(2)) // want `the directive says min=3, the call nodes=2`
}

//dist:nodes=3 // want `the directive says nodes=3, the call asks for more: nodes=5; TestHelper calls clustertest.New \(clustertest/clustertest.go:11\), which calls dist.Require\(t, dist.Nodes\(5\)\)`
func TestHelper(t *testing.T) { clustertest.New(t) }

//dist:nodes=3 // want `the directive says nodes=3, the call asks for more: nodes=4; TestOwnHelper calls four, which calls dist.Require\(t, dist.Nodes\(4\)\)`
func TestOwnHelper(t *testing.T) { four(t) }

func four(t *testing.T) { // want four:"requires"
	dist.Require(t, dist.Nodes(4))
}

func TestDynamic(t *testing.T) {
	n, _ := strconv.Atoi("3")
	dist.Require(t, dist.Nodes(n)) // want `the size of this cluster is not constant: TestDynamic needs a //dist:nodes=N directive as its upper bound`
}

//dist:ports=a
func TestDynamicNoSize(t *testing.T) {
	n, _ := strconv.Atoi("3")
	dist.Require(t, dist.Nodes(n)) // want `the size of this cluster is not constant: TestDynamicNoSize needs a //dist:nodes=N directive as its upper bound`
}

//dist:nodes=5
func TestDynamicBound(t *testing.T) {
	n, _ := strconv.Atoi("3")
	dist.Require(t, dist.Nodes(n))
}

func sized(t *testing.T, n int) { // want sized:"requires"
	dist.Require(t, dist.Nodes(n))
}

func TestDynamicHelper(t *testing.T) { // want `the size of this cluster is not constant: TestDynamicHelper needs a //dist:nodes=N directive as its upper bound; TestDynamicHelper calls sized\(t, n\), which calls dist.Require\(t, dist.Nodes\(n\)\)`
	n, _ := strconv.Atoi("3")
	sized(t, n)
}

// What a helper is given counts as if it stood in the call.

//dist:nodes=3 // want `the directive says nodes=3, the call asks for more: nodes=4; TestSized calls sized\(t, 4\), which calls dist.Require\(t, dist.Nodes\(n\)\)`
func TestSized(t *testing.T) { sized(t, 4) }

//dist:nodes=3
func TestSizedRight(t *testing.T) { sized(t, 3) }

func TestSizedWrong(t *testing.T) {
	sized(t, 0) // want `dist.Nodes is given this: nodes=0: a cluster has at least 1 node`
}

func TestSizedValue(t *testing.T) { // want `the size of this cluster is not constant: TestSizedValue needs a //dist:nodes=N directive`
	f := sized
	f(t, 3)
}

func changed(t *testing.T, n int) { // want changed:"requires"
	n++
	dist.Require(t, dist.Nodes(n))
}

func TestChanged(t *testing.T) { // want `the size of this cluster is not constant: TestChanged needs a //dist:nodes=N directive`
	changed(t, 3)
}

func with(t *testing.T, opts ...dist.Option) { // want with:"requires"
	dist.Require(t, append([]dist.Option{dist.Nodes(3)}, opts...)...)
}

//dist:nodes=3 program=etcd // want `the directive says program=etcd, the call program=consul; TestWith calls with\(t, dist.Program\("consul"\)\), which calls`
func TestWith(t *testing.T) { with(t, dist.Program("consul")) }

func TestWithDynamic(t *testing.T) { // want `the size of this cluster is not constant: TestWithDynamic needs a //dist:nodes=N directive`
	n, _ := strconv.Atoi("3")
	with(t, dist.Nodes(n))
}

func TestWithForeign(t *testing.T) { // want `the size of this cluster is not constant: TestWithForeign needs a //dist:nodes=N directive as its upper bound; TestWithForeign calls clustertest.With\(t, opts...\) \(clustertest/clustertest.go:\d+\), which calls`
	var opts []dist.Option
	clustertest.With(t, opts...)
}

func TestOptions(t *testing.T) {
	opts := []dist.Option{dist.Nodes(3)}
	dist.Require(t, opts...) // want `the size of this cluster is not constant`
}

func TestValues(t *testing.T) {
	dist.Require(t, dist.Nodes(0))                // want `dist.Nodes: nodes=0: a cluster has at least 1 node`
	dist.Require(t, dist.Nodes(100000))           // want `dist.Nodes: nodes=100000: a cluster has at most 4096 nodes`
	dist.Require(t, dist.Min(-1))                 // want `dist.Min: min=-1: a cluster has at least 1 node`
	dist.Require(t, dist.Ports("a", "a"))         // want `dist.Ports: ports=a,a: port a is named twice`
	dist.Require(t, dist.Ports())                 // want `dist.Ports: ports= names no port`
	dist.Require(t, dist.Program(""))             // want `dist.Program: program= names no program`
	dist.Require(t, dist.Timeout(-1))             // want `dist.Timeout: timeout=-1ns: a timeout is longer than 0`
	dist.Require(t, dist.Nodes(3), dist.Nodes(4)) // want `dist.Nodes is given twice in one call of dist.Require`
}

func TestShared(t *testing.T) {
	dist.Require(t, dist.Nodes(3), dist.Shared()) // want `TestShared asks for what cannot be: shared needs a program: nodes of the test binary are never shared`
}

func TestSharedProgram(t *testing.T) {
	name := "etcd"
	dist.Require(t, dist.Nodes(3), dist.Shared(), dist.Program(name))
}

//dist:nodes=3 // want `TestUnused has a dist directive and never calls dist.Require: it runs without a cluster`
func TestUnused(t *testing.T) {
	t.Log("alone")
	log(t)
}

func log(t testing.TB) { t.Helper() }

// Whatever the table has is here.
//
//dist:nodes=3 // want `TestUnusedTable has a dist directive and never calls dist.Require: it runs without a cluster`
func TestUnusedTable(t *testing.T) {
	run := func(t *testing.T) { log(t) }
	tests := []struct {
		name string
		run  func(t *testing.T)
	}{
		{"named", subtest},
		{"literal", func(t *testing.T) { t.Log("alone") }},
		{"variable", run},
		{"made", logging("alone")},
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
	t.Run("variable", run)
	runEach(t, map[string]func(*testing.T){"map": subtest})
}

func subtest(t *testing.T) { t.Log("alone") }

func logging(text string) func(t *testing.T) {
	return func(t *testing.T) { t.Log(text) }
}

func runEach(t *testing.T, tests map[string]func(*testing.T)) {
	for name, run := range tests {
		t.Run(name, run)
	}
}

//dist:nodes=4 // want `the directive says nodes=4, but no call of TestLooseTable asks for more than 3`
func TestLooseTable(t *testing.T) {
	for _, run := range []func(t *testing.T){
		func(t *testing.T) { dist.Require(t, dist.Nodes(3)) },
	} {
		t.Run("", run)
	}
}

//dist:nodes=4
func TestValue(t *testing.T) {
	f := four
	if testing.Short() {
		f = nil
	}
	f(t)
}

type cluster interface{ start(t *testing.T) }

//dist:nodes=3
func TestInterface(t *testing.T) {
	var c cluster
	c.start(t)
}

//dist:nodes=3
func TestVariable(t *testing.T) { starter(t) }

var starter = func(t *testing.T) {}

type suite struct{ t *testing.T }

//dist:nodes=3
func TestSuite(t *testing.T) {
	s := &suite{t}
	_ = s
}

//dist:nodes=3
func TestForeignSuite(t *testing.T) { clustertest.Run(t, new(suite)) }
