package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// frame is a frame as a peer may send it.
func frame[T string | []byte](kind byte, id uint64, body T) []byte {
	b := make([]byte, headerSize, headerSize+len(body))
	putHeader(b, kind, id, len(body))
	return append(b, body...)
}

// request is the body of a request.
func request(timeout uint64, method, body string) []byte {
	b := binary.BigEndian.AppendUint64(nil, timeout)
	b = binary.BigEndian.AppendUint16(b, uint16(len(method)))
	return append(b, method+body...)
}

// FuzzServe is a whole session with a peer that sends anything: each request
// that came whole is answered exactly once, by its number, and what is no frame
// ends the connection with ErrProtocol.
func FuzzServe(f *testing.F) {
	f.Add(frame(kindRequest, 1, ""))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, kindResponse, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Add(frame(kindRequest, 1, request(0, "x", "body")))
	f.Add(frame(kindRequest, 1, request(1, "wait", "")))
	f.Add(append(frame(kindRequest, 1, request(0, "wait", "")), frame(kindCancel, 1, "")...))
	f.Add(append(frame(kindRequest, 1, request(0, "wait", "")), frame(kindRequest, 1, request(0, "x", ""))...))
	f.Add(append(frame(kindRequest, 1, request(1<<63, "x", "")), frame(kindRequest, 2, request(0, strings.Repeat("m", maxMethod), ""))...))
	f.Add(frame(kindRequest, 1, "\x00\x00\x00\x00\x00\x00\x00\x00\xff\xffx"))
	f.Add(frame(kindFailure, 7, "\xff"))
	f.Add([]byte("junk that is no frame at all"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		here, there := net.Pipe()
		answered := make(chan uint64)
		go func() {
			defer close(answered)
			for {
				var head [headerSize]byte
				if _, err := io.ReadFull(there, head[:]); err != nil {
					return
				}
				if _, err := io.CopyN(io.Discard, there, int64(binary.BigEndian.Uint32(head[:]))-(headerSize-4)); err != nil {
					return
				}
				answered <- binary.BigEndian.Uint64(head[5:])
			}
		}()
		c := New(here, func(ctx context.Context, method string, body []byte) ([]byte, error) {
			if method == "wait" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return body, nil
		})
		done := make(chan error, 1)
		go func() { done <- c.Serve() }()
		want, broken, twice := sent(stream)
		written := make(chan struct{})
		go func() {
			there.Write(stream)
			close(written)
			if broken || twice {
				there.Close()
			}
		}()
		got := make(map[uint64]int)
		for left := len(want); left > 0; {
			id, ok := <-answered
			if !ok {
				break // it may have been cut off before it was told
			}
			if got[id]++; want[id] {
				left--
			}
		}
		<-written
		there.Close()
		for id := range answered {
			got[id]++
		}
		err := <-done
		if err == nil || c.Err() == nil { // not always the same: to write may have failed before
			t.Fatalf("Serve() = %v, Err() = %v", err, c.Err())
		}
		if errors.Is(err, ErrProtocol) != broken && !twice {
			t.Errorf("%q ends with %v", stream, err)
		}
		for id, n := range got {
			if n > 1 && !twice {
				t.Errorf("%q: %d is answered %d times", stream, id, n)
			}
		}
		if len(want) > 0 && !broken && !twice {
			for id := range want {
				if got[id] == 0 {
					t.Errorf("%q: %d is not answered", stream, id)
				}
			}
		}
	})
}

// sent is what a stream asks for that is answered without further ado, whether
// it goes on with what is no frame, and whether a number comes twice.
func sent(stream []byte) (requests map[uint64]bool, broken, twice bool) {
	requests = make(map[uint64]bool)
	seen := make(map[uint64]bool)
	for len(stream) >= headerSize {
		size := int64(binary.BigEndian.Uint32(stream)) - (headerSize - 4)
		if size < 0 || size > MaxFrame {
			return requests, true, twice
		}
		kind, id := stream[4], binary.BigEndian.Uint64(stream[5:])
		if int64(len(stream)-headerSize) < size {
			return requests, false, twice
		}
		body := stream[headerSize : headerSize+size]
		stream = stream[headerSize+size:]
		switch kind {
		case kindRequest:
			if len(body) < 10 {
				return requests, true, twice
			}
			n := int(binary.BigEndian.Uint16(body[8:]))
			if n > maxMethod || len(body) < 10+n {
				return requests, true, twice
			}
			twice = twice || seen[id]
			seen[id] = true
			if string(body[10:10+n]) != "wait" {
				requests[id] = true
			}
		case kindResponse, kindFailure, kindCancel:
		default:
			return requests, true, twice
		}
	}
	return requests, false, twice
}

// FuzzAnswer is a call whose answer a hostile peer makes up: the call returns,
// and an answer is the one that was sent to it.
func FuzzAnswer(f *testing.F) {
	f.Add(frame(kindResponse, 1, "fine"))
	f.Add(append(frame(kindResponse, 2, "not asked"), frame(kindResponse, 1, "")...))
	f.Add(append(frame(kindResponse, 1, "fine"), frame(kindFailure, 1, "\xa0")...))
	f.Add(frame(kindFailure, 1, encodeFailure(io.EOF)))
	f.Add(frame(kindFailure, 1, encodeFailure(&PanicError{"v", "stack"})))
	f.Add(frame(kindFailure, 1, "\x9b"+strings.Repeat("\xff", 8))) // an array of 2^64-1
	f.Add(frame(kindRequest, 1, request(0, "x", "y")))
	f.Add([]byte{0x40, 0, 0, 9, kindResponse, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, stream []byte) {
		here, there := net.Pipe()
		c := New(here, echo)
		served := make(chan struct{})
		go func() {
			c.Serve()
			close(served)
		}()
		go func() {
			defer there.Close()
			asked := make([]byte, headerSize+10+len("method")+len("body"))
			if _, err := io.ReadFull(there, asked); err != nil {
				return
			}
			go io.Copy(io.Discard, there)
			there.Write(stream)
		}()
		b, err := c.Call(t.Context(), "method", []byte("body"))
		<-served
		want, ok := answerIn(stream)
		if err == nil && (!ok || !bytes.Equal(b, want)) {
			t.Errorf("%q answers %q, %v; in it is %q, %v", stream, b, err, want, ok)
		}
		if err != nil && err.Error() == "" && !errors.As(err, new(*RemoteError)) {
			t.Errorf("%q: an error without a word: %#v", stream, err)
		}
	})
}

// answerIn finds the answer to request 1.
func answerIn(stream []byte) ([]byte, bool) {
	for len(stream) >= headerSize {
		size := int64(binary.BigEndian.Uint32(stream)) - (headerSize - 4)
		if size < 0 || int64(len(stream)-headerSize) < size {
			break
		}
		if stream[4] == kindResponse && binary.BigEndian.Uint64(stream[5:]) == 1 {
			return stream[headerSize : headerSize+size], true
		}
		stream = stream[headerSize+size:]
	}
	return nil, false
}

// FuzzUnmarshal decodes anything into what a node may be sent, and what decodes
// is the same when it is sent on.
func FuzzUnmarshal(f *testing.F) {
	type inner struct {
		A string
		B []byte
		C map[int]string
		D *inner
		E []time.Duration
		F [3]uint8
	}
	seed, err := Marshal(inner{A: "a", B: []byte("b"), C: map[int]string{1: "x"}, D: &inner{}, E: []time.Duration{1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{0x9b, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff})
	f.Add(bytes.Repeat([]byte{0x81}, 200))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Unmarshal[inner](b)
		if err != nil {
			return
		}
		once, err := Marshal(v)
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		again, err := Unmarshal[inner](once)
		if err != nil {
			t.Fatalf("%x: %v", once, err)
		}
		if twice, err := Marshal(again); err != nil || len(twice) != len(once) { // maps have no order
			t.Errorf("%x, then %x: %v", once, twice, err)
		}
	})
}

// TestAnnouncedSize: a header costs a peer 13 bytes, and must not cost us what
// it names.
func TestAnnouncedSize(t *testing.T) {
	for _, size := range []uint32{1 << 20, trustedBody + 100, MaxFrame} {
		here, there := net.Pipe()
		c := New(here, nil)
		go func() {
			head := frame(kindResponse, 1, "")
			binary.BigEndian.PutUint32(head, size)
			there.Write(head)
			there.Write([]byte("a little"))
			there.Close()
		}()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := c.Serve(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: %v", size, err)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 3*trustedBody {
			t.Errorf("%d bytes announced, a few sent: %d allocated", size, got)
		}
	}
}

// TestRequestTwice: two requests by one number cannot both be cancelled, nor be
// told apart by their answers.
func TestRequestTwice(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	ended := make(chan bool)
	c := New(here, func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		<-ctx.Done()
		close(ended)
		return nil, nil
	})
	go func() {
		there.Write(frame(kindRequest, 1, request(0, "x", "")))
		there.Write(frame(kindRequest, 1, request(0, "x", "")))
	}()
	if err := c.Serve(); !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "comes twice") {
		t.Errorf("Serve() = %v", err)
	}
	<-ended
}

// TestPeerThatOnlyAsks: whoever asks and asks, and reads no answer, is cut off.
func TestPeerThatOnlyAsks(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	c := New(here, echo)
	c.Limit(1<<10, 50)
	go func() {
		for id := uint64(1); ; id++ {
			if _, err := there.Write(frame(kindRequest, id, request(0, "x", "y"))); err != nil {
				return
			}
		}
	}()
	if err := c.Serve(); !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "more than 50 requests") {
		t.Errorf("Serve() = %v", err)
	}
}
