package main

import (
	"os/exec"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/distkit/dist/cmd/internal/script"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dist": main})
}

func TestScript(t *testing.T) {
	dist, err := exec.LookPath("dist") // testscript.Main put it there
	if err != nil {
		t.Fatal(err)
	}
	script.Sessions(t, dist)
}
