package analyzer

import (
	"fmt"
	"go/ast"
	"go/types"
	"reflect"
	"slices"

	"golang.org/x/tools/go/types/typeutil"

	"github.com/distkit/dist/runtime/wire"
)

// checkCrossing reports a type of arguments or results whose values do not
// arrive on the other side as they were. Values cross as CBOR, by value. It is
// wire.CheckType, said before anything runs.
func (s *scan) checkCrossing(role string, at ast.Expr, t types.Type) {
	if hasTypeParam(t) {
		return
	}
	flaw := findFlaw(t, "", new(typeutil.Map))
	if flaw == nil {
		return
	}
	name := types.TypeString(t, s.qualify)
	where := "it"
	if flaw.path != "" {
		where = flaw.path
	}
	if flaw.lost {
		s.report(LosesData, at, nil, "%s of type %s loses data on its way: %s %s", role, name, where, flaw.what)
	} else {
		s.report(CannotCross, at, nil, "%s of type %s cannot cross to another process: %s %s", role, name, where, flaw.what)
	}
}

// A flaw is why values of a type do not cross.
type flaw struct {
	path string // ".Peers[].Conn"; "" for the type itself
	what string // "is a channel"
	lost bool   // the rest arrives
}

// findFlaw returns the worst flaw of t, the first of them; nil if there is none.
func findFlaw(t types.Type, path string, seen *typeutil.Map) *flaw {
	t = types.Unalias(t)
	if seen.Set(t, true) != nil {
		return nil
	}
	if named, ok := t.(*types.Named); ok {
		switch {
		case isTB(t):
			return &flaw{path, "is a test, which is in its own process only: a node's function returns an error", false}
		case isNamed(t, "context", "Context"):
			return &flaw{path, "is a context, which every call has of its own", false}
		case isNamed(t, "time", "Time"), isNamed(t, "math/big", "Int"):
			return nil
		case marshaler(t) != nil:
			return promotedFlaw(t, marshaler(t), path)
		case named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == "sync":
			return &flaw{path, "is a sync." + named.Obj().Name() + ", which holds in one process only", false}
		}
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		switch {
		case u.Info()&types.IsComplex != 0:
			return &flaw{path, "is a complex number", false}
		case u.Kind() == types.UnsafePointer:
			return &flaw{path, "is a pointer into this process", false}
		}
	case *types.Chan:
		return &flaw{path, "is a channel", false}
	case *types.Signature:
		return &flaw{path, "is a function", false}
	case *types.Interface:
		return &flaw{path, "is an interface, whose concrete type the other side does not learn", false}
	case *types.Pointer:
		return findFlaw(u.Elem(), path, seen)
	case *types.Slice:
		return findFlaw(u.Elem(), path+"[]", seen)
	case *types.Array:
		return findFlaw(u.Elem(), path+"[]", seen)
	case *types.Map:
		if f := findFlaw(u.Key(), path+"[key]", seen); f != nil {
			return f
		}
		return findFlaw(u.Elem(), path+"[]", seen)
	case *types.Struct:
		if m := marshaler(t); m != nil { // of an embedded field: t has no name
			return promotedFlaw(t, m, path)
		}
		if f := structFlaw(u, path, seen); f != nil {
			return f
		}
		return hiddenFlaw(t, path)
	}
	return nil
}

func structFlaw(t *types.Struct, path string, seen *typeutil.Map) *flaw {
	var lost *flaw
	for i := range t.NumFields() {
		f := t.Field(i)
		key, _ := wire.KeyOf(reflect.StructTag(t.Tag(i)), f.Name())
		where := path + "." + f.Name()
		var found *flaw
		switch {
		case f.Name() == "_":
		case f.Exported() && key == wire.LeftOut:
			found = &flaw{where, `is left out for its tag "-"`, true}
		case f.Embedded() && isStruct(f.Type()):
			// As in encoding/json, its fields are this one's.
			found = findFlaw(f.Type(), path, seen)
		case !f.Exported():
			found = findSync(f.Type(), where)
			if found == nil {
				found = &flaw{where, "is unexported", true}
			}
		default:
			found = findFlaw(f.Type(), where, seen)
		}
		if found != nil && !found.lost {
			return found
		}
		if lost == nil {
			lost = found
		}
	}
	return lost
}

// hiddenFlaw is that of a field whose name on the wire another one has, or which is
// embedded in what loses it: see wire.CheckType.
func hiddenFlaw(t types.Type, path string) (lost *flaw) {
	paths := make(map[wire.Key]string)
	var around []types.Type
	var walk func(t types.Type, path string)
	walk = func(t types.Type, path string) {
		around = append(around, t)
		fields := t.Underlying().(*types.Struct)
		for i := range fields.NumFields() {
			f := fields.Field(i)
			key, named := wire.KeyOf(reflect.StructTag(fields.Tag(i)), f.Name())
			where := path + "." + f.Name()
			inner := types.Unalias(f.Type())
			if p, ok := inner.(*types.Pointer); ok {
				inner = types.Unalias(p.Elem())
			}
			switch {
			case lost != nil || f.Name() == "_":
			case !f.Embedded() || named || !isStruct(inner):
				if other, ok := paths[key]; ok {
					lost = &flaw{where, fmt.Sprintf("crosses as %q, and so does %s", key.Name, other), true}
				}
				paths[key] = where
			case slices.ContainsFunc(around, func(t types.Type) bool { return types.Identical(t, inner) }):
				lost = &flaw{where, "is embedded in itself", true}
			case encodesItself(inner):
				lost = &flaw{where, "is embedded, and encodes itself only where it is a field with a name", true}
			default:
				walk(inner, where)
			}
		}
		around = around[:len(around)-1]
	}
	walk(t, path)
	return lost
}

func encodesItself(t types.Type) bool {
	return isNamed(t, "time", "Time") || isNamed(t, "math/big", "Int") || marshaler(t) != nil
}

// findSync gives an unexported lock its better name.
func findSync(t types.Type, where string) *flaw {
	if named, ok := types.Unalias(t).(*types.Named); ok && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == "sync" {
		return findFlaw(t, where, new(typeutil.Map))
	}
	return nil
}

func isStruct(t types.Type) bool {
	_, ok := t.Underlying().(*types.Struct)
	return ok
}

// marshaler returns the method by which t says how its values are written, if it
// has one for how they are read as well.
func marshaler(t types.Type) *types.Selection {
	methods := types.NewMethodSet(types.NewPointer(t))
	for _, form := range []string{"CBOR", "Binary", "Text"} {
		if m := methods.Lookup(nil, "Marshal"+form); m != nil && methods.Lookup(nil, "Unmarshal"+form) != nil {
			return m
		}
	}
	return nil
}

// promotedFlaw is that of a struct which has its marshaler from an embedded
// field: that writes itself, and nothing of what is beside it.
func promotedFlaw(t types.Type, marshaler *types.Selection, path string) *flaw {
	fields, ok := t.Underlying().(*types.Struct)
	if !ok || len(marshaler.Index()) == 1 {
		return nil
	}
	embedded := fields.Field(marshaler.Index()[0])
	for f := range fields.Fields() {
		if f != embedded && f.Name() != "_" {
			return &flaw{path + "." + f.Name(), fmt.Sprintf("is left out by %s, which is that of the embedded %s", marshaler.Obj().Name(), embedded.Name()), true}
		}
	}
	return nil
}

// qualify names packages as source does: this one not at all, others by name.
func (s *scan) qualify(p *types.Package) string {
	if p == s.pass.Pkg {
		return ""
	}
	return p.Name()
}
