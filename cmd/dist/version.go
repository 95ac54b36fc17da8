package main

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
)

const versionHelp = `usage: dist version [-json]

Prints the version of the module that the command was built from, and of Go.

  -json    print one JSON object

Examples:

  dist version
  dist version -json

Exit status: 0.
`

// A versionInfo says what this command is. Its JSON form is documented in
// docs/dist.md.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the repository it was built in
	Modified bool   `json:"modified,omitempty"` // there were changes since that revision
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func setupVersion(flags *flag.FlagSet) action {
	asJSON := flags.Bool("json", false, "")
	return func(_ context.Context, args []string, s streams) error {
		if err := noArguments("version", args); err != nil {
			return err
		}
		v := version()
		if *asJSON {
			return printJSON(s.out, v)
		}
		fmt.Fprintf(s.out, "dist %s %s %s/%s\n", v.Version, v.Go, v.OS, v.Arch)
		return nil
	}
}

// version finds the module among the dependencies where the command is built as
// a tool of another.
func version() versionInfo {
	v := versionInfo{Version: "(unknown)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == modulePathOfDist && m.Version != "" {
			v.Version = m.Version
		}
	}
	if info.Main.Path == modulePathOfDist {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	return v
}

const modulePathOfDist = "github.com/distkit/dist"
