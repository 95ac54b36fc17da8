//go:build linux

package backend_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/distkit/dist/runtime/network"
	"github.com/distkit/dist/runtime/network/backend"
	"github.com/distkit/dist/runtime/network/namespaces"
)

func TestNew(t *testing.T) {
	a, err := network.New("per-node", "")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for _, test := range []struct {
		asked, got string
		apart      bool // nodes are in networks of their own
	}{
		{"auto", "links", false},
		{"links", "links", false},
		{"namespaces", "namespaces", true},
	} {
		if test.apart {
			if err := namespaces.Try(); err != nil {
				t.Logf("there can be no network namespaces here: %v", err)
				continue
			}
		}
		l, err := a.Lease(4, []string{"a"})
		if err != nil {
			t.Fatal(err)
		}
		n, err := backend.New(test.asked, backend.Nodes{
			Count: 2, Ports: []string{"a"}, Addr: l.Addr, Behind: func(i int, port string) string { return l.Addr(i+2, port) },
			PIDs: func() []int { return []int{os.Getpid(), os.Getpid()} },
		})
		if err != nil {
			t.Errorf("%s: %v", test.asked, err)
			l.Release()
			continue
		}
		if n.Backend() != test.got || n.String() != test.got {
			t.Errorf("%s is %v", test.asked, n)
		}
		if apart := n.Host(1) != nil; apart != test.apart || (n.Listen(1, "a") == l.Addr(1, "a")) != test.apart {
			t.Errorf("%s: apart %v, listens on %s at %s", test.asked, apart, n.Listen(1, "a"), l.Addr(1, "a"))
		}
		if err := n.Set(map[network.Pair]network.Condition{{From: 0, To: 1}: {Cut: true}}); err != nil {
			t.Errorf("%s: %v", test.asked, err)
		}
		n.Close()
		l.Release()
	}
	var none *backend.Network
	if none.Host(0) != nil {
		t.Error("no network has a host")
	}
	_, err = backend.New("namespaces", backend.Nodes{Count: 2, Ports: []string{"a"}, Addr: func(i int, _ string) string { return fmt.Sprint("127.0.0.1:", 20000+i) }})
	if u := (*network.Unsupported)(nil); !errors.As(err, &u) {
		t.Errorf("two nodes with one address: %v", err)
	}
}
