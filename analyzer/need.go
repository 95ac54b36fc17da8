package analyzer

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"time"

	"github.com/distkit/dist/requirement"
)

// A need is what one requirement call says, or one stretch of its options.
type need struct {
	requirement.Requirement
	Dynamic bool   // its size is not constant
	Open    bool   // another of its options is not
	Holes   []hole // what the callers of the function around it say
	Path    []step // functions between the one in question and the call
	Text    string // the call: "dist.Require(t, dist.Nodes(5))"

	options map[string]ast.Expr // by word: the argument, in this package
}

// A hole is what a need takes from a parameter of the function in question.
type hole struct {
	Word  string   // the option it is the value of; "" for a whole option, or any number of them
	Param int      // the parameter's index
	After []string // words that options to the right of it say: of two, the last one counts
}

// A step is a function on the way to a requirement call.
type step struct {
	Name string // as its caller would call it
	At   string // where it is declared, as import path/file.go:line
	here bool   // in the package in question
}

// readNeed reads the options of a requirement call in fn.
func (s *scan) readNeed(fn *function, call *ast.CallExpr) *need {
	n := new(need)
	var shown []string
	if len(call.Args) > 0 {
		shown = append(shown, types.ExprString(call.Args[0]))
		n = s.readOptions(fn, call.Args[1:], call.Ellipsis.IsValid())
		for i, arg := range call.Args[1:] {
			text := s.optionText(arg)
			if call.Ellipsis.IsValid() && i == len(call.Args)-2 {
				text += "..."
			}
			shown = append(shown, text)
		}
	}
	n.Text = "dist.Require"
	if len(shown) > 1 {
		n.Text += "(" + strings.Join(shown, ", ") + ")"
		if len(n.Text) > 100 {
			n.Text = "dist.Require(" + shown[0] + ", ...)"
		}
	}
	return n
}

// optionText shows an option as it is documented, whatever this file calls
// package dist.
func (s *scan) optionText(x ast.Expr) string {
	x = ast.Unparen(x)
	if call, ok := x.(*ast.CallExpr); ok {
		if name := s.distFunc(call); name != "" {
			var args []string
			for _, arg := range call.Args {
				args = append(args, types.ExprString(arg))
			}
			return "dist." + name + "(" + strings.Join(args, ", ") + ")"
		}
	}
	return types.ExprString(x)
}

// readOptions reads options in fn, the last of which may be a slice of them.
func (s *scan) readOptions(fn *function, args []ast.Expr, ellipsis bool) *need {
	n := &need{options: make(map[string]ast.Expr)}
	for i, arg := range args {
		part := s.readOption(fn, arg)
		if ellipsis && i == len(args)-1 {
			part = s.readSlice(fn, arg)
		}
		for word, x := range part.options {
			if _, given := n.options[word]; given {
				s.reportOnce(BadOption, x, "dist.%s is given twice in one call of dist.Require", optionName(word))
			}
		}
		n.add(part)
	}
	return n
}

// readSlice reads a slice of options: a literal, what append makes of one, or
// a parameter of fn. Of any other only the program knows what is in it.
func (s *scan) readSlice(fn *function, x ast.Expr) *need {
	x = ast.Unparen(x)
	switch x := x.(type) {
	case *ast.CompositeLit:
		if !slices.ContainsFunc(x.Elts, func(e ast.Expr) bool { _, ok := e.(*ast.KeyValueExpr); return ok }) {
			return s.readOptions(fn, x.Elts, false)
		}
	case *ast.CallExpr:
		id, ok := ast.Unparen(x.Fun).(*ast.Ident)
		if !ok || len(x.Args) == 0 {
			break
		}
		if b, ok := s.pass.TypesInfo.Uses[id].(*types.Builtin); ok && b.Name() == "append" {
			n := s.readSlice(fn, x.Args[0])
			n.add(s.readOptions(fn, x.Args[1:], x.Ellipsis.IsValid()))
			return n
		}
	}
	if s.pass.TypesInfo.Types[x].IsNil() {
		return new(need)
	}
	if i, ok := s.paramOf(fn, x); ok {
		return &need{Holes: []hole{{Param: i}}}
	}
	return &need{Dynamic: true, Open: true}
}

// readOption reads one option. What is no call of an option may be any of them:
// a size, too.
func (s *scan) readOption(fn *function, arg ast.Expr) *need {
	n := &need{options: make(map[string]ast.Expr)}
	call, ok := ast.Unparen(arg).(*ast.CallExpr)
	name := ""
	if ok {
		name = s.distFunc(call)
	}
	word := strings.ToLower(name)
	switch name {
	case "Nodes", "Min", "Timeout", "Program":
		if len(call.Args) == 1 {
			n.set(s, fn, word, call.Args[0], arg)
		}
	case "Ports":
		var ports []string
		constant := !call.Ellipsis.IsValid()
		for _, arg := range call.Args {
			port, ok := stringOf(s.pass.TypesInfo.Types[arg].Value)
			constant = constant && ok
			ports = append(ports, port)
		}
		if !constant {
			n.Open = true
		} else if err := requirement.CheckPorts(ports...); err != nil {
			s.reportOnce(BadOption, arg, "dist.Ports: %v", err)
		} else {
			n.Ports = ports
		}
	case "Reuse":
		n.Reuse = true
	case "Shared":
		n.Shared = true
	case "Optional":
		n.Optional = true
	default:
		if i, ok := s.paramOf(fn, arg); ok {
			n.Holes = []hole{{Param: i}}
		} else {
			n.Dynamic, n.Open = true, true
		}
		return n
	}
	n.options[word] = arg
	return n
}

// set takes the value of the option called word from x, which is in fn: a
// constant, or a parameter.
func (n *need) set(s *scan, fn *function, word string, x, at ast.Expr) {
	if v := s.pass.TypesInfo.Types[x].Value; v != nil {
		if err := n.setConstant(word, v); err != nil {
			s.reportOnce(BadOption, at, "dist.%s: %v", optionName(word), err)
		}
		return
	}
	if i, ok := s.paramOf(fn, x); ok {
		n.Holes = append(n.Holes, hole{Word: word, Param: i})
		return
	}
	n.leave(word)
}

// leave notes that the value of an option is not known.
func (n *need) leave(word string) {
	if word == requirement.WordNodes || word == "" {
		n.Dynamic = true
	}
	if word != requirement.WordNodes {
		n.Open = true
	}
}

func (n *need) setConstant(word string, v constant.Value) error {
	if word == requirement.WordProgram {
		name, ok := stringOf(v)
		if !ok {
			n.leave(word)
			return nil
		}
		if err := requirement.CheckProgram(name); err != nil {
			return err
		}
		n.Program = name
		return nil
	}
	i, ok := intOf(v)
	if !ok {
		n.leave(word)
		return nil
	}
	if word == requirement.WordTimeout {
		if err := requirement.CheckTimeout(time.Duration(i)); err != nil {
			return err
		}
		n.Timeout = time.Duration(i)
		return nil
	}
	if err := requirement.CheckSize(word, i); err != nil {
		return err
	}
	if word == requirement.WordNodes {
		n.Nodes, n.Dynamic = i, false
	} else {
		n.Min = i
	}
	return nil
}

// words are those that n names, holes left aside.
func (n *need) words() []string {
	var words []string
	for _, w := range []struct {
		word  string
		named bool
	}{
		{requirement.WordNodes, n.Nodes != 0 || n.Dynamic},
		{requirement.WordMin, n.Min != 0},
		{requirement.WordProgram, n.Program != ""},
		{requirement.WordTimeout, n.Timeout != 0},
	} {
		if w.named {
			words = append(words, w.word)
		}
	}
	return words
}

// add puts the options of part to the right of n's.
func (n *need) add(part *need) {
	after := part.words()
	for i := range n.Holes {
		n.Holes[i].After = append(slices.Clip(n.Holes[i].After), after...)
	}
	n.lay(part, nil)
	n.Holes = append(n.Holes, part.Holes...)
	for word, x := range part.options {
		if n.options == nil {
			n.options = make(map[string]ast.Expr)
		}
		n.options[word] = x
	}
}

// lay takes over what part names, but for the words in except. As for package
// dist, ports add up and of all else the last one counts.
func (n *need) lay(part *need, except []string) {
	for _, word := range part.words() {
		if slices.Contains(except, word) {
			continue
		}
		switch word {
		case requirement.WordNodes:
			n.Nodes, n.Dynamic = part.Nodes, part.Dynamic
		case requirement.WordMin:
			n.Min = part.Min
		case requirement.WordProgram:
			n.Program = part.Program
		case requirement.WordTimeout:
			n.Timeout = part.Timeout
		}
	}
	for _, p := range part.Ports {
		if !slices.Contains(n.Ports, p) {
			n.Ports = append(slices.Clip(n.Ports), p)
		}
	}
	n.Open = n.Open || part.Open
	n.Reuse = n.Reuse || part.Reuse
	n.Shared = n.Shared || part.Shared
	n.Optional = n.Optional || part.Optional
}

// fill returns n with its holes filled by what is given for the parameters they
// stand for. What is given may have holes itself, for parameters of the caller.
func (n *need) fill(s *scan, given map[int]*argument) *need {
	if len(n.Holes) == 0 {
		return n
	}
	filled := *n
	filled.Holes = nil
	for _, h := range n.Holes {
		arg := given[h.Param]
		part := new(need)
		switch {
		case arg == nil:
			part.leave(h.Word)
		case h.Word == "" && arg.options != nil:
			part = arg.options
		case h.Word != "" && arg.value != nil:
			if err := part.setConstant(h.Word, arg.value); err != nil && arg.at != nil {
				s.reportOnce(BadOption, arg.at, "dist.%s is given this: %v", optionName(h.Word), err)
			}
		case arg.param > 0:
			part.Holes = []hole{{Word: h.Word, Param: arg.param - 1}}
		default:
			part.leave(h.Word)
		}
		filled.lay(part, h.After)
		for _, inner := range part.Holes {
			if !slices.Contains(h.After, inner.Word) || inner.Word == "" {
				inner.After = append(slices.Clip(inner.After), h.After...)
				filled.Holes = append(filled.Holes, inner)
			}
		}
	}
	return &filled
}

// same reports whether two needs ask for the same.
func (n *need) same(m *need) bool {
	return n.Equal(m.Requirement) && n.Dynamic == m.Dynamic && n.Open == m.Open &&
		slices.EqualFunc(n.Holes, m.Holes, func(a, b hole) bool {
			return a.Word == b.Word && a.Param == b.Param && slices.Equal(a.After, b.After)
		})
}

// An argument is what is known, before the program runs, about what a call
// gives for one parameter.
type argument struct {
	value   constant.Value // a constant
	options *need          // an option, or any number of them
	param   int            // 1 + the index of the caller's parameter that is passed on
	at      ast.Expr       // in this package
}

// key tells arguments apart.
func (a *argument) key() string {
	switch {
	case a == nil:
		return "?"
	case a.value != nil:
		return a.value.ExactString()
	case a.options != nil:
		return fmt.Sprint("(", a.options.Requirement, a.options.Dynamic, a.options.Open, a.options.Holes, ")")
	}
	return fmt.Sprint("#", a.param)
}

// argumentOf is what call, which is in fn, gives for the i-th parameter of
// callee; nil if nothing is known about it.
func (s *scan) argumentOf(fn *function, call *ast.CallExpr, callee *types.Signature, i int) *argument {
	if call == nil || i >= callee.Params().Len() {
		return nil
	}
	if sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok {
		if x := s.pass.TypesInfo.Selections[sel]; x != nil && x.Kind() == types.MethodExpr {
			return nil // the receiver is its first argument
		}
	}
	last := callee.Params().Len() - 1
	if len(call.Args) < last {
		return nil // f(g())
	}
	if callee.Variadic() && i == last {
		if !isOption(callee.Params().At(i).Type()) {
			return nil
		}
		if call.Ellipsis.IsValid() {
			return &argument{options: s.readSlice(fn, call.Args[i]), at: call.Args[i]}
		}
		return &argument{options: s.readOptions(fn, call.Args[i:], false)}
	}
	if i >= len(call.Args) {
		return nil
	}
	x := call.Args[i]
	if v := s.pass.TypesInfo.Types[x].Value; v != nil {
		return &argument{value: v, at: x}
	}
	if p, ok := s.paramOf(fn, x); ok {
		return &argument{param: p + 1, at: x}
	}
	switch t := s.pass.TypesInfo.TypeOf(x); {
	case t == nil || !isOption(t):
		return nil
	case isOptionSlice(t):
		return &argument{options: s.readSlice(fn, x), at: x}
	default:
		return &argument{options: s.readOption(fn, x), at: x}
	}
}

// isOption reports whether t is dist.Option or a slice of it.
func isOption(t types.Type) bool {
	if slice, ok := types.Unalias(t).(*types.Slice); ok {
		t = slice.Elem()
	}
	named, ok := types.Unalias(t).(*types.Named)
	return ok && named.Obj().Name() == "Option" && named.Obj().Pkg() != nil && isDistPath(named.Obj().Pkg().Path())
}

func isOptionSlice(t types.Type) bool {
	_, ok := t.Underlying().(*types.Slice)
	return ok
}

// paramOf returns the index of fn's parameter that x names, if nothing but a
// call can give it its value.
func (s *scan) paramOf(fn *function, x ast.Expr) (int, bool) {
	id, ok := ast.Unparen(x).(*ast.Ident)
	if !ok || fn == nil || fn.obj == nil {
		return 0, false
	}
	v, ok := s.pass.TypesInfo.Uses[id].(*types.Var)
	if !ok {
		return 0, false
	}
	for i := range fn.obj.Signature().Params().Len() {
		if fn.obj.Signature().Params().At(i) == v {
			return i, !s.assigned()[v]
		}
	}
	return 0, false
}

// assigned has the variables of the package that are given a value after their
// declaration, or whose address is taken.
func (s *scan) assigned() map[*types.Var]bool {
	if s.assignedVars != nil {
		return s.assignedVars
	}
	s.assignedVars = make(map[*types.Var]bool)
	note := func(x ast.Expr) {
		if x == nil {
			return
		}
		if id, ok := ast.Unparen(x).(*ast.Ident); ok {
			if v, ok := s.pass.TypesInfo.Uses[id].(*types.Var); ok {
				s.assignedVars[v] = true
			}
		}
	}
	for _, f := range s.files {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, x := range n.Lhs {
					note(x)
				}
			case *ast.IncDecStmt:
				note(n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					note(n.X)
				}
			case *ast.RangeStmt:
				note(n.Key)
				note(n.Value)
			}
			return true
		})
	}
	return s.assignedVars
}

// optionName is how package dist calls the option of a word.
func optionName(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

func intOf(v constant.Value) (int, bool) {
	if v == nil || v.Kind() != constant.Int {
		return 0, false
	}
	n, exact := constant.Int64Val(v)
	return int(n), exact
}

func stringOf(v constant.Value) (string, bool) {
	if v == nil || v.Kind() != constant.String {
		return "", false
	}
	return constant.StringVal(v), true
}

// at is where in this package a word of the edge is said; else the edge itself.
func (e *edge) at(word string) span {
	if e.need != nil {
		if x := e.need.options[word]; x != nil {
			return span{x.Pos(), x.End()}
		}
	}
	return e.span
}
