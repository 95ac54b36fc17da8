//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/distkit/dist/bench/peers/work"
)

// Echo answers net/rpc.
type Echo struct{}

// Call returns its argument.
func (Echo) Call(in []byte, out *[]byte) error {
	*out = in
	return nil
}

// echoService answers grpc. A message that is only bytes needs no generated code.
var echoService = grpc.ServiceDesc{
	ServiceName: "peers.Echo",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Call",
		Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.BytesValue)
			return in, decode(in)
		},
	}},
}

const largest = 8 << 20 // bytes of a message

// serve is the life of a process that answers, at a socket in the file system.
func serve(kind, socket string) error {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	if kind == "grpc" {
		s := grpc.NewServer(grpc.MaxRecvMsgSize(largest), grpc.MaxSendMsgSize(largest))
		s.RegisterService(&echoService, nil)
		return s.Serve(l)
	}
	if err := rpc.RegisterName("Echo", Echo{}); err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go rpc.ServeConn(c)
	}
}

// lead starts the processes that answer, and measures.
func lead(kind string) error {
	begin := time.Now()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	echoes, errs := make([]func([]byte) ([]byte, error), work.Nodes), make([]error, work.Nodes)
	var processes [work.Nodes]*exec.Cmd
	defer func() {
		for _, p := range processes {
			if p != nil && p.Process != nil {
				p.Process.Kill()
				p.Wait()
			}
		}
	}()
	var wg sync.WaitGroup
	for i := range work.Nodes {
		wg.Go(func() {
			socket := filepath.Join(dir, fmt.Sprint(i))
			p := exec.Command(self, "serve", kind, socket)
			p.Stderr = os.Stderr
			processes[i] = p
			if errs[i] = p.Start(); errs[i] != nil {
				return
			}
			for { // the home-made way: until somebody listens
				c, err := net.Dial("unix", socket)
				if err == nil {
					c.Close()
					break
				}
				if time.Since(begin) > 10*time.Second {
					errs[i] = err
					return
				}
				time.Sleep(time.Millisecond / 4)
			}
			if echoes[i], errs[i] = dial(kind, socket); errs[i] == nil {
				_, errs[i] = echoes[i]([]byte("x"))
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return work.Measure(time.Since(begin), echoes[0])
}

func dial(kind, socket string) (func([]byte) ([]byte, error), error) {
	if kind == "grpc" {
		c, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largest), grpc.MaxCallSendMsgSize(largest)))
		if err != nil {
			return nil, err
		}
		return func(b []byte) ([]byte, error) {
			var out wrapperspb.BytesValue
			err := c.Invoke(context.Background(), "/peers.Echo/Call", wrapperspb.Bytes(b), &out)
			return out.Value, err
		}, nil
	}
	c, err := rpc.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	return func(b []byte) (out []byte, err error) {
		err = c.Call("Echo.Call", b, &out)
		return out, err
	}, nil
}
