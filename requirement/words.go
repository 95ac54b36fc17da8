package requirement

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The words of a directive, in canonical order. Each names the field of
// Requirement, and the option of package dist, that is spelled the same way.
const (
	WordNodes    = "nodes"
	WordMin      = "min"
	WordProgram  = "program"
	WordPorts    = "ports"
	WordReuse    = "reuse"
	WordShared   = "shared"
	WordOptional = "optional"
	WordTimeout  = "timeout"
)

// MaxNodes bounds nodes and min: no configuration allows more. It is there to
// tell a slip of the pen from a wish.
const MaxNodes = 4096

// maxName bounds names: they become parts of paths and of variables.
const maxName = 64

// String returns r as the words of a directive, in canonical order:
//
//	nodes=3 min=2 program=etcd ports=client,peer reuse shared optional timeout=30s
//
// What r does not name is left out; the zero Requirement is "".
func (r Requirement) String() string {
	var words []string
	value := func(word, v string) { words = append(words, word+"="+v) }
	if r.Nodes != 0 {
		value(WordNodes, strconv.Itoa(r.Nodes))
	}
	if r.Min != 0 {
		value(WordMin, strconv.Itoa(r.Min))
	}
	if r.Program != "" {
		value(WordProgram, r.Program)
	}
	if len(r.Ports) > 0 {
		value(WordPorts, strings.Join(r.Ports, ","))
	}
	if r.Reuse {
		words = append(words, WordReuse)
	}
	if r.Shared {
		words = append(words, WordShared)
	}
	if r.Optional {
		words = append(words, WordOptional)
	}
	if r.Timeout != 0 {
		value(WordTimeout, formatTimeout(r.Timeout))
	}
	return strings.Join(words, " ")
}

// formatTimeout is d.String without the zero units at its end: 2m, not 2m0s.
func formatTimeout(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Equal reports whether r and o name the same, ports in the same order.
func (r Requirement) Equal(o Requirement) bool {
	ports := slices.Equal(r.Ports, o.Ports)
	return ports && r.Nodes == o.Nodes && r.Min == o.Min && r.Program == o.Program &&
		r.Reuse == o.Reuse && r.Shared == o.Shared && r.Optional == o.Optional && r.Timeout == o.Timeout
}

// CheckSize tells what is wrong with n as the value of word, which is
// [WordNodes] or [WordMin].
func CheckSize(word string, n int) error {
	switch {
	case n < 1:
		return fmt.Errorf("%s=%d: a cluster has at least 1 node", word, n)
	case n > MaxNodes:
		return fmt.Errorf("%s=%d: a cluster has at most %d nodes", word, n, MaxNodes)
	}
	return nil
}

// CheckTimeout tells what is wrong with d as a timeout.
func CheckTimeout(d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%s=%v: a timeout is longer than 0", WordTimeout, d)
	}
	return nil
}

// CheckProgram tells what is wrong with name as a program's. A name is a bare
// key of TOML that begins with a letter or a digit.
func CheckProgram(name string) error {
	if name == "" {
		return fmt.Errorf("%s= names no program", WordProgram)
	}
	if !isWord(name, isDigit) {
		return fmt.Errorf("%s=%s: a program's name is of letters, digits, '-' and '_', begins with a letter or a digit and has %d characters at most", WordProgram, name, maxName)
	}
	return nil
}

// CheckPorts tells what is wrong with names as the names of ports.
func CheckPorts(names ...string) error {
	list := strings.Join(names, ",")
	if list == "" {
		return fmt.Errorf("%s= names no port", WordPorts)
	}
	for i, name := range names {
		switch {
		case name == "":
			return fmt.Errorf("%s=%s: the name of a port is empty", WordPorts, list)
		case !isWord(name, func(byte) bool { return false }):
			return fmt.Errorf("%s=%s: %q is no name for a port: letters, digits, '-' and '_', beginning with a letter, %d characters at most", WordPorts, list, name, maxName)
		case slices.Contains(names[:i], name):
			return fmt.Errorf("%s=%s: port %s is named twice", WordPorts, list, name)
		}
	}
	return nil
}

func isWord(s string, first func(byte) bool) bool {
	if len(s) > maxName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case i == 0 && first(c):
		case i > 0 && (isDigit(c) || c == '-' || c == '_'):
		default:
			return false
		}
	}
	return s != ""
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// Validate tells what is wrong with r, taken as complete: one that still has to
// be merged with another may yet become valid. Fields that name nothing are
// not wrong.
func (r Requirement) Validate() error {
	if r.Nodes != 0 {
		if err := CheckSize(WordNodes, r.Nodes); err != nil {
			return err
		}
	}
	if r.Min != 0 {
		if err := CheckSize(WordMin, r.Min); err != nil {
			return err
		}
	}
	if err := r.checkMin(); err != nil {
		return err
	}
	if r.Program != "" {
		if err := CheckProgram(r.Program); err != nil {
			return err
		}
	}
	if len(r.Ports) > 0 {
		if err := CheckPorts(r.Ports...); err != nil {
			return err
		}
	}
	if r.Shared && r.Program == "" {
		return fmt.Errorf("%s needs a %s: nodes of the test binary are never shared", WordShared, WordProgram)
	}
	if r.Timeout != 0 {
		if err := CheckTimeout(r.Timeout); err != nil {
			return err
		}
	}
	return nil
}

func (r Requirement) checkMin() error {
	if r.Nodes != 0 && r.Min > r.Nodes {
		return fmt.Errorf("%s=%d is more than %s=%d", WordMin, r.Min, WordNodes, r.Nodes)
	}
	return nil
}
