package directive

import (
	"go/token"
	"strings"
	"unicode"

	"github.com/agnivade/levenshtein"
)

// parseNearMiss recognises comments that were meant to be directives and are
// none: "// dist:nodes=3", "//Dist:nodes=3", "//dist: nodes=3",
// "//dist:Nodes=3", "//dst:nodes=3", "/*dist:nodes=3*/". Prose that mentions a
// directive must pass, so every word has to look like one of the grammar.
func parseNearMiss(pos token.Pos, text string) (*Directive, []*Error) {
	body, block := strings.CutPrefix(text, "/*")
	if block {
		body = strings.TrimSuffix(body, "*/")
	} else {
		body = strings.TrimPrefix(body, "//")
		if strings.HasPrefix(body, "//") {
			return nil, nil // commented out
		}
		body = strings.TrimPrefix(body, "/")
	}
	end := pos + token.Pos(len(text))
	if block {
		end -= token.Pos(len(text) - len("/*") - len(body))
	}
	tight := body != "" && !unicode.IsSpace(rune(body[0]))
	body = strings.TrimLeftFunc(body, unicode.IsSpace)
	body = strings.TrimLeft(body, "+@#")

	i := strings.IndexFunc(body, func(r rune) bool { return !unicode.IsLetter(r) })
	if i < 0 {
		return nil, nil
	}
	name, rest := body[:i], body[i:]
	slip := !strings.EqualFold(name, tool)
	if slip && (levenshtein.ComputeDistance(strings.ToLower(name), tool) > 1 || rest[0] != ':') {
		return nil, nil
	}
	body = strings.TrimLeftFunc(rest, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(":：=.-", r) })
	colon := strings.Contains(rest[:len(rest)-len(body)], ":")
	if rest == body {
		return nil, nil // "distributed", "dist/nodes"
	}

	words, unspaced := cutComment(split(body, end-token.Pos(len(body))))
	if len(words) == 0 {
		if tight && colon && !slip {
			e := &Error{Pos: pos, End: end, Code: NearMiss, Message: prefix + " directive without a word: write at least " + prefix + "nodes=N"}
			return &Directive{Pos: pos, End: end, NearMiss: true}, []*Error{e}
		}
		return nil, nil
	}

	// "dist: optional" is prose; "dist:optional" and "//dist: optional" are not.
	assigned := colon && (tight || rest == ":"+body)
	var fixed []string
	clear := true
	for i := 0; i < len(words); {
		fix, n := words[i].text, 1
		if _, msg, _ := check(fix); msg != "" {
			fix, n = repair(words[i:])
		}
		if fix == "" {
			if slip || !looksAssigned(words[i].text) {
				return nil, nil
			}
			clear = false
		} else if strings.Contains(fix, "=") && strings.ContainsAny(words[i].text, "=:") {
			assigned = true
		}
		fixed = append(fixed, fix)
		i += n
	}
	if !assigned {
		return nil, nil
	}

	last := words[len(words)-1].end()
	d := &Directive{Pos: pos, End: last, NearMiss: true}
	d.parse(words) // its mistakes come up once this one is mended
	e := &Error{Pos: pos, End: last, Code: NearMiss, Message: "comment looks like a dist directive, but Go takes it for prose"}
	if right := prefix + strings.Join(fixed, " "); clear && !block {
		e.Message += ": write " + right
		e.Fix = right
		if unspaced != nil {
			e.Fix += " "
		}
	} else if block {
		e.End = pos + token.Pos(len(text))
		if clear {
			e.Message += ": write " + right + ", on a line of its own"
		}
	} else {
		e.Message += ": begin it with " + prefix + " and no spaces"
	}
	return d, []*Error{e}
}

// looksAssigned reports whether w is a word of the grammar with a value that is
// no good.
func looksAssigned(w string) bool {
	i := strings.IndexAny(w, "=")
	if i < 0 {
		return false
	}
	_, ok := nearest(w[:i])
	return ok
}
