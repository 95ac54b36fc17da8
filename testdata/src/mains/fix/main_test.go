package fix

import (
	"os"
	"testing"
)

func TestMain(x *testing.M) { // want `TestMain does not call dist.Main: its first statement would be os.Exit\(dist.Main\(x\)\)` TestMain:"undiverted"
	code := x.Run()
	os.Exit(code)
}
