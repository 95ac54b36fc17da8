// Package ownmain has a TestMain of its own, which does as the variable FAILURE
// says on nodes.
package ownmain

//go:generate go run github.com/distkit/dist/cmd/distgen

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/distkit/dist"
)

func TestMain(m *testing.M) {
	if os.Getenv("DIST_RUN_ID") != "" {
		switch os.Getenv("FAILURE") {
		case "main exits":
			fmt.Println("the database is set up already")
			os.Exit(3)
		case "main panics":
			panic("the database is set up already")
		case "no divert":
			os.Exit(m.Run())
		}
	}
	if os.Getenv("FAILURE") == "no dist.Main" {
		os.Exit(m.Run())
	}
	os.Exit(dist.Main(m))
}

func pid(context.Context, struct{}) (int, error) { return os.Getpid(), nil }

//dist:nodes=2
func TestTwo(t *testing.T) {
	if _, err := dist.CallAll(t.Context(), dist.Require(t), pid, struct{}{}); err != nil {
		t.Fatal(err)
	}
}
