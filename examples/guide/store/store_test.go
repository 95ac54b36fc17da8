package store

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/distkit/dist"
)

//go:generate go tool distgen

//dist:nodes=1 program=store
func TestKeepsWhatItAcknowledged(t *testing.T) {
	c, ctx := dist.Require(t), t.Context()
	n := c.Node(0)
	if status, _, err := do(ctx, http.MethodPut, n.Addr("http"), "colour", "green"); status != http.StatusOK {
		t.Fatalf("put: status %d, %v", status, err)
	}

	n.Kill()
	if err := n.Restart(ctx); err != nil { // returns when the server is ready
		t.Fatal(err)
	}
	if _, value, err := do(ctx, http.MethodGet, n.Addr("http"), "colour", ""); value != "green" {
		t.Errorf("after the crash: colour = %q, %v; want green", value, err)
	}
}

// The test before has left a value, and this one does not see it.
//
//dist:nodes=1 program=store
func TestBeginsEmpty(t *testing.T) {
	c := dist.Require(t)
	status, value, err := do(t.Context(), http.MethodGet, c.Node(0).Addr("http"), "colour", "")
	if status != http.StatusNotFound {
		t.Errorf("status %d, colour = %q, %v; want 404", status, value, err)
	}
}

// do sends one request about a key to a server.
func do(ctx context.Context, method, addr, key, value string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+"/values/"+key, strings.NewReader(value))
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}
