package main

import (
	"golang.org/x/tools/go/analysis/multichecker"

	"github.com/distkit/dist/analyzer"
)

// multichecker tells by the arguments whether go vet is calling. It is not
// singlechecker so that the analyzer's flags keep their prefix under go vet,
// where they stand beside go vet's own.
func main() { multichecker.Main(analyzer.Analyzer) }
