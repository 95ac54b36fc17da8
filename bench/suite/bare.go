//go:build unix

package suite

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// A BareProcess is a process of a test binary that leads none of the two
// lives. It has written its byte.
type BareProcess struct {
	*os.Process
	stdin *os.File
}

// End has the process exit, and waits for it.
func (p *BareProcess) End() error {
	p.stdin.Close()
	state, err := p.Wait()
	if err == nil && !state.Success() {
		err = fmt.Errorf("bare process: %v", state)
	}
	return err
}

// StartBareProcesses starts n processes of a test binary, all at once, and
// returns when each has written a byte, from the place where a node's life
// would begin.
func StartBareProcesses(binary string, args []string, n int) ([]*BareProcess, error) {
	processes, errs := make([]*BareProcess, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { processes[i], errs[i] = startBareProcess(binary, args) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			for _, p := range processes {
				if p != nil {
					p.Kill()
					p.Wait()
				}
			}
			return nil, err
		}
	}
	return processes, nil
}

func startBareProcess(binary string, args []string) (*BareProcess, error) {
	stdin, stdinWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	ready, readyWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	p, err := startProcess(binary, args, Job{Kind: Bare}, stdin, readyWrite)
	readyWrite.Close()
	if err != nil {
		stdinWrite.Close()
		return nil, err
	}
	var b [1]byte
	if _, err := io.ReadFull(ready, b[:]); err != nil {
		stdinWrite.Close()
		p.Kill()
		p.Wait()
		return nil, fmt.Errorf("wait for the byte of a bare process: %w", err)
	}
	return &BareProcess{p, stdinWrite}, nil
}

// bare is a bare process's life.
func bare() {
	ready := os.NewFile(3, "ready")
	if _, err := ready.Write([]byte{1}); err != nil {
		os.Exit(1)
	}
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// startSelf starts a further process of this binary.
func startSelf(j Job, stdin *os.File, three *os.File) (*os.Process, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startProcess(path, os.Args, j, stdin, three)
}

func startProcess(path string, args []string, j Job, stdin *os.File, three *os.File) (*os.Process, error) {
	value, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, Env+"=") {
			env = append(env, v)
		}
	}
	return os.StartProcess(path, args, &os.ProcAttr{
		Env:   append(env, Env+"="+string(value)),
		Files: []*os.File{stdin, nil, os.Stderr, three},
	})
}
