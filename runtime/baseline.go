package runtime

import (
	"bytes"
	"context"
	"fmt"
	goruntime "runtime"
	"strings"
	"time"

	"github.com/distkit/dist/runtime/manager"
)

// A baseline is what a node consisted of when a lease began. A node is clean if
// it is the same again at the end.
type baseline struct {
	goroutines map[string]bool // by id
	sockets    map[string]bool // by inode
	children   map[string]bool // by process id
}

func newBaseline() *baseline {
	b := &baseline{goroutines: make(map[string]bool), sockets: make(map[string]bool), children: make(map[string]bool)}
	for id := range goroutines() {
		b.goroutines[id] = true
	}
	for _, inode := range sockets() {
		b.sockets[inode] = true
	}
	for _, pid := range children() {
		b.children[pid] = true
	}
	return b
}

// compare notes what is there now and was not then. What is just ending gets a
// moment to end.
func (b *baseline) compare(ctx context.Context, r *manager.EndReport) {
	for pause := 20 * time.Microsecond; ; pause *= 2 {
		r.Goroutines = r.Goroutines[:0]
		for id, stack := range goroutines() {
			if !b.goroutines[id] && !isOurs(stack) {
				r.Goroutines = append(r.Goroutines, describeGoroutine(stack))
			}
		}
		r.Listeners = difference(sockets(), b.sockets)
		r.Children = difference(children(), b.children)
		if r.Clean() || pause > 50*time.Millisecond || ctx.Err() != nil {
			break
		}
		time.Sleep(pause)
	}
	// Only what is new is worth describing: the kernel's list of sockets takes
	// milliseconds to read.
	for i, inode := range r.Listeners {
		r.Listeners[i] = describeSocket(inode)
	}
	for i, pid := range r.Children {
		r.Children[i] = describeChild(pid)
	}
}

// difference is what is there now and was not then, by id.
func difference(now []string, then map[string]bool) (more []string) {
	for _, id := range now {
		if !then[id] {
			more = append(more, id)
		}
	}
	return more
}

// goroutines returns the stacks of all goroutines by id.
func goroutines() map[string]string {
	buf := make([]byte, 64<<10)
	for {
		n := goruntime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	all := make(map[string]string)
	for stack := range bytes.SplitSeq(buf, []byte("\n\n")) {
		// goroutine 7 [running]:
		if rest, ok := bytes.CutPrefix(stack, []byte("goroutine ")); ok {
			id, _, _ := bytes.Cut(rest, []byte(" "))
			all[string(id)] = string(stack)
		}
	}
	return all
}

// isOurs recognises the goroutines that serve the control channel. They come
// and go with requests.
func isOurs(stack string) bool {
	return strings.Contains(stack, "dist/runtime/wire.(*") && !strings.Contains(stack, "dist/runtime.(*nodeSide).call")
}

// describeGoroutine is where a goroutine is and who started it, in one line.
func describeGoroutine(stack string) string {
	lines := strings.Split(stack, "\n")
	at, created := "", ""
	if len(lines) > 1 {
		at, _, _ = strings.Cut(lines[1], "(0x")
		at = strings.TrimSuffix(at, "(...)")
	}
	for i, line := range lines {
		if by, ok := strings.CutPrefix(line, "created by "); ok {
			by, _, _ = strings.Cut(by, " in goroutine")
			created = ", started by " + by
			if i+1 < len(lines) {
				where, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " +0x")
				created += " (" + where + ")"
			}
		}
	}
	head, _, _ := strings.Cut(lines[0], ":")
	return fmt.Sprintf("%s in %s%s", head, at, created)
}
