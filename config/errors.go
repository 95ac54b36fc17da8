package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An Error is one thing that is wrong with the configuration.
type Error struct {
	File    string // as in "distributed.toml", from the module root where the file is below it; "" if no file is to blame
	Path    string // the same file, absolute
	Line    int    // from 1; 0 if the file as a whole is meant
	Column  int    // from 1, in bytes
	Key     string // full name of the key concerned, "cluster.max_nodes"; "" if none
	Env     string // the environment variable to blame; "" if none
	Problem string // what is wrong
	Remedy  string // what to do about it
	Err     error  // what the system said, for errors.Is
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Problem)
	if e.Remedy != "" {
		b.WriteString("; ")
		b.WriteString(e.Remedy)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Errors is everything that is wrong with the configuration: what the file is
// to blame for by position, then what the environment is.
type Errors []*Error

func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

func (es Errors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}

// sort keeps the order in which the variables were looked up.
func (es Errors) sort() {
	slices.SortStableFunc(es, func(a, b *Error) int {
		switch {
		case a.Env == "" && b.Env != "":
			return -1
		case a.Env != "" && b.Env == "":
			return 1
		case a.Env != "":
			return 0
		}
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
