//go:build linux

package failures

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// onNode tells the two lives of this binary apart before any of them has begun.
var onNode = os.Getenv("DIST_RUN_ID") != ""

func init() {
	what, arg, _ := strings.Cut(os.Getenv("FAILURE"), "=")
	if onNode {
		goWrongOnNode(what, arg)
	} else {
		goWrongHere(what, arg)
	}
}

func goWrongOnNode(what, arg string) {
	switch what {
	case "exits":
		fmt.Println("no licence was found")
		os.Exit(1)
	case "panics":
		var config []string
		fmt.Println(config[5])
	case "killed":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "blocks":
		select {}
	case "slow":
		d, err := time.ParseDuration(arg)
		if err != nil {
			panic(err)
		}
		time.Sleep(d)
	case "stopped":
		syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "prints":
		fmt.Println("PASS\ncoverage: 0.0% of statements\nok  \tfailures\t0.1s")
		fmt.Fprintln(os.Stderr, "and to stderr")
	case "junk":
		os.NewFile(3, "control").Write([]byte(strings.Repeat("junk\x00\xff", 1000)))
	case "eats":
		grow(arg)
	case "opens":
		for {
			f, err := os.Open(os.DevNull)
			if err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			leaked = append(leaked, f)
		}
	case "recursion":
		out, err := exec.Command(os.Args[0], "-test.run=^TestTwo$").CombinedOutput()
		fmt.Printf("%s%v\n", out, err)
		if err != nil {
			os.Exit(1)
		}
	}
}

func goWrongHere(what, arg string) {
	switch what {
	case "leaks":
		leak()
	case "threads":
		n, err := strconv.Atoi(arg)
		if err != nil {
			panic(err)
		}
		idleThreads(n)
	}
}

// leak leaves no more descriptors than it takes to tell.
func leak() {
	var open []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		open = append(open, f)
	}
	for _, f := range open[len(open)-4:] {
		f.Close()
	}
	leaked = open[:len(open)-4]
}

var leaked []*os.File

// taken is what only one process can have.
var taken net.Listener

func init() {
	if os.Getenv("FAILURE") == "init listens" {
		taken = inUse(os.Getenv("FAILURE_ADDR"))
	}
}

// idleThreads has the runtime keep threads until this process has n, so that it
// is a node and not this process that wants the one too many.
func idleThreads(n int) {
	var wg sync.WaitGroup
	all := make(chan struct{})
	for threads() < n {
		wg.Add(1)
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			wg.Done()
			<-all
		}()
		wg.Wait()
	}
	close(all)
}

// threads counts those of this process.
func threads() int {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		panic(err)
	}
	return len(tasks)
}

var eaten [][]byte

// grow takes memory, in MiB, and says so when it has it.
func grow(mib string) {
	n, err := strconv.Atoi(mib)
	if err != nil {
		panic(err)
	}
	for range n {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += os.Getpagesize() {
			b[i] = 1
		}
		eaten = append(eaten, b)
	}
}
