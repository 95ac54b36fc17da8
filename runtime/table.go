package runtime

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	goruntime "runtime"
	"strings"
	"sync"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/wire"
)

// A Function is an entry of the table: what a node can be asked to run.
type Function struct {
	Name string // on the wire: the same in all processes of one binary
	call func(context.Context, []byte) ([]byte, error)
	bad  error // why its argument or result cannot cross
}

// A key is how a function value is found again. All instances of a generic
// function have the same symbol name; code pointers differ, and should two be
// merged, the types still tell.
type key struct {
	pc      uintptr
	in, out reflect.Type
}

var table = struct {
	sync.RWMutex
	byKey  map[key]*Function
	byName map[string]*Function
}{byKey: make(map[key]*Function), byName: make(map[string]*Function)}

func keyOf[In, Out any](fn func(context.Context, In) (Out, error)) key {
	return key{reflect.ValueOf(fn).Pointer(), reflect.TypeFor[In](), reflect.TypeFor[Out]()}
}

// Func enters a function under a name. Generated code calls it, in an init; a
// function that is entered already keeps its first name.
func Func[In, Out any](name string, fn func(context.Context, In) (Out, error)) {
	k := keyOf(fn)
	f := &Function{Name: name}
	for _, t := range []reflect.Type{k.in, k.out} {
		if err := wire.CheckType(t); err != nil && f.bad == nil {
			f.bad = err
		}
	}
	f.call = func(ctx context.Context, body []byte) ([]byte, error) {
		in, err := wire.Unmarshal[In](body)
		if err != nil {
			return nil, fmt.Errorf("decode the argument of %s: %w", name, err)
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, err
		}
		return wire.Marshal(out)
	}
	table.Lock()
	defer table.Unlock()
	if table.byKey[k] != nil {
		return
	}
	// Instances of one generic function come by the same name.
	for n := 2; table.byName[f.Name] != nil; n++ {
		f.Name = fmt.Sprintf("%s#%d", name, n)
	}
	table.byKey[k], table.byName[f.Name] = f, f
}

// RegisterErrors has errors.Is find errors that functions return on nodes.
func RegisterErrors(errs ...error) { wire.Carry(errs...) }

// Register enters a function under the name of its symbol. It panics if fn is
// not a package-level function.
func Register[In, Out any](fn func(context.Context, In) (Out, error)) {
	if fn == nil {
		panic("dist.Register: nil function")
	}
	name := symbol(reflect.ValueOf(fn).Pointer())
	switch {
	case isMethodValue(name):
		panic(fmt.Sprintf("dist.Register: %s is a method value, whose receiver would not be there on a node: register a package-level function", name))
	case isClosure(name):
		panic(fmt.Sprintf("dist.Register: %s is a function literal, whose variables would not be there on a node: register a package-level function", name))
	}
	k := keyOf(fn)
	Func(fmt.Sprintf("%s(%v) %v", strings.TrimSuffix(name, "[...]"), k.in, k.out), fn)
}

// Lookup finds the entry of a function that is to be called. Its error is a
// *diagnostics.Diagnosis.
func Lookup[In, Out any](fn func(context.Context, In) (Out, error)) (*Function, error) {
	if fn == nil {
		return nil, errors.New("dist.Call: nil function")
	}
	k := keyOf(fn)
	table.RLock()
	f := table.byKey[k]
	table.RUnlock()
	if f != nil && f.bad == nil {
		return f, nil
	}
	name := symbol(k.pc)
	failure := diagnostics.Failure{Phase: diagnostics.PhaseCall, Op: "call " + ShortName(name), Name: ShortName(name), Pos: position(k.pc)}
	switch {
	case f != nil:
		failure.Code, failure.Err = diagnostics.UseValue, f.bad
	case isMethodValue(name):
		failure.Code = diagnostics.UseMethodValue
	case isClosure(name):
		failure.Code = diagnostics.UseClosure
	default:
		failure.Code = diagnostics.UseUnregistered
	}
	return nil, diagnostics.Diagnose(failure)
}

// named finds an entry by its name on the wire.
func named(name string) *Function {
	table.RLock()
	defer table.RUnlock()
	return table.byName[name]
}

func symbol(pc uintptr) string {
	if f := goruntime.FuncForPC(pc); f != nil {
		return f.Name()
	}
	return "unknown"
}

func position(pc uintptr) string {
	if f := goruntime.FuncForPC(pc); f != nil {
		file, line := f.FileLine(pc)
		return fmt.Sprintf("%s:%d", file, line)
	}
	return ""
}

// ShortName is a function's name without the path of its package.
func ShortName(symbol string) string {
	return symbol[strings.LastIndexByte(symbol, '/')+1:]
}

// isMethodValue and isClosure go by the names that the compiler gives such
// functions: p.T.M-fm; p.F.func1, p.F.func1.2, p.init.func1, p.glob..func1.
func isMethodValue(symbol string) bool { return strings.HasSuffix(symbol, "-fm") }

func isClosure(symbol string) bool {
	parts := strings.Split(strings.ReplaceAll(ShortName(symbol), "[...]", ""), ".")
	for i, p := range parts {
		// A package-level function may itself be called func1: p.func1.
		if digits, ok := strings.CutPrefix(p, "func"); ok && i >= 2 && digits != "" && strings.Trim(digits, "0123456789") == "" {
			return true
		}
	}
	return false
}
