// Package suite is what the tests of package dist run: a package with
// distributed tests, some of which are meant to fail. It is built as a test
// binary of its own and run in many ways.
package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Some of the nodes do not start, where SUITE_FLAKY says so: "DIR:first:N" are
// the first N, "DIR:after:N" all but those. The directory counts them.
func init() {
	dir, rest, _ := strings.Cut(os.Getenv("SUITE_FLAKY"), ":")
	if _, isNode := os.LookupEnv("DIST_RUN_ID"); !isNode || dir == "" {
		return
	}
	how, number, _ := strings.Cut(rest, ":")
	n, err := strconv.Atoi(number)
	if err != nil {
		panic(err)
	}
	for i := 1; ; i++ {
		f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(i)), os.O_CREATE|os.O_EXCL, 0o600)
		if os.IsExist(err) {
			continue
		}
		if err != nil {
			panic(err)
		}
		f.Close()
		if (how == "first") == (i <= n) {
			fmt.Printf("start %d is one of those that fail\n", i)
			os.Exit(9)
		}
		return
	}
}

// OnlyOnNodes is called on nodes alone, for the coverage that comes from there.
func OnlyOnNodes(n int) int {
	if n%2 == 0 {
		return n / 2
	}
	return 3*n + 1
}

// Hidden holds a function that no generated table names.
var Hidden = func() func(context.Context, int) (int, error) { return hidden }()

func hidden(context.Context, int) (int, error) { return 0, nil }
