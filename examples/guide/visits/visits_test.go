package visits

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/distkit/dist"
)

//go:generate go tool distgen

// serve runs on a node: it opens the node's counter and serves it.
func serve(ctx context.Context, _ struct{}) (struct{}, error) {
	self := dist.Self(ctx)
	counter, err := Open(filepath.Join(self.Dir(), "count"))
	if err != nil {
		return struct{}{}, err
	}
	ln, err := self.Listen("http")
	if err != nil {
		return struct{}{}, err
	}
	go http.Serve(ln, counter) // ends when the test does: dist closes the listener
	return struct{}{}, nil
}

// visit runs on a node, too: it asks another one, over the network.
func visit(ctx context.Context, addr string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

//dist:nodes=2 ports=http
func TestCountSurvivesCrash(t *testing.T) {
	c, ctx := dist.Require(t), t.Context()
	server, visitor := c.Node(0), c.Node(1)
	if _, err := dist.Call(ctx, server, serve, struct{}{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1", "2"} {
		if got, err := dist.Call(ctx, visitor, visit, server.Addr("http")); got != want || err != nil {
			t.Errorf("visit %s: %q, %v", want, got, err)
		}
	}

	server.Kill()
	if err := server.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := dist.Call(ctx, server, serve, struct{}{}); err != nil {
		t.Fatal(err)
	}
	if got, err := dist.Call(ctx, visitor, visit, server.Addr("http")); got != "3" || err != nil {
		t.Errorf("the visit after the crash: %q, %v; want 3", got, err)
	}
}
