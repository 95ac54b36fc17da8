//go:build unix

package keeper

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distkit/dist/config"
)

// The test binary plays all parts: the tests, owners, clients, and what nodes
// run.
const envRole = "DIST_TEST_ROLE"

var roles = map[string]func(){
	"program": func() { runProgram(os.Args[1], os.Args[2]) },
	"sleeper": func() { time.Sleep(time.Hour) },
}

func TestMain(m *testing.M) {
	if role, ok := os.LookupEnv(envRole); ok {
		roles[role]()
		os.Exit(1)
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // or each end of a child takes a second under -race
	os.Exit(m.Run())
}

// testProgram is this binary as a small server, see runProgram.
func testProgram() *config.Program {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return &config.Program{
		Name: "kv", Command: []string{self}, Env: map[string]string{envRole: "program"}, Ports: []string{"main"},
		Args:  []string{`{{.Listen "main"}}`, `{{.Dir}}`},
		Ready: config.Ready{TCP: "main"}, Stop: config.Stop{Signal: "SIGTERM"}, Reset: config.Reset{Mode: "restart"},
	}
}

// runProgram is what nodes run. It keeps one value in a file, and does what it
// is told to, one command a connection.
func runProgram(addr, dir string) {
	// One node is broken, and the others wait for it.
	if b, err := os.ReadFile(os.Getenv("DIST_TEST_BROKEN")); err == nil {
		if string(b) == filepath.Base(dir) {
			fmt.Println("broken on purpose")
			os.Exit(3)
		}
		time.Sleep(time.Hour)
	}
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	go func() {
		<-terms
		for until := os.Getenv("DIST_TEST_LINGER"); until != ""; time.Sleep(2 * time.Millisecond) {
			if _, err := os.Stat(until); err == nil {
				break
			}
		}
		os.Exit(0)
	}()
	if d, err := time.ParseDuration(os.Getenv("DIST_TEST_SLOW")); err == nil {
		time.Sleep(d)
	}
	fmt.Println("listening on", addr) // before it is ready, and may be killed
	l, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	data := filepath.Join(dir, "data")
	for {
		c, err := l.Accept()
		if err != nil { // deaf
			time.Sleep(time.Hour)
		}
		go func() {
			defer c.Close()
			line, err := bufio.NewReader(c).ReadString('\n')
			if err != nil {
				return
			}
			what, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch what {
			case "get":
				b, _ := os.ReadFile(data)
				c.Write(b)
			case "put":
				if err := os.WriteFile(data, []byte(arg), 0o600); err != nil {
					fmt.Fprint(c, err)
				}
			case "version":
				fmt.Fprint(c, os.Getenv("DIST_TEST_VERSION"))
			case "pid":
				fmt.Fprint(c, os.Getpid())
			case "exit":
				code, _ := strconv.Atoi(arg)
				os.Exit(code)
			case "deaf":
				l.Close()
			case "stray": // leaves the process group
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), envRole+"=sleeper")
				cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
				cmd.Start()
				fmt.Fprint(c, cmd.Process.Pid)
			}
		}()
	}
}

// talk tells a node what to do and returns what it says.
func talk(n NodeInfo, command string) (string, error) {
	c, err := net.DialTimeout("tcp", n.Addr["main"], 30*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := fmt.Fprintln(c, command); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b), err
}
