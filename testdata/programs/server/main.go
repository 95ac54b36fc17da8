// Server is a program for nodes to run: a key-value store of one line a request.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

var (
	name   = flag.String("name", "", "who this is")
	dir    = flag.String("dir", "", "where the data are")
	listen = flag.String("listen", "", "address")
	peers  = flag.String("peers", "", "all addresses")

	mu sync.Mutex
)

func main() {
	flag.Parse()
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("%s serves on %s", *name, *listen)
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	go func() {
		<-end
		log.Printf("%s ends", *name)
		os.Exit(0)
	}()
	for {
		c, err := ln.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(c)
	}
}

func serve(c net.Conn) {
	defer c.Close()
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		fmt.Fprintln(c, answer(words))
	}
}

func answer(words []string) string {
	mu.Lock()
	defer mu.Unlock()
	switch {
	case words[0] == "who":
		return *name
	case words[0] == "peers":
		return *peers
	case words[0] == "env" && len(words) == 2:
		return os.Getenv(words[1])
	case words[0] == "set" && len(words) == 3:
		if err := os.WriteFile(filepath.Join(*dir, "key-"+words[1]), []byte(words[2]), 0o600); err != nil {
			return err.Error()
		}
		return "ok"
	case words[0] == "get" && len(words) == 2:
		b, err := os.ReadFile(filepath.Join(*dir, "key-"+words[1]))
		if err != nil {
			return "none"
		}
		return string(b)
	case words[0] == "exit":
		log.Print("asked to exit")
		os.Exit(3)
	}
	return "what?"
}
