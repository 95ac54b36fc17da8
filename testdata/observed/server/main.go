// Server is a program for nodes to run. Every connection has it do something
// that can be observed: "race" does so, and "spin".
package main

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/distkit/dist/testdata/observed"
)

func main() {
	ln, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if len(os.Args) == 2 { // otherwise a signal ends it
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM)
		go func() {
			<-end
			os.Exit(0)
		}()
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			log.Fatal(err)
		}
		what, _ := bufio.NewReader(c).ReadString('\n')
		if what == "race\n" {
			observed.Race()
		}
		fmt.Fprintln(c, observed.Served(1))
		c.Close()
	}
}
