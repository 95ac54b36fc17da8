//go:build unix

package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distkit/dist/runtime/lockfile"
	"github.com/distkit/dist/runtime/usersocket"
)

const envRole = "INSPECT_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(envRole) {
	case "served": // until it is killed
		s, err := Listen("example.com/killed", func(context.Context, Request) Answer { return Answer{} })
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.record.File)
		select {}
	case "stranger":
		fmt.Print(stranger(os.Args[1], os.Args[2], os.Args[3], os.Args[4]))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// home gives the test a cache directory of its own, with a short name.
func home(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "inspect")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	t.Setenv("TMPDIR", dir)
}

func listen(t *testing.T, answer func(context.Context, Request) Answer) *Server {
	t.Helper()
	s, err := Listen("example.com/kv", answer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// names are what there is in the directory of test binaries.
func names(t *testing.T) (names []string) {
	t.Helper()
	dir, err := lockfile.Dir(place)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestAsk(t *testing.T) {
	home(t)
	s := listen(t, func(_ context.Context, q Request) Answer {
		if q.Do != Stacks {
			return Answer{Error: "no " + q.Do}
		}
		return Answer{Lines: []string{q.Test, q.Node, q.For.String()}, Data: make([]byte, 1<<20)}
	})
	records, notes, err := Records()
	if err != nil || len(notes) > 0 || len(records) != 1 || records[0].Package != "example.com/kv" || records[0].PID != os.Getpid() {
		t.Fatalf("Records() = %+v, %q, %v", records, notes, err)
	}
	a, err := Ask(t.Context(), records[0], Request{Do: Stacks, Test: "TestX/sub", Node: "node-2", For: time.Second})
	if err != nil || !slices.Equal(a.Lines, []string{"TestX/sub", "node-2", "1s"}) || len(a.Data) != 1<<20 {
		t.Fatalf("Ask() = %v, %v", a, err)
	}
	if _, err := Ask(t.Context(), records[0], Request{Do: List}); err == nil || err.Error() != "no list" {
		t.Errorf("Ask() has the error %v", err)
	}
	s.Close()
	if left := names(t); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
	if _, err := Ask(t.Context(), records[0], Request{Do: List}); err == nil {
		t.Error("one that has ended answers")
	}
}

// TestAskerGone: what is done for somebody who has gone is ended, and so is all
// with Close.
func TestAskerGone(t *testing.T) {
	home(t)
	begun, ended := make(chan bool), make(chan error)
	s := listen(t, func(ctx context.Context, _ Request) Answer {
		begun <- true
		<-ctx.Done()
		ended <- ctx.Err()
		return Answer{}
	})
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() {
		_, err := Ask(ctx, s.record, Request{Do: Profile})
		asked <- err
	}()
	<-begun
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := <-asked; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	go func() {
		_, err := Ask(t.Context(), s.record, Request{Do: Profile})
		asked <- err
	}()
	<-begun
	closed := make(chan bool)
	go func() { s.Close(); close(closed) }()
	<-ended
	<-closed
	<-asked // with an answer, or without one
}

// TestStrangers: whoever does not know the secret, asks for too much or says
// nothing gets no answer, not even why, and keeps nobody waiting.
func TestStrangers(t *testing.T) {
	home(t)
	s := listen(t, func(context.Context, Request) Answer { return Answer{Data: []byte("told")} })
	s.hello.Store(int64(200 * time.Millisecond))
	silent, err := net.Dial("unix", s.record.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	request := func(secret, padding string) string {
		b, err := json.Marshal(Request{Do: Stacks, Secret: secret, Test: padding})
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + "\n"
	}
	for what, said := range map[string]string{
		"another secret":   request(usersocket.Random(), ""),
		"no secret":        request("", ""),
		"part of it":       request(s.record.Secret[:20], ""),
		"something else":   "GET / HTTP/1.1\r\n\r\n",
		"nothing":          "\n",
		"a long question":  request(s.record.Secret, strings.Repeat("x", requestMost)),
		"the wrong types":  `{"secret":1}` + "\n",
		"not its own line": strings.TrimSuffix(request(s.record.Secret, ""), "\n"),
	} {
		c, err := net.Dial("unix", s.record.Socket)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, said)
		if b, _ := io.ReadAll(c); len(b) > 0 { // the end may be a reset
			t.Errorf("%s is answered: %q", what, b)
		}
		c.Close()
	}
	if b, _ := io.ReadAll(silent); len(b) > 0 {
		t.Errorf("silence is answered: %q", b)
	}
	if a, err := Ask(t.Context(), s.record, Request{Do: Stacks}); err != nil || string(a.Data) != "told" {
		t.Errorf("after all of them: %v, %v", a, err)
	}
}

// TestCrowd: only so many are answered at a time, and when they have gone others
// are.
func TestCrowd(t *testing.T) {
	home(t)
	s := listen(t, func(context.Context, Request) Answer { return Answer{Data: []byte("told")} })
	s.hello.Store(int64(time.Minute))
	var conns []net.Conn
	for range askersMost + 5 {
		c, err := net.Dial("unix", s.record.Socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	if b, err := io.ReadAll(conns[askersMost+4]); len(b) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("one too many: %q, %v", b, err)
	}
	for range 20 { // by an end or a reset
		if _, err := Ask(t.Context(), s.record, Request{Do: List}); err == nil || !strings.Contains(err.Error(), "too many ask it") {
			t.Errorf("one more than too many: %v", err)
		}
	}
	for _, c := range conns {
		c.Close()
	}
	for {
		if a, err := Ask(t.Context(), s.record, Request{Do: List}); err == nil && string(a.Data) == "told" {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("nobody is answered any more")
		}
	}
}

// TestPrivate: what is needed to ask is this user's alone, and the secret is in
// one file only.
func TestPrivate(t *testing.T) {
	home(t)
	s := listen(t, func(context.Context, Request) Answer { return Answer{} })
	for name, want := range map[string]os.FileMode{s.record.File: 0o600, s.record.Socket: 0o600, filepath.Dir(s.record.File): 0o700} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
	texts := append(os.Environ(), os.Args...)
	if runtime.GOOS == "linux" {
		for _, name := range []string{"cmdline", "environ"} {
			b, err := os.ReadFile("/proc/self/" + name)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, string(b))
		}
	}
	for _, text := range append(texts, s.record.Socket, s.record.File) {
		if strings.Contains(text, s.record.Secret) {
			t.Errorf("%q has the secret", text)
		}
	}
}

// stranger tries to come by an answer, and returns what it has succeeded in.
func stranger(dir, file, socket, secret string) string {
	var done []string
	if _, err := os.ReadDir(dir); err == nil {
		done = append(done, "list the directory")
	}
	if _, err := os.ReadFile(file); err == nil {
		done = append(done, "read the file")
	}
	if c, err := net.Dial("unix", socket); err == nil {
		b, _ := json.Marshal(Request{Do: List, Secret: secret})
		c.Write(append(b, '\n'))
		if b, _ := io.ReadAll(c); len(b) > 0 {
			done = append(done, "have an answer")
		} else {
			done = append(done, "connect")
		}
	}
	return strings.Join(done, ", ")
}

// TestOtherUser: another user can neither read the file nor have an answer, even
// with the secret and a socket that anybody may connect to.
func TestOtherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	home(t)
	open := os.Getenv("HOME")
	binary := filepath.Join(open, "inspect.test")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(binary, self, 0o755); err != nil {
		t.Fatal(err)
	}
	s := listen(t, func(context.Context, Request) Answer { return Answer{} })
	try := func(want string) {
		t.Helper()
		cmd := exec.Command(binary, filepath.Dir(s.record.File), s.record.File, s.record.Socket, s.record.Secret)
		cmd.Env, cmd.Dir = append(os.Environ(), envRole+"=stranger"), "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != want {
			t.Errorf("another user can %q (%v), want %q", out, err, want)
		}
	}
	for dir := filepath.Dir(filepath.Dir(s.record.File)); len(dir) >= len(open); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	try("")
	if err := os.Chmod(filepath.Dir(s.record.File), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.record.Socket, 0o777); err != nil {
		t.Fatal(err)
	}
	try("list the directory, connect")
}

// TestKilled: what a test binary leaves that is killed is removed by whoever
// comes across it, and what is alive is not.
func TestKilled(t *testing.T) {
	home(t)
	alive := listen(t, func(context.Context, Request) Answer { return Answer{} })
	start := func() (file string, kill func()) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), envRole+"=served")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		b := make([]byte, 4096)
		n, err := out.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b[:n])), func() { cmd.Process.Kill(); cmd.Wait() }
	}
	file, kill := start()
	if records, _, _ := Records(); len(records) != 2 {
		t.Fatalf("%+v", records)
	}
	kill()
	if dead, err := Dead(); err != nil || len(dead) != 1 || dead[0] != file {
		t.Errorf("Dead() = %q, %v", dead, err)
	}
	if records, notes, err := Records(); err != nil || len(records) != 1 || len(notes) > 0 || records[0].File != alive.record.File {
		t.Errorf("Records() = %+v, %q, %v", records, notes, err)
	}
	if left := names(t); len(left) != 2 {
		t.Errorf("%q is left, which should be the living one's", left)
	}
	// So does the next test binary.
	_, kill = start()
	kill()
	again := listen(t, func(context.Context, Request) Answer { return Answer{} })
	if left := names(t); len(left) != 4 {
		t.Errorf("%q is there, which should be of two", left)
	}
	again.Close()
}

// TestHostile: what is planted where test binaries have their files is not
// believed, and harms nobody.
func TestHostile(t *testing.T) {
	home(t)
	s := listen(t, func(context.Context, Request) Answer { return Answer{} })
	dir := filepath.Dir(s.record.File)
	precious := filepath.Join(os.Getenv("HOME"), "precious")
	if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	dead := s.record
	dead.Socket = precious
	b, err := json.Marshal(dead)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"a": string(b), "b": "", "c": `{"version":99}`, "d": strings.Repeat("x", recordMost+1)} {
		if err := os.WriteFile(filepath.Join(dir, name+recordSuffix), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "e"+recordSuffix), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, filepath.Join(dir, "f"+recordSuffix)); err != nil {
		t.Fatal(err)
	}
	records, _, err := Records()
	if err != nil || len(records) != 1 || records[0].PID != os.Getpid() {
		t.Errorf("Records() = %+v, %v", records, err)
	}
	if b, err := os.ReadFile(precious); string(b) != "x" {
		t.Errorf("%s: %q, %v", precious, b, err)
	}
}

func FuzzRecord(f *testing.F) {
	b, _ := json.Marshal(Record{Version: format, Package: "p", PID: 1, Socket: "/tmp/x.sock", Secret: usersocket.Random()})
	f.Add(b)
	f.Add(b[:40])
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`{"version":1,"pid":-1,"started":"never"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			return
		}
		if r.PID < 1 || len(r.Secret) < usersocket.MinSecret || !filepath.IsAbs(r.Socket) || len(r.Socket) > usersocket.MaxPath || strings.ContainsAny(r.Package+r.Socket, "\n\x00\x1b") {
			t.Errorf("parseRecord(%q) = %+v", b, r)
		}
	})
}

// FuzzRequest: whatever is said, no more than a question's length of it is read.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"secret":"s","do":"list"}` + "\n"))
	f.Add([]byte("\n"))
	f.Add([]byte(strings.Repeat("[", requestMost+1) + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &counter{b: b}
		q, err := readRequest(r)
		if r.n > requestMost {
			t.Errorf("%d bytes are read", r.n)
		}
		if err == nil && len(q.Secret)+len(q.Do)+len(q.Test)+len(q.Node) > 6*requestMost {
			t.Errorf("%+v", q)
		}
	})
}

type counter struct {
	b []byte
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	if len(c.b) == c.n {
		return 0, io.EOF
	}
	n := copy(p, c.b[c.n:])
	c.n += n
	return n, nil
}
