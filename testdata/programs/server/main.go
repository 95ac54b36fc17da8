// Server is a program for nodes to run: a key-value store of one line a request,
// which tells others what it is told to by datagrams.
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

	"github.com/distkit/dist/testdata/programs"
)

var (
	name   = flag.String("name", "", "who this is")
	dir    = flag.String("dir", "", "where the data are")
	listen = flag.String("listen", "", "address")
	peers  = flag.String("peers", "", "all addresses")
	flaky  = flag.Bool("flaky", false, "fail at the first starts: PROGRAMS_FLAKY is DIR:N")
)

func main() {
	flag.Parse()
	if dir, n, _ := strings.Cut(os.Getenv("PROGRAMS_FLAKY"), ":"); *flaky && begins(dir) <= n {
		log.Fatalf("%s is one of the first %s starts", *name, n)
	}
	told, err := hear(*listen) // first: who can connect takes it to be ready
	if err != nil {
		log.Fatal(err)
	}
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	store := &programs.Store{Name: *name, Dir: *dir, Peers: *peers}
	talk := &dialogue{conns: make(map[string]net.Conn), answers: make(map[string]string)}
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
		go serve(store, told, talk, c)
	}
}

// begins counts the starts, of which there are less than ten.
func begins(dir string) string {
	for i := 1; ; i++ {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(i)), os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			f.Close()
			return fmt.Sprint(i)
		}
		if !os.IsExist(err) {
			log.Fatal(err)
		}
	}
}

// rumours are what comes by datagrams.
type rumours struct {
	conn net.PacketConn
	mu   sync.Mutex
	from map[string]string // by text
}

func hear(addr string) (*rumours, error) {
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		return nil, err
	}
	r := &rumours{conn: c, from: make(map[string]string)}
	go func() {
		for buf := make([]byte, 1500); ; {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				log.Fatal(err)
			}
			r.mu.Lock()
			r.from[string(buf[:n])] = from.String()
			r.mu.Unlock()
		}
	}()
	return r, nil
}

// tell sends a text to an address.
func (r *rumours) tell(addr, text string) string {
	to, err := net.ResolveUDPAddr("udp", addr)
	if err == nil {
		_, err = r.conn.WriteTo([]byte(text), to)
	}
	if err != nil {
		return err.Error()
	}
	return "ok"
}

// heard is who sent a text.
func (r *rumours) heard(text string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if from, ok := r.from[text]; ok {
		return from
	}
	return "nobody"
}

func serve(store *programs.Store, told *rumours, talk *dialogue, c net.Conn) {
	defer c.Close()
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 0:
			continue
		case words[0] == "tell" && len(words) == 3:
			fmt.Fprintln(c, told.tell(words[1], words[2]))
			continue
		case words[0] == "heard" && len(words) == 2:
			fmt.Fprintln(c, told.heard(words[1]))
			continue
		case words[0] == "echo" && len(words) == 2:
			fmt.Fprintln(c, words[1])
			continue
		case (words[0] == "say" || words[0] == "say-anew") && len(words) == 3:
			fmt.Fprintln(c, talk.say(words[1], words[2], words[0] == "say-anew"))
			continue
		case words[0] == "said" && len(words) > 2:
			fmt.Fprintln(c, talk.said(words[1], strings.Join(words[2:], " ")))
			continue
		case words[0] == "ask" && len(words) == 3:
			fmt.Fprintln(c, ask(words[1], words[2]))
			continue
		}
		fmt.Fprintln(c, store.Answer(words))
	}
}
