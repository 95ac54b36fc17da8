package diagnostics

import (
	"fmt"
	"strings"
)

// doc is where the code is explained.
func (c Code) doc() string {
	if c == "" {
		return ""
	}
	return "docs/diagnoses.md#" + strings.ToLower(string(c))
}

// maxLines bounds one line's wish to be many: a label's lines beyond it are
// counted instead of shown.
const maxLines = 60

// Error is the diagnosis laid out for a terminal: the problem and its code on
// the first line, then one labelled block each for cause, evidence, remedies,
// what was done instead and where to read more. Under t.Fatal it is indented
// below the position. There is no newline at its end.
func (d *Diagnosis) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "dist: %s   [%s]", d.Problem, d.Code)
	block := func(label string, lines ...string) {
		if len(lines) > maxLines {
			n := len(lines) - maxLines
			lines = append(lines[:maxLines:maxLines], fmt.Sprintf("… (%d more)", n))
		}
		for i, line := range lines {
			if i > 0 {
				label = ""
			}
			fmt.Fprintf(&b, "\n    %-9s %s", label, line)
		}
	}
	// The cause may be an error of several lines, the words of a config file
	// with several mistakes, for instance.
	if d.Cause != "" {
		block("cause:", strings.Split(d.Cause, "\n")...)
	}
	block("evidence:", d.Evidence...)
	block("remedy:", d.Remedies...)
	switch {
	case d.Fallback != "":
		block("instead:", d.Fallback)
	case d.Skip:
		block("instead:", "the test is skipped")
	case d.Retry:
		block("retry:", fmt.Sprintf("can help, after %s", d.RetryAfter))
	}
	block("more:", d.Code.doc())
	return b.String()
}
