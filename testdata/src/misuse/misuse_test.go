package misuse

import (
	"testing"

	"clustertest"
	"github.com/distkit/dist"
)

func TestBefore(t *testing.T) {
	c := dist.Require(t, dist.Nodes(3)) // want `dist.Require before t.Parallel holds a cluster while the test is paused: call it after`
	t.Parallel()
	_ = c
}

func TestAfter(t *testing.T) {
	t.Parallel()
	dist.Require(t)
}

func TestHelperBefore(t *testing.T) {
	clustertest.New(t) // want `dist.Require before t.Parallel`
	if !testing.Short() {
		t.Parallel()
	}
}

func TestSubtest(t *testing.T) {
	dist.Require(t)
	t.Run("", func(t *testing.T) { t.Parallel() })
	t.Run("", func(tt *testing.T) {
		dist.Require(tt) // want `dist.Require before tt.Parallel`
		tt.Parallel()
	})
}

func FuzzInside(f *testing.F) {
	dist.Require(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		dist.Require(t)    // want `dist.Require inside f.Fuzz would be called for every input: would be right in the fuzz target, before f.Fuzz`
		clustertest.New(t) // want `dist.Require inside f.Fuzz would be called for every input`
	})
}

func fuzz(t *testing.T, in []byte) { // want fuzz:"requires"
	dist.Require(t)
}

func FuzzNamed(f *testing.F) {
	f.Fuzz(fuzz) // want `dist.Require inside f.Fuzz would be called for every input`
}

func init() { // want init:"requires"
	dist.Require(nil) // want `dist.Require in init: a cluster belongs to a test, a benchmark or a fuzz target`
	func() {
		newCluster() // want `dist.Require in init: a cluster belongs to a test, a benchmark or a fuzz target`
	}()
}

func init() { // want init:"requires"
	func() {
		dist.Require(nil) // want `dist.Require in init: a cluster belongs to a test, a benchmark or a fuzz target`
	}()
	defer func() {
		newCluster() // want `dist.Require in init`
	}()
	_ = newAll()         // want `dist.Require in init`
	clustertest.New(nil) // want `dist.Require in init`
}

func newAll() *dist.Cluster { // want newAll:"requires"
	newCluster()
	return nil
}

func TestMain(m *testing.M) { // want TestMain:"requires"
	dist.Main(m)
	newCluster() // want `dist.Require in TestMain: a cluster belongs to a test, a benchmark or a fuzz target`
}

func newCluster() { // want newCluster:"requires"
	dist.Require(nil)
}
