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
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	store := &programs.Store{Name: *name, Dir: *dir, Peers: *peers}
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
		go serve(store, c)
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

func serve(store *programs.Store, c net.Conn) {
	defer c.Close()
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		fmt.Fprintln(c, store.Answer(words))
	}
}
