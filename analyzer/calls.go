package analyzer

import (
	"go/ast"
	"go/constant"
	"go/types"
	"strings"
	"time"

	"golang.org/x/tools/go/types/typeutil"

	"github.com/distkit/dist/requirement"
)

// A use is a call of a function of package dist.
type use struct {
	name string // "Call", "Register", ...
	call *ast.CallExpr
	file *file
	fn   *function // around it; nil in a variable's initializer
}

// An edge leads from a function to what it calls, or names.
type edge struct {
	span
	call   *ast.CallExpr // nil if the function is named without calling it
	need   *need         // a requirement call
	callee *types.Func   // otherwise: of any package, not generic
}

// A need is what one requirement call says.
type need struct {
	requirement.Requirement
	Dynamic bool     // its size is not constant
	Open    bool     // another of its options is not
	Path    []string // functions between the one in question and the call
	Text    string   // the call: "dist.Require(t, dist.Nodes(5))"

	options map[string]ast.Expr // by word: the argument, in this package
}

// A value is a node function as the tests name it.
type value struct {
	id       *ast.Ident
	expr     ast.Expr // id with its package and type arguments
	obj      *types.Func
	typeArgs []types.Type
}

// readCalls finds what the functions of one file call of package dist and of
// each other.
func (s *scan) readCalls(f *file) {
	for _, decl := range f.syntax.Decls {
		var fn *function
		if decl, ok := decl.(*ast.FuncDecl); ok {
			fn = s.byDecl[decl]
		}
		called := make(map[*ast.Ident]*ast.CallExpr)
		ast.Inspect(decl, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				id := calledIdent(n.Fun)
				if id != nil {
					called[id] = n
				}
				if name := s.distFunc(n); name != "" {
					s.uses = append(s.uses, use{name, n, f, fn})
					if name == "Require" && fn != nil {
						fn.edges = append(fn.edges, edge{span: span{n.Pos(), n.End()}, call: n, need: s.readNeed(n)})
					}
				}
			case *ast.Ident:
				s.readIdent(f, fn, n, called[n])
			}
			return true
		})
	}
}

// readIdent notes what a function's name means where it stands.
func (s *scan) readIdent(f *file, fn *function, id *ast.Ident, call *ast.CallExpr) {
	obj, ok := s.pass.TypesInfo.Uses[id].(*types.Func)
	if !ok || obj.Pkg() == nil {
		return
	}
	if call == nil && f.test && isNodeFunc(s.typeOf(id)) {
		if v, ok := s.valueOf(id, obj); ok {
			s.values = append(s.values, v)
		}
	}
	if fn == nil || isDistPath(obj.Pkg().Path()) && !isDistPath(s.pass.Pkg.Path()) {
		return
	}
	if recv := obj.Signature().Recv(); recv != nil && types.IsInterface(recv.Type()) {
		return // whose method it is nobody knows
	}
	fn.edges = append(fn.edges, edge{span: span{id.Pos(), id.End()}, call: call, callee: obj.Origin()})
}

// typeOf is the type of a function's name where it stands: of a generic one,
// the instance's.
func (s *scan) typeOf(id *ast.Ident) types.Type {
	if inst, ok := s.pass.TypesInfo.Instances[id]; ok {
		return inst.Type
	}
	return s.pass.TypesInfo.TypeOf(id)
}

// calledIdent returns the name that a call goes by: f, p.f, x.f, f[int].
func calledIdent(fun ast.Expr) *ast.Ident {
	switch x := ast.Unparen(fun).(type) {
	case *ast.Ident:
		return x
	case *ast.SelectorExpr:
		return x.Sel
	case *ast.IndexExpr:
		return calledIdent(x.X)
	case *ast.IndexListExpr:
		return calledIdent(x.X)
	}
	return nil
}

// distFunc returns the name of the function of package dist that call calls;
// "" if it calls none.
func (s *scan) distFunc(call *ast.CallExpr) string {
	fn, ok := typeutil.Callee(s.pass.TypesInfo, call).(*types.Func)
	if !ok || fn.Pkg() == nil || !isDistPath(fn.Pkg().Path()) || fn.Signature().Recv() != nil {
		return ""
	}
	return fn.Name()
}

// readNeed reads the options of a requirement call.
func (s *scan) readNeed(call *ast.CallExpr) *need {
	n := &need{options: make(map[string]ast.Expr)}
	var shown []string
	if len(call.Args) > 0 {
		shown = append(shown, types.ExprString(call.Args[0]))
		for _, arg := range call.Args[1:] {
			shown = append(shown, s.readOption(n, arg))
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

// readOption reads one option into n and returns how to show it. What is no
// call of an option may be any of them: a size, too.
func (s *scan) readOption(n *need, arg ast.Expr) string {
	call, ok := ast.Unparen(arg).(*ast.CallExpr)
	name := ""
	if ok {
		name = s.distFunc(call)
	}
	word := strings.ToLower(name)
	one := func() constant.Value {
		if len(call.Args) != 1 {
			return nil
		}
		return s.pass.TypesInfo.Types[call.Args[0]].Value
	}
	var err error
	switch name {
	case "Nodes", "Min":
		size, constant := intOf(one())
		switch {
		case constant:
			err = requirement.CheckSize(word, size)
		case name == "Nodes":
			n.Dynamic = true
		default:
			n.Open = true
		}
		if err == nil && constant {
			if name == "Nodes" {
				n.Nodes = size
			} else {
				n.Min = size
			}
		}
	case "Timeout":
		if d, constant := intOf(one()); constant {
			if err = requirement.CheckTimeout(time.Duration(d)); err == nil {
				n.Timeout = time.Duration(d)
			}
		} else {
			n.Open = true
		}
	case "Program":
		if v, constant := stringOf(one()); constant {
			if err = requirement.CheckProgram(v); err == nil {
				n.Program = v
			}
		} else {
			n.Open = true
		}
	case "Ports":
		var ports []string
		constant := !call.Ellipsis.IsValid()
		for _, arg := range call.Args {
			port, ok := stringOf(s.pass.TypesInfo.Types[arg].Value)
			constant = constant && ok
			ports = append(ports, port)
		}
		if constant {
			if err = requirement.CheckPorts(ports...); err == nil {
				n.Ports = ports
			}
		} else {
			n.Open = true
		}
	case "Reuse":
		n.Reuse = true
	case "Shared":
		n.Shared = true
	case "Optional":
		n.Optional = true
	default:
		n.Dynamic, n.Open = true, true
		return "..."
	}
	if err != nil {
		s.report(BadOption, arg, nil, "dist.%s: %v", name, err)
	}
	if _, given := n.options[word]; given {
		s.report(BadOption, arg, nil, "dist.%s is given twice in one call of dist.Require", name)
	}
	n.options[word] = arg
	var args []string
	for _, arg := range call.Args {
		args = append(args, types.ExprString(arg))
	}
	return "dist." + name + "(" + strings.Join(args, ", ") + ")"
}

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
