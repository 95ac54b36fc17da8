package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/distkit/dist/runtime/manager/keeper"
)

const logsHelp = `usage: dist logs [-f] [-n N] [-json] [cluster] [node]

Prints what the nodes of a cluster that is up have written, each line with the
node's name before it. A cluster is an id or the name of a program; it may be
left out where only one is up.

  -f       go on with what they write, as it comes, until the cluster ends
  -n N     begin with the last N lines of each node; -1, the default, is all
  -json    print a JSON object a line

Examples:

  dist logs etcd
  dist logs -f -n 10 etcd
  dist logs etcd node-2

Exit status: 0; 1 if there is no such cluster or node, 2 for usage.
`

func setupLogs(flags *flag.FlagSet) action {
	follow := flags.Bool("f", false, "")
	last := flags.Int("n", -1, "")
	asJSON := flags.Bool("json", false, "")
	return func(ctx context.Context, args []string, s streams) error {
		if len(args) > 2 {
			return noArguments("logs", args[2:])
		}
		v, err := lookAround(ctx)
		if err != nil {
			return err
		}
		defer v.close()
		v.tell("logs", s.err)
		c, nodes, err := v.chooseNodes(args)
		if err != nil {
			fmt.Fprintf(s.err, "dist logs: %v\n", err)
			return failed(exitFailed)
		}
		var logs []*nodeLog
		width := 0
		for _, n := range nodes {
			logs = append(logs, &nodeLog{cluster: c.ID, node: n.Name, file: n.Log})
			width = max(width, len(n.Name))
		}
		out := bufio.NewWriter(s.out)
		print := func(l *nodeLog, line []byte) {
			if *asJSON {
				b, _ := json.Marshal(logLine{l.cluster, l.node, string(line)}) // strings: cannot fail
				out.Write(append(b, '\n'))
				return
			}
			fmt.Fprintf(out, "%-*s | %s\n", width, l.node, line)
		}
		for _, l := range logs {
			if err := l.begin(*last, print); err != nil {
				return err
			}
			if !*follow && len(l.rest) > 0 { // it has no end yet
				print(l, l.rest)
			}
		}
		if err := out.Flush(); err != nil || !*follow {
			return err
		}
		return followLogs(ctx, c.client, logs, print, out)
	}
}

// A logLine is what dist logs -json prints. It is documented in docs/dist.md.
type logLine struct {
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
	Line    string `json:"line"`
}

// chooseNodes finds what the arguments of dist logs mean.
func (v *survey) chooseNodes(args []string) (owned, []keeper.NodeInfo, error) {
	clusters := v.clusters
	if len(args) > 0 {
		named := v.named(args[0])
		if len(named) > 0 || len(args) > 1 || len(clusters) != 1 {
			clusters, args = named, append([]string{args[0]}, args[1:]...)
		} else {
			args = append([]string{clusters[0].ID}, args...) // a node of the only one
		}
	}
	switch {
	case len(clusters) == 0 && len(args) > 0:
		return owned{}, nil, fmt.Errorf("no cluster %q is up (dist ps shows what is)", args[0])
	case len(clusters) == 0:
		return owned{}, nil, errors.New("no cluster is up")
	case len(clusters) > 1:
		return owned{}, nil, fmt.Errorf("which cluster? %s are up", ids(clusters))
	}
	c := clusters[0]
	if len(args) < 2 {
		return c, c.Nodes, nil
	}
	i := slices.IndexFunc(c.Nodes, func(n keeper.NodeInfo) bool { return n.Name == args[1] })
	if i < 0 {
		return owned{}, nil, fmt.Errorf("cluster %s has no node %q, only node-1 to node-%d", c.ID, args[1], len(c.Nodes))
	}
	return c, c.Nodes[i : i+1], nil
}

// A nodeLog is a file that a node writes, read up to some place.
type nodeLog struct {
	cluster, node, file string

	open *os.File // nil before the first read
	at   int64
	rest []byte // of a line that has no end yet
}

// begin prints the last lines that there are; all if last is negative.
func (l *nodeLog) begin(last int, print func(*nodeLog, []byte)) error {
	var lines [][]byte
	err := l.read(func(line []byte) {
		if last < 0 {
			print(l, line)
			return
		}
		if lines = append(lines, bytes.Clone(line)); len(lines) > 2*last+100 { // not all of a long log
			lines = slices.Delete(lines, 0, len(lines)-last)
		}
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read the log of %s: %w", l.node, err)
	}
	if last >= 0 && len(lines) > last {
		lines = lines[len(lines)-last:]
	}
	for _, line := range lines {
		print(l, line)
	}
	return nil
}

// read takes in what has been written since the last time. A file that has
// become shorter begins anew: so does its cluster. One that has been removed is
// read to its end first, which is where a node says why it has ended; then the
// error is os.ErrNotExist.
func (l *nodeLog) read(line func([]byte)) (err error) {
	if l.open == nil {
		f, err := os.Open(l.file)
		if err != nil {
			return err
		}
		l.open, l.at, l.rest = f, 0, nil
	}
	f := l.open
	now, removed := os.Stat(l.file) // before what is read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	defer func() {
		if removed != nil || !os.SameFile(now, info) {
			f.Close()
			l.open = nil
		}
		if err == nil {
			err = removed
		}
	}()
	if info.Size() < l.at {
		l.at, l.rest = 0, nil
	}
	if info.Size() == l.at {
		return nil
	}
	// A part at a time: a program may have printed gigabytes.
	in := io.NewSectionReader(f, l.at, info.Size()-l.at)
	buf := make([]byte, 256<<10)
	for {
		n, err := in.Read(buf)
		l.at += int64(n)
		l.rest = append(l.rest, buf[:n]...)
		rest := l.rest
		for {
			text, after, ok := bytes.Cut(rest, []byte{'\n'})
			if !ok {
				break
			}
			line(bytes.TrimSuffix(text, []byte{'\r'}))
			rest = after
		}
		if len(rest) > longestLine {
			line(rest)
			rest = nil
		}
		l.rest = append(l.rest[:0], rest...)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// longestLine is how long a line may be, in bytes: a longer one is shown in
// parts.
const longestLine = 1 << 20

// followEvery is how late a line may be shown.
const followEvery = 50 * time.Millisecond

// followLogs prints lines as they come, until the owner is gone or ctx ends.
func followLogs(ctx context.Context, c *keeper.Client, logs []*nodeLog, print func(*nodeLog, []byte), out *bufio.Writer) error {
	ticks := time.NewTicker(followEvery)
	defer ticks.Stop()
	for over := false; ; {
		gone := 0
		for _, l := range logs {
			err := l.read(func(line []byte) { print(l, line) })
			if errors.Is(err, os.ErrNotExist) {
				gone++
			} else if err != nil {
				return fmt.Errorf("read the log of %s: %w", l.node, err)
			}
		}
		if err := out.Flush(); err != nil {
			return nil // whoever read it has had enough
		}
		if over || gone == len(logs) {
			return nil
		}
		select {
		case <-ctx.Done():
			over = true
		case <-c.Done():
			over = true
		case <-ticks.C:
		}
	}
}
