//go:build unix

package keeper

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/lockfile"
)

// protocols are the types that cross, by the version of the protocol. Where the
// last one does not agree any more, the protocol needs another version, and
// this list another line.
var protocols = map[int]string{
	1: "33a57523015b5c6c",
	2: "10790cbf350347dd",
}

func TestProtocol(t *testing.T) {
	var b strings.Builder
	for _, v := range []any{
		leaseRequest{}, nodeRequest{}, restartRequest{}, downRequest{}, waiting{},
		leaseAnswer{}, stateAnswer{}, restartAnswer{}, healthAnswer{}, reportAnswer{}, downAnswer{}, []offer{},
		hello{}, welcome{}, diagnostics.Diagnosis{},
	} {
		describe(&b, reflect.TypeOf(v), make(map[reflect.Type]bool))
		b.WriteString("\n")
	}
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(b.String())))[:16]
	if protocols[protocol] != sum {
		t.Errorf("version %d of the protocol had the types %q, now they are %q:\n%s", protocol, protocols[protocol], sum, b.String())
	}
}

// describe writes what of a type crosses.
func describe(b *strings.Builder, t reflect.Type, seen map[reflect.Type]bool) {
	if t.PkgPath() == "time" {
		b.WriteString(t.String())
		return
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		b.WriteString("[]")
		describe(b, t.Elem(), seen)
	case reflect.Map:
		describe(b, t.Key(), seen)
		b.WriteString(":")
		describe(b, t.Elem(), seen)
	case reflect.Struct:
		if seen[t] {
			return
		}
		seen[t] = true
		b.WriteString("{")
		for f := range t.Fields() {
			tag, ok := f.Tag.Lookup("cbor")
			if !ok {
				tag = f.Tag.Get("json")
			}
			if tag == "-" || !f.IsExported() {
				continue
			}
			fmt.Fprintf(b, "%s %q ", f.Name, tag)
			describe(b, f.Type, seen)
			b.WriteString(";")
		}
		b.WriteString("}")
	default:
		b.WriteString(t.Kind().String())
	}
}

// serve has a Keeper served, with the test's end for its end.
func serve(t *testing.T, o Options) (*Server, *Keeper) {
	t.Helper()
	e := process.New()
	k := New(e)
	s, err := Listen(k, o)
	if err != nil {
		t.Fatal(err)
	}
	s.hello = 2 * time.Second
	done := make(chan struct{})
	go func() {
		s.Serve(t.Context())
		close(done)
	}()
	t.Cleanup(func() { // after the end of the test's context
		select {
		case <-done:
		case <-time.After(60 * time.Second):
			t.Error("the server does not end")
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, k
}

func dial(t *testing.T, file string) *Client {
	t.Helper()
	r, err := ReadRecord(file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Dial(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// code is the code of a diagnosis, or of what would become one.
func code(err error) diagnostics.Code {
	if d, ok := errors.AsType[*diagnostics.Diagnosis](err); ok {
		return d.Code
	}
	if e, ok := errors.AsType[*engine.Error](err); ok {
		return diagnostics.Diagnose(e.Failure).Code
	}
	return ""
}

func TestConnect(t *testing.T) {
	home(t)
	s, _ := serve(t, Options{Kind: "dist up", Open: true})
	c := dial(t, s.File())
	infos, err := c.Clusters(t.Context())
	if err != nil || len(infos) != 0 {
		t.Errorf("Clusters() = %v, %v", infos, err)
	}
	records, notes, err := Records()
	if err != nil || len(notes) > 0 || len(records) != 1 || records[0].File != s.File() || records[0].Kind != "dist up" || !records[0].Open || records[0].PID != os.Getpid() {
		t.Errorf("Records() = %+v, %q, %v", records, notes, err)
	}
	for _, file := range []string{s.File(), records[0].Socket} {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	// What nobody may ask for is an error, not the end.
	if _, err := c.conn.Call(t.Context(), "nonsense", nil); err == nil {
		t.Error("nonsense was answered")
	}
	if _, err := c.conn.Call(t.Context(), methodLease, []byte("\xff\xff")); err == nil {
		t.Error("an unreadable request was answered")
	}
	if _, err := c.Lease(t.Context(), Ask{}); err == nil {
		t.Error("there is a lease of nothing")
	}
	if _, err := call[stateAnswer](t.Context(), c.conn, methodState, nodeRequest{Lease: 7}); err != nil {
		t.Errorf("the state of a lease that there is not: %v", err)
	}
	if _, err := c.Lease(t.Context(), Ask{Program: testProgram(), Nodes: 1, Cluster: "kv-7"}); code(err) != diagnostics.ClusterGone {
		t.Errorf("a cluster that there is not: %v", err)
	}
}

// TestOverfull: a frame larger than anybody needs ends the connection it comes
// by, and no other.
func TestOverfull(t *testing.T) {
	home(t)
	s, _ := serve(t, Options{})
	bad, good := dial(t, s.File()), dial(t, s.File())
	if _, err := bad.conn.Call(t.Context(), methodClusters, make([]byte, frameMost)); err == nil {
		t.Error("it was answered")
	}
	<-bad.Done()
	if _, err := good.Clusters(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestVersions: either side may be of another version, and both say so.
func TestVersions(t *testing.T) {
	dir := home(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(dir, "x.sock")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		var h hello
		readHello(c, &h)
		writeHello(c, map[string]any{"protocol": 99, "module": "v9.0.0", "refused": "protocol", "unheard": "of"})
	}()
	_, err = Dial(t.Context(), Record{Kind: "dist up", PID: 7, Socket: l.Addr().String(), Secret: "s"})
	if code(err) != diagnostics.ClusterVersion || !strings.Contains(err.Error(), fmt.Sprintf("version 99 of the protocol (dist v9.0.0), this process version %d (dist ", protocol)) {
		t.Errorf("a server of another version: %v", err)
	}

	s, _ := serve(t, Options{})
	c, err := net.Dial("unix", s.record.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := writeHello(c, map[string]any{"protocol": 99, "module": "v9.0.0", "secret": s.record.Secret}); err != nil {
		t.Fatal(err)
	}
	var w welcome
	if err := readHello(c, &w); err != nil || w.Protocol != protocol || w.Refused == "" || w.Module == "" {
		t.Errorf("a client of another version gets %+v, %v", w, err)
	}
}

// TestStrangers has clients that do not know the secret, talk nonsense or say
// nothing. They learn nothing, and are in nobody's way.
func TestStrangers(t *testing.T) {
	home(t)
	s, _ := serve(t, Options{})
	connect := func() net.Conn {
		c, err := net.Dial("unix", s.record.Socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	var silent []net.Conn
	for range 20 {
		silent = append(silent, connect())
	}
	for name, what := range map[string][]byte{
		"nonsense":     []byte("GET / HTTP/1.1\r\n\r\n"),
		"long":         binary.BigEndian.AppendUint16(nil, 60000),
		"no JSON":      append(binary.BigEndian.AppendUint16(nil, 3), "{{{"...),
		"no secret":    append(binary.BigEndian.AppendUint16(nil, 14), `{"protocol":1}`...),
		"wrong secret": append(binary.BigEndian.AppendUint16(nil, 27), `{"protocol":1,"secret":"x"}`...),
	} {
		c := connect()
		if _, err := c.Write(what); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(60 * time.Second))
		if b, err := io.ReadAll(c); len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: it is told %q, %v", name, b, err)
		}
	}
	if _, err := dial(t, s.File()).Clusters(t.Context()); err != nil {
		t.Error(err)
	}
	for _, c := range silent { // sent away in the end
		c.SetReadDeadline(time.Now().Add(60 * time.Second))
		if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
			t.Errorf("whoever says nothing is told %q, %v", b, err)
		}
	}
}

// TestMute has an owner that does not answer: nobody waits for it for long.
func TestMute(t *testing.T) {
	dir := home(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(dir, "x.sock")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := validRecord(dir)
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	f, err := lockfile.Create(dir, "x"+registrySuffix, b)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Remove()
	found, err := new(Finder).Find(t.Context(), Ask{Program: testProgram(), Nodes: 1})
	if err != nil || found.Owner != nil || len(found.Passed) != 1 || !strings.Contains(found.Passed[0], "it does not answer") {
		t.Errorf("Find() = %+v, %v", found, err)
	}
}

// TestIdle: an owner that nobody needs ends by itself, and leaves nothing.
func TestIdle(t *testing.T) {
	dir := home(t)
	k := New(process.New())
	s, err := Listen(k, Options{Kind: "dist up", Open: true, Idle: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	c := make(chan *Client, 1)
	go func() { c <- dial(t, s.File()) }()
	reason, err := s.Serve(t.Context())
	if err != nil || reason != "nobody has had a cluster for 20ms" {
		t.Errorf("Serve() = %q, %v", reason, err)
	}
	<-(<-c).Done()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := Dial(t.Context(), s.record); code(err) != diagnostics.ClusterGone {
		t.Errorf("Dial() of an owner that has ended: %v", err)
	}
}

// TestLongPath: the name of a socket is short, that of a home may not be.
func TestLongPath(t *testing.T) {
	home(t)
	long := filepath.Join(t.TempDir(), strings.Repeat("long and with spaces/", 10))
	if err := os.MkdirAll(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", long)
	s, _ := serve(t, Options{})
	if _, err := dial(t, s.File()).Clusters(t.Context()); err != nil {
		t.Error(err)
	}
	own := filepath.Dir(s.record.Socket)
	s.Close()
	if _, err := os.Stat(own); err == nil {
		t.Errorf("%s is still there", own)
	}
}
