package diagnostics

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamespaceSwitches(t *testing.T) {
	k := kernel{root: t.TempDir()}
	set := func(name, text string) {
		file := filepath.Join(k.root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	names := func(root bool) (ns []string) {
		for _, s := range k.namespaceSwitches(root) {
			if s.Remedy == "" {
				t.Errorf("%s: no remedy", s.Name)
			}
			ns = append(ns, s.Name+"="+s.Value)
		}
		return ns
	}
	if got := names(false); got != nil {
		t.Errorf("a kernel without such switches: %q", got)
	}
	set("proc/sys/kernel/unprivileged_userns_clone", "1\n")
	set("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n")
	set("proc/sys/user/max_user_namespaces", "0\n")
	set("proc/sys/user/max_net_namespaces", "100\n")
	set("proc/self/status", "Name:\tx\nSeccomp:\t2\n")
	if diff := cmp.Diff([]string{"kernel.apparmor_restrict_unprivileged_userns=1", "user.max_user_namespaces=0", "seccomp=2"}, names(false)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"user.max_user_namespaces=0", "seccomp=2"}, names(true)); diff != "" {
		t.Errorf("root: %s", diff)
	}
}
