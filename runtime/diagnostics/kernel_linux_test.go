package diagnostics

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// The kernels of other machines, as far as they are read.
const (
	// cgroup version 2, the limit in a group above; a container's mount of
	// part of the tree.
	version2 = `
-- proc/self/cgroup --
0::/docker/abc/job/step
-- proc/self/mountinfo --
30 1 0:26 / / rw,relatime - overlay overlay rw
31 30 0:27 /docker/abc /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw
-- sys/fs/cgroup/job/step/memory.max --
max
-- sys/fs/cgroup/job/step/memory.current --
1000
-- sys/fs/cgroup/job/step/memory.events --
low 0
oom 2
oom_kill 1
-- sys/fs/cgroup/job/memory.max --
67108864
-- sys/fs/cgroup/job/memory.current --
67100000
-- sys/fs/cgroup/memory.max --
134217728
-- sys/fs/cgroup/memory.current --
67100000
-- sys/fs/cgroup/job/step/pids.max --
64
-- sys/fs/cgroup/job/step/pids.current --
64
`
	// version 1, with an empty version 2 beside it as systemd mounts it.
	hybrid = `
-- proc/self/cgroup --
8:pids:/
4:cpu,memory:/job
0::/
-- proc/self/mountinfo --
31 30 0:27 / /sys/fs/cgroup/memory\040here rw - cgroup cgroup rw,cpu,memory
32 30 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
-- sys/fs/cgroup/memory here/job/memory.limit_in_bytes --
9223372036854771712
-- sys/fs/cgroup/memory here/job/memory.usage_in_bytes --
1000
-- sys/fs/cgroup/memory here/job/memory.oom_control --
oom_kill_disable 0
oom_kill 5
-- sys/fs/cgroup/pids/pids.max --
max
-- sys/fs/cgroup/pids/pids.current --
7
`
	none = `
-- proc/vmstat --
nr_free_pages 1
oom_kill 9
`
)

func TestCgroups(t *testing.T) {
	for _, tt := range []struct {
		name         string
		files        string
		memory, pids []Limit
		kills        uint64
	}{
		{
			"version 2", version2,
			[]Limit{{Name: "m", Of: "control group /job", Max: 67108864, Used: 67100000}},
			[]Limit{{Name: "p", Of: "control group /job/step", Max: 64, Used: 64}}, 1,
		},
		{"hybrid", hybrid, nil, nil, 5},
		{"none", none, nil, nil, 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := kernel{t.TempDir()}
			for _, f := range txtar.Parse([]byte(tt.files)).Files {
				name := filepath.Join(k.root, f.Name)
				if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, f.Data, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			memory := k.cgroupLimits("memory", "m", "memory.max", "memory.limit_in_bytes", "memory.current", "memory.usage_in_bytes")
			if diff := cmp.Diff(tt.memory, memory); diff != "" {
				t.Errorf("memory (-want +got):\n%s", diff)
			}
			pids := k.cgroupLimits("pids", "p", "pids.max", "pids.max", "pids.current", "pids.current")
			if diff := cmp.Diff(tt.pids, pids); diff != "" {
				t.Errorf("pids (-want +got):\n%s", diff)
			}
			if n := k.oomKills(); n == nil || *n != tt.kills {
				t.Errorf("kills: %v, want %d", n, tt.kills)
			}
		})
	}
}

func TestParseSocket(t *testing.T) {
	s, ok := parseSocket("   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0000000000000000 100 0 0 10 0")
	if want := (socket{netip.MustParseAddrPort("[::1]:8080"), "LISTEN", 1000, "12345"}); !ok || s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
	if _, ok := parseSocket("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"); ok {
		t.Error("the heading is a socket")
	}
}
