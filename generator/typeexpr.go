package generator

import (
	"fmt"
	"go/types"
	"strings"

	"github.com/dave/jennifer/jen"
)

// typeExpr renders a type that nameable has approved of.
func typeExpr(t types.Type) jen.Code {
	switch t := t.(type) {
	case *types.Basic:
		if t.Kind() == types.UnsafePointer {
			return jen.Qual("unsafe", "Pointer")
		}
		return jen.Id(t.Name())
	case *types.Alias:
		return declaredExpr(t.Obj(), t.TypeArgs())
	case *types.Named:
		return declaredExpr(t.Obj(), t.TypeArgs())
	case *types.Pointer:
		return jen.Op("*").Add(typeExpr(t.Elem()))
	case *types.Slice:
		return jen.Index().Add(typeExpr(t.Elem()))
	case *types.Array:
		return jen.Index(jen.Lit(int(t.Len()))).Add(typeExpr(t.Elem()))
	case *types.Map:
		return jen.Map(typeExpr(t.Key())).Add(typeExpr(t.Elem()))
	case *types.Struct:
		fields := make([]jen.Code, t.NumFields())
		for i := range fields {
			f := t.Field(i)
			field := new(jen.Statement)
			if !f.Embedded() {
				field.Id(f.Name())
			}
			field.Add(typeExpr(f.Type()))
			if tag := t.Tag(i); tag != "" {
				field.Lit(tag)
			}
			fields[i] = field
		}
		return jen.Struct(fields...)
	case *types.Interface:
		return jen.Any() // nameable lets no other pass
	}
	panic(fmt.Sprintf("unreachable: type %s was not found nameable", t))
}

func declaredExpr(obj *types.TypeName, args *types.TypeList) jen.Code {
	var x *jen.Statement
	if obj.Pkg() == nil {
		x = jen.Id(obj.Name())
	} else {
		x = jen.Qual(obj.Pkg().Path(), obj.Name())
	}
	if args.Len() > 0 {
		list := make([]jen.Code, args.Len())
		for i := range list {
			list[i] = typeExpr(args.At(i))
		}
		x.Index(jen.List(list...))
	}
	return x
}

// nameable reports, as an error, why a file of package p cannot name t. The
// packages it would have to import are noted in p.
func (p *bootstrapPlan) nameable(t types.Type) error {
	switch t := t.(type) {
	case *types.Basic:
		if t.Kind() == types.UnsafePointer {
			p.imports["unsafe"] = "unsafe"
		}
		return nil
	case *types.Alias:
		return p.nameableDeclared(t.Obj(), t.TypeArgs())
	case *types.Named:
		return p.nameableDeclared(t.Obj(), t.TypeArgs())
	case *types.Pointer:
		return p.nameable(t.Elem())
	case *types.Slice:
		return p.nameable(t.Elem())
	case *types.Array:
		return p.nameable(t.Elem())
	case *types.Map:
		if err := p.nameable(t.Key()); err != nil {
			return err
		}
		return p.nameable(t.Elem())
	case *types.Struct:
		for f := range t.Fields() {
			if !f.Exported() && f.Pkg().Path() != p.path {
				return fmt.Errorf("field %s is unexported in %s", f.Name(), f.Pkg().Path())
			}
			if err := p.nameable(f.Type()); err != nil {
				return err
			}
		}
		return nil
	case *types.Interface:
		if t.Empty() {
			return nil
		}
		return fmt.Errorf("%s has no name", t)
	}
	return fmt.Errorf("%s cannot cross to a node", t)
}

func (p *bootstrapPlan) nameableDeclared(obj *types.TypeName, args *types.TypeList) error {
	if pkg := obj.Pkg(); pkg != nil {
		if obj.Parent() != pkg.Scope() {
			return fmt.Errorf("%s is declared inside a function", obj.Name())
		}
		if err := p.importable(obj); err != nil {
			return err
		}
	}
	for t := range args.Types() {
		if err := p.nameable(t); err != nil {
			return err
		}
	}
	return nil
}

// importable reports, as an error, why a file of package p cannot name obj, and
// notes the import that it needs.
func (p *bootstrapPlan) importable(obj types.Object) error {
	pkg := obj.Pkg()
	if pkg.Path() == p.path {
		return nil
	}
	if !obj.Exported() {
		return fmt.Errorf("%s is unexported in %s", obj.Name(), pkg.Path())
	}
	if pkg.Name() == "main" && pkg.Path() != p.importer {
		return fmt.Errorf("%s is declared in %s, a program", obj.Name(), pkg.Path())
	}
	if parent, ok := internalParent(pkg.Path()); ok && p.importer != parent && !strings.HasPrefix(p.importer, parent+"/") {
		return fmt.Errorf("%s is declared in %s, which is internal to %s", obj.Name(), pkg.Path(), parent)
	}
	p.imports[pkg.Path()] = pkg.Name()
	return nil
}

// internalParent returns the path whose tree alone may import path.
func internalParent(path string) (string, bool) {
	if before, ok := strings.CutSuffix(path, "/internal"); ok {
		return before, true
	}
	if i := strings.LastIndex(path, "/internal/"); i >= 0 {
		return path[:i], true
	}
	return "", path == "internal" || strings.HasPrefix(path, "internal/")
}
