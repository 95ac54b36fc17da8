// Owner keeps a cluster of [program.server] up for all tests of its user, until
// its standard input ends. It can be of another version than the tests.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/lockfile"
	"github.com/distkit/dist/runtime/manager/keeper"
)

var protocol = flag.Int("protocol", 0, "speak this version of the protocol, which nobody knows yet")

func main() {
	flag.Parse()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	serve := own
	if *protocol > 0 {
		serve = ownInAnotherVersion
	}
	if err := serve(ctx); err != nil {
		log.Fatal(err)
	}
}

// told says that the owner is there, and where its registry file is.
func told(file string) { fmt.Println(file) }

func own(ctx context.Context) error {
	c, err := config.Load(".")
	if err != nil {
		return err
	}
	e := process.New()
	defer e.Close()
	k := keeper.New(e)
	s, err := keeper.Listen(k, keeper.Options{Kind: "dist up", Open: true})
	if err != nil {
		return err
	}
	p := c.Programs["server"]
	_, err = k.Up(ctx, keeper.Ask{
		Who: "the owner", Program: p, Dir: filepath.Dir(c.File), Nodes: 1, Network: c.Network,
		Start: c.StartTimeout(), Ready: c.ReadyTimeout(p.Ready), Grace: c.Grace(p.Stop),
	})
	if err != nil {
		s.Close()
		return err
	}
	told(s.File())
	_, err = s.Serve(ctx)
	return err
}

// ownInAnotherVersion greets as all versions do, and no more.
func ownInAnotherVersion(ctx context.Context) error {
	dir, err := lockfile.Dir("owners")
	if err != nil {
		return err
	}
	socket := filepath.Join(os.TempDir(), "owner.sock")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { ln.Close() })
	record, err := json.Marshal(keeper.Record{
		Version: 1, Module: "v9.0.0", Kind: "dist up", Open: true,
		PID: os.Getpid(), Started: time.Now(), Socket: socket, Secret: "0123456789abcdefghijklmnopqrstuv",
	})
	if err != nil {
		return err
	}
	file, err := lockfile.Create(dir, "another.owner", record)
	if err != nil {
		return err
	}
	defer file.Remove()
	told(file.Path())
	for {
		c, err := ln.Accept()
		if err != nil {
			return nil
		}
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err == nil {
			io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint16(size[:])))
		}
		welcome := fmt.Appendf(nil, `{"protocol":%d,"module":"v9.0.0","refused":"protocol"}`, *protocol)
		c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(welcome))), welcome...))
		c.Close()
	}
}
