package config

import (
	"errors"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// A pos is a place in the file: line and column from 1, columns in bytes. The
// zero pos is no place.
type pos struct{ line, col int }

type kind int

const (
	kindString kind = iota
	kindInteger
	kindFloat
	kindBool
	kindTime
	kindArray
	kindTable
)

// A node is a TOML value that remembers where it stood. Decoding into structs
// would forget that, and a value that is wrong only in the light of another
// could not be pointed at.
type node struct {
	kind    kind
	at      pos
	text    string    // of a string its contents, of any other scalar its spelling
	raw     []byte    // of a string how the file spells it
	items   []*node   // of an array
	members []*member // of a table, in the order of the file
	index   map[string]*member
}

type member struct {
	name  string
	at    pos // of the key
	value *node
}

func (n *node) member(name string) *member { return n.index[name] }

// inside is the place of a byte of a string's contents.
func (n *node) inside(offset int) pos {
	raw, at := string(n.raw), n.at
	skip := func(size int) {
		for range size {
			at.col++
			if raw[0] == '\n' {
				at = pos{at.line + 1, 1}
			}
			raw = raw[1:]
		}
	}
	quote := raw[:min(len(raw), 1)]
	multi := strings.HasPrefix(raw, strings.Repeat(quote, 3)) && len(raw) >= 6
	if skip(len(quote)); multi {
		skip(2)
		skip(len(raw) - len(strings.TrimPrefix(strings.TrimPrefix(raw, "\r"), "\n")))
	}
	for offset > 0 && raw != "" {
		size, spelt := 1, 1
		if quote == `"` && raw[0] == '\\' && len(raw) > 1 {
			size, spelt = unescaped(raw, multi)
		}
		offset -= size
		skip(min(spelt, len(raw)))
	}
	return at
}

// unescaped is how many bytes the escape that begins a string stands for, and
// how many it takes.
func unescaped(raw string, multi bool) (size, spelt int) {
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[raw[1]]
	switch {
	case digits > 0 && len(raw) >= 2+digits:
		r, err := strconv.ParseUint(raw[2:2+digits], 16, 32)
		if err != nil {
			return 1, 2
		}
		return utf8.RuneLen(rune(r)), 2 + digits
	case multi && strings.IndexByte(" \t\r\n", raw[1]) >= 0:
		return 0, len(raw) - len(strings.TrimLeft(raw[1:], " \t\r\n"))
	}
	return 1, 2
}

func (n *node) add(m *member) {
	if n.index == nil {
		n.index = map[string]*member{}
	}
	n.index[m.name] = m
	n.members = append(n.members, m)
}

// table returns the table of that name in n, made now if it was not there.
func (n *node) table(name string, at pos) *node {
	m := n.member(name)
	if m == nil {
		m = &member{name: name, at: at, value: &node{kind: kindTable, at: at}}
		n.add(m)
	}
	return m.value
}

// String is the value as messages show it, with what it is: the string "3".
func (n *node) String() string {
	switch n.kind {
	case kindString:
		return "the string " + quote(n.text)
	case kindInteger:
		return "the integer " + n.text
	case kindFloat:
		return "the number " + n.text
	case kindBool:
		return n.text
	case kindTime:
		return "the time " + n.text
	case kindArray:
		return "a list"
	}
	return "a table"
}

// parse reads a TOML document. The error, if there is one, is a
// *toml.DecodeError or one of the parser's own.
func parse(doc []byte) (*node, error) {
	// The decoder knows all of TOML's rules, duplicates and redefined tables
	// among them; the parser below knows only the grammar, but positions too.
	var valid map[string]any
	if err := toml.Unmarshal(doc, &valid); err != nil {
		return nil, err
	}
	b := &treeBuilder{doc: doc, lines: lineStarts(doc)}
	root := &node{kind: kindTable, at: pos{1, 1}}
	b.parser.Reset(doc)
	table := root
	for b.parser.NextExpression() {
		e := b.parser.Expression()
		switch e.Kind {
		case unstable.Table:
			table = b.descend(root, e.Key(), false)
		case unstable.ArrayTable:
			table = b.descend(root, e.Key(), true)
		case unstable.KeyValue:
			b.keyValue(table, e)
		}
	}
	return root, b.parser.Error()
}

// syntaxError gives the place and the text of an error of parse.
func syntaxError(err error) (at pos, text string) {
	var d *toml.DecodeError
	if errors.As(err, &d) {
		at.line, at.col = d.Position()
	}
	return at, printable(strings.TrimPrefix(err.Error(), "toml: "))
}

// printable keeps what a parser quotes of a broken file from breaking a
// terminal too.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// bare is a key as messages show it, quoted where a file must quote it.
func bare(key string) string {
	if isBare(key) {
		return key
	}
	return quote(key)
}

func isBare(key string) bool {
	for i := range len(key) {
		if c := key[i]; !isLetter(c) && !isDigit(c) && c != '-' && c != '_' {
			return false
		}
	}
	return key != ""
}

type treeBuilder struct {
	parser unstable.Parser
	doc    []byte
	lines  []int // offset of each line's first byte
}

func lineStarts(doc []byte) []int {
	starts := []int{0}
	for i, c := range doc {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

func (b *treeBuilder) pos(offset int) pos {
	line := sort.SearchInts(b.lines, offset+1)
	return pos{line, offset - b.lines[line-1] + 1}
}

// descend finds the table that a header names, and makes what is missing on
// the way there.
func (b *treeBuilder) descend(table *node, keys unstable.Iterator, array bool) *node {
	for keys.Next() {
		key := keys.Node()
		at := b.pos(int(key.Raw.Offset))
		table = table.table(string(key.Data), at)
		if array && keys.IsLast() {
			table.kind = kindArray
			table.items = append(table.items, &node{kind: kindTable, at: at})
		}
		if table.kind == kindArray {
			table = table.items[len(table.items)-1]
		}
	}
	return table
}

func (b *treeBuilder) keyValue(table *node, e *unstable.Node) {
	var key *unstable.Node
	for keys := e.Key(); keys.Next(); {
		if key != nil { // not the last part yet
			table = table.table(string(key.Data), b.pos(int(key.Raw.Offset)))
		}
		key = keys.Node()
	}
	// Lists carry no position of their own; the value starts behind the equals
	// sign, whatever it is.
	start := int(key.Raw.Offset + key.Raw.Length)
	for start < len(b.doc) && strings.IndexByte(" \t=", b.doc[start]) >= 0 {
		start++
	}
	table.add(&member{
		name:  string(key.Data),
		at:    b.pos(int(key.Raw.Offset)),
		value: b.value(e.Value(), b.pos(start)),
	})
}

func (b *treeBuilder) value(v *unstable.Node, at pos) *node {
	n := &node{at: at, text: string(v.Data)}
	switch v.Kind {
	case unstable.String:
		n.kind = kindString
		n.raw = b.parser.Raw(v.Raw)
	case unstable.Integer:
		n.kind = kindInteger
	case unstable.Float:
		n.kind = kindFloat
	case unstable.Bool:
		n.kind = kindBool
	case unstable.Array:
		n.kind = kindArray
		for items := v.Children(); items.Next(); {
			item := items.Node()
			itemAt := at // a list in a list; nowhere allowed, so near enough
			if item.Raw.Length > 0 {
				itemAt = b.pos(int(item.Raw.Offset))
			}
			n.items = append(n.items, b.value(item, itemAt))
		}
	case unstable.InlineTable:
		n.kind = kindTable
		for kvs := v.Children(); kvs.Next(); {
			b.keyValue(n, kvs.Node())
		}
	default:
		n.kind = kindTime
	}
	return n
}
