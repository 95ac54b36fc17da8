package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/distkit/dist/bench/suite"
)

// args are what go test gives a test binary that it runs.
func (b *binary) args() []string {
	return []string{b.path, "-test.paniconexit0", "-test.timeout=2m0s", "-test.run=^" + suite.Test + "$"}
}

// environ is this process's, with limits that let every line be measured
// wherever this runs.
func environ(j suite.Job) ([]string, error) {
	value, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	// How long the pauses between tries are, and what others have on this
	// machine, is no matter of how fast it is.
	env := append(os.Environ(), "DIST_FALLBACK_RETRIES=0", "DIST_CLUSTER_MAX_NODES=256", "DIST_CI_MAX_NODES=256", "DIST_RESOURCES_MAX_NODES_ON_MACHINE=4096", suite.Env+"="+string(value))
	if j.Faults != "" {
		env = append(env, "DIST_NETWORK_FAULTS="+j.Faults)
	}
	return env, nil
}

// do runs a job to its end, in a fresh process, and returns its sample.
func (b *binary) do(ctx context.Context, j suite.Job) (suite.Sample, error) {
	p, s, err := b.begin(ctx, j)
	if err != nil {
		return suite.Sample{}, err
	}
	return s, p.wait()
}

// A measuring is a process that does a job.
type measuring struct {
	cmd    *exec.Cmd
	stdout *bufio.Reader
	text   bytes.Buffer // what it has printed there besides
	stderr bytes.Buffer // package exec writes to it until Wait
}

// begin starts a job and returns when it has given its sample.
func (b *binary) begin(ctx context.Context, j suite.Job) (*measuring, suite.Sample, error) {
	var s suite.Sample
	env, err := environ(j)
	if err != nil {
		return nil, s, err
	}
	m := &measuring{cmd: exec.CommandContext(ctx, b.path, b.args()[1:]...)}
	m.cmd.Dir, m.cmd.Env, m.cmd.Stderr = b.dir, env, &m.stderr
	stdout, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, s, err
	}
	m.stdout = bufio.NewReader(stdout)
	if err := m.cmd.Start(); err != nil {
		return nil, s, err
	}
	for {
		text, err := m.stdout.ReadString('\n')
		if value, ok := strings.CutPrefix(text, suite.Mark); ok {
			err := json.Unmarshal([]byte(value), &s)
			return m, s, err
		}
		m.text.WriteString(text)
		if err != nil {
			err := m.wait()
			if err == nil {
				err = fmt.Errorf("it gave no sample\n%s%s", m.text.Bytes(), m.stderr.Bytes())
			}
			return nil, s, err
		}
	}
}

func (m *measuring) wait() error {
	io.Copy(&m.text, m.stdout)
	if err := m.cmd.Wait(); err != nil {
		return fmt.Errorf("the measuring process: %w\n%s%s", err, m.text.Bytes(), m.stderr.Bytes())
	}
	return nil
}
