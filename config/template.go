package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
)

// A View is what the templates of a program see: a cluster, from one of its
// nodes.
type View struct {
	Cluster string     // its id
	Index   int        // of the node that the template is expanded for
	Nodes   []NodeView // all of them, by index
}

// A NodeView is what templates see of one node.
type NodeView struct {
	Name   string            // "node-1"
	Dir    string            // for its data, absolute; "" for an attached one
	Listen map[string]string // by port, the host:port that it binds; nil for an attached one
	Addr   map[string]string // by port, the host:port that others dial
}

// An Expanded is what a program's templates say for one node.
type Expanded struct {
	Command []string          // nil if the program has a package
	Args    []string          // what comes after Command, or after the package's executable
	Env     map[string]string // to add to the environment
	Ready   []string          // Ready.Exec
	Reset   []string          // Reset.Exec
}

// Expand fills in the templates of a program for one node. Load has tried them
// on clusters of one and of three nodes; what they say of another can still
// fail (an index out of range, a result too long), and the error tells which
// key it is: it is an *Error.
func (p *Program) Expand(v View) (*Expanded, error) {
	e := &Expanded{}
	prefix := "program." + p.Name + "."
	for _, list := range []struct {
		key string
		in  []string
		out *[]string
	}{
		{"command", p.Command, &e.Command},
		{"args", p.Args, &e.Args},
		{"ready.exec", p.Ready.Exec, &e.Ready},
		{"reset", p.Reset.Exec, &e.Reset},
	} {
		var err error
		if *list.out, err = expandList(prefix+list.key, list.in, &v); err != nil {
			return nil, err
		}
	}
	if len(p.Env) > 0 {
		e.Env = make(map[string]string, len(p.Env))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		text, err := expand(p.Env[name], &v)
		if err != nil {
			return nil, expandError(prefix+"env."+name, &v, err)
		}
		e.Env[name] = text
	}
	return e, nil
}

// Expand fills in the template of Exec for an attached node.
func (r *Ready) Expand(v View) ([]string, error) { return expandList("ready.exec", r.Exec, &v) }

func expandList(key string, texts []string, v *View) ([]string, error) {
	if texts == nil {
		return nil, nil
	}
	list := make([]string, len(texts))
	for i, text := range texts {
		s, err := expand(text, v)
		if err != nil {
			return nil, expandError(key, v, err)
		}
		list[i] = s
	}
	return list, nil
}

// expand fills in one template.
func expand(text string, v *View) (string, *templateError) {
	t, err := parseTemplate(text)
	if err != nil {
		return "", err
	}
	return t.expand(v)
}

func expandError(key string, v *View, err *templateError) error {
	node := ""
	if v.Index >= 0 && v.Index < len(v.Nodes) {
		node = ", for " + v.Nodes[v.Index].Name + ","
	}
	return &Error{Key: key, Problem: key + node + " " + err.problem, Remedy: err.remedy}
}

// A templated is a text of the file that is a template.
type templated struct {
	key  string
	text string
	at   *node // where it is in the file; nil if it comes from the environment
}

// templates are the elements of a key that are templates, with their places.
func (l *loader) templates(key string, texts []string) []templated {
	ts := make([]templated, len(texts))
	value := l.config.sources[key].value
	for i, text := range texts {
		ts[i] = templated{key: key, text: text}
		if value != nil && i < len(value.items) {
			ts[i].at = value.items[i]
		}
	}
	return ts
}

// checkTemplates tries templates before anything starts.
func (l *loader) checkTemplates(section pos, ports []string, attached bool, ts []templated) {
	for _, t := range ts {
		if err := tryTemplate(t.text, ports, attached); err != nil {
			l.failTemplate(section, t, err)
		}
	}
}

func (l *loader) failTemplate(section pos, t templated, err *templateError) {
	if t.at == nil || l.config.sources[t.key].env != "" {
		problem := err.problem
		if n := len(t.text); n <= 100 {
			problem = "has " + quote(t.text) + ", which " + problem
		}
		l.failKey(t.key, section, problem, err.remedy)
		return
	}
	l.failAt(t.at.inside(err.offset), t.key, t.key+" "+err.problem, err.remedy)
}

// tryTemplate looks at every branch of a template, then fills it in for each
// node of a cluster of one and of three nodes.
func tryTemplate(text string, ports []string, attached bool) *templateError {
	t, err := parseTemplate(text)
	if err != nil || t.plain() {
		return err
	}
	for _, size := range []int{1, 3} {
		v := trialView(size, ports, attached)
		for v.Index = range v.Nodes {
			if err := t.check(&v); err != nil {
				return err
			}
			if _, err := t.expand(&v); err != nil && !err.size {
				return err
			}
		}
	}
	return nil
}

// trialView is a cluster that does not exist.
func trialView(size int, ports []string, attached bool) View {
	v := View{Cluster: "trial"}
	for i := range size {
		n := NodeView{Name: fmt.Sprintf("node-%d", i+1), Addr: map[string]string{}}
		for j, port := range ports {
			n.Addr[port] = fmt.Sprintf("127.77.0.%d:%d", i+1, 20000+j)
		}
		if !attached {
			n.Dir, _ = filepath.Abs(n.Name)
			n.Listen = n.Addr
		}
		v.Nodes = append(v.Nodes, n)
	}
	return v
}
