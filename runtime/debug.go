package runtime

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/diagnostics"
)

// EnvDebug names the nodes that are to be debugged, separated by commas.
const EnvDebug = "DIST_DEBUG"

var debuggable = regexp.MustCompile(`^node-[1-9][0-9]*$`)

// readDebug returns the nodes that are to be debugged.
func readDebug() ([]string, error) {
	value, _ := os.LookupEnv(EnvDebug)
	var names []string
	for name := range strings.SplitSeq(value, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if !debuggable.MatchString(name) {
			return nil, diagnostics.Diagnose(diagnostics.Failure{
				Phase: diagnostics.PhaseConfig, Code: diagnostics.ConfigInvalid, Op: "find out what is to be debugged", Name: EnvDebug,
				Err: fmt.Errorf("%s=%s: %q is no node's name: it is node-1, or a list such as node-1,node-3", EnvDebug, value, name),
			})
		}
		names = append(names, name)
	}
	return names, nil
}

// patience is what everything may take while somebody looks at it.
const patience = 24 * time.Hour

// patient is a configuration for a run with a debugger.
func patient(c *config.Config) *config.Config {
	stretched := *c
	stretched.Cluster.StartTimeout, stretched.Cluster.StopTimeout = patience, patience
	return &stretched
}

// tell says something to whoever is at the terminal, at once: go test keeps what a
// test prints until it has ended, and then shows it only if it has failed.
func tell(text string) {
	text = "dist: " + text + "\n"
	if tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0); err == nil {
		defer tty.Close()
		if _, err := tty.WriteString(text); err == nil {
			return
		}
	}
	os.Stderr.WriteString(text)
}

// debug has the nodes of a lease that are to be debugged wait for a debugger.
func (h *Held) debug() error {
	if d, ok := deadline(h.t); ok {
		tell(fmt.Sprintf("-timeout ends this in %v, whoever is looking: -timeout=0 does not", time.Until(d).Round(time.Second)))
	}
	return h.Lease.Debug(h.t.Context())
}
