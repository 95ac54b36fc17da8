package events

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Merge writes what nodes and the test have said in one log, in the order of
// time, with how processes and faults came and went in between:
//
//	[12.345ms node-1] listening on node-1:raft
//
// Addresses that dist gave to nodes are replaced by the node's name and the
// port's. Characters that a terminal would act upon are left out.
func (r *Record) Merge(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s, %s\n", r.Header.Package, r.Header.Start.Format(time.RFC3339Nano))
	names := make(addresses)
	// A line is told of at its end, when what it says was known.
	told := slices.Clone(r.Events)
	for i, e := range told {
		if e.Kind == Start || e.Kind == Test {
			told[i].At += e.Dur
		}
	}
	slices.SortStableFunc(told, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	for _, e := range told {
		who, text := e.Node, ""
		switch e.Kind {
		case Start:
			names.learn(e.Node, e.Addrs)
			if text = fmt.Sprintf("-- ready after %v (pid %d)", e.Dur.Round(10*time.Microsecond), e.PID); e.Error != "" {
				text = "-- not started: " + e.Error
			}
		case Log:
			text = e.Text
		case Print:
			text = e.Text
		case Exit:
			text = "-- ended: " + e.Text
			if e.Reason != "" {
				text += ", " + e.Reason
			}
		case Fault:
			if text = "-- " + e.Text; e.Text == "" {
				text = "-- " + e.What
			}
			if e.Error != "" {
				text += ": " + e.Error
			}
		case Diagnose:
			text = "-- " + e.Text
		case Test:
			text = "-- " + e.Outcome
		case Dropped:
			text = fmt.Sprintf("-- %d events were left out", e.Size)
		default:
			continue
		}
		if who == "" {
			if who = e.Test; who == "" {
				who = "test"
			}
		}
		for line := range strings.Lines(text) {
			fmt.Fprintf(b, "[%.3fms %s] %s\n", float64(e.At)/1e6, who, names.replace(printable(strings.TrimRight(line, "\r\n"))))
		}
	}
	return b.Flush()
}

// printable leaves out what is no text: control characters, among them those
// that begin a terminal's sequences.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}

// addresses are the names of those that nodes have.
type addresses map[string]string // "127.3.4.5:7000" → "node-2:raft"

// learn notes the addresses of a node: "raft=127.3.4.5:7000".
func (a addresses) learn(node string, addrs []string) {
	for _, s := range addrs {
		if port, addr, ok := strings.Cut(s, "="); ok {
			a[addr] = node + ":" + port
		}
	}
}

// replace puts names in the place of addresses of digits, dots and a port.
func (a addresses) replace(line string) string {
	if len(a) == 0 || strings.IndexByte(line, ':') < 0 {
		return line
	}
	isPart := func(c byte) bool { return c >= '0' && c <= '9' || c == '.' || c == ':' }
	var b strings.Builder
	for i := 0; i < len(line); {
		j := i
		for j < len(line) && isPart(line[j]) {
			j++
		}
		if j == i {
			for j < len(line) && !isPart(line[j]) {
				j++
			}
			b.WriteString(line[i:j])
			i = j
			continue
		}
		token := line[i:j]
		addr := strings.TrimRight(token, ".:")
		if name, ok := a[addr]; ok {
			b.WriteString(name + token[len(addr):])
		} else {
			b.WriteString(token)
		}
		i = j
	}
	return b.String()
}
