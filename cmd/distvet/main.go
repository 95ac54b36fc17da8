package main

import (
	"fmt"
	"os"

	"golang.org/x/tools/go/analysis/multichecker"

	"github.com/distkit/dist/analyzer"
	"github.com/distkit/dist/cmd/internal/vettool"
)

// multichecker tells by the arguments whether go vet is calling. It is not
// singlechecker so that the analyzer's flags keep their prefix under go vet,
// where they stand beside go vet's own.
func main() {
	if asked, err := vettool.Identify(os.Args[1:], "distvet", os.Stdout); asked {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	multichecker.Main(analyzer.Analyzer)
}
