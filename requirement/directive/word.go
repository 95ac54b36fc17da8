package directive

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"

	"github.com/distkit/dist/requirement"
)

// grammar has the words in canonical order, and how the value of each is read;
// nil for a word without one.
var grammar = []struct {
	name  string
	shape string // how the word is written
	read  func(r *requirement.Requirement, value string) error
}{
	{requirement.WordNodes, "nodes=N", func(r *requirement.Requirement, v string) (err error) {
		r.Nodes, err = readSize(requirement.WordNodes, v)
		return err
	}},
	{requirement.WordMin, "min=N", func(r *requirement.Requirement, v string) (err error) {
		r.Min, err = readSize(requirement.WordMin, v)
		return err
	}},
	{requirement.WordProgram, "program=NAME", func(r *requirement.Requirement, v string) error {
		r.Program = v
		return requirement.CheckProgram(v)
	}},
	{requirement.WordPorts, "ports=NAME,NAME", func(r *requirement.Requirement, v string) error {
		r.Ports = strings.Split(v, ",")
		return requirement.CheckPorts(r.Ports...)
	}},
	{requirement.WordReuse, "reuse", nil},
	{requirement.WordShared, "shared", nil},
	{requirement.WordOptional, "optional", nil},
	{requirement.WordTimeout, "timeout=DURATION", func(r *requirement.Requirement, v string) (err error) {
		r.Timeout, err = readTimeout(v)
		return err
	}},
}

var wordList = func() string {
	var names []string
	for _, g := range grammar {
		names = append(names, g.shape)
	}
	return strings.Join(names, ", ")
}()

func lookup(name string) (int, bool) {
	for i, g := range grammar {
		if g.name == name {
			return i, true
		}
	}
	return 0, false
}

// check reads one word strictly. It returns the word's name, and what is wrong
// with it if anything is.
func check(word string) (name, msg string, code Code) {
	name, value, hasValue := strings.Cut(word, "=")
	i, ok := lookup(name)
	if !ok {
		return "", fmt.Sprintf("%q is no word of a dist directive", word), UnknownWord
	}
	g := grammar[i]
	switch {
	case g.read == nil && hasValue:
		return name, fmt.Sprintf("%s: the word %s has no value", word, name), BadValue
	case g.read != nil && !hasValue:
		return name, fmt.Sprintf("%s has no value: write %s without spaces", name, g.shape), BadValue
	case g.read != nil:
		if err := g.read(new(requirement.Requirement), value); err != nil {
			return name, err.Error(), BadValue
		}
	}
	return name, "", ""
}

// set puts a word that check has found right into r.
func set(r *requirement.Requirement, word string) {
	name, value, _ := strings.Cut(word, "=")
	switch name {
	case requirement.WordReuse:
		r.Reuse = true
	case requirement.WordShared:
		r.Shared = true
	case requirement.WordOptional:
		r.Optional = true
	default:
		i, _ := lookup(name)
		grammar[i].read(r, value)
	}
}

func readSize(word, v string) (int, error) {
	digits := strings.TrimLeft(v, "0123456789") == ""
	switch {
	case v == "":
		return 0, fmt.Errorf("%s= has no number", word)
	case v[0] == '+' || v[0] == '-':
		return 0, fmt.Errorf("%s=%s: a size has no sign", word, v)
	case !digits:
		return 0, fmt.Errorf("%s=%s: a size is a decimal number", word, v)
	case v[0] == '0' && len(v) > 1:
		return 0, fmt.Errorf("%s=%s: a size has no leading zero", word, v)
	}
	n, err := strconv.Atoi(v)
	if err != nil { // out of range: digits it is
		return 0, fmt.Errorf("%s=%s: a cluster has at most %d nodes", word, v, requirement.MaxNodes)
	}
	return n, requirement.CheckSize(word, n)
}

func readTimeout(v string) (time.Duration, error) {
	if v == "" {
		return 0, errors.New("timeout= has no duration")
	}
	if v[0] == '+' || v[0] == '-' {
		return 0, fmt.Errorf("timeout=%s: a timeout has no sign", v)
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		return 0, fmt.Errorf("timeout=%s: a timeout is a duration such as 30s or 1m30s", v)
	}
	return d, requirement.CheckTimeout(d)
}

// repair guesses what the first of words was meant to be. It returns the right
// word and how many of words it replaces: words belong together if an = or a
// comma between them was torn off. "" if there is no good guess.
func repair(words []lexeme) (fixed string, n int) {
	s, n := words[0].text, 1
	glue := func() {
		for n < len(words) && (strings.ContainsAny(s[len(s)-1:], "=:,") || strings.ContainsAny(words[n].text[:1], "=:,")) {
			s += words[n].text
			n++
		}
	}
	glue()
	if !strings.ContainsAny(s, "=:") && n < len(words) {
		// "nodes 3": the next word is the value, unless it is a word itself.
		if i, ok := nearest(s); ok && grammar[i].read != nil {
			if _, msg, _ := check(words[n].text); msg != "" && !strings.ContainsAny(words[n].text, "=:") {
				s += "=" + words[n].text
				n++
				glue()
			}
		}
	}
	if fixed, ok := repairWord(s); ok {
		return fixed, n
	}
	if n > 1 {
		if fixed, ok := repairWord(words[0].text); ok {
			return fixed, 1
		}
	}
	return "", 1
}

func repairWord(s string) (string, bool) {
	s = strings.Trim(s, ",;.")
	s = strings.TrimLeft(s, "-")
	name, value := s, ""
	if i := strings.IndexAny(s, "=:"); i >= 0 {
		name, value = s[:i], strings.TrimLeft(s[i:], "=:")
	}
	i, ok := nearest(name)
	if !ok {
		return "", false
	}
	g := grammar[i]
	if g.read == nil {
		switch value {
		case "", "true", "yes", "1":
			return g.name, true
		}
		return "", false
	}
	value = strings.Trim(value, "\"'`")
	switch g.name {
	case requirement.WordNodes, requirement.WordMin:
		value = strings.TrimPrefix(value, "+")
		if t := strings.TrimLeft(value, "0"); t != "" {
			value = t
		}
	case requirement.WordTimeout:
		value = strings.TrimPrefix(value, "+")
		if value != "" && strings.TrimLeft(value, "0123456789") == "" {
			value += "s"
		}
	}
	fixed := g.name + "=" + value
	if _, msg, _ := check(fixed); msg != "" {
		return "", false
	}
	return fixed, true
}

// nearest finds the word that name was meant to be: the same but for case, or
// for a slip or two of the fingers.
func nearest(name string) (int, bool) {
	name = strings.ToLower(name)
	if i, ok := lookup(name); ok {
		return i, true
	}
	best, distance := 0, 3
	for i, g := range grammar {
		if d := levenshtein.ComputeDistance(name, g.name); d < distance {
			best, distance = i, d
		}
	}
	allowed := 1
	if len(grammar[best].name) > 4 && len(name) > 3 {
		allowed = 2
	}
	return best, distance <= allowed
}
