//go:build unix

package keeper

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestSecretStaysInside: whoever can see processes or logs does not learn by
// what an owner is talked to.
func TestSecretStaysInside(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows processes as files")
	}
	home(t)
	s, _ := serve(t, Options{Kind: "dist up", Open: true})
	o := dial(t, s.File())
	l := mustLease(t, o, testAsk(t, 2))
	holds := func(what, text string) {
		if strings.Contains(text, s.record.Secret) {
			t.Errorf("%s has the secret", what)
		}
	}
	pids := []int{os.Getpid()}
	for i, n := range l.Info().Nodes {
		state, err := l.State(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, state.PID)
		err = filepath.WalkDir(filepath.Dir(n.Log), func(file string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(file)
			holds(file, string(b))
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	for _, pid := range pids {
		for _, name := range []string{"cmdline", "environ"} {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
			if err != nil || len(b) == 0 {
				t.Errorf("%s of %d: %d bytes, %v", name, pid, len(b), err)
			}
			holds(fmt.Sprintf("%s of process %d", name, pid), string(b))
		}
	}
	for _, v := range os.Environ() {
		holds("the environment", v)
	}
	infos, err := o.Clusters(t.Context())
	if err != nil {
		t.Error(err)
	}
	holds("what dist ps shows", fmt.Sprintf("%+v", infos))
}
