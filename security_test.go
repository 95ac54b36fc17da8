package dist_test

import (
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/distkit/dist"
)

// TestSecurityClaims: what SECURITY.md claims is shown by tests that there are.
func TestSecurityClaims(t *testing.T) {
	text := readFile(t, "SECURITY.md")
	named := regexp.MustCompile(`\[((?:Test|Fuzz)\w+)\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1)
	for _, m := range named {
		if source := readFile(t, filepath.FromSlash(m[2])); !strings.Contains(source, "\nfunc "+m[1]+"(") {
			t.Errorf("SECURITY.md names %s, which is not in %s", m[1], m[2])
		}
	}
	// Each item of what is claimed names one.
	_, claims, ok := strings.Cut(text, "## What stops them")
	claims, _, end := strings.Cut(claims, "\n## ")
	if !ok || !end {
		t.Fatal("SECURITY.md does not say what stops them")
	}
	items := regexp.MustCompile(`(?m)^- `).Split(claims, -1)[1:]
	if len(items) < 10 {
		t.Errorf("only %d claims are found", len(items))
	}
	for _, item := range items {
		if !strings.Contains(item, "[Test") && !strings.Contains(item, "[Fuzz") {
			t.Errorf("no test shows that %s", item)
		}
	}
}

// TestNothingListensOutsideLoopback looks at all sockets of a test process whose
// nodes serve and are cut off from each other, and at theirs.
//
//dist:nodes=3 ports=tcp
func TestNothingListensOutsideLoopback(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells who listens where")
	}
	n := newNetwork(t)
	n.ok(n.Isolate(n.Node(0)))
	pids := []int{os.Getpid()}
	for _, node := range n.Nodes() {
		pids = append(pids, node.PID())
	}
	found := 0
	for i, pid := range pids {
		addrs := listening(t, pid)
		for _, a := range addrs {
			if !a.Addr().Unmap().IsLoopback() {
				t.Errorf("process %d listens on %v", pid, a)
			}
		}
		if i > 0 {
			found += len(addrs)
		}
	}
	if found < 3 {
		t.Errorf("%d sockets of nodes are found, which serve", found)
	}
	n.ok(n.Heal())
}

// TestNodesDoNotListen: what a node is told comes by a socket that has no name.
//
//dist:nodes=2 ports=tcp
func TestNodesDoNotListen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells who listens where")
	}
	for _, node := range dist.Require(t).Nodes() {
		if addrs := listening(t, node.PID()); len(addrs) > 0 {
			t.Errorf("%s listens on %v before anybody told it to", node.Name(), addrs)
		}
	}
}

// listening is where the sockets of a process listen, those of its network
// namespace if it has one of its own left out: nobody else is in there.
func listening(t *testing.T, pid int) (addrs []netip.AddrPort) {
	t.Helper()
	own, err := os.Readlink("/proc/self/ns/net")
	its, itsErr := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil || itsErr != nil {
		t.Fatal(err, itsErr)
	}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	inodes := make(map[string]bool)
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil {
			if inode, ok := strings.CutPrefix(link, "socket:["); ok {
				inodes[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	for _, kind := range []string{"tcp", "tcp6", "udp", "udp6"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, kind))
		if err != nil {
			continue // no IPv6
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) < 10 || !inodes[f[9]] || strings.HasPrefix(kind, "tcp") && f[3] != "0A" {
				continue
			}
			host, port, _ := strings.Cut(f[1], ":")
			p, err := strconv.ParseUint(port, 16, 16)
			if err != nil {
				t.Fatalf("%s: %q", kind, line)
			}
			var ip []byte
			for i := 0; i+8 <= len(host); i += 8 { // words, as little-endian machines print them
				w, err := strconv.ParseUint(host[i:i+8], 16, 32)
				if err != nil {
					t.Fatalf("%s: %q", kind, line)
				}
				ip = append(ip, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
			}
			a, _ := netip.AddrFromSlice(ip)
			if own != its {
				a = netip.IPv6Loopback()
			}
			addrs = append(addrs, netip.AddrPortFrom(a, uint16(p)))
		}
	}
	return addrs
}

// TestFilesArePrivate: nobody but this user can read what nodes write, nor make
// anything beside it.
//
//dist:nodes=2 ports=tcp
func TestFilesArePrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes")
	}
	c := dist.Require(t)
	var written []string
	for _, node := range c.Nodes() {
		written = append(written, node.Log(), node.Dir()) // which makes it
	}
	run := filepath.Dir(c.Node(0).Log())
	for filepath.Dir(run) != filepath.Clean(os.TempDir()) {
		if run = filepath.Dir(run); run == filepath.Dir(run) {
			t.Fatalf("%s is not below %s", c.Node(0).Log(), os.TempDir())
		}
	}
	info, err := os.Lstat(run)
	if err != nil || info.Mode() != fs.ModeDir|0o700 {
		t.Fatalf("%s: %v, %v", run, info, err)
	}
	var seen []string
	err = filepath.WalkDir(run, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 && info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s is %v", file, info.Mode())
		}
		seen = append(seen, file)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, file := range written {
		if !slices.Contains(seen, file) {
			t.Errorf("%s is not in %s", file, run)
		}
	}
}
