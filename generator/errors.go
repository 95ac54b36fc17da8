package generator

import (
	"cmp"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// An Error is a mistake in the packages: a file that does not compile, a
// directive that makes no sense, a requirement that cannot be met.
type Error struct {
	Pos token.Position // Filename is relative to Options.Dir where it lies below; Line is 0 if unknown
	Msg string
}

func (e *Error) Error() string {
	if e.Pos.Filename == "" {
		return e.Msg
	}
	return e.Pos.String() + ": " + e.Msg
}

// Errors are all the mistakes of one call of [Generate], sorted by position. As
// an error they read one a line.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As the single mistakes.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}
	return errs
}

// An errorList collects mistakes. The variants of a package that the go command
// knows have files in common, so that the same mistake is met more than once.
type errorList struct {
	all []*Error
}

func (l *errorList) add(pos token.Position, msg string) {
	l.all = append(l.all, &Error{Pos: pos, Msg: msg})
}

// list returns the mistakes sorted, each once, with file names relative to dir
// where they lie below it; nil if there are none.
func (l *errorList) list(dir string) error {
	if len(l.all) == 0 {
		return nil
	}
	for _, e := range l.all {
		e.Pos.Filename = relative(dir, e.Pos.Filename)
		e.Pos.Offset = 0 // not everyone who reports an error knows it
	}
	slices.SortFunc(l.all, func(a, b *Error) int {
		return cmp.Or(
			cmp.Compare(a.Pos.Filename, b.Pos.Filename),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column),
			cmp.Compare(a.Msg, b.Msg))
	})
	return Errors(slices.CompactFunc(l.all, func(a, b *Error) bool { return *a == *b }))
}

// relative returns path as seen from dir if it lies below, and as it is if not.
func relative(dir, path string) string {
	if !filepath.IsAbs(path) {
		return path
	}
	rel, err := filepath.Rel(dir, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return path
	}
	return rel
}

// position reads the "file", "file:line" and "file:line:col" of the go command
// and go/packages. Relative files are relative to dir.
func position(dir, s string) token.Position {
	var pos token.Position
	if s == "" || s == "-" {
		return pos
	}
	var nums []int
	for len(nums) < 2 {
		i := strings.LastIndexByte(s, ':')
		if i < 0 {
			break
		}
		n, err := strconv.Atoi(s[i+1:])
		if err != nil {
			break
		}
		nums = append(nums, n)
		s = s[:i]
	}
	slices.Reverse(nums)
	pos.Filename = s
	if !filepath.IsAbs(s) {
		pos.Filename = filepath.Join(dir, s)
	}
	if len(nums) > 0 {
		pos.Line = nums[0]
	}
	if len(nums) > 1 {
		pos.Column = nums[1]
	}
	return pos
}
