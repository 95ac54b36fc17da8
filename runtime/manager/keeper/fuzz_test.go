//go:build unix

package keeper

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/wire"
)

// FuzzHello reads a greeting of anybody who can connect. No more is taken from
// the stream than it says, nor than there may be.
func FuzzHello(f *testing.F) {
	var b bytes.Buffer
	if err := writeHello(&b, hello{Protocol: 1, Module: "v1.0.0", Secret: "s"}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte{0xff, 0xff})
	f.Add([]byte{0, 0})
	f.Add([]byte("\x00\x02{}more"))
	f.Add([]byte("\x00\x04null"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		in := bytes.NewReader(stream)
		var h hello
		err := readHello(in, &h)
		taken := len(stream) - in.Len()
		if taken > 2+helloMost {
			t.Errorf("%d bytes were taken", taken)
		}
		if err != nil {
			return
		}
		if n := int(binary.BigEndian.Uint16(stream)); taken != 2+n {
			t.Errorf("%d bytes were taken of %d", taken, 2+n)
		}
		var b bytes.Buffer
		var again hello
		if err := writeHello(&b, h); err != nil {
			t.Fatal(err)
		}
		if b.Len() <= 2+helloMost { // JSON may have said more in less: invalid UTF-8
			if err := readHello(&b, &again); err != nil || again != h {
				t.Errorf("%+v, then %+v, %v", h, again, err)
			}
		}
	})
}

// FuzzRequest has a client that knows the secret ask for anything, but for what
// would start a program. It is answered, by an error or by what can be read.
func FuzzRequest(f *testing.F) {
	f.Setenv("XDG_CACHE_HOME", f.TempDir())
	e := process.New()
	k := New(e)
	f.Cleanup(func() { k.Close(f.Context()); e.Close() })
	methods := []string{methodWithdraw, methodState, methodAct, methodHealth, methodRelease, methodClusters, methodDown, "nonsense"}
	add := func(method int, v any) {
		b, err := wire.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint(method), b)
	}
	for i := range methods {
		add(i, nodeRequest{Lease: 7, Node: -1, Action: "kill"})
		add(i, downRequest{Clusters: []string{"kv-1"}, Force: true})
		f.Add(uint(i), []byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	}
	f.Fuzz(func(t *testing.T, method uint, body []byte) {
		s := &Server{keeper: k, peers: make(map[*peer]bool), downed: make(chan struct{})}
		p := &peer{s: s, leases: make(map[uint64]Lease), asks: make(map[uint64]*asking)}
		name := methods[method%uint(len(methods))]
		b, err := p.handle(t.Context(), name, body)
		if (err == nil) != (b != nil) && name != methodWithdraw {
			t.Errorf("%s(%x) = %x, %v", name, body, b, err)
		}
		if p.requests != 0 || len(p.leases) > 0 {
			t.Errorf("%s(%x): %d requests in progress, %d leases", name, body, p.requests, len(p.leases))
		}
		if err != nil && name == methodClusters {
			return
		}
		if name == methodClusters {
			if _, err := wire.Unmarshal[[]offer](b); err != nil {
				t.Errorf("%s(%x) = %x: %v", name, body, b, err)
			}
		}
	})
}

// FuzzFault reads a diagnosis that another version of this module has sent.
func FuzzFault(f *testing.F) {
	b, err := json.Marshal(map[string]any{"Code": "start", "Evidence": []string{"x"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("text", b)
	f.Add("", []byte("null"))
	f.Add("text", []byte("{"))
	f.Add("text", []byte(`{"Code":1}`))
	f.Fuzz(func(t *testing.T, text string, diagnosis []byte) {
		err := (&fault{Text: text, Diagnosis: diagnosis}).err()
		if err == nil {
			t.Fatal("a fault is no error")
		}
		if len(diagnosis) == 0 && err.Error() != text {
			t.Errorf("%q becomes %q", text, err)
		}
		a := reportAnswer{Problems: []problem{{Node: "node-1", Diagnosis: diagnosis, Fails: true}}}
		if r := a.report(); len(r.Problems) != 1 || r.Problems[0].Diagnosis == nil || !r.Problems[0].Fails {
			t.Errorf("%q: a problem is lost: %+v", diagnosis, r)
		}
	})
}
