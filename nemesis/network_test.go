package nemesis_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distkit/dist"
	"github.com/distkit/dist/nemesis"
)

// answer has a node answer every connection with a line.
func answer(ctx context.Context, _ struct{}) (struct{}, error) {
	l, err := dist.Self(ctx).Listen("tcp")
	if err != nil {
		return struct{}{}, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, "here")
			c.Close()
		}
	}()
	return struct{}{}, nil
}

// reach tells which nodes answer within a time.
func reach(ctx context.Context, patience time.Duration) ([]bool, error) {
	addrs := dist.Self(ctx).Addrs("tcp")
	reached := make([]bool, len(addrs))
	var wg sync.WaitGroup
	for i, addr := range addrs {
		wg.Go(func() {
			c, err := net.DialTimeout("tcp", addr, patience)
			if err != nil {
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			line, err := bufio.NewReader(c).ReadString('\n')
			reached[i] = err == nil && strings.TrimSpace(line) == "here"
		})
	}
	wg.Wait()
	return reached, nil
}

// counts are how many nodes each node reaches, in order.
func counts(reached [][]bool) (counts []int) {
	for _, row := range reached {
		n := 0
		for _, r := range row {
			if r {
				n++
			}
		}
		counts = append(counts, n)
	}
	slices.Sort(counts)
	return counts
}

//dist:nodes=5 ports=tcp
func TestNetworkFaults(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("who connects is not known here")
	}
	c := dist.Require(t)
	if _, err := dist.CallAll(t.Context(), c, answer, struct{}{}); err != nil {
		t.Fatal(err)
	}
	// A slow machine makes a node seem unreachable, and only that.
	await := func(ctx context.Context, name string, want ...int) error {
		var got []int
		for patience, deadline := 50*time.Millisecond, time.Now().Add(60*time.Second); time.Now().Before(deadline); patience *= 2 {
			reached, err := dist.CallAll(ctx, c, reach, patience)
			if err != nil {
				return err
			}
			if got = counts(reached); slices.Equal(got, want) {
				return nil
			}
			if slices.Max(got) > slices.Max(want) {
				break // more than there should be
			}
		}
		return fmt.Errorf("%s: the nodes reach %v; want %v", name, got, want)
	}
	for _, test := range []struct {
		name  string
		fault nemesis.Fault
		want  []int
	}{
		{"halves", nemesis.Halves(), []int{2, 2, 3, 3, 3}},
		{"one", nemesis.Isolate(nemesis.Any), []int{1, 4, 4, 4, 4}},
		{"all", nemesis.Isolate(nemesis.All), []int{1, 1, 1, 1, 1}},
		{"bridge", nemesis.Bridge(), []int{3, 3, 3, 3, 5}},
		{"ring", nemesis.Ring(), []int{3, 3, 3, 3, 3}},
	} {
		if err := nemesis.Run(t, c, nemesis.Options{
			Rounds: 2,
			During: func(ctx context.Context) error { return await(ctx, test.name, test.want...) },
			After:  func(ctx context.Context) error { return await(ctx, test.name+", healed", 5, 5, 5, 5, 5) },
		}, test.fault); err != nil {
			t.Error(err)
		}
	}
	// Beside what is done to processes, and undone where that ends it.
	enough := errors.New("enough")
	err := nemesis.Run(t, c, nemesis.Options{
		Started: func(ctx context.Context, n *dist.Node) error {
			_, err := dist.Call(ctx, n, answer, struct{}{})
			return err
		},
		During: func(context.Context) error { return enough },
	}, nemesis.Together(nemesis.Kill(nemesis.Any), nemesis.Halves()))
	if !errors.Is(err, enough) {
		t.Error(err)
	}
	if err := await(t.Context(), "together", 5, 5, 5, 5, 5); err != nil {
		t.Error(err)
	}
	err = nemesis.Run(t, c, nemesis.Options{Rounds: 1}, nemesis.Together(nemesis.Halves(), nemesis.Ring()))
	if err == nil || !strings.Contains(err.Error(), "ring: this round has a fault of the network already") {
		t.Errorf("two of the network: %v", err)
	}
}

// answerDatagrams has a node send every datagram back.
func answerDatagrams(ctx context.Context, _ struct{}) (struct{}, error) {
	c, err := dist.Self(ctx).ListenPacket("udp")
	if err != nil {
		return struct{}{}, err
	}
	go func() {
		for buf := make([]byte, 100); ; {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			c.WriteTo(buf[:n], from)
		}
	}()
	return struct{}{}, nil
}

// reachByDatagrams tells which nodes send a datagram back within a time.
func reachByDatagrams(ctx context.Context, patience time.Duration) ([]bool, error) {
	addrs := dist.Self(ctx).Addrs("udp")
	reached := make([]bool, len(addrs))
	var wg sync.WaitGroup
	for i, addr := range addrs {
		wg.Go(func() {
			c, err := net.Dial("udp", addr)
			if err != nil {
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			fmt.Fprint(c, "there?")
			_, err = c.Read(make([]byte, 100))
			reached[i] = err == nil
		})
	}
	wg.Wait()
	return reached, nil
}

//dist:nodes=4 ports=udp
func TestLinksOfNodes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("who sends is not known here")
	}
	c := dist.Require(t)
	if _, err := dist.CallAll(t.Context(), c, answerDatagrams, struct{}{}); err != nil {
		t.Fatal(err)
	}
	await := func(ctx context.Context, want ...int) error {
		for patience := 50 * time.Millisecond; ; patience *= 2 {
			reached, err := dist.CallAll(ctx, c, reachByDatagrams, patience)
			if err != nil {
				return err
			}
			if got := counts(reached); slices.Equal(got, want) {
				return nil
			} else if patience > time.Minute || slices.Max(got) > slices.Max(want) {
				return fmt.Errorf("the nodes reach %v; want %v", got, want)
			}
		}
	}
	for _, test := range []struct {
		fault nemesis.Fault
		want  []int
	}{
		{nemesis.Lossy(1, nemesis.Any), []int{1, 3, 3, 3}},
		{nemesis.Slow(time.Hour, 0, nemesis.All), []int{1, 1, 1, 1}},
		{nemesis.Slow(time.Hour, 4*time.Second, nemesis.Minority), []int{1, 3, 3, 3}},
		{nemesis.Lossy(0, nemesis.All), []int{4, 4, 4, 4}},
	} {
		if err := nemesis.Run(t, c, nemesis.Options{
			Rounds: 2,
			During: func(ctx context.Context) error { return await(ctx, test.want...) },
			After:  func(ctx context.Context) error { return await(ctx, 4, 4, 4, 4) },
		}, test.fault); err != nil {
			t.Error(err)
		}
	}
}

//dist:nodes=2 ports=tcp
func TestTooFewForTheNetwork(t *testing.T) {
	c := dist.Require(t)
	for name, fault := range map[string]nemesis.Fault{"bridge: it takes 3 nodes, and there are 2": nemesis.Bridge(), "ring: it takes 4 nodes": nemesis.Ring()} {
		if err := nemesis.Run(t, c, nemesis.Options{Rounds: 1}, fault); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}
