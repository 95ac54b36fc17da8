package diagnostics

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzSocket reads lines of /proc/net/tcp and its like.
func FuzzSocket(f *testing.F) {
	f.Add("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0000000000000000 100 0 0 10 0")
	f.Add("   1: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 01 0:0 0:0 0 0 0 7")
	f.Add("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode")
	f.Add("0: :: : 0A 0 0 0 -1 0 x")
	f.Fuzz(func(t *testing.T, line string) {
		s, ok := parseSocket(line)
		if !ok {
			return
		}
		if !s.local.IsValid() || s.state == "" || s.inode == "" {
			t.Errorf("parseSocket(%q) = %+v", line, s)
		}
	})
}

// FuzzKernel has /proc say anything about this process: nothing that is read of
// it panics, nor leads out of the file system that is looked at.
func FuzzKernel(f *testing.F) {
	f.Add("4:cpu,memory:/job\n0::/a/../..\n", "30 1 0:26 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup rw\n", "7 (a) b) S 1 7 7", "MemTotal: 12 kB\nUid: 0\n")
	f.Add("0::"+strings.Repeat("/a", 50), `31 30 0:27 /docker/abc /sys\040fs ro - cgroup cgroup rw,memory`, "", "oom_kill 18446744073709551616")
	f.Add("0::", " - - - - - - - ", ")", ":\n \n")
	f.Fuzz(func(t *testing.T, cgroup, mounts, stat, fields string) {
		k := kernel{t.TempDir()}
		for name, text := range map[string]string{"self/cgroup": cgroup, "self/mountinfo": mounts, "7/stat": stat, "7/status": fields, "7/comm": stat, "7/cmdline": fields, "stat": fields} {
			file := filepath.Join(k.root, "proc", name)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, controller := range []string{"memory", "pids"} {
			for _, g := range k.cgroups(controller) {
				if !strings.HasPrefix(g.name, "/") || filepath.Clean(g.name) != g.name {
					t.Errorf("%q, %q: group %+v", cgroup, mounts, g)
				}
			}
			k.cgroupLimits(controller, "x", "max", "max", "used", "used")
		}
		k.oomKills()
		k.started(7)
		k.field("/proc/7/status", "Uid:")
		if s, ok := k.stat(7); ok && (s.State == "" || strings.ContainsAny(s.State, " \n\t")) {
			t.Errorf("%q: %+v", stat, s)
		}
		if c := k.command(7, os.Geteuid()); c == "" {
			t.Errorf("%q: no command", fields)
		}
	})
}

// FuzzExecutable tells the format of any file.
func FuzzExecutable(f *testing.F) {
	self, err := os.Executable()
	if err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[:1024])
	f.Add(b[:63])
	f.Add([]byte("#!/bin/sh\r\nexit 0"))
	f.Add([]byte("MZ"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		x := new(Executable)
		x.readHead(bytes.NewReader(b), b[:min(len(b), 4096)])
		if x.Format == "" || strings.ContainsFunc(x.Format, unicode.IsControl) || len(x.Interpreter) > 4096 {
			t.Errorf("%q: %+v", b, x)
		}
	})
}

// FuzzLog diagnoses any words of a node that has ended.
func FuzzLog(f *testing.F) {
	for _, text := range []string{
		"panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nexample.com/p.init.0()\n\t/src/p.go:7 +0x1d\nexit status 2",
		"WARNING: DATA RACE\nWrite at 0x00c000 by goroutine 7:\n  p.f()\n      /src/p.go:12 +0x44\n\nPrevious read at 0x00c000 by main goroutine:\n",
		"flag provided but not defined: -foo\nUsage of p.test:",
		"listen tcp 127.0.0.1:80: bind: address already in use",
		"SIGQUIT: quit\nPC=0x1 m=0\n\ngoroutine 1 [select]:\np.wait()\n\t/src/p.go:1",
		"dial tcp: lookup node-1: no such host", "PASS", "\x1b[31mfatal error: all goroutines are asleep - deadlock!\x00",
	} {
		f.Add(text, 2, "killed")
		f.Add(text, 1, "")
	}
	f.Fuzz(func(t *testing.T, log string, code int, signal string) {
		d := Diagnose(Failure{Phase: PhaseHandshake, Op: "start node-1", Node: "node-1", Exit: &Exit{Code: code, Signal: signal}, Log: strings.Split(log, "\n")})
		if d.Code == "" || d.Error() == "" || d.Short("TestX") == "" {
			t.Errorf("%q: %+v", log, d)
		}
		if len(d.Error()) > 64<<10 {
			t.Errorf("a diagnosis of %d bytes", len(d.Error()))
		}
		if utf8.ValidString(log) && utf8.ValidString(signal) && !utf8.ValidString(d.Error()) {
			t.Errorf("%q: cut within a character: %q", log, d.Error())
		}
	})
}
