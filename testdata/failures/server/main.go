// Server is a program for nodes to run that goes wrong as it is told to.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

var (
	listen = flag.String("listen", "127.0.0.1:0", "address")
	status = flag.Int("status", 200, "of answers")
	slow   = flag.Duration("slow", 0, "before it listens")
	leaves = flag.String("leaves", "", "an address that a process in a session of its own listens on, which stays behind")
	most   = flag.Duration("for", 24*time.Hour, "how long it runs at most")
	quiet  = flag.Bool("quiet", false, "says nothing")
	fault  = flag.String("fault", "", "exits, panics, killed, hangs or deaf")
)

func main() {
	flag.Parse()
	if *quiet {
		log.SetOutput(io.Discard)
	}
	switch *fault {
	case "exits":
		log.Fatal("the schema is of another version")
	case "panics":
		var table map[string]int
		table["x"] = 1
	case "killed":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "hangs":
		log.Print("waiting for the leader")
		<-time.After(time.Hour)
	}
	if *leaves != "" {
		left := exec.Command(os.Args[0], "-listen="+*leaves, "-for=5m")
		left.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		said, err := left.StderrPipe()
		if err == nil {
			err = left.Start()
		}
		if err != nil {
			log.Fatal(err)
		}
		io.ReadFull(said, make([]byte, 1)) // it serves
		defer left.Wait()
	}
	end := make(chan os.Signal, 1)
	if *fault != "deaf" {
		signal.Notify(end, syscall.SIGTERM)
	} else {
		signal.Ignore(syscall.SIGTERM)
	}
	time.Sleep(*slow)
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	log.Print("serving on ", strings.TrimPrefix(ln.Addr().String(), "tcp:"))
	go http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(*status)
		fmt.Fprintln(w, "the database is not migrated")
	}))
	select {
	case <-end:
	case <-time.After(*most):
	}
}
