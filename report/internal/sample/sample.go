// Package sample makes files of events such as a run leaves, for the tests of
// the report and of its page in a browser.
package sample

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
)

// A line is one of a file of events; its fields are those of docs/events.md.
type line = map[string]any

// A recorder writes events as a run does: at their end.
type recorder struct {
	enc   *json.Encoder
	count int
	err   error
}

func (r *recorder) write(l line) {
	if r.err == nil {
		r.err = r.enc.Encode(l)
		r.count++
	}
}

const (
	µs = 1_000
	ms = 1_000_000
)

// A Run is what Write makes: two tests of a replicated store, of which the first
// passes. In the second a leader is cut off and comes back, a node is killed
// and restarted, and another crashes while its log is truncated.
type Run struct {
	Seed   uint64
	Nodes  int // of each cluster, 3 at least
	Events int // about how many; 0 for some hundreds
}

// Write writes the file of events of a run.
func (o Run) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	r := &recorder{enc: enc}
	rng := rand.New(rand.NewPCG(o.Seed, 7))
	r.write(line{
		"schema": "dist.events/1", "run": "rfy4c3sxkq2h", "start": "2026-03-02T10:15:04.120394855Z", "package": "example.com/kv/raft",
		"pid": 48210, "go": "go1.26.8", "os": "linux", "arch": "amd64", "cpus": 8, "args": []string{"-test.v", "-test.timeout=10m0s"},
	})
	n := max(o.Nodes, 3)
	end := o.elect(r, rng, n)
	o.crash(r, rng, n, end+3*ms)
	r.write(line{"t": end + 900*ms, "kind": "run", "outcome": "failed"})
	return r.err
}

func name(i int) string { return fmt.Sprintf("node-%d", i+1) }

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = name(i)
	}
	return all
}

// up starts a cluster for a test and returns when it is there.
func up(r *recorder, rng *rand.Rand, test, cluster string, n int, at int64, pid int) int64 {
	r.write(line{"t": at, "kind": "decision", "test": test, "size": n, "outcome": "start", "reason": fmt.Sprintf("%d nodes, by the test", n)})
	r.write(line{"t": at + 10*µs, "kind": "print", "test": test, "text": fmt.Sprintf("cluster %s: started %s in 8.4ms", cluster, strings.Join(names(n), ", "))})
	var last int64
	for i := range n {
		d := int64(6*ms + rng.IntN(3*ms))
		r.write(line{"t": at + 20*µs, "dur": d, "kind": "start", "cluster": cluster, "node": name(i), "pid": pid + i, "outcome": "ok"})
		last = max(last, at+20*µs+d)
	}
	return last
}

func call(r *recorder, test, cluster string, node int, what string, at, dur int64, more line) {
	l := line{"t": at, "dur": dur, "kind": "call.done", "test": test, "cluster": cluster, "node": name(node), "what": what, "outcome": "ok"}
	for k, v := range more {
		l[k] = v
	}
	r.write(l)
}

func logLine(r *recorder, cluster string, node int, at int64, format string, args ...any) {
	r.write(line{"t": at, "kind": "log", "cluster": cluster, "node": name(node), "text": fmt.Sprintf(format, args...)})
}

// elect is a test that passes.
func (o Run) elect(r *recorder, rng *rand.Rand, n int) int64 {
	const test, cluster = "TestElection", "rfy4c3sxkq2h-1"
	at := up(r, rng, test, cluster, n, 1*ms, 48220) + 100*µs
	begin := at
	for i := range n {
		call(r, test, cluster, i, "raft.startReplica", at, int64(2*ms+rng.IntN(ms)), line{"bytes": 184})
		logLine(r, cluster, i, at+1*ms, "raft: %s follower at term 0", name(i))
	}
	at += 4 * ms
	for i := range n {
		r.write(line{"t": at + int64(rng.IntN(4*ms)), "dur": 5 * ms, "kind": "barrier", "cluster": cluster, "node": name(i), "what": "joined", "outcome": "ok"})
	}
	at += 12 * ms
	logLine(r, cluster, 1, at, "raft: node-2 elected leader at term 1")
	for i := range n {
		call(r, test, cluster, i, "raft.leader", at+ms, int64(120*µs+rng.IntN(90*µs)), nil)
	}
	at += 4 * ms
	r.write(line{"t": begin, "dur": at - begin, "kind": "lease", "test": test, "cluster": cluster, "nodes": names(n)})
	r.write(line{"t": 1 * ms, "dur": at, "kind": "test", "test": test, "outcome": "ok"})
	for i := range n {
		r.write(line{"t": at + int64(i)*200*µs + ms, "kind": "exit", "cluster": cluster, "node": name(i), "pid": 48220 + i, "text": "exit status 0", "outcome": "ok"})
	}
	return at
}

// crash is a test that fails.
func (o Run) crash(r *recorder, rng *rand.Rand, n int, at int64) {
	const test, cluster = "TestLeaderSurvivesCrash", "rfy4c3sxkq2h-2"
	first := at
	at = up(r, rng, test, cluster, n, at, 48240) + 100*µs
	begin := at
	for i := range n {
		call(r, test, cluster, i, "raft.startReplica", at, int64(2*ms+rng.IntN(ms)), line{"bytes": 184})
		logLine(r, cluster, i, at+ms, "raft: %s follower at term 0", name(i))
	}
	at += 5 * ms
	for i := range n {
		d := int64(rng.IntN(6 * ms))
		r.write(line{"t": at + d, "dur": 7*ms - d, "kind": "barrier", "cluster": cluster, "node": name(i), "what": "ready", "outcome": "ok"})
	}
	at += 8 * ms
	logLine(r, cluster, 0, at, "raft: node-1 elected leader at term 1")

	writes := func(until int64, leader int, each int64) {
		for k := 0; at < until; k++ {
			d := int64(280*µs + rng.IntN(500*µs))
			call(r, test, cluster, leader, "raft.put", at, d, line{"bytes": 64})
			if k%2 == 0 {
				logLine(r, cluster, leader, at+d/2, "raft: append index=%d term=1", r.count)
			}
			if k%3 == 0 {
				for i := range n {
					if i != leader {
						logLine(r, cluster, i, at+d/2+int64(rng.IntN(300*µs)), "raft: commit index=%d", r.count)
					}
				}
			}
			at += each + int64(rng.IntN(int(each)/2+1))
		}
	}
	extra := o.Events
	each := int64(2 * ms)
	if extra > 0 {
		// A call comes with half a line of its node's log, and a third of one of each other.
		each = 100 * ms / max(int64(extra)*7/int64(9+2*(n-1)), 50)
	}
	writes(at+60*ms, 0, each)

	// The leader is cut off.
	var pairs [][2]string
	for i := 1; i < n; i++ {
		pairs = append(pairs, [2]string{name(0), name(i)}, [2]string{name(i), name(0)})
	}
	r.write(line{"t": at, "dur": 340 * µs, "kind": "fault", "test": test, "cluster": cluster, "what": "isolate", "node": "node-1", "outcome": "ok", "pairs": pairs})
	r.write(line{"t": at + 350*µs, "kind": "print", "test": test, "text": "node-1 isolated"})
	cut := at
	at += 2 * ms
	call(r, test, cluster, 0, "raft.put", at, 38*ms, line{"outcome": "ended", "error": "context deadline exceeded"})
	for i := 1; i < n; i++ {
		logLine(r, cluster, i, at+int64(9+i)*ms, "raft: heartbeat timeout, becoming candidate")
	}
	logLine(r, cluster, 0, at+12*ms, "raft: failed to contact quorum, stepping down")
	at += 20 * ms
	logLine(r, cluster, 1, at, "raft: node-2 elected leader at term 2")
	at += ms
	writes(cut+45*ms, 1, each)
	r.write(line{"t": at, "dur": 120 * µs, "kind": "fault", "test": test, "cluster": cluster, "what": "heal", "outcome": "ok", "pairs": [][2]string{}})
	at += 3 * ms
	logLine(r, cluster, 0, at, "raft: node-1 follower at term 2, truncating log from index 41")

	// A follower is paused, killed and comes back.
	r.write(line{"t": at + ms, "dur": 30 * µs, "kind": "fault", "test": test, "cluster": cluster, "what": "pause", "node": "node-3", "outcome": "ok"})
	r.write(line{"t": at + 11*ms, "dur": 30 * µs, "kind": "fault", "test": test, "cluster": cluster, "what": "resume", "node": "node-3", "outcome": "ok"})
	at += 2 * ms
	writes(at+16*ms, 1, each)
	r.write(line{"t": at, "dur": 900 * µs, "kind": "fault", "test": test, "cluster": cluster, "what": "kill", "node": "node-3", "outcome": "ok"})
	r.write(line{"t": at + 900*µs, "kind": "exit", "cluster": cluster, "node": "node-3", "pid": 48242, "text": "killed by SIGKILL", "outcome": "killed"})
	at += 12 * ms
	r.write(line{"t": at, "dur": 8 * ms, "kind": "fault", "test": test, "cluster": cluster, "what": "restart", "node": "node-3", "outcome": "ok"})
	r.write(line{"t": at + 500*µs, "dur": 7400 * µs, "kind": "start", "cluster": cluster, "node": "node-3", "pid": 48251, "outcome": "ok"})
	at += 9 * ms
	call(r, test, cluster, 2, "raft.startReplica", at, 3*ms, nil)
	at += 4 * ms
	writes(at+14*ms, 1, each)

	// The old leader has truncated too much.
	lostAt := at + 6*ms
	waiting := line{"t": at, "kind": "call", "id": 9001, "test": test, "cluster": cluster, "node": "node-2", "what": "raft.waitApplied"}
	r.write(waiting)
	logLine(r, cluster, 0, at+2*ms, "raft: restoring snapshot 2-40-1772446504120")
	logLine(r, cluster, 0, lostAt-300*µs, "panic: runtime error: slice bounds out of range [41:38]")
	logLine(r, cluster, 0, lostAt-290*µs, "goroutine 57 [running]:")
	logLine(r, cluster, 0, lostAt-280*µs, "example.com/kv/raft.(*log).truncate(0xc000112000, 0x29)")
	logLine(r, cluster, 0, lostAt-270*µs, "\t/src/kv/raft/log.go:88 +0x1a5")
	r.write(line{"t": lostAt, "kind": "exit", "cluster": cluster, "node": "node-1", "pid": 48240, "text": "exit status 2", "outcome": "crashed"})
	call(r, test, cluster, 0, "raft.get", at+ms, lostAt-at-ms+200*µs, line{"outcome": "lost", "error": "node-1 is gone: exit status 2"})
	r.write(line{"t": lostAt + 400*µs, "kind": "diagnosis", "test": test, "cluster": cluster, "node": "node-1", "code": "DIST-NODE-LOST", "text": "dist: node-1 of rfy4c3sxkq2h-2 was lost during raft.get [DIST-NODE-LOST]\n" +
		"cause: it ended by itself: exit status 2\nevidence:\n    last lines of its log:\n        panic: runtime error: slice bounds out of range [41:38]\n        goroutine 57 [running]:\n        example.com/kv/raft.(*log).truncate(0xc000112000, 0x29)\n            /src/kv/raft/log.go:88 +0x1a5\nwhat to do:\n    read where it panicked: /src/kv/raft/log.go:88"})
	for i := range n {
		if i > 0 && i != 1 {
			r.write(line{"t": at + ms, "dur": 9 * ms, "kind": "barrier", "cluster": cluster, "node": name(i), "what": "applied", "outcome": "failed", "error": "node-1 is gone"})
		}
	}
	call(r, test, cluster, 2, "raft.get", lostAt+ms, 2*ms, line{"outcome": "error", "error": "raft: leader unknown (connection refused)"})
	end := lostAt + 6*ms
	r.write(line{"t": begin, "dur": end - begin, "kind": "lease", "test": test, "cluster": cluster, "nodes": names(n)})
	r.write(line{"t": first, "dur": end - first, "kind": "test", "test": test, "outcome": "failed"})
	for i := 1; i < n; i++ {
		r.write(line{"t": end + int64(i)*200*µs, "kind": "exit", "cluster": cluster, "node": name(i), "pid": 48240 + i, "text": "killed by SIGKILL", "outcome": "killed"})
	}
}

// Hostile is a file of events whose texts try to break out of the page, or to
// break what reads them.
func Hostile(w io.Writer) error {
	texts := []string{
		`</script><script>window.pwned = 1</script>`,
		`<!--<script>`, `--></script>`, `<img src=x onerror="window.pwned=2">`, `"><svg onload=window.pwned=3>`,
		"line\u2028separator\u2029window.pwned=4;//", "`${window.pwned=5}`", `\u003c/script>`, `{{.Run}} {{"x"}}`, `</style><b>bold</b>`,
		"\x1b[31mred\x1b[0m and \x1b]0;title\x07 and \x00 zero \x7f", "right to left: \u202egnp.exe", `&lt;b&gt;`, "a\tb\r\n  second\r\n\tthird\n",
		"\ufeffbyte order mark", strings.Repeat("😀", 300), "", " ", `__proto__`, `constructor`, `</noscript><script>window.pwned=6</script>`,
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	r := &recorder{enc: enc}
	r.write(line{"schema": "dist.events/1", "run": texts[0], "start": texts[3], "package": texts[4], "go": texts[0], "args": texts, "future": map[string]any{"x": 1}})
	at := int64(ms)
	for i, s := range texts {
		test := "Test" + texts[0]
		at += 50 * µs
		r.write(line{"t": at, "kind": "log", "cluster": "c", "node": "node-1", "text": s})
		r.write(line{"t": at, "kind": "call.done", "dur": 20 * µs, "test": test, "cluster": "c", "node": s, "peer": texts[(i+1)%len(texts)], "what": s, "outcome": "error", "error": s})
		r.write(line{"t": at, "kind": s, "test": test, "what": s, "text": s, "outcome": s, "seed": s, "file": s, "code": s})
		r.write(line{"t": at, "kind": "fault", "test": test, "cluster": "c", "node": s, "what": s, "pairs": [][2]string{{s, "node-1"}, {"nobody", "either"}}})
		r.write(line{"t": at, "kind": "diagnosis", "test": test, "cluster": "c", "node": s, "code": s, "text": s})
	}
	r.write(line{"t": at, "kind": "log", "cluster": "c", "node": "node-1", "text": strings.Repeat("long ", 1<<18)}) // over 1 MiB
	r.write(line{"t": at, "kind": "test", "test": "Test" + texts[0], "dur": at, "outcome": "failed", "error": texts[0]})
	if r.err != nil {
		return r.err
	}
	_, err := io.WriteString(w, "{\"t\":2000000,\"kind\":\"log\",\"cluster\":\"c\",\"node\":\"node-1\",\"text\":\"not UTF-8: \xff\xfe\xc3(\"}\n"+
		"not JSON\n[1,2]\nnull\n{\"t\":\"soon\",\"kind\":\"log\",\"text\":\"a time that is none\"}\n{\"t\":-5,\"dur\":9223372036854775807,\"kind\":\"log\",\"text\":\"a time before all\"}\n"+
		"{\"t\":3000000,\"kind\":\"log\",\"pid\":1e400,\"nodes\":\"x\",\"text\":\"fields of other types\"}\n"+
		"{\"t\":3000000,\"kind\":\"log\",\"text\":\"cut in the midd")
	return err
}
