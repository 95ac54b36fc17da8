package gossip

import (
	"context"
	"os"
	"time"

	"github.com/distkit/dist"
)

// group is the member of this node, between calls.
var group *Group

// probe is long enough for nodes that share a busy machine, and short enough for
// an impatient reader.
const probe = 100 * time.Millisecond

// start starts the node's member, on its own.
func start(ctx context.Context, suspicion int) (struct{}, error) {
	self := dist.Self(ctx)
	g, err := Open(Config{
		Name:      self.Name(),
		Listen:    self.ListenAddr("gossip"),
		Advertise: self.Addr("gossip"),
		Probe:     probe,
		Suspicion: suspicion,
		Log:       os.Stderr, // shown with a test that fails
	})
	if err != nil {
		return struct{}{}, err
	}
	self.Cleanup(func() { g.Close() })
	group = g
	return struct{}{}, nil
}

// join has the node join the others by way of the first of them.
func join(ctx context.Context, _ struct{}) (struct{}, error) {
	return struct{}{}, group.Join(dist.Self(ctx).Addrs("gossip")[0])
}

// members returns when just these are the node's members.
func members(ctx context.Context, names []string) (struct{}, error) {
	return struct{}{}, group.WaitMembers(ctx, names...)
}

// say has the node say something to all.
func say(ctx context.Context, text string) (struct{}, error) {
	return struct{}{}, group.Say(ctx, text)
}

// A saying is what a member says.
type saying struct{ Name, Text string }

// hear returns when the node has heard something.
func hear(ctx context.Context, s saying) (struct{}, error) {
	return struct{}{}, group.WaitSays(ctx, s.Name, s.Text)
}

// lost returns whom the node has declared dead, or heard that others did.
func lost(ctx context.Context, _ struct{}) ([]string, error) { return group.Lost(), nil }
