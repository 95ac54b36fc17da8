package analyzer

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/types/typeutil"
)

// checkClusters checks what tests do with the clusters they have.
func (s *scan) checkClusters() {
	for _, fn := range s.funcs {
		if fn.decl.Body == nil {
			continue
		}
		s.checkNegative(fn)
		if fn.kind == 0 {
			continue
		}
		s.checkSubtests(fn)
		s.checkGoroutines(fn)
		if t := s.testOf(fn); t != nil {
			if !s.opaque(fn) {
				s.checkIndexes(fn, t)
				s.checkPorts(fn, t)
			}
			s.checkFaults(fn, t)
		}
	}
	s.checkStored()
}

// testOf returns what the plan says about fn; nil if it says nothing.
func (s *scan) testOf(fn *function) *Test {
	for i := range s.result.Tests {
		if t := &s.result.Tests[i]; t.Name == fn.decl.Name.Name {
			return t
		}
	}
	return nil
}

// distMethod returns the type and the name of the method of package dist that
// call calls; "" if it calls none.
func (s *scan) distMethod(call *ast.CallExpr) (recv, method string) {
	fn, ok := typeutil.Callee(s.pass.TypesInfo, call).(*types.Func)
	if !ok || fn.Pkg() == nil || !isDistPath(fn.Pkg().Path()) || fn.Signature().Recv() == nil {
		return "", ""
	}
	t := fn.Signature().Recv().Type()
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	if named, ok := types.Unalias(t).(*types.Named); ok {
		return named.Obj().Name(), fn.Name()
	}
	return "", ""
}

// isHeld reports whether values of type t end with the test: clusters and
// nodes, and slices of them.
func isHeld(t types.Type) bool {
	switch u := types.Unalias(t).(type) {
	case *types.Slice:
		return isHeld(u.Elem())
	case *types.Pointer:
		named, ok := types.Unalias(u.Elem()).(*types.Named)
		return ok && named.Obj().Pkg() != nil && isDistPath(named.Obj().Pkg().Path()) &&
			(named.Obj().Name() == "Cluster" || named.Obj().Name() == "Node")
	}
	return false
}

// indexOf returns the cluster and the index of a node, if n takes one out of a
// cluster: c.Node(i), c.Nodes()[i], c.Addrs(port)[i].
func (s *scan) indexOf(n ast.Node) (cluster, index ast.Expr) {
	var call *ast.CallExpr
	switch n := n.(type) {
	case *ast.CallExpr:
		if recv, method := s.distMethod(n); recv != "Cluster" || method != "Node" || len(n.Args) != 1 {
			return nil, nil
		}
		call, index = n, n.Args[0]
	case *ast.IndexExpr:
		x, ok := ast.Unparen(n.X).(*ast.CallExpr)
		if !ok {
			return nil, nil
		}
		if recv, method := s.distMethod(x); recv != "Cluster" || method != "Nodes" && method != "Addrs" {
			return nil, nil
		}
		call, index = x, n.Index
	default:
		return nil, nil
	}
	if sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok {
		cluster = sel.X
	}
	return cluster, index
}

// checkNegative reports what is no index of any cluster.
func (s *scan) checkNegative(fn *function) {
	ast.Inspect(fn.decl.Body, func(n ast.Node) bool {
		if _, index := s.indexOf(n); index != nil {
			if v := s.pass.TypesInfo.Types[index].Value; v != nil && constant.Sign(v) < 0 {
				s.report(NoSuchNode, index, nil, "no cluster has a node %s: indexes begin at 0", v)
			}
		}
		return true
	})
}

// checkIndexes reports indexes beyond the largest cluster that the test can
// have. All clusters in its body are its own.
func (s *scan) checkIndexes(fn *function, t *Test) {
	size := t.Requirement.Nodes
	if size == 0 {
		return
	}
	for _, r := range s.reach(fn) {
		if r.Dynamic && (fn.directive == nil || fn.directive.Requirement.Nodes == 0) {
			return
		}
	}
	related := []analysis.RelatedInformation{{Pos: t.Pos, Message: "the size is said here"}}
	ast.Inspect(fn.decl.Body, func(n ast.Node) bool {
		if _, index := s.indexOf(n); index != nil {
			if i, ok := intOf(s.pass.TypesInfo.Types[index].Value); ok && i >= size {
				s.reportRelated(NoSuchNode, index, related, nil, "no node %d in a cluster of %d: indexes are 0 to %d", i, size, size-1)
			}
		}
		if end, v, body := s.counted(n); end != nil {
			count, _ := intOf(s.pass.TypesInfo.Types[end].Value)
			if cluster := s.takesEach(body, v); cluster != nil && count > size {
				var fixes []analysis.SuggestedFix
				if id, ok := ast.Unparen(cluster).(*ast.Ident); ok {
					fixes = replace("count to "+id.Name+".Size()", end, id.Name+".Size()")
				}
				s.reportRelated(NoSuchNode, end, related, fixes, "the loop gets to node %d in a cluster of %d: indexes are 0 to %d", size, size, size-1)
			}
		}
		return true
	})
}

// checkPorts reports ports that the test has not asked for. Those of programs are
// in distributed.toml.
func (s *scan) checkPorts(fn *function, t *Test) {
	if t.Requirement.Program != "" {
		return
	}
	ports := slices.Clone(t.Requirement.Ports)
	for _, r := range s.reach(fn) {
		if r.Open || r.Requirement.Program != "" {
			return
		}
		for _, p := range r.Requirement.Ports { // of several clusters, each may have its own
			if !slices.Contains(ports, p) {
				ports = append(ports, p)
			}
		}
	}
	has := "asks for none"
	if len(ports) > 0 {
		has = "has " + strings.Join(ports, ", ")
	}
	related := []analysis.RelatedInformation{{Pos: t.Pos, Message: "what it asks for is said here"}}
	ast.Inspect(fn.decl.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return true
		}
		switch recv, method := s.distMethod(call); {
		case recv == "Node" && method == "Addr", recv == "Cluster" && method == "Addrs":
			port, ok := stringOf(s.pass.TypesInfo.Types[call.Args[0]].Value)
			if ok && !slices.Contains(ports, port) {
				s.reportRelated(NoSuchPort, call.Args[0], related, nil, "no port %q: the test %s", port, has)
			}
		}
		return true
	})
}

// counted returns the end, the variable and the body of a loop that counts from
// 0 to a constant.
func (s *scan) counted(n ast.Node) (end ast.Expr, v types.Object, body *ast.BlockStmt) {
	var key *ast.Ident
	switch n := n.(type) {
	case *ast.RangeStmt:
		key, _ = n.Key.(*ast.Ident)
		end, body = n.X, n.Body
	case *ast.ForStmt:
		init, ok := n.Init.(*ast.AssignStmt)
		cond, isCond := n.Cond.(*ast.BinaryExpr)
		post, isPost := n.Post.(*ast.IncDecStmt)
		if !ok || !isCond || !isPost || len(init.Lhs) != 1 || len(init.Rhs) != 1 || cond.Op != token.LSS || post.Tok != token.INC {
			return nil, nil, nil
		}
		if from, ok := intOf(s.pass.TypesInfo.Types[init.Rhs[0]].Value); !ok || from != 0 {
			return nil, nil, nil
		}
		key, _ = init.Lhs[0].(*ast.Ident)
		if key == nil || !s.names(cond.X, s.pass.TypesInfo.Defs[key]) || !s.names(post.X, s.pass.TypesInfo.Defs[key]) {
			return nil, nil, nil
		}
		end, body = cond.Y, n.Body
	}
	if key == nil || end == nil {
		return nil, nil, nil
	}
	v = s.pass.TypesInfo.Defs[key]
	if _, ok := intOf(s.pass.TypesInfo.Types[end].Value); !ok || v == nil {
		return nil, nil, nil
	}
	return end, v, body
}

func (s *scan) names(x ast.Expr, obj types.Object) bool {
	id, ok := ast.Unparen(x).(*ast.Ident)
	return ok && obj != nil && s.pass.TypesInfo.Uses[id] == obj
}

// takesEach returns the cluster of which body takes the node v, whatever v is;
// nil if that depends on anything.
func (s *scan) takesEach(body *ast.BlockStmt, v types.Object) (cluster ast.Expr) {
	sure := true
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BranchStmt, *ast.ReturnStmt:
			sure = false
		case *ast.AssignStmt:
			for _, x := range n.Lhs {
				sure = sure && !s.names(x, v)
			}
		case *ast.IncDecStmt:
			sure = sure && !s.names(n.X, v)
		case *ast.UnaryExpr:
			sure = sure && !(n.Op == token.AND && s.names(n.X, v))
		}
		return sure
	})
	if !sure {
		return nil
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt, *ast.ForStmt, *ast.RangeStmt, *ast.FuncLit:
			return false
		case *ast.BinaryExpr:
			return n.Op != token.LAND && n.Op != token.LOR
		}
		if c, index := s.indexOf(n); index != nil && s.names(index, v) && cluster == nil {
			cluster = c
		}
		return true
	})
	return cluster
}

// faults are the methods that disturb a cluster, and what they do to it.
var faults = map[string]string{
	"Node.Kill":         "kills a node",
	"Node.Stop":         "stops a node",
	"Node.Restart":      "restarts a node",
	"Node.RestartAs":    "restarts a node as another program",
	"Node.Pause":        "pauses a node",
	"Cluster.Partition": "partitions the network",
	"Cluster.Isolate":   "isolates a node",
	"Link.Cut":          "cuts a link",
	"Link.Delay":        "delays a link",
	"Link.Bandwidth":    "slows down a link",
	"Link.Loss":         "loses packets",
	"Link.Reset":        "resets connections",
}

// networkStrikes are the functions of package nemesis whose faults are of the
// network. They are listed rather than looked into: distgen loads no source of
// dist's own module.
var networkStrikes = map[string]bool{
	"Bridge": true, "Halves": true, "Isolate": true, "Lossy": true, "Ring": true, "Slow": true,
}

// isNetworkFault reports whether a test that names fn injects network faults:
// methods of package dist do, and functions of package nemesis.
func isNetworkFault(fn *types.Func) bool {
	if fn.Pkg() == nil {
		return false
	}
	recv := fn.Signature().Recv()
	if path, ok := strings.CutSuffix(fn.Pkg().Path(), "/nemesis"); ok && isDistPath(path) && recv == nil {
		return networkStrikes[fn.Name()]
	}
	if recv == nil || !isDistPath(fn.Pkg().Path()) {
		return false
	}
	switch fn.Name() {
	case "Partition", "Isolate", "Link":
		return isHeld(recv.Type())
	}
	return false
}

// parts reports whether fn gets to a network fault, whatever that depends on: a
// cluster is made ready for one before anybody knows.
func (s *scan) parts(fn *function) bool {
	if s.parting == nil {
		s.parting = s.leadingTo(func(fn *function) bool {
			return fn.network || slices.ContainsFunc(fn.edges, func(e edge) bool {
				return e.callee != nil && e.callee.Pkg() != s.pass.Pkg && s.pass.ImportObjectFact(e.callee, new(networkFaults))
			})
		})
	}
	return s.parting[fn]
}

// A fault is where a function disturbs a cluster: in its body, or by a call of
// a function of another package.
type fault struct {
	analysis.Range
	what  string // "kills a node"
	by    string // the other package's function, and where it is; "" if none
	maybe bool   // in a branch, see branches
}

// faultOf returns the first fault of fn, what it calls in its package left
// aside, and if it has to be certain, what is in a branch; nil if there is none.
func (s *scan) faultOf(fn *function, certain bool) *fault {
	for i := range fn.faults {
		if f := &fn.faults[i]; !certain || !f.maybe {
			return f
		}
	}
	for i := range fn.edges {
		e := &fn.edges[i]
		if e.need != nil || certain && e.maybe || e.callee.Pkg() == nil || e.callee.Pkg() == s.pass.Pkg {
			continue
		}
		fact := new(disturbs)
		if s.pass.ImportObjectFact(e.callee, fact) {
			return &fault{e, fact.What, fmt.Sprintf("%s (%s)", s.nameOf(e, false), s.nearby(fact.At)), e.maybe}
		}
	}
	return nil
}

// checkFaults reports what would disturb those that a test shares its cluster
// with. What a helper does in a branch may be meant for other tests.
func (s *scan) checkFaults(fn *function, t *Test) {
	if !t.Requirement.Shared {
		return
	}
	skip := func(e *edge) bool {
		return e.maybe && (e.pos < fn.decl.Pos() || e.pos >= fn.decl.End())
	}
	s.each(fn, skip, func(at *function, first *edge) {
		f := s.faultOf(at, at != fn)
		if f == nil {
			return
		}
		pos := f.Range
		var in []string
		if first != nil {
			pos = first
			in = append(in, at.decl.Name.Name)
		}
		if f.by != "" {
			in = append(in, f.by)
		}
		by := ""
		if len(in) > 0 {
			by = " in " + strings.Join(in, ", which calls ")
		}
		s.reportOnce(SharedFault, pos, "%s %s%s of a cluster that it shares: others that use it now would see that, too", fn.decl.Name.Name, f.what, by)
	})
}

// checkSubtests reports clusters that a subtest leases to itself and leaves to
// what comes after it.
func (s *scan) checkSubtests(fn *function) {
	ast.Inspect(fn.decl.Body, func(n ast.Node) bool {
		run, ok := n.(*ast.CallExpr)
		if !ok || len(run.Args) != 2 {
			return true
		}
		sel, ok := run.Fun.(*ast.SelectorExpr)
		lit, isLit := ast.Unparen(run.Args[1]).(*ast.FuncLit)
		if !ok || !isLit || sel.Sel.Name != "Run" || s.tbOf(sel.X) == nil {
			return true
		}
		ast.Inspect(lit.Body, func(n ast.Node) bool {
			assign, ok := n.(*ast.AssignStmt)
			if !ok || len(assign.Lhs) != 1 || len(assign.Rhs) != 1 {
				return true
			}
			id, ok := assign.Lhs[0].(*ast.Ident)
			call, isCall := ast.Unparen(assign.Rhs[0]).(*ast.CallExpr)
			if !ok || !isCall || !s.requires(call) || !s.isFor(call, lit) {
				return true
			}
			v, ok := s.pass.TypesInfo.Uses[id].(*types.Var)
			if ok && isHeld(v.Type()) && (v.Pos() < lit.Pos() || v.Pos() >= lit.End()) && s.leasedOnlyIn(fn, lit) {
				s.checkLeft(fn, lit, run, id, v)
			}
			return true
		})
		return true
	})
}

// isFor reports whether a call takes the testing.TB of the subtest lit, and no
// other: what it leases for the test around it lasts.
func (s *scan) isFor(call *ast.CallExpr, lit *ast.FuncLit) bool {
	for _, arg := range call.Args {
		if t := s.tbOf(arg); t != nil && (t.Pos() < lit.Pos() || t.Pos() >= lit.End()) {
			return false
		}
	}
	return true
}

// leasedOnlyIn reports whether all requirement calls in fn are inside lit: of
// two, the one of the test around lit might be what lasts.
func (s *scan) leasedOnlyIn(fn *function, lit *ast.FuncLit) bool {
	only := true
	ast.Inspect(fn.decl.Body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && s.requires(call) && (call.Pos() < lit.Pos() || call.Pos() >= lit.End()) {
			only = false
		}
		return n != lit && only
	})
	return only
}

// checkLeft reports the first use of v after the subtest that set it.
func (s *scan) checkLeft(fn *function, lit *ast.FuncLit, run *ast.CallExpr, set *ast.Ident, v *types.Var) {
	var use *ast.Ident
	ast.Inspect(fn.decl.Body, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Pos() > run.End() && s.pass.TypesInfo.Uses[id] == v && use == nil {
			use = id
		}
		return true
	})
	if use == nil || s.access(fn).assigns(use) {
		return
	}
	s.reportRelated(EndedTest, use, []analysis.RelatedInformation{{Pos: set.Pos(), End: set.End(), Message: "the subtest sets it here"}}, nil,
		"%s is the cluster of a subtest, and ended with it: would be right to call dist.Require with the t of %s", v.Name(), fn.decl.Name.Name)
}

// checkStored reports clusters in package variables that a test uses although
// it is another test that has leased them.
func (s *scan) checkStored() {
	if !slices.ContainsFunc(s.packageVars(), func(v *types.Var) bool { return isHeld(v.Type()) }) {
		return
	}
	type write struct {
		fn *function
		id *ast.Ident
	}
	writes := make(map[*types.Var]write)
	type use struct{ read, written map[*types.Var]*place }
	uses := make(map[*function]use)
	byTests := make(map[*function]bool)
	for _, fn := range s.funcs {
		if fn.kind == 0 || fn.decl.Body == nil {
			continue
		}
		u := use{make(map[*types.Var]*place), make(map[*types.Var]*place)}
		s.each(fn, nil, func(at *function, first *edge) {
			byTests[at] = true
			a := s.access(at)
			for _, v := range a.vars {
				if !isHeld(v.Type()) {
					continue
				}
				if id := a.writes[v]; id != nil {
					u.written[v] = &place{id, first}
				}
				if id := a.reads[v]; id != nil && u.read[v] == nil {
					u.read[v] = &place{id, first}
				}
			}
		})
		uses[fn] = u
		for v, w := range u.written {
			if _, ok := writes[v]; !ok && len(s.reach(fn)) > 0 {
				writes[v] = write{fn, w.id}
			}
		}
	}
	elsewhere := make(map[*types.Var]bool)
	for _, fn := range s.funcs {
		if !byTests[fn] {
			for v := range s.access(fn).writes {
				elsewhere[v] = true
			}
		}
	}
	for _, fn := range s.funcs {
		u := uses[fn]
		if len(u.read) == 0 || s.opaque(fn) {
			continue
		}
		for _, v := range s.packageVars() {
			r, w := u.read[v], writes[v]
			if r == nil || u.written[v] != nil || w.fn == nil || elsewhere[v] || s.addressed()[v] {
				continue
			}
			s.reportRelated(EndedTest, r.span(), []analysis.RelatedInformation{{Pos: w.id.Pos(), End: w.id.End(), Message: "it is set here"}}, nil,
				"%s holds the cluster of %s, and ends with it: %s would be right to call dist.Require itself", v.Name(), w.fn.decl.Name.Name, fn.decl.Name.Name)
		}
	}
}

// A place is where a function uses a variable, or the call in it that leads
// there.
type place struct {
	id    *ast.Ident
	first *edge
}

func (u *place) span() analysis.Range {
	if u.first != nil {
		return u.first
	}
	return u.id
}

// checkGoroutines reports goroutines that use the cluster of a test and are
// certain to outlive it: they never end, or the test ends as soon as it has
// started them.
func (s *scan) checkGoroutines(fn *function) {
	ast.Inspect(fn.decl.Body, func(n ast.Node) bool {
		g, ok := n.(*ast.GoStmt)
		if !ok {
			return true
		}
		lit, ok := ast.Unparen(g.Call.Fun).(*ast.FuncLit)
		if !ok {
			return true
		}
		ast.Inspect(lit.Body, func(n ast.Node) bool {
			if loop, ok := n.(*ast.ForStmt); ok && s.endless(loop) {
				if held := s.heldIn(loop.Body, lit); held != nil {
					s.reportOnce(EndedTest, held, "the goroutine never ends, and uses %s after %s has: would be right to return when %s", held.Name, fn.decl.Name.Name, "the test's context is done")
				}
			}
			return true
		})
		if g == fn.decl.Body.List[len(fn.decl.Body.List)-1] && !s.runsAtEnd(fn.decl.Body) {
			if held := s.heldIn(lit.Body, lit); held != nil {
				s.reportOnce(EndedTest, held, "%s ends as soon as it has started the goroutine, and %s with it: would be right to wait for it", fn.decl.Name.Name, held.Name)
			}
		}
		return true
	})
}

// heldIn returns the first use in body of a cluster or node that was declared
// outside lit.
func (s *scan) heldIn(body *ast.BlockStmt, lit *ast.FuncLit) (held *ast.Ident) {
	ast.Inspect(body, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && held == nil {
			if v, ok := s.pass.TypesInfo.Uses[id].(*types.Var); ok && !v.IsField() && isHeld(v.Type()) && (v.Pos() < lit.Pos() || v.Pos() >= lit.End()) {
				held = id
			}
		}
		return held == nil
	})
	return held
}

// runsAtEnd reports whether something may run, or wait, after the last
// statement of a test.
func (s *scan) runsAtEnd(body *ast.BlockStmt) (found bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.DeferStmt:
			found = true
		case *ast.SelectorExpr:
			found = found || n.Sel.Name == "Cleanup"
		case *ast.CallExpr:
			// Whoever is given the test may have called its Cleanup.
			for _, arg := range n.Args {
				if s.tbOf(arg) != nil && s.distFunc(n) != "Require" {
					found = true
				}
			}
		}
		return !found
	})
	return found
}

// endless reports whether nothing in a loop can leave it.
func (s *scan) endless(loop *ast.ForStmt) bool {
	if loop.Cond != nil {
		if v := s.pass.TypesInfo.Types[loop.Cond].Value; v == nil || v.Kind() != constant.Bool || !constant.BoolVal(v) {
			return false
		}
	}
	leaves := false
	var visit func(n ast.Node, inner bool)
	visit = func(n ast.Node, inner bool) {
		ast.Inspect(n, func(m ast.Node) bool {
			if m == n || leaves {
				return !leaves
			}
			switch m := m.(type) {
			case *ast.FuncLit:
				return false
			case *ast.ReturnStmt:
				leaves = true
			case *ast.BranchStmt:
				if m.Tok == token.GOTO || m.Tok != token.FALLTHROUGH && m.Label != nil || m.Tok == token.BREAK && !inner {
					leaves = true
				}
			case *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
				visit(m, true)
				return false
			case *ast.CallExpr:
				leaves = leaves || s.mayNotReturn(m)
			}
			return !leaves
		})
	}
	visit(loop.Body, false)
	return !leaves
}

// mayNotReturn reports whether call may end the goroutine or the process.
func (s *scan) mayNotReturn(call *ast.CallExpr) bool {
	for _, arg := range call.Args {
		if s.tbOf(arg) != nil {
			return true // require.NoError(t, err)
		}
	}
	switch fn := typeutil.Callee(s.pass.TypesInfo, call).(type) {
	case *types.Builtin:
		return fn.Name() == "panic"
	case *types.Func:
		if fn.Pkg() == nil || fn.Pkg() == s.pass.Pkg {
			return fn.Pkg() != nil // what a function of the package does was not looked at
		}
		switch fn.Pkg().Path() {
		case "testing", "log", "os", "runtime", "syscall":
			switch fn.Name() {
			case "Fatal", "Fatalf", "Fatalln", "FailNow", "Skip", "Skipf", "SkipNow", "Panic", "Panicf", "Panicln", "Exit", "Goexit":
				return true
			}
		}
		return false
	}
	// A conversion returns; of a function value nobody knows.
	return !s.pass.TypesInfo.Types[call.Fun].IsType()
}
