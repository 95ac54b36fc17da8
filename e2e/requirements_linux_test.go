package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// No name of a host is looked up: neither that of this machine nor "localhost"
// can be resolved here.
func TestNoNamesAreResolved(t *testing.T) {
	t.Parallel()
	argv := []string{"unshare", "--mount"}
	if os.Getuid() != 0 {
		argv = append(argv, "--map-root-user")
	}
	if out, err := exec.Command(argv[0], append(argv[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("needs a mount namespace: %v %s", err, out)
	}
	for _, b := range []struct {
		*Binary
		run string
	}{{Suite, "-test.run=^Test(Three|Two|Parallel.)$"}, {Programs, "-test.run=Starts|Faults"}} {
		bin, err := b.Path()
		if err != nil {
			t.Fatal(err)
		}
		script := `for f in /etc/hosts /etc/resolv.conf /etc/nsswitch.conf /etc/hostname; do
			[ ! -e $f ] || mount --bind /dev/null $f
		done
		! getent hosts localhost || exit 9
		exec "$0" "$@"`
		r := Prepare(t, "", exec.Command(argv[0], append(argv[1:], "sh", "-c", script, bin, b.run)...))
		r.Cmd.Dir = b.Dir()
		r.Check(t, 0, `PASS`)
	}
}

// What is kept of a failure is where the job of a CI service takes it from.
func TestArtifactsForCI(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "job artifacts")
	r := NewRun(t, Suite, "CI=true DIST_CLUSTER_STOP_TIMEOUT=500ms", "-test.run=CleanupBlocks")
	r.Cmd.Env = append(r.Cmd.Env, "DIST_ARTIFACTS_DIR="+dir)
	out := r.Check(t, 1, `DIST-NODE-HUNG`)
	m := regexp.MustCompile(`all goroutines: (.*)`).FindStringSubmatch(out)
	if m == nil || !strings.HasPrefix(m[1], dir+string(filepath.Separator)) {
		t.Fatalf("nothing is kept in %s\n%s", dir, out)
	}
	if b, err := os.ReadFile(m[1]); err != nil || !strings.Contains(string(b), "suite.waitForever") {
		t.Errorf("%s: %v\n%s", m[1], err, b)
	}
}
