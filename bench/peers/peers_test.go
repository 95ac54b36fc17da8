//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPeers does the work once with each, for whether it can be done at all.
func TestPeers(t *testing.T) {
	program := filepath.Join(t.TempDir(), "peers")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	cmd := exec.Command(program, "-json", "-rounds=1", "-calls=8")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	measured := make(map[string]int)
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var line struct {
			Peer, Name string
			NS         float64
			Spread     []float64
		}
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if line.NS <= 0 {
			t.Errorf("%s of %s took %g ns", line.Name, line.Peer, line.NS)
		}
		measured[line.Peer]++
	}
	want := []string{"dist", "net/rpc", "grpc"}
	if _, err := exec.LookPath("escript"); err == nil {
		want = append(want, "erlang")
	}
	for _, peer := range want {
		if measured[peer] != 4 {
			t.Errorf("%s has %d lines, want 4", peer, measured[peer])
		}
	}
}
