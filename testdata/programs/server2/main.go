// Server2 is the server of the next version: with another format of its flags
// it could not take its place.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/distkit/dist/testdata/programs"
)

func main() {
	var store programs.Store
	flag.StringVar(&store.Name, "name", "", "who this is")
	flag.StringVar(&store.Dir, "dir", "", "where the data are")
	flag.StringVar(&store.Peers, "peers", "", "all addresses")
	listen := flag.String("listen", "", "address")
	flag.Parse()
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("%s serves on %s, version 2", store.Name, *listen)
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	go func() {
		<-end
		log.Printf("%s ends, version 2", store.Name)
		os.Exit(0)
	}()
	for {
		c, err := ln.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer c.Close()
			for lines := bufio.NewScanner(c); lines.Scan(); {
				words := strings.Fields(lines.Text())
				if len(words) == 1 && words[0] == "version" {
					fmt.Fprintln(c, "2")
				} else if len(words) > 0 {
					fmt.Fprintln(c, store.Answer(words))
				}
			}
		}()
	}
}
