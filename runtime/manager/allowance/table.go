package allowance

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A record is one process's line in the table.
type record struct {
	id     string // its pipe's name
	pid    int
	tests  int    // nodes that tests have
	kept   int    // nodes of clusters that are there until somebody ends them
	spare  int    // idle nodes, which are given up when somebody waits
	wants  int    // nodes of the request that it waits with; 0: it does not wait
	ticket uint64 // place of that request in the queue: lower ones are served first
	since  int64  // Unix time in ms at which the oldest lease began
	name   string // what the process is: its package
	test   string // who has the oldest lease, or waits
}

func (r *record) nodes() int { return r.tests + r.kept + r.spare }

// A table is what all processes have and want.
type table struct {
	next    uint64 // ticket
	records []record
}

func (t *table) find(id string) *record {
	for i := range t.records {
		if t.records[i].id == id {
			return &t.records[i]
		}
	}
	return nil
}

func (t *table) remove(id string) {
	t.records = slices.DeleteFunc(t.records, func(r record) bool { return r.id == id })
}

// drop removes the lines of dead processes, and returns whose they were.
func (t *table) drop(dead func(id string) bool) (gone []string) {
	t.records = slices.DeleteFunc(t.records, func(r record) bool {
		if !dead(r.id) {
			return false
		}
		gone = append(gone, r.id)
		return true
	})
	return gone
}

// The bounds of what makes sense in a table.
const (
	mostBytes   = 1 << 20
	mostRecords = 4096
	mostNodes   = 1 << 16 // of one process
	mostText    = 512
	mostTickets = math.MaxInt64 / 2
)

// tableFile is the table's name in the directory.
const tableFile = "table"

// header begins the table: what it is, the next ticket, and the length in bytes and
// checksum of the lines that follow. What comes after those is of an earlier,
// longer table.
const header = "dist allowance 1 %016x %08x %08x\n"

var headerSize = len(fmt.Sprintf(header, 0, 0, 0))

func (t *table) format() []byte {
	b := make([]byte, headerSize, headerSize+128*len(t.records))
	for i := range t.records {
		r := &t.records[i]
		b = append(b, r.id...)
		for _, n := range []int64{int64(r.pid), int64(r.tests), int64(r.kept), int64(r.spare), int64(r.wants), int64(r.ticket), r.since} {
			b = strconv.AppendInt(append(b, ' '), n, 10)
		}
		b = strconv.AppendQuote(append(b, ' '), r.name)
		b = strconv.AppendQuote(append(b, ' '), r.test)
		b = append(b, '\n')
	}
	body := b[headerSize:]
	copy(b, fmt.Appendf(nil, header, t.next, len(body), crc32.ChecksumIEEE(body)))
	return b
}

// parse reads a table. whole = false says that it is not what somebody has
// written: then the lines that make sense are still there, others are not.
func parse(b []byte) (t table, whole bool) {
	var size, sum uint64
	t.next = 1
	if len(b) >= headerSize {
		var next uint64
		h := string(b[:headerSize])
		if _, err := fmt.Sscanf(h, header, &next, &size, &sum); err == nil && h == fmt.Sprintf(header, next, size, sum) && next > 0 && next <= mostTickets {
			t.next = next
			b = b[headerSize:]
			if size <= uint64(len(b)) {
				b = b[:size]
				whole = uint64(crc32.ChecksumIEEE(b)) == sum
			}
		}
	}
	for line := range bytes.Lines(b) {
		r, ok := parseRecord(string(line))
		if !ok || len(t.records) == mostRecords || t.find(r.id) != nil {
			whole = false
			continue
		}
		t.records = append(t.records, r)
	}
	for _, r := range t.records {
		if r.ticket >= t.next {
			t.next, whole = r.ticket+1, false
		}
	}
	return t, whole
}

func parseRecord(line string) (r record, ok bool) {
	line, ok = strings.CutSuffix(line, "\n")
	if !ok {
		return r, false
	}
	r.id, line, _ = strings.Cut(line, " ")
	if !isID(r.id) {
		return r, false
	}
	var n [7]int64
	for i := range n {
		var word string
		word, line, _ = strings.Cut(line, " ")
		v, err := strconv.ParseInt(word, 10, 64)
		if err != nil || v < 0 {
			return r, false
		}
		n[i] = v
	}
	if n[0] == 0 || n[0] > math.MaxInt32 || max(n[1], n[2], n[3], n[4]) > mostNodes || n[5] >= mostTickets {
		return r, false
	}
	r.pid, r.tests, r.kept, r.spare, r.wants = int(n[0]), int(n[1]), int(n[2]), int(n[3]), int(n[4])
	r.ticket, r.since = uint64(n[5]), n[6]
	for _, to := range []*string{&r.name, &r.test} {
		word, err := strconv.QuotedPrefix(line)
		if err != nil {
			return r, false
		}
		if *to, err = strconv.Unquote(word); err != nil {
			return r, false
		}
		*to = printable(*to)
		line = strings.TrimPrefix(line[len(word):], " ")
	}
	return r, line == ""
}

// printable is a text as it may be shown on a terminal.
func printable(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return -1
	}, s)
	return strings.ToValidUTF8(s[:min(len(s), mostText)], "")
}

const (
	idPrefix = "p"
	idDigits = 16
)

// isID reports whether a name can be that of a process's pipe: it is used as a
// file's name.
func isID(s string) bool {
	digits, ok := strings.CutPrefix(s, idPrefix)
	return ok && len(digits) == idDigits && strings.Trim(digits, "0123456789abcdef") == ""
}

// An ask is a request as it is judged by the table.
type ask struct {
	id      string          // of the process that asks
	nodes   int             // asked for
	idle    int             // of those, idle ones that the process has already
	ticket  uint64          // lower ones are served first
	total   int             // how many may run at once
	room    func() int      // how many more the memory bears now; nil: any number
	holding bool            // the process must not wait
	passed  map[string]bool // processes that do not take their turn
}

// A verdict is the answer to an ask.
type verdict struct {
	granted bool
	over    int  // how many nodes beyond what may run at once it makes, for one that must not wait
	first   bool // it is at the head of the queue
}

// judge decides whether a request is granted now.
func (t *table) judge(a ask) verdict {
	used, others := 0, 0
	for i := range t.records {
		r := &t.records[i]
		used += r.nodes()
		if r.id != a.id {
			others += r.tests + r.spare
		}
	}
	more := max(a.nodes-a.idle, 0)
	if a.holding {
		return verdict{granted: true, first: true, over: min(max(used+more-a.total, 0), max(more, 0))}
	}
	if t.ahead(a) != nil {
		return verdict{}
	}
	alone := others == 0
	fits := used+more <= a.total && (alone || a.room == nil || more <= a.room())
	return verdict{granted: fits || alone, first: true}
}

// ahead is the first in the queue of those that come before a; nil if there is
// none.
func (t *table) ahead(a ask) (first *record) {
	for i := range t.records {
		r := &t.records[i]
		if r.id != a.id && r.wants > 0 && r.ticket < a.ticket && !a.passed[r.id] && (first == nil || r.ticket < first.ticket) {
			first = r
		}
	}
	return first
}

// spares decides whether a process may start idle nodes.
func (t *table) spares(a ask) bool {
	used := 0
	for i := range t.records {
		used += t.records[i].nodes()
		if t.records[i].wants > 0 {
			return false
		}
	}
	return used+a.nodes <= a.total && (used == 0 || a.room == nil || a.nodes <= a.room())
}

// shownHolders is how many processes are named to somebody who waits.
const shownHolders = 8

// holders says who has nodes besides a process, the longest first, and how many ask before it.
func (t *table) holders(a ask, now time.Time) (lines []string, used int) {
	var rest []record
	queue := 0
	for _, r := range t.records {
		used += r.nodes()
		if r.id == a.id {
			continue
		}
		if r.nodes() > 0 {
			rest = append(rest, r)
		}
		if r.wants > 0 && r.ticket < a.ticket {
			queue++
		}
	}
	slices.SortFunc(rest, func(x, y record) int { return int(min(max(x.since-y.since, -1), 1)) })
	for i, r := range rest {
		if i == shownHolders {
			lines = append(lines, fmt.Sprintf("and %d more processes", len(rest)-i))
			break
		}
		lines = append(lines, r.describe(now))
	}
	if queue > 0 {
		lines = append(lines, fmt.Sprintf("%s asked before", count(queue, "other process", "other processes")))
	}
	return lines, used
}

func (r *record) describe(now time.Time) string {
	who := fmt.Sprintf("%s (pid %d)", r.name, r.pid)
	if r.tests+r.kept == 0 {
		return fmt.Sprintf("%s has %s", who, count(r.spare, "spare node", "spare nodes"))
	}
	age := max(now.Sub(time.UnixMilli(r.since)), 0)
	text := fmt.Sprintf("%s of %s has had %s for %v", r.test, who, count(r.tests+r.kept, "node", "nodes"), age.Round(100*time.Millisecond))
	if r.spare > 0 {
		text += fmt.Sprintf(", and %d spare", r.spare)
	}
	return text
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
