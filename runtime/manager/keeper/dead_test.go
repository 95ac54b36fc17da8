package keeper

import (
	"context"
	"os"
	"testing"

	"github.com/distkit/dist/runtime/engine/process"
)

func TestDead(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", os.Getenv("XDG_CACHE_HOME"))
	e := process.New()
	defer e.Close()
	s, err := Listen(New(e), Options{Kind: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.Serve(ctx)
	}()
	if dead, err := Dead(); err != nil || len(dead) > 0 {
		t.Errorf("dead while it lives: %v, %v", dead, err)
	}
	if RemoveDead(s.File()) {
		t.Error("removed while it lives")
	}
	content, err := os.ReadFile(s.File())
	if err != nil {
		t.Fatal(err)
	}
	stop()
	<-served
	// As if it had been killed.
	if err := os.WriteFile(s.File(), content, 0o600); err != nil {
		t.Fatal(err)
	}
	dead, err := Dead()
	if err != nil || len(dead) != 1 || dead[0] != s.File() {
		t.Fatalf("dead: %v, %v", dead, err)
	}
	if !RemoveDead(dead[0]) || RemoveDead(dead[0]) {
		t.Error("not removed, or twice")
	}
	if _, err := os.Stat(s.File()); !os.IsNotExist(err) {
		t.Errorf("its file: %v", err)
	}
}
