package generator

import (
	"bytes"
	goscanner "go/scanner"
	"go/token"
	"io"
	"os"
	"strconv"
)

// asksFor reports whether a test file's text has what only one that asks for
// clusters, or tries to, would contain: the import of package dist, a directive,
// or something so like a directive that the analyzer has to look at it.
//
// Thousands of files that have nothing of it are the common case, and a regular
// expression would cost twenty times what reading them does.
func asksFor(text []byte) bool {
	for rest := text; ; {
		i := bytes.Index(rest, []byte(distPath))
		if i < 0 {
			break
		}
		end := i + len(distPath)
		if i > 0 && end < len(rest) && isQuote(rest[i-1]) && isQuote(rest[end]) {
			return true
		}
		rest = rest[end:]
	}
	for rest := text; ; {
		i := bytes.Index(rest, []byte("//"))
		if i < 0 {
			return false
		}
		comment := bytes.TrimLeft(rest[i+len("//"):], " \t")
		rest = rest[i+1:] // "///" has two
		if len(comment) < len("dist:") || !bytes.EqualFold(comment[:len("dist")], []byte("dist")) {
			continue
		}
		if bytes.HasPrefix(bytes.TrimLeft(comment[len("dist"):], " \t"), []byte(":")) {
			return true
		}
	}
}

func isQuote(b byte) bool { return b == '"' || b == '`' }

// importsIn returns the paths that the Go source at the beginning of text
// imports. It reports whether it saw their end: something else follows, and that
// is not the text's last word. Where text is no Go it ends where that shows.
func importsIn(text []byte) (paths []string, whole bool) {
	var s goscanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(text))
	s.Init(file, text, nil, 0) // without a handler it goes on after errors
	var pos token.Pos
	var tok token.Token
	var lit string
	next := func() token.Token {
		pos, tok, lit = s.Scan()
		return tok
	}
	spec := func() bool {
		if tok == token.IDENT || tok == token.PERIOD {
			next()
		}
		if tok != token.STRING {
			return false
		}
		p, err := strconv.Unquote(lit)
		paths = append(paths, p)
		return err == nil
	}
	if next() != token.PACKAGE || next() != token.IDENT || next() != token.SEMICOLON {
		return nil, false
	}
	for {
		for next() == token.SEMICOLON {
		}
		if tok != token.IMPORT {
			return paths, tok != token.EOF && file.Offset(pos)+max(1, len(lit)) < len(text)
		}
		if next() != token.LPAREN {
			if !spec() {
				return paths, false
			}
			continue
		}
		for next() != token.RPAREN {
			if tok != token.SEMICOLON && !spec() {
				return paths, false
			}
		}
	}
}

// headSize is enough for the imports of nearly every file.
const headSize = 4 << 10

// importsOf returns what a Go file imports, and reads no more of it than that
// takes.
func (s *scanner) importsOf(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := s.read(f, headSize)
	if err != nil {
		return nil, err
	}
	paths, whole := importsIn(text)
	if !whole && len(text) == headSize {
		if text, err = s.read(f, 0); err != nil {
			return nil, err
		}
		paths, _ = importsIn(text)
	}
	return paths, nil
}

// textOf returns what is in a file. The next text that s reads takes its place.
func (s *scanner) textOf(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return s.read(f, 0)
}

// read returns what is in f from its beginning, up to limit bytes; all of it if
// limit is 0. It reads into a buffer that s has for all files.
func (s *scanner) read(f *os.File, limit int) ([]byte, error) {
	if s.buffer == nil {
		s.buffer = make([]byte, 128<<10)
	}
	for n := 0; ; {
		space := s.buffer[n:]
		if limit > 0 {
			space = s.buffer[n:limit]
		}
		if len(space) == 0 {
			if n == limit {
				return s.buffer[:n], nil
			}
			s.buffer = append(s.buffer, make([]byte, len(s.buffer))...)
			continue
		}
		m, err := f.ReadAt(space, int64(n))
		if n += m; err == io.EOF {
			return s.buffer[:n], nil
		} else if err != nil {
			return nil, err
		}
	}
}
