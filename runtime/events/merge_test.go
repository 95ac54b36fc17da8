package events

import (
	"strings"
	"testing"
	"time"
)

func TestMerge(t *testing.T) {
	rec := &Record{Events: []Event{
		{At: 1_000_000, Kind: Start, Dur: 2_000_000, Node: "node-1", PID: 7, Outcome: OK, Addrs: []string{"raft=127.3.4.4:7000", "raft=127.3.4.4:8000"}},
		{At: 1_000_000, Kind: Start, Dur: 1_000_000, Node: "node-2", PID: 8, Outcome: OK, Addrs: []string{"raft=127.3.4.5:7000"}},
		{At: 4_000_000, Kind: Log, Node: "node-1", Text: "dial 127.3.4.5:7000: refused; peers [127.3.4.4:7000 127.3.4.5:70001], at 12:30:01."},
		{At: 5_000_000, Kind: Log, Node: "node-2", Text: "\x1b[31mred\x1b[0m\x00\tand 127.3.4.4:8000:"},
		{At: 5_500_000, Kind: CallDone, Node: "node-2"},
		{At: 6_000_000, Kind: Exit, Node: "node-2", Text: "killed by SIGKILL", Reason: "killed by the test"},
		{At: 7_000_000, Kind: Print, Test: "TestX", Text: "two\nlines"},
	}}
	rec.Header.Package, rec.Header.Start = "example.com/kv", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var b strings.Builder
	if err := rec.Merge(&b); err != nil {
		t.Fatal(err)
	}
	want := `example.com/kv, 2026-01-02T03:04:05Z
[2.000ms node-2] -- ready after 1ms (pid 8)
[3.000ms node-1] -- ready after 2ms (pid 7)
[4.000ms node-1] dial node-2:raft: refused; peers [node-1:raft 127.3.4.5:70001], at 12:30:01.
[5.000ms node-2] [31mred[0m` + "\t" + `and node-1:raft:
[6.000ms node-2] -- ended: killed by SIGKILL, killed by the test
[7.000ms TestX] two
[7.000ms TestX] lines
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
