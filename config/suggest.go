package config

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// nearest returns the candidate that got was most likely meant to be, or "".
func nearest(got string, candidates []string) string {
	c, d := closest(got, candidates)
	// A third of the letters: more, and the guess is as likely wrong.
	if c == "" || d > max(1, (len(c)+2)/3) {
		return ""
	}
	return c
}

// closest returns the first of the candidates that are fewest edits away from
// got, and how many those are. Case, and - for _, are no edits.
func closest(got string, candidates []string) (c string, distance int) {
	if len(got) > 2*maxNameLen { // nothing is near, and the distance dear
		return "", 0
	}
	norm := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }
	for _, candidate := range candidates {
		d := levenshtein.ComputeDistance(norm(got), norm(candidate))
		if c == "" || d < distance {
			c, distance = candidate, d
		}
	}
	return c, distance
}

// didYouMean is the beginning of a remedy that knows what was meant.
func didYouMean(got string, candidates []string) string {
	if c := nearest(got, candidates); c != "" {
		return "did you mean " + quote(c) + "? "
	}
	return ""
}
