//go:build linux

package program

import (
	"testing"

	"github.com/distkit/dist/config"
)

// BenchmarkBuild is a build that has nothing to do.
func BenchmarkBuild(b *testing.B) {
	ownCache(b)
	dir := module(b, files())
	old(b, dir)
	p, o := &config.Program{Name: "kv", Package: "./cmd/kv"}, Options{Dir: dir}
	mustBuild(b, p, o)
	for b.Loop() {
		mustBuild(b, p, o)
	}
}

// BenchmarkStart is from nothing to ready, and to the end.
func BenchmarkStart(b *testing.B) {
	e := newEngine(b)
	s := spec(b, "listen", func(p *config.Program) { p.Ready.TCP = "client" })
	for b.Loop() {
		n, err := Start(b.Context(), e, s)
		if err != nil {
			b.Fatal(explain(err))
		}
		n.Kill()
	}
}
