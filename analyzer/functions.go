package analyzer

import (
	"cmp"
	"go/ast"
	"go/types"
	"slices"
	"strings"
)

// isNodeFunc reports whether t is func(context.Context, In) (Out, error).
func isNodeFunc(t types.Type) bool {
	if t == nil {
		return false
	}
	sig, ok := t.Underlying().(*types.Signature)
	if !ok || sig.Variadic() || sig.Recv() != nil || sig.Params().Len() != 2 || sig.Results().Len() != 2 {
		return false
	}
	return isNamed(sig.Params().At(0).Type(), "context", "Context") &&
		types.Identical(sig.Results().At(1).Type(), types.Universe.Lookup("error").Type())
}

func isNamed(t types.Type, pkg, name string) bool {
	named, ok := types.Unalias(t).(*types.Named)
	return ok && named.Obj().Name() == name && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == pkg
}

// valueOf returns the node function that id names, if the bootstrap can name
// it too.
func (s *scan) valueOf(id *ast.Ident, obj *types.Func) (value, bool) {
	if obj.Signature().Recv() != nil {
		return value{}, false
	}
	v := value{id: id, obj: obj.Origin()}
	if obj.Signature().TypeParams() != nil || s.pass.TypesInfo.Instances[id].TypeArgs != nil {
		for t := range s.pass.TypesInfo.Instances[id].TypeArgs.Types() {
			if hasTypeParam(t) {
				return value{}, false // as many instances as the generic function around it
			}
			v.typeArgs = append(v.typeArgs, t)
		}
	}
	return v, true
}

// hasTypeParam reports whether t depends on a type parameter.
func hasTypeParam(t types.Type) bool {
	switch t := types.Unalias(t).(type) {
	case *types.TypeParam:
		return true
	case *types.Named:
		for arg := range t.TypeArgs().Types() {
			if hasTypeParam(arg) {
				return true
			}
		}
	case interface{ Elem() types.Type }: // pointer, slice, array, channel, map
		if m, ok := t.(*types.Map); ok && hasTypeParam(m.Key()) {
			return true
		}
		return hasTypeParam(t.Elem())
	case *types.Struct:
		for f := range t.Fields() {
			if hasTypeParam(f.Type()) {
				return true
			}
		}
	case *types.Signature:
		for _, tuple := range []*types.Tuple{t.Params(), t.Results()} {
			for v := range tuple.Variables() {
				if hasTypeParam(v.Type()) {
					return true
				}
			}
		}
	}
	return false
}

// findFunctions collects the node functions that the bootstrap has to name.
func (s *scan) findFunctions() {
	named := slices.Clone(s.values)
	skip := make(map[string]bool)   // registered by hand
	called := make(map[string]bool) // given to Call and the like
	for _, u := range s.uses {
		switch {
		case u.calls():
			// In test files, values has it.
			if v, ok := s.exprValue(u.call.Args[2]); ok {
				f := Function{Object: v.obj, TypeArgs: v.typeArgs}
				called[f.key()] = true
				if !u.file.test {
					named = append(named, v)
				}
			}
		case u.name == "Register":
			if len(u.call.Args) == 1 {
				if v, ok := s.exprValue(u.call.Args[0]); ok {
					f := Function{Object: v.obj, TypeArgs: v.typeArgs}
					skip[f.key()] = true
				}
			}
		}
	}
	// The first to name a function decides in which builds it is registered: that
	// is in all of them, if any file that all have is among those.
	guarded := func(v value) int { return min(len(s.constraintAt(v.id)), 1) }
	slices.SortStableFunc(named, func(a, b value) int {
		return cmp.Or(cmp.Compare(guarded(a), guarded(b)), cmp.Compare(s.order(a.id), s.order(b.id)))
	})
	for _, v := range named {
		own := v.obj.Pkg() == s.pass.Pkg
		f := Function{Object: v.obj, TypeArgs: v.typeArgs, Pos: v.id.Pos()}
		f.Called = called[f.key()]
		if skip[f.key()] || !own && (!v.obj.Exported() || s.pass.ImportObjectFact(v.obj, new(isRegistered))) {
			continue
		}
		skip[f.key()] = true
		if own {
			if file := s.fileOf(v.obj.Pos()); file != nil {
				f.Constraint = file.constraint
			}
		}
		if f.Constraint == "" && (!own || len(v.typeArgs) > 0) {
			// Other builds may have neither its package nor the types.
			f.Constraint = s.constraintAt(v.id)
		}
		s.result.Functions = append(s.result.Functions, f)
	}
	slices.SortStableFunc(s.result.Functions, func(a, b Function) int {
		return cmp.Or(
			cmp.Compare(s.declared(a), s.declared(b)),
			strings.Compare(a.key(), b.key()),
		)
	})
}

// constraintAt is the constraint of the file that n is in.
func (s *scan) constraintAt(n ast.Node) string {
	if f := s.fileOf(n.Pos()); f != nil {
		return f.constraint
	}
	return ""
}

func (s *scan) exprValue(x ast.Expr) (value, bool) {
	obj := s.plainFunc(x)
	if obj == nil {
		return value{}, false
	}
	return s.valueOf(calledIdent(x), obj)
}

// order is the place of id in source order: by file, then by offset.
func (s *scan) order(n ast.Node) int64 {
	for i, f := range s.files {
		if f.syntax.FileStart <= n.Pos() && n.Pos() < f.syntax.FileEnd {
			return int64(i)<<40 | int64(n.Pos()-f.syntax.FileStart)
		}
	}
	return 1 << 62
}

// declared is the place of f's declaration in source order; other packages'
// come last.
func (s *scan) declared(f Function) int64 {
	if fn := s.byObj[f.Object]; fn != nil {
		return s.order(fn.decl)
	}
	return 1 << 62
}
