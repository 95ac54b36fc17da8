//go:build unix

package keeper

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/program"
)

// BenchmarkLease is a shared lease of a cluster that is up, from finding it to
// the end: "look" is what a test waits for without the build, which is apart.
func BenchmarkLease(b *testing.B) {
	b.Setenv("XDG_CACHE_HOME", b.TempDir())
	for _, nodes := range []int{3, 16} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			e := process.New()
			defer e.Close()
			k := New(e)
			s, err := Listen(k, Options{Kind: "dist up", Open: true})
			if err != nil {
				b.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() { s.Serve(b.Context()) })
			defer wg.Wait()
			defer s.Close()
			a := Ask{
				Who: "bench", Program: testProgram(), Dir: "/", Nodes: nodes, Env: os.Environ(), Shared: true,
				Network: config.Default().Network, Start: patience, Ready: patience, Grace: patience,
			}
			if _, err := k.Up(b.Context(), a); err != nil {
				b.Fatal(err)
			}
			f := &Finder{}
			defer f.Close()
			b.Run("build", func(b *testing.B) {
				for b.Loop() {
					if _, err := program.Build(b.Context(), a.Program, program.Options{Dir: a.Dir, Env: a.Env}); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("find", func(b *testing.B) {
				for b.Loop() {
					var found Found
					_, offers := f.survey(b.Context(), &found)
					if best, _ := choose(&a, offers, ""); best < 0 {
						b.Fatal(found)
					}
				}
			})
			b.Run("lease", func(b *testing.B) {
				found, err := f.Find(b.Context(), a)
				if err != nil || found.Owner == nil {
					b.Fatal(found, err)
				}
				for b.Loop() {
					l, err := found.Owner.Lease(b.Context(), found.Ask)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := l.Release(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
