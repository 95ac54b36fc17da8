package program

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/http2/hpack"
)

// printable reports whether an error can be shown in one line.
func printable(err error) bool {
	return err.Error() != "" && utf8.ValidString(err.Error()) && !strings.ContainsFunc(err.Error(), unicode.IsControl) && len(err.Error()) < 2000
}

// FuzzHTTP has anything answer where a health check was sent: it is healthy only
// if it says 2xx.
func FuzzHTTP(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204\r\n\r\n",
		"HTTP/1.1 503 Not yet\r\nContent-Length: 5\r\n\r\nwait\n",
		"HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\n\nhm\n",
		"HTTP/1.0 301 Moved\r\nLocation: \x1b[31m/\r\n\r\n",
		"SSH-2.0-OpenSSH\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 200", "",
		strings.Repeat("x", maxAnswer+1),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.NewReader(b)
		err := readHTTP(in, "127.0.0.1:80")
		if len(b)-in.Len() > maxAnswer {
			t.Errorf("%d bytes were read", len(b)-in.Len())
		}
		if err == nil {
			if !bytes.Contains(b, []byte(" 2")) || !bytes.Contains(b, []byte("HTTP/1.")) {
				t.Errorf("%q is healthy", b)
			}
		} else if !printable(err) {
			t.Errorf("%q: %q", b, err)
		}
	})
}

// frames is a server's answer to a call of the health service.
func frames(status string, state byte) []byte {
	var head, trailer bytes.Buffer
	enc := hpack.NewEncoder(&head)
	enc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	enc.WriteField(hpack.HeaderField{Name: "content-type", Value: "application/grpc"})
	block := bytes.Clone(head.Bytes())
	enc = hpack.NewEncoder(&trailer)
	enc.WriteField(hpack.HeaderField{Name: "grpc-status", Value: status})
	enc.WriteField(hpack.HeaderField{Name: "grpc-message", Value: "%41%zz\x1b"})
	b := appendFrame(nil, frameSettings, 0, 0, nil)
	b = appendFrame(b, framePing, 0, 0, make([]byte, 8))
	b = appendFrame(b, frameHeaders, flagEndHeaders, 1, block)
	b = appendFrame(b, frameData, 0, 1, []byte{0, 0, 0, 0, 2, 8, state})
	return appendFrame(b, frameHeaders, flagEndHeaders|flagEndStream, 1, trailer.Bytes())
}

// FuzzGRPC has anything answer a call of the health service.
func FuzzGRPC(f *testing.F) {
	f.Add(frames("0", 1))
	f.Add(frames("12", 0))
	f.Add(appendFrame(nil, frameHeaders, flagPadded|flagPriority|flagEndHeaders, 1, []byte{4, 0}))
	f.Add(appendFrame(nil, frameContinuation, 0, 1, bytes.Repeat([]byte{0xbe}, 100)))
	f.Add([]byte{0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1})
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		here, there := net.Pipe()
		go io.Copy(io.Discard, there)
		go func() {
			there.Write(b)
			there.Close()
		}()
		a, err := readAnswer(here)
		here.Close()
		if err != nil {
			if !printable(err) {
				t.Errorf("%q: %q", b, err)
			}
			return
		}
		if len(a.body) > len(b) {
			t.Errorf("%d bytes of %d", len(a.body), len(b))
		}
		if state, err := healthStatus(a.body); state == "SERVING" && len(a.body) < 7 || err == nil && state == "" {
			t.Errorf("% x: %q, %v", a.body, state, err)
		}
	})
}

// FuzzHealthStatus reads a message whose length may be a lie.
func FuzzHealthStatus(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 2, 8, 1})
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 8, 1})
	f.Add([]byte{0, 0, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 0, 11, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		state, err := healthStatus(b)
		if err != nil {
			if state != "" || !printable(err) {
				t.Errorf("% x: %q, %q", b, state, err)
			}
			return
		}
		if n := binary.BigEndian.Uint32(b[1:]); uint64(n) > uint64(len(b)-5) || state == "" || state == "SERVING" && n < 2 {
			t.Errorf("% x: %q", b, state)
		}
	})
}
