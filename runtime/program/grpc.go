package program

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"

	"golang.org/x/net/http2/hpack"
)

// HTTP/2 as far as one call of a health service needs it (RFC 9113).
const (
	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

	frameData         = 0x0
	frameHeaders      = 0x1
	frameReset        = 0x3
	frameSettings     = 0x4
	framePing         = 0x6
	frameGoAway       = 0x7
	frameContinuation = 0x9

	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20

	maxFrame = 16 << 10 // what a peer may send that was told nothing else
)

// The states of a server: grpc.health.v1.HealthCheckResponse.ServingStatus.
var serving = []string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

// Status codes of gRPC that a health service may answer.
const (
	grpcNotFound      = "5"
	grpcUnimplemented = "12"
)

// askGRPC calls grpc.health.v1.Health/Check for the server as a whole, without
// TLS; SERVING is nil. The gRPC library would be linked into every test binary
// for it.
func (c *check) askGRPC(ctx context.Context, addr, port string) error {
	conn, err := c.dial(ctx, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write(healthRequest(addr)); err != nil {
		return fmt.Errorf("%s: %w", addr, plain(err))
	}
	a, err := readAnswer(conn)
	switch {
	case errors.Is(err, errHTTP1):
		return hopeless{fmt.Errorf("%s speaks HTTP/1, not gRPC; if it is an HTTP server, say ready = { http = %q }", addr, port)}
	case err != nil:
		return fmt.Errorf("%s: %w", addr, plain(err))
	}
	status, ok := a.header["grpc-status"]
	switch {
	case !ok && a.header[":status"] != "200":
		return fmt.Errorf("HTTP %s, from no gRPC server", terse(a.header[":status"]))
	case !ok:
		return errors.New("it answers HTTP/2, but not gRPC")
	case status == grpcUnimplemented:
		return hopeless{fmt.Errorf("the server does not have the service grpc.health.v1.Health; register it, or say ready = { tcp = %q }", port)}
	case status != "0":
		message, err := url.PathUnescape(a.header["grpc-message"])
		if err != nil {
			message = a.header["grpc-message"]
		}
		return fmt.Errorf("gRPC status %s: %.200q", statusText(status), message)
	}
	state, err := healthStatus(a.body)
	if err != nil {
		return err
	}
	if state != "SERVING" {
		return errors.New(state)
	}
	return nil
}

func statusText(code string) string {
	if name, ok := map[string]string{
		"1": "CANCELLED", "2": "UNKNOWN", "4": "DEADLINE_EXCEEDED", grpcNotFound: "NOT_FOUND", "7": "PERMISSION_DENIED",
		"8": "RESOURCE_EXHAUSTED", "13": "INTERNAL", "14": "UNAVAILABLE", "16": "UNAUTHENTICATED",
	}[code]; ok {
		return name
	}
	return terse(code)
}

// healthRequest is all that is sent before the answer: it asks about the
// service "", which is the server.
func healthRequest(authority string) []byte {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: "/grpc.health.v1.Health/Check"},
		{Name: ":authority", Value: authority}, {Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
		{Name: "user-agent", Value: "dist"},
	} {
		enc.WriteField(f)
	}
	b := []byte(preface)
	b = appendFrame(b, frameSettings, 0, 0, nil)
	b = appendFrame(b, frameHeaders, flagEndHeaders, 1, block.Bytes())
	return appendFrame(b, frameData, flagEndStream, 1, make([]byte, 5)) // not compressed, of length 0
}

func appendFrame(b []byte, kind, flags byte, stream uint32, payload []byte) []byte {
	n := len(payload)
	b = append(b, byte(n>>16), byte(n>>8), byte(n), kind, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(b, payload...)
}

// An answer is the server's: headers and trailers, and the messages.
type answer struct {
	header map[string]string
	body   []byte
}

var errHTTP1 = errors.New("HTTP/1")

// readAnswer reads frames until the stream of the call has ended.
func readAnswer(conn net.Conn) (*answer, error) {
	a := &answer{header: make(map[string]string)}
	dec := hpack.NewDecoder(4096, func(f hpack.HeaderField) { a.header[f.Name] = f.Value })
	dec.SetMaxStringLength(maxAnswer)
	var block []byte // headers that go on in another frame
	ending := false
	in := io.LimitReader(conn, 1<<20)
	for {
		var head [9]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return nil, fmt.Errorf("the connection ended before the answer: %w", plain(err))
		}
		if string(head[:5]) == "HTTP/" {
			return nil, errHTTP1
		}
		length := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
		kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])&(1<<31-1)
		if length > maxFrame {
			return nil, errors.New("it does not speak gRPC")
		}
		payload := make([]byte, length)
		if _, err := io.ReadFull(in, payload); err != nil {
			return nil, fmt.Errorf("the connection ended within the answer: %w", plain(err))
		}
		if flags&flagPadded != 0 && (kind == frameData || kind == frameHeaders) {
			if length == 0 || int(payload[0]) >= length {
				return nil, errors.New("it sends a frame with wrong padding")
			}
			payload = payload[1 : length-int(payload[0])]
		}
		switch kind {
		case frameSettings, framePing:
			if flags&flagAck == 0 {
				reply := payload
				if kind == frameSettings {
					reply = nil
				}
				if _, err := conn.Write(appendFrame(nil, kind, flagAck, 0, reply)); err != nil {
					return nil, plain(err)
				}
			}
		case frameGoAway:
			if len(payload) >= 8 && binary.BigEndian.Uint32(payload[4:]) != 0 {
				return nil, fmt.Errorf("it ends the connection (HTTP/2 error %d)", binary.BigEndian.Uint32(payload[4:]))
			}
		case frameReset:
			if stream == 1 && len(payload) == 4 {
				return nil, fmt.Errorf("it ends the call (HTTP/2 error %d)", binary.BigEndian.Uint32(payload))
			}
		case frameData:
			if stream != 1 {
				break
			}
			a.body = append(a.body, payload...)
			if flags&flagEndStream != 0 {
				return a, nil
			}
		case frameHeaders, frameContinuation:
			if kind == frameHeaders {
				if flags&flagPriority != 0 {
					if len(payload) < 5 {
						return nil, errors.New("it sends a frame that is too short")
					}
					payload = payload[5:]
				}
				ending = flags&flagEndStream != 0
			}
			block = append(block, payload...)
			if flags&flagEndHeaders == 0 {
				break
			}
			_, err := dec.Write(block)
			if err == nil {
				err = dec.Close()
			}
			if err != nil {
				return nil, fmt.Errorf("it sends headers that cannot be read: %w", err)
			}
			block = nil
			if stream == 1 && ending {
				return a, nil
			}
		}
	}
}

// healthStatus reads the response message: an enum as field 1, absent if it is
// 0.
func healthStatus(body []byte) (string, error) {
	if len(body) < 5 || body[0] != 0 || uint64(binary.BigEndian.Uint32(body[1:])) > uint64(len(body)-5) {
		return "", fmt.Errorf("the health service's answer cannot be read: % x", body[:min(len(body), 32)])
	}
	msg := body[5 : 5+binary.BigEndian.Uint32(body[1:])]
	state := uint64(0)
	for len(msg) > 0 {
		tag, n := binary.Uvarint(msg)
		if n <= 0 {
			return "", errors.New("the health service's answer cannot be read")
		}
		msg = msg[n:]
		value, n := binary.Uvarint(msg)
		if tag&7 != 0 || n <= 0 { // only varints are known of this message
			break
		}
		msg = msg[n:]
		if tag>>3 == 1 {
			state = value
		}
	}
	if state < uint64(len(serving)) {
		return serving[state], nil
	}
	return "status " + strconv.FormatUint(state, 10), nil
}
