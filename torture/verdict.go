package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/distkit/dist/torture/mix"
)

// An explanation is what a failed test may say under an adversity. A test that
// fails and says nothing of it is a defect, of the tests or of dist.
var explanations = map[string]*regexp.Regexp{
	"disk":        regexp.MustCompile(`DIST-DIR-FULL|no space left on device`),
	"descriptors": regexp.MustCompile(`DIST-LIMIT-FILES|DIST-SIZE-MACHINE|too many open files`),
	"processes":   regexp.MustCompile(`DIST-LIMIT-PROCESSES|DIST-SIZE-MACHINE|[Rr]esource temporarily unavailable`),
}

// What a test may say whose node, program or owner was killed by a stranger.
var (
	nodeKilled  = regexp.MustCompile(`DIST-NODE-(SIGNAL|EXIT|EXIT-UNNOTICED|EXIT-EARLY)\b|DIST-PROGRAM-UNHEALTHY|DIST-PROGRAM-NOT-READY`)
	ownerKilled = regexp.MustCompile(`DIST-CLUSTER-(GONE|UNREACHABLE|REFUSED)|DIST-NODE-SIGNAL|DIST-PROGRAM-UNHEALTHY`)
)

// An outcome is what one run of a test binary printed, by test.
type outcome struct {
	passed, failed, skipped map[string]int
	text                    map[string]string // by test; "" is the binary itself
}

var (
	switches = regexp.MustCompile(`^=== (?:RUN|CONT|NAME|PAUSE|ATTR) +(\S+)`)
	results  = regexp.MustCompile(`^\s*--- (PASS|FAIL|SKIP): (\S+)`)
)

// parse reads what -v prints.
func parse(out string) outcome {
	o := outcome{make(map[string]int), make(map[string]int), make(map[string]int), make(map[string]string)}
	now := ""
	for line := range strings.Lines(out) {
		if m := switches.FindStringSubmatch(line); m != nil {
			now = m[1]
			continue
		}
		if m := results.FindStringSubmatch(line); m != nil {
			now = m[2]
			map[string]map[string]int{"PASS": o.passed, "FAIL": o.failed, "SKIP": o.skipped}[m[1]][now]++
			continue
		}
		if line == "FAIL\n" || line == "PASS\n" {
			now = ""
		}
		o.text[now] += line
	}
	return o
}

// judge says what is wrong with what a run printed. had counts, by test, how
// often tests had their cluster, over all runs of the round; it takes from it
// what has passed. ended is what was killed while it ran.
func judge(s schedule, o outcome, stderr string, ended map[string]bool) (wrong []string) {
	allowed := []*regexp.Regexp{}
	if e := explanations[s.Adversity]; e != nil {
		allowed = append(allowed, e)
	}
	if ended["node"] || ended["program"] {
		allowed = append(allowed, nodeKilled)
	}
	if ended["dist"] || ended["program"] {
		allowed = append(allowed, ownerKilled)
	}
	for _, test := range slices.Sorted(maps.Keys(o.failed)) {
		text := o.text[test]
		switch {
		case strings.Contains(text, mix.Wrong):
			wrong = append(wrong, test+" had a wrong result")
		case strings.Contains(text, "DIST-UNKNOWN"):
			wrong = append(wrong, test+" failed for a cause that has no diagnosis")
		case !slices.ContainsFunc(allowed, func(e *regexp.Regexp) bool { return e.MatchString(text) }):
			wrong = append(wrong, test+" failed, and not for what was done to it")
		}
	}
	for _, test := range slices.Sorted(maps.Keys(o.skipped)) {
		if test != "TestOptional" || !slices.ContainsFunc(allowed, func(e *regexp.Regexp) bool { return e.MatchString(o.text[test]) }) {
			wrong = append(wrong, test+" was skipped")
		}
	}
	whole := stderr
	for _, text := range o.text {
		whole += text
	}
	for _, sign := range []string{"panic: ", "fatal error: ", "WARNING: DATA RACE", "*** Test I/O incomplete"} {
		for line := range strings.Lines(whole) {
			if strings.HasPrefix(line, sign) && !excused(s, whole) {
				wrong = append(wrong, "the test binary says "+strings.TrimSpace(line))
			}
		}
	}
	return wrong
}

// excused is for the Go runtime itself, which cannot live without threads.
func excused(s schedule, text string) bool {
	return s.Adversity == "processes" && strings.Contains(text, "runtime: failed to create new OS thread") ||
		s.Adversity == "processes" && strings.Contains(text, "pthread_create failed")
}

// unbacked says which tests have passed more often than they had a cluster.
// record is what they have noted.
func unbacked(outcomes []outcome, record string) (wrong []string) {
	had := make(map[string]int)
	for line := range strings.Lines(record) {
		words := strings.Fields(line)
		if len(words) != 3 {
			wrong = append(wrong, fmt.Sprintf("a record is %q", line))
			continue
		}
		if n, err := strconv.Atoi(words[2]); err != nil || n < 1 {
			wrong = append(wrong, fmt.Sprintf("a cluster has size %s", words[2]))
		}
		had[words[0]]++
	}
	for _, o := range outcomes {
		for test, n := range o.passed {
			if had[test] -= n; had[test] < 0 {
				wrong = append(wrong, test+" passed without its cluster")
			}
		}
	}
	return wrong
}
