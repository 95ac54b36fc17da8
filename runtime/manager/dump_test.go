package manager

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What the Go runtime prints, cut to a few goroutines.
const someStacks = `goroutine 7 [running]:
github.com/distkit/dist/runtime.stacks()
	/dist/runtime/node.go:150 +0x5a

goroutine 23 [chan receive, 2 minutes]:
sync.(*WaitGroup).Wait(0xc000012345)
	/usr/local/go/src/sync/waitgroup.go:118 +0x48
example.com/helpers/wait.(*Leader).Until(0xc00001, {0x5a, 0x3})
	/src/wait/leader.go:33 +0x18
example.com/raft.startReplica({0x7f, 0xc0}, {{0x1, 0x2}})
	/src/raft/raft_test.go:45 +0x18
github.com/distkit/dist/runtime.Func[...].func1({0x1, 0x2})
	/dist/runtime/table.go:55 +0x18
github.com/distkit/dist/runtime.(*nodeSide).call(0xc0, {0x1, 0x2})
	/dist/runtime/node.go:120 +0x18
github.com/distkit/dist/runtime/wire.(*Conn).serve(0xc0)
	/dist/runtime/wire/conn.go:310 +0x18
created by github.com/distkit/dist/runtime/wire.(*Conn).request in goroutine 1
	/dist/runtime/wire/conn.go:270 +0x18

goroutine 24 [select]:
example.com/raft.(*node).loop.func1()
	/src/raft/raft_test.go:99 +0x18
created by example.com/raft.startReplica in goroutine 23
	/src/raft/raft_test.go:41 +0x18

goroutine 25 [sleep]:
time.Sleep(0x5)
	/usr/local/go/src/runtime/time.go:300 +0x18
raft.step(0x1)
	/src/raft/b_test.go:7 +0x18
github.com/distkit/dist/runtime.Func[...].func1(...)
	/dist/runtime/table.go:55
github.com/distkit/dist/runtime.(*nodeSide).call(0xc0)
	/dist/runtime/node.go:120 +0x18

goroutine 26 [semacquire]:
internal/poll.runtime_Semacquire(0xc0)
	/usr/local/go/src/runtime/sema.go:71 +0x18
example.com/raft.open.func2()
	/src/raft/raft_test.go:70 +0x18
github.com/distkit/dist/runtime.protect(0xc0)
	/dist/runtime/local.go:200 +0x18
github.com/distkit/dist/runtime.(*Local).end(0xc0)
	/dist/runtime/local.go:190 +0x18

goroutine 27 [running]:
	goroutine running on other thread; stack unavailable
created by github.com/distkit/dist/runtime/wire.(*Conn).request in goroutine 1
	/dist/runtime/wire/conn.go:270 +0x18
`

func TestDumpLines(t *testing.T) {
	now := time.Now()
	pending := []Pending{{Op: "call startReplica on node-1", Since: now.Add(-2 * time.Second)}}
	for _, test := range []struct {
		name string
		d    Dump
		want []string
	}{
		{"answers", Dump{Node: "node-1", PID: 7, Pending: pending, Stacks: someStacks}, []string{
			"node-1 (pid 7) answers:",
			"    call startReplica on node-1 has not returned for 2s",
			"    raft.startReplica is at /src/wait/leader.go:33 [chan receive, 2 minutes], in wait.(*Leader).Until",
			"    raft.step is at /src/raft/b_test.go:7 [sleep]",
			"    a cleanup is at /src/raft/raft_test.go:70 [semacquire]",
		}},
		{"after a signal", Dump{Node: "node-1", Stacks: "SIGQUIT: quit\nPC=0x1 m=0\n\n" + someStacks[strings.Index(someStacks, "goroutine 25"):]}, []string{
			"node-1 answers:",
			"    raft.step is at /src/raft/b_test.go:7 [sleep]",
			"    a cleanup is at /src/raft/raft_test.go:70 [semacquire]",
		}},
		{"idle", Dump{Node: "node-1", PID: 7, Stacks: "goroutine 1 [running]:\nmain.main()\n\t/x.go:1 +0x1\n"}, []string{"node-1 (pid 7) answers; no call is running on it"}},
		{"silent", Dump{Node: "node-1", PID: 7, Silent: "was paused by the test and does not answer", Pending: pending, Log: []string{"last"}}, []string{
			"node-1 (pid 7) was paused by the test and does not answer:",
			"    call startReplica on node-1 has not returned for 2s",
			"    | last",
		}},
	} {
		if diff := cmp.Diff(test.want, test.d.lines(now)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
