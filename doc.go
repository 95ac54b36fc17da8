// Package dist runs a test against a cluster of real processes.
//
// A test says what it needs beside itself, and takes it:
//
//	//dist:nodes=3 ports=http
//	func TestReplication(t *testing.T) {
//		c := dist.Require(t)
//		if _, err := dist.CallAll(t.Context(), c, startReplica, Config{Peers: c.Addrs("http")}); err != nil {
//			t.Fatal(err)
//		}
//		if err := c.Node(0).Kill(); err != nil {
//			t.Fatal(err)
//		}
//		...
//	}
//
// Each node is the test binary run again, as a process of its own, so what
// runs on it is any package-level function of the form
//
//	func(ctx context.Context, in In) (Out, error)
//
// called with [Call], [CallAll] or [CallNodes]. There, [Self] tells the function which node
// it is on, where to listen and where to keep data.
//
// The command distgen writes the bootstrap a package needs for this (go
// generate), distvet finds the mistakes, and go test runs the tests as ever.
package dist
