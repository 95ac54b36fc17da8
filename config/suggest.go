package config

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// nearest returns the candidate that got was most likely meant to be, or "".
func nearest(got string, candidates []string) string {
	norm := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }
	if len(got) > 2*maxNameLen {
		return ""
	}
	best, least := "", 0
	for _, c := range candidates {
		d := levenshtein.ComputeDistance(norm(got), norm(c))
		// A third of the letters: more, and the guess is as likely wrong.
		if d <= max(1, (len(c)+2)/3) && (best == "" || d < least) {
			best, least = c, d
		}
	}
	return best
}

// didYouMean is the beginning of a remedy that knows what was meant.
func didYouMean(got string, candidates []string) string {
	if c := nearest(got, candidates); c != "" {
		return "did you mean " + quote(c) + "? "
	}
	return ""
}
