package directive

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
	"unicode"

	"github.com/distkit/dist/requirement"
)

// A Directive is one //dist: comment.
type Directive struct {
	Requirement requirement.Requirement
	Words       []Word    // those that Requirement is made of, in the order given
	Pos, End    token.Pos // from the slashes to the end of the last word
	NearMiss    bool      // Go takes the comment for prose; Requirement is what must have been meant
}

// A Word is one word of a directive.
type Word struct {
	Name     string // requirement.WordNodes, ...
	Pos, End token.Pos
}

// Find returns the word of the given name.
func (d *Directive) Find(name string) (Word, bool) {
	for _, w := range d.Words {
		if w.Name == name {
			return w, true
		}
	}
	return Word{}, false
}

// A Code names a kind of mistake for good.
type Code string

const (
	NearMiss     Code = "nearmiss"     // looks like a directive and is prose to Go
	UnknownWord  Code = "unknownword"  // no word of the grammar
	BadValue     Code = "badvalue"     // a value that is missing, malformed or out of range
	RepeatedWord Code = "repeatedword" // a word given before
	MinOverNodes Code = "minovernodes" // min and nodes contradict each other
)

// An Error is one mistake in a directive.
type Error struct {
	Pos, End token.Pos
	Code     Code
	Message  string
	Fix      string // replaces Pos to End, where the intent is clear; "" if it is not
}

func (e *Error) Error() string { return e.Message }

const (
	tool   = "dist"
	prefix = "//" + tool + ":"
)

// Parse reads one comment, given as [ast.Comment.Text] has it, that begins at
// pos. It returns nil and no errors for a comment that neither is a dist
// directive nor looks like one. With errors, the Directive has what could be
// made out, mistakes with a Fix corrected, so that one mistake is told once.
func Parse(pos token.Pos, text string) (*Directive, []*Error) {
	// Most comments end here.
	if !mayBeDirective(text) {
		return nil, nil
	}
	text = strings.TrimRight(text, "\r\n")
	if strings.ContainsAny(text, "\n") {
		return nil, nil // a block of text
	}
	d, ok := ast.ParseDirective(pos, text)
	if !ok || d.Tool != tool {
		return parseNearMiss(pos, text)
	}
	words := []lexeme{{d.Name, pos + token.Pos(len(prefix))}}
	words = append(words, split(d.Args, d.ArgsPos)...)
	words, errs := cutComment(words)
	dir := &Directive{Pos: pos, End: words[len(words)-1].end()}
	return dir, append(errs, dir.parse(words)...)
}

// mayBeDirective is a cheap test that all directives and near misses pass.
func mayBeDirective(text string) bool {
	if len(text) < len("//dst") || text[0] != '/' || text[1] != '/' && text[1] != '*' {
		return false
	}
	start := text[:min(len(text), 24)]
	return strings.ContainsAny(start, "dD") && strings.ContainsAny(start, "tT")
}

// A lexeme is a run of characters between white space.
type lexeme struct {
	text string
	pos  token.Pos
}

func (t lexeme) end() token.Pos { return t.pos + token.Pos(len(t.text)) }

// split cuts s, which begins at pos, at white space, which is what
// ParseDirective takes for it: any of Unicode's.
func split(s string, pos token.Pos) []lexeme {
	var words []lexeme
	start := -1
	for i, r := range s {
		switch {
		case unicode.IsSpace(r):
			if start >= 0 {
				words = append(words, lexeme{s[start:i], pos + token.Pos(start)})
				start = -1
			}
		case start < 0:
			start = i
		}
	}
	if start >= 0 {
		words = append(words, lexeme{s[start:], pos + token.Pos(start)})
	}
	return words
}

// cutComment drops a trailing comment. One that no space sets off is a mistake.
func cutComment(words []lexeme) ([]lexeme, []*Error) {
	for i, w := range words {
		j := strings.Index(w.text, "//")
		if j == 0 {
			return words[:i], nil
		}
		if j > 0 {
			words[i].text = w.text[:j]
			at := words[i].end()
			return words[:i+1], []*Error{{
				Pos: at, End: at + 2,
				Code:    BadValue,
				Message: "comment after " + words[i].text + " wants a space before it",
				Fix:     " //",
			}}
		}
	}
	return words, nil
}

// parse turns words into the requirement.
func (d *Directive) parse(words []lexeme) (errs []*Error) {
	for len(words) > 0 {
		w := words[0]
		right, n := w.text, 1
		name, msg, code := check(w.text)
		if msg != "" {
			right, n = repair(words)
			if right != "" {
				name, _, _ = check(right)
				msg += "; did you mean " + right + "?"
			} else if code == UnknownWord {
				msg += "; the words are " + wordList
			}
			errs = append(errs, &Error{Pos: w.pos, End: words[n-1].end(), Code: code, Message: msg, Fix: right})
		}
		end := words[n-1].end()
		words = words[n:]
		if right == "" {
			continue
		}
		if _, given := d.Find(name); given {
			// The first holds; whether the second was to replace it nobody knows.
			errs = append(errs, &Error{Pos: w.pos, End: end, Code: RepeatedWord, Message: name + " is given twice in one directive"})
			continue
		}
		set(&d.Requirement, right)
		d.Words = append(d.Words, Word{name, w.pos, end})
	}
	if r := d.Requirement; r.Nodes != 0 && r.Min > r.Nodes {
		w, _ := d.Find(requirement.WordMin)
		errs = append(errs, &Error{Pos: w.Pos, End: w.End, Code: MinOverNodes,
			Message: fmt.Sprintf("min=%d is more than nodes=%d", r.Min, r.Nodes)})
	}
	return errs
}
