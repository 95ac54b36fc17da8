package config

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"sort"
	"strconv"
	"strings"
	ast "text/template/parse"
)

// Templates are those of text/template, parsed by its parser. What they mean is
// evaluated here: text/template looks methods up by name, and with that the
// linker must keep every exported method of a test binary, which makes it a
// quarter larger. It also lets mistakes be found in branches that are not taken,
// and be pointed at.

const (
	// maxExpanded is what Linux allows for one argument, its final NUL included.
	maxExpanded = 128<<10 - 1
	// maxSteps bounds loops in loops: a range over 4096 nodes has room.
	maxSteps = 1 << 20
)

// A templateError is what is wrong with a template.
type templateError struct {
	offset  int    // into its text
	problem string // a predicate: "names the port …"
	remedy  string
	size    bool // it depends on how many nodes there are
}

// A parsed is a template that can be filled in.
type parsed struct {
	text string
	tree *ast.Tree // nil if there is nothing to fill in
}

func (t *parsed) plain() bool { return t.tree == nil }

func parseTemplate(text string) (*parsed, *templateError) {
	if !strings.Contains(text, "{{") {
		return &parsed{text: text}, nil
	}
	tree, trees, err := parseText(text)
	if err != nil {
		return nil, &templateError{
			offset:  faulty(text),
			problem: "is not a template: " + parseReason(err),
			remedy:  parseRemedy(err),
		}
	}
	if len(trees) > 1 || len(trees) == 1 && tree.Root == nil {
		return nil, &templateError{
			offset:  max(0, strings.Index(text, "define")),
			problem: "defines a template", remedy: "write out what is to stand there",
		}
	}
	return &parsed{text, tree}, nil
}

func parseText(text string) (*ast.Tree, map[string]*ast.Tree, error) {
	t := ast.New("")
	t.Mode = ast.SkipFuncCheck // unknown ones are told with the nearest right name
	trees := map[string]*ast.Tree{}
	tree, err := t.Parse(text, "", "", trees)
	return tree, trees, err
}

// parseReason is what the parser said, without "template: :1: ".
func parseReason(err error) string {
	text := err.Error()
	for range 3 {
		if _, rest, ok := strings.Cut(text, ":"); ok {
			text = rest
		}
	}
	return printable(strings.TrimSpace(text))
}

func parseRemedy(err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "unclosed action"):
		return "close it with }}"
	case strings.Contains(text, "unexpected EOF"):
		return "end each if, range and with by {{end}}"
	}
	return `a template is written as for text/template: {{.Name}}, {{.Addr "port"}}`
}

// faulty finds the action that the parser stumbles over, which it does not
// tell: the first one without which what stands before is only unfinished.
func faulty(text string) int {
	var starts, ends []int
	for at := 0; ; {
		i := strings.Index(text[at:], "{{")
		if i < 0 {
			break
		}
		starts = append(starts, at+i)
		j := strings.Index(text[at+i:], "}}")
		if j < 0 {
			ends = append(ends, len(text))
			break
		}
		at += i + j + len("}}")
		ends = append(ends, at)
	}
	i := sort.Search(len(ends), func(i int) bool {
		_, _, err := parseText(text[:ends[i]])
		return err != nil && !strings.HasSuffix(err.Error(), "unexpected EOF")
	})
	if i == len(starts) {
		i = 0 // never closed by {{end}}; the first is as good as any
	}
	return starts[i]
}

// expand fills the template in for one node.
func (t *parsed) expand(v *View) (string, *templateError) {
	if t.plain() {
		return t.text, nil
	}
	e := &evaluation{view: v}
	if err := e.run(t.tree); err != nil {
		return "", err
	}
	text := e.out.String()
	if strings.ContainsRune(text, 0) {
		return "", &templateError{problem: "gives a NUL character", remedy: "remove it: no argument can carry one"}
	}
	return text, nil
}

// check goes through every branch of the template, taken or not.
func (t *parsed) check(v *View) *templateError {
	e := &evaluation{view: v, all: true}
	return e.run(t.tree)
}

// An evaluation is one run of a template. What goes wrong in it is thrown as a
// *templateError, and caught by run.
type evaluation struct {
	view  *View
	all   bool // branches are all gone through, and the output does not matter
	out   strings.Builder
	vars  []variable
	steps int
}

type variable struct {
	name  string
	value any
}

// The values of a template are strings, ints, bools, lists ([]string and
// []*templateNode), nodes (*templateNode), and the view itself (*View).
type templateNode struct {
	*NodeView
	index int
}

// control is how a list of nodes ended.
type control int

const (
	proceed control = iota
	breakLoop
	continueLoop
)

func (e *evaluation) run(tree *ast.Tree) (err *templateError) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *templateError:
			err = v
		default:
			panic(v)
		}
	}()
	e.vars = []variable{{"$", e.view}}
	e.list(e.view, tree.Root)
	return nil
}

func fail(at ast.Node, problem, remedy string) {
	panic(&templateError{offset: int(at.Position()), problem: problem, remedy: remedy})
}

// step bounds how long an evaluation takes.
func (e *evaluation) step(at ast.Node) {
	if e.steps++; e.steps > maxSteps {
		fail(at, fmt.Sprintf("takes more than %d steps", maxSteps), "make it simpler")
	}
}

func (e *evaluation) list(dot any, l *ast.ListNode) control {
	if l == nil {
		return proceed
	}
	for _, n := range l.Nodes {
		e.step(n)
		if c := e.node(dot, n); c != proceed && !e.all {
			return c
		}
	}
	return proceed
}

func (e *evaluation) node(dot any, n ast.Node) control {
	switch n := n.(type) {
	case *ast.TextNode:
		e.write(n, string(n.Text))
	case *ast.ActionNode:
		v := e.declaring(dot, n.Pipe)
		if len(n.Pipe.Decl) == 0 {
			e.write(n, e.printed(n.Pipe, v))
		}
	case *ast.IfNode:
		return e.branch(dot, dot, &n.BranchNode)
	case *ast.WithNode:
		mark := len(e.vars)
		v := e.declaring(dot, n.Pipe)
		c := e.choose(truth(v), v, dot, &n.BranchNode)
		e.vars = e.vars[:mark]
		return c
	case *ast.RangeNode:
		e.loop(dot, n)
	case *ast.BreakNode:
		return breakLoop
	case *ast.ContinueNode:
		return continueLoop
	case *ast.CommentNode:
	default:
		fail(n, "uses "+quote(n.String()), "write out what is to stand there")
	}
	return proceed
}

func (e *evaluation) branch(dot, otherwise any, b *ast.BranchNode) control {
	mark := len(e.vars)
	c := e.choose(truth(e.declaring(dot, b.Pipe)), dot, otherwise, b)
	e.vars = e.vars[:mark]
	return c
}

// choose evaluates one list of a branch, or both.
func (e *evaluation) choose(yes bool, dot, otherwise any, b *ast.BranchNode) control {
	if e.all {
		e.list(dot, b.List)
		e.list(otherwise, b.ElseList)
		return proceed
	}
	if yes {
		return e.list(dot, b.List)
	}
	return e.list(otherwise, b.ElseList)
}

func (e *evaluation) loop(dot any, n *ast.RangeNode) {
	mark := len(e.vars)
	defer func() { e.vars = e.vars[:mark] }()
	over := e.pipe(dot, n.Pipe)
	inner := len(e.vars)
	count, element := elements(n.Pipe, over)
	if _, ok := over.(int); ok && len(n.Pipe.Decl) > 1 {
		fail(n.Pipe, "ranges over "+kindOf(over)+" with two variables", "a number gives one: {{range $i := 3}}")
	}
	for i := range count {
		e.step(n)
		e.vars = e.vars[:inner]
		v := element(i)
		switch decl := n.Pipe.Decl; len(decl) {
		case 1:
			e.declare(n.Pipe.IsAssign, decl[0], v)
		case 2:
			e.declare(n.Pipe.IsAssign, decl[0], i)
			e.declare(n.Pipe.IsAssign, decl[1], v)
		}
		if e.list(v, n.List) == breakLoop {
			break
		}
	}
	e.vars = e.vars[:inner]
	if count == 0 || e.all {
		e.list(dot, n.ElseList)
	}
}

// elements is what there is to range over.
func elements(at ast.Node, v any) (n int, element func(i int) any) {
	switch v := v.(type) {
	case []*templateNode:
		return len(v), func(i int) any { return v[i] }
	case []string:
		return len(v), func(i int) any { return v[i] }
	case int:
		return max(0, v), func(i int) any { return i }
	}
	fail(at, "ranges over "+kindOf(v), `range over .Nodes, over .Addrs "port", or over a number`)
	return 0, nil
}

func (e *evaluation) write(at ast.Node, text string) {
	if e.all {
		return
	}
	if e.out.Len()+len(text) > maxExpanded {
		panic(&templateError{
			offset: int(at.Position()), problem: fmt.Sprintf("gives more than %d bytes", maxExpanded),
			remedy: "put long values into a file", size: true,
		})
	}
	e.out.WriteString(text)
}

func (e *evaluation) printed(at ast.Node, v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	case bool:
		return strconv.FormatBool(v)
	}
	remedy := "name what is to stand there, such as .Name"
	if _, ok := v.([]string); ok {
		remedy = `join it: {{join (.Addrs "port") ","}}`
	} else if _, ok := v.([]*templateNode); ok {
		remedy = `range over it: {{range .Nodes}}{{.Name}} {{end}}`
	}
	fail(at, "prints "+kindOf(v), remedy)
	return ""
}

func (e *evaluation) pipe(dot any, p *ast.PipeNode) any {
	if p == nil {
		return nil
	}
	var v any
	for i, cmd := range p.Cmds {
		var final []any
		if i > 0 {
			final = []any{v}
		}
		v = e.command(dot, cmd, final)
	}
	return v
}

// declaring is pipe for where its variables are not those of a range.
func (e *evaluation) declaring(dot any, p *ast.PipeNode) any {
	v := e.pipe(dot, p)
	for _, decl := range p.Decl {
		e.declare(p.IsAssign, decl, v)
	}
	return v
}

func (e *evaluation) declare(assign bool, at *ast.VariableNode, v any) {
	name := at.Ident[0]
	if !assign {
		e.vars = append(e.vars, variable{name, v})
		return
	}
	for i := len(e.vars) - 1; i >= 0; i-- {
		if e.vars[i].name == name {
			e.vars[i].value = v
			return
		}
	}
	fail(at, "sets the unknown variable "+name, "declare it: {{"+name+" := …}}")
}

func (e *evaluation) command(dot any, cmd *ast.CommandNode, final []any) any {
	e.step(cmd)
	first := cmd.Args[0]
	switch n := first.(type) {
	case *ast.IdentifierNode:
		return e.call(dot, n, cmd.Args[1:], final)
	case *ast.FieldNode:
		return e.chain(n, dot, n.Ident, e.args(dot, cmd.Args[1:], final))
	case *ast.VariableNode:
		return e.chain(n, e.variable(n), n.Ident[1:], e.args(dot, cmd.Args[1:], final))
	case *ast.ChainNode:
		return e.chain(n, e.value(dot, n.Node), n.Field, e.args(dot, cmd.Args[1:], final))
	}
	if len(cmd.Args) > 1 || len(final) > 0 {
		fail(first, "gives arguments to "+quote(first.String())+", which is no function", `arguments follow a function or a method: {{.Addr "port"}}`)
	}
	return e.value(dot, first)
}

func (e *evaluation) args(dot any, nodes []ast.Node, final []any) []any {
	var args []any
	for _, n := range nodes {
		args = append(args, e.value(dot, n))
	}
	return append(args, final...)
}

// value is an operand.
func (e *evaluation) value(dot any, n ast.Node) any {
	e.step(n)
	switch n := n.(type) {
	case *ast.DotNode:
		return dot
	case *ast.FieldNode:
		return e.chain(n, dot, n.Ident, nil)
	case *ast.VariableNode:
		return e.chain(n, e.variable(n), n.Ident[1:], nil)
	case *ast.ChainNode:
		return e.chain(n, e.value(dot, n.Node), n.Field, nil)
	case *ast.PipeNode:
		mark := len(e.vars)
		v := e.declaring(dot, n)
		e.vars = e.vars[:mark]
		return v
	case *ast.IdentifierNode:
		return e.call(dot, n, nil, nil)
	case *ast.StringNode:
		return n.Text
	case *ast.BoolNode:
		return n.True
	case *ast.NumberNode:
		if n.IsInt && int64(int(n.Int64)) == n.Int64 {
			return int(n.Int64)
		}
		fail(n, "has the number "+printable(n.Text), "numbers are integers")
	}
	fail(n, "has "+quote(n.String())+" as a value", "values are strings, integers, true and false, and what the node and its cluster are")
	return nil
}

func (e *evaluation) variable(n *ast.VariableNode) any {
	for i := len(e.vars) - 1; i >= 0; i-- {
		if e.vars[i].name == n.Ident[0] {
			return e.vars[i].value
		}
	}
	fail(n, "has the unknown variable "+n.Ident[0], "declare it: {{"+n.Ident[0]+" := …}}")
	return nil
}

// chain follows fields; the arguments are for the last one.
func (e *evaluation) chain(at ast.Node, v any, names []string, args []any) any {
	if len(names) == 0 {
		if len(args) > 0 {
			fail(at, "gives arguments to "+quote(at.String())+", which is no function", `arguments follow a function or a method: {{.Addr "port"}}`)
		}
		return v
	}
	for i, name := range names {
		var given []any
		if i == len(names)-1 {
			given = args
		}
		v = e.field(at, v, name, given)
	}
	return v
}

var (
	viewFields = []string{"Name", "Index", "Dir", "Cluster", "Size", "Nodes", "Listen", "Addr", "Addrs"}
	nodeFields = []string{"Name", "Index", "Dir", "Listen", "Addr"}
)

func (e *evaluation) field(at ast.Node, v any, name string, args []any) any {
	var known []string
	var n *templateNode
	switch v := v.(type) {
	case *View:
		known, n = viewFields, &templateNode{&v.Nodes[v.Index], v.Index}
	case *templateNode:
		known, n = nodeFields, v
	default:
		fail(at, "asks "+kindOf(v)+" for ."+name, "only a node, or the template's own dot, has fields; in a range, $ is what the dot was outside")
	}
	if !slices.Contains(known, name) {
		remedy := didYouMean(name, known)
		if _, node := v.(*templateNode); node && slices.Contains(viewFields, name) {
			remedy = "did you mean " + quote("$."+name) + "? "
		}
		fail(at, "has the unknown field ."+name, remedy+"known are ."+strings.Join(known, ", ."))
	}
	switch name {
	case "Listen", "Addr", "Addrs":
		return e.address(at, n, name, args)
	}
	if len(args) > 0 {
		fail(at, "gives arguments to ."+name+", which takes none", "remove them")
	}
	switch name {
	case "Name":
		return n.Name
	case "Index":
		return n.index
	case "Dir":
		if n.Dir == "" {
			fail(at, "asks for .Dir, which an attached node does not have", "name the directory itself")
		}
		return n.Dir
	case "Cluster":
		return e.view.Cluster
	case "Size":
		return len(e.view.Nodes)
	}
	return e.nodes()
}

func (e *evaluation) nodes() []*templateNode {
	nodes := make([]*templateNode, len(e.view.Nodes))
	for i := range nodes {
		nodes[i] = &templateNode{&e.view.Nodes[i], i}
	}
	return nodes
}

// address is what .Listen, .Addr and .Addrs say of a port.
func (e *evaluation) address(at ast.Node, n *templateNode, method string, args []any) any {
	if len(args) != 1 {
		fail(at, fmt.Sprintf("gives .%s %d arguments", method, len(args)), "give it the name of a port: {{."+method+` "client"}}`)
	}
	port, ok := args[0].(string)
	if !ok {
		fail(at, "gives ."+method+" "+kindOf(args[0]), "give it the name of a port: {{."+method+` "client"}}`)
	}
	if method == "Listen" && n.Listen == nil {
		fail(at, "asks for .Listen, which is not known of an attached node", "use .Addr")
	}
	known := n.Addr
	if method == "Listen" {
		known = n.Listen
	}
	addr, ok := known[port]
	if !ok {
		problem, remedy := unknownPort(port, slices.Sorted(maps.Keys(known)))
		fail(at, problem, remedy)
	}
	if method != "Addrs" {
		return addr
	}
	addrs := make([]string, len(e.view.Nodes))
	for i, n := range e.view.Nodes {
		addrs[i] = n.Addr[port]
	}
	return addrs
}

func kindOf(v any) string {
	switch v := v.(type) {
	case string:
		return "the string " + quote(v)
	case int:
		return "the integer " + strconv.Itoa(v)
	case bool:
		return strconv.FormatBool(v)
	case []string:
		return "a list"
	case []*templateNode:
		return "the list of all nodes"
	case *templateNode:
		return "a node as a whole"
	case *View:
		return "the cluster as a whole"
	}
	return "nothing"
}

// truth is that of text/template: what is empty is false.
func truth(v any) bool {
	switch v := v.(type) {
	case string:
		return v != ""
	case int:
		return v != 0
	case bool:
		return v
	case []string:
		return len(v) > 0
	case []*templateNode:
		return len(v) > 0
	}
	return v != nil
}

var functions = []string{
	"add", "and", "eq", "ge", "gt", "host", "index", "join", "le", "len", "lt", "ne", "not", "or", "port", "print", "printf", "quote",
}

// call calls a function. and and or evaluate no more than they need.
func (e *evaluation) call(dot any, n *ast.IdentifierNode, nodes []ast.Node, final []any) any {
	if !slices.Contains(functions, n.Ident) {
		remedy := didYouMean(n.Ident, functions)
		if slices.Contains(viewFields, n.Ident) {
			remedy = "did you mean " + quote("."+n.Ident) + "? "
		}
		fail(n, "calls the unknown function "+quote(n.Ident), remedy+"known are "+strings.Join(functions, ", "))
	}
	if n.Ident == "and" || n.Ident == "or" {
		return e.logic(dot, n, nodes, final)
	}
	args := e.args(dot, nodes, final)
	c := call{n, args}
	switch n.Ident {
	case "not":
		c.want(1)
		return !truth(args[0])
	case "len":
		c.want(1)
		if s, ok := args[0].(string); ok {
			return len(s)
		}
		count, _ := c.elements(0)
		return count
	case "index":
		c.want(2)
		count, element := c.elements(0)
		i := c.integer(1)
		if e.all && count > 0 { // a branch that a smaller cluster does not take
			i = min(max(i, 0), count-1)
		}
		if i < 0 || i >= count {
			panic(&templateError{
				offset: int(n.Position()), problem: fmt.Sprintf("asks for element %d of %d", i, count), size: true,
				remedy: fmt.Sprintf("elements are counted from 0; where there may be fewer, ask first: {{if gt .Size %d}}", max(i, 0)),
			})
		}
		return element(i)
	case "add":
		sum := 0
		for i := range args {
			sum += c.integer(i)
		}
		return sum
	case "join":
		return c.join()
	case "host", "port":
		c.want(1)
		addr := c.text(0)
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			fail(n, "takes the "+n.Ident+" of "+quote(addr)+", which is not host:port", "give it an address: {{"+n.Ident+` (.Addr "client")}}`)
		}
		if n.Ident == "host" {
			return host
		}
		return port
	case "quote":
		c.want(1)
		return strconv.Quote(e.printed(n, args[0]))
	case "print":
		var b strings.Builder
		for _, arg := range args {
			b.WriteString(e.printed(n, arg))
		}
		return b.String()
	case "printf":
		return c.printf(e)
	}
	return c.compare()
}

func (e *evaluation) logic(dot any, n *ast.IdentifierNode, nodes []ast.Node, final []any) any {
	if len(nodes)+len(final) == 0 {
		fail(n, "gives "+n.Ident+" no arguments", "give it what it is to decide on")
	}
	var v any
	for i := range len(nodes) + len(final) {
		if i < len(nodes) {
			v = e.value(dot, nodes[i])
		} else {
			v = final[0]
		}
		if truth(v) == (n.Ident == "or") && !e.all {
			break
		}
	}
	return v
}

// A call is a function with its arguments.
type call struct {
	at   *ast.IdentifierNode
	args []any
}

func (c call) want(n int) {
	if len(c.args) != n {
		fail(c.at, fmt.Sprintf("gives %s %s", c.at.Ident, arguments(len(c.args))), fmt.Sprintf("give it %d", n))
	}
}

func arguments(n int) string {
	switch n {
	case 0:
		return "no arguments"
	case 1:
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}

func (c call) text(i int) string {
	s, ok := c.args[i].(string)
	if !ok {
		fail(c.at, "gives "+c.at.Ident+" "+kindOf(c.args[i]), "give it a string")
	}
	return s
}

func (c call) integer(i int) int {
	n, ok := c.args[i].(int)
	if !ok {
		fail(c.at, "gives "+c.at.Ident+" "+kindOf(c.args[i]), "give it an integer")
	}
	return n
}

func (c call) elements(i int) (int, func(int) any) {
	switch c.args[i].(type) {
	case []string, []*templateNode:
		return elements(c.at, c.args[i])
	}
	fail(c.at, "gives "+c.at.Ident+" "+kindOf(c.args[i]), `give it a list: .Nodes, or .Addrs "port"`)
	return 0, nil
}

// join takes the list and the separator in either order, so that a list can be
// piped to it.
func (c call) join() string {
	c.want(2)
	list, sep := c.args[0], c.args[1]
	if _, ok := list.(string); ok {
		list, sep = sep, list
	}
	texts, ok := list.([]string)
	if !ok {
		fail(c.at, "joins "+kindOf(list), `give it a list and a separator: {{join (.Addrs "client") ","}}`)
	}
	s, ok := sep.(string)
	if !ok {
		fail(c.at, "joins by "+kindOf(sep), `give it a list and a separator: {{join (.Addrs "client") ","}}`)
	}
	return strings.Join(texts, s)
}

func (c call) printf(e *evaluation) string {
	if len(c.args) == 0 {
		fail(c.at, "gives printf no format", `write one: {{printf "%02d" .Index}}`)
	}
	format := c.text(0)
	for _, arg := range c.args[1:] {
		e.printed(c.at, arg) // a string, an integer or a bool
	}
	s := fmt.Sprintf(format, c.args[1:]...)
	if strings.Contains(s, "%!") && !strings.Contains(format, "%%!") {
		_, bad, _ := strings.Cut(s, "%!")
		fail(c.at, "has a printf that does not fit its arguments: %!"+printable(bad[:min(len(bad), 40)]), "strings are %s, integers %d, bools %t")
	}
	return s
}

func (c call) compare() any {
	name := c.at.Ident
	if len(c.args) < 2 || len(c.args) > 2 && name != "eq" {
		fail(c.at, "gives "+name+" "+arguments(len(c.args)), "give it 2")
	}
	for i, other := range c.args[1:] {
		order, ok := compare(c.args[0], other)
		if _, isBool := other.(bool); !ok || isBool && name != "eq" && name != "ne" {
			fail(c.at, fmt.Sprintf("compares %s with %s", kindOf(c.args[0]), kindOf(other)), "compare strings, integers or truths with their like")
		}
		switch {
		case name == "eq" && order == 0:
			return true
		case name == "eq" && i < len(c.args)-2:
			continue
		case name == "eq":
			return false
		}
		return map[string]bool{"ne": order != 0, "lt": order < 0, "le": order <= 0, "gt": order > 0, "ge": order >= 0}[name]
	}
	return false
}

func compare(a, b any) (order int, ok bool) {
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		return strings.Compare(a, b), ok
	case int:
		b, ok := b.(int)
		return a - b, ok
	case bool:
		b, ok := b.(bool)
		if a == b {
			return 0, ok
		}
		return 1, ok
	}
	return 0, false
}
