package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/distkit/dist/runtime/network/namespaces"
)

// needNamespaces skips a test where nodes can have no networks of their own.
func needNamespaces(t *testing.T) {
	t.Helper()
	if os.Getenv("DIST_NETWORK_ADDRESSES") == "ports" {
		t.Skip("nodes that share an address can have no networks of their own")
	}
	if err := namespaces.Try(); err != nil {
		t.Skipf("there can be no network namespaces here: %v", err)
	}
}

// TestNetworkOfPrograms has faults in the network of nodes that run a program.
func TestNetworkOfPrograms(t *testing.T) {
	for _, by := range []string{"links", "namespaces"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			if by == "namespaces" {
				needNamespaces(t)
			}
			NewRun(t, Programs, "DIST_NETWORK_FAULTS="+by, "-test.run=^TestNetwork(Cut|Isolated|OneWay|Reset|Data)$", "-test.v").Check(t, 0,
				`--- PASS: TestNetworkCut`, `--- PASS: TestNetworkIsolated`, `--- PASS: TestNetworkOneWay`, `--- PASS: TestNetworkReset`, `--- PASS: TestNetworkData`,
				`network faults by `+by)
		})
	}
}

// A hostService answers lines at this machine's 127.0.0.1.
func hostService(t *testing.T) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for in := bufio.NewScanner(c); in.Scan(); {
					fmt.Fprintln(c, "the host's", in.Text())
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestHostPorts has nodes in networks of their own reach what this process has on
// the loopback interface, where that is asked for.
func TestHostPorts(t *testing.T) {
	needNamespaces(t)
	there := hostService(t)
	_, port, _ := net.SplitHostPort(there)
	nobody, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}) // and no TCP
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	env := fmt.Sprintf("DIST_NETWORK_HOST_PORTS=[%s,%d] HOST_THERE=%s HOST_NOBODY=%s ", port, nobody.LocalAddr().(*net.UDPAddr).Port, there, nobody.LocalAddr())
	for _, test := range []struct {
		name   string
		of     *Binary
		env    string
		status int
		want   []string
	}{
		{"nodes of the test binary", Suite, env + "DIST_NETWORK_FAULTS=namespaces", 0, []string{`network faults by namespaces`}},
		{"programs", Programs, env + "DIST_NETWORK_FAULTS=namespaces", 0, []string{`network faults by namespaces`}},
		{"nodes of the test binary, by links", Suite, env + "DIST_NETWORK_FAULTS=links", 0, []string{`network faults by links`}},
		{"programs, by links", Programs, env + "DIST_NETWORK_FAULTS=links", 0, []string{`network faults by links`}},
		{"not asked for", Suite, "DIST_NETWORK_FAULTS=namespaces HOST_THERE=" + there, 1, []string{`connection refused`}},
		{"no port", Suite, "DIST_NETWORK_FAULTS=namespaces DIST_NETWORK_HOST_PORTS=[0] HOST_THERE=" + there, 1,
			[]string{`DIST-CONFIG-INVALID`, `DIST_NETWORK_HOST_PORTS has an element 1 that is 0; it must be an integer from 1 to 65535`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			NewRun(t, test.of, test.env, "-test.run=^TestNetworkHost$", "-test.v").Check(t, test.status, test.want...)
		})
	}
}

// TestAutoFaults has faults be made where links cannot be had, because a process
// sees no descriptors, and where nothing can.
func TestAutoFaults(t *testing.T) {
	const noLinks = "mount -t tmpfs none /proc/$$/fd && "
	const as = `exec "$0" "$@"`
	within := func(script string, args ...string) *exec.Cmd {
		return exec.Command("unshare", append([]string{"--user", "--map-root-user", "--mount", "sh", "-c", script}, args...)...)
	}
	probe := within(noLinks+as, "true")
	if out, err := probe.CombinedOutput(); err != nil {
		t.Skipf("what cannot be had here cannot be taken away: %v\n%s", err, out)
	}
	bin, err := API.Path()
	if err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, script, env string, args ...string) *Run {
		cmd := within(script+as, append([]string{bin}, args...)...)
		r := Prepare(t, env, cmd)
		r.Cmd.Dir = API.Dir()
		return r
	}
	t.Run("namespaces", func(t *testing.T) {
		needNamespaces(t)
		run(t, noLinks, "DIST_NETWORK_FAULTS=auto", "-test.run=^Test(Partition|Link|PartitionAndProcesses)$", "-test.v").Check(t, 0,
			`network faults by namespaces \(links: it cannot be found out here which process a connection comes from\)`, `--- PASS: TestPartition `, `--- PASS: TestLink `, `--- PASS: TestPartitionAndProcesses `)
	})
	t.Run("nothing", func(t *testing.T) {
		const none = "echo 0 >/proc/sys/user/max_net_namespaces && "
		run(t, none+noLinks, "DIST_NETWORK_FAULTS=auto", "-test.run=^TestPartition$", "-test.v").Check(t, 1,
			`!network faults by`, `partition .*: a fault between nodes is unsupported here: .*"namespaces", and no networks could be made for them: .*no space left on device.*; nor by links: it cannot be found out here which process a connection comes from`)
	})
}
