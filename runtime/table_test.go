package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/distkit/dist/runtime/diagnostics"
)

func double(_ context.Context, n int) (int, error) { return 2 * n, nil }

func known(_ context.Context, n int) (int, error) { return n, nil }

func generic[T any](_ context.Context, v T) (T, error) { return v, nil }

func func1(_ context.Context, n int) (int, error) { return n, nil } // a name like a literal's

type receiver struct{}

func (receiver) method(_ context.Context, n int) (int, error) { return n, nil }

func TestRegister(t *testing.T) {
	Register(known)
	Register(known) // again is no mistake
	Register(func1)
	Register(generic[int])
	Register(generic[string])
	names := make(map[string]bool)
	for _, lookup := range []func() (*Function, error){
		func() (*Function, error) { return Lookup(known) },
		func() (*Function, error) { return Lookup(func1) },
		func() (*Function, error) { return Lookup(generic[int]) },
		func() (*Function, error) { return Lookup(generic[string]) },
	} {
		f, err := lookup()
		if err != nil {
			t.Error(err)
			continue
		}
		if names[f.Name] || named(f.Name) != f {
			t.Errorf("%s is not the one name of one function", f.Name)
		}
		names[f.Name] = true
	}
}

func TestRegisterRefuses(t *testing.T) {
	captured := 1
	for want, register := range map[string]func(){
		"function literal": func() { Register(func(context.Context, int) (int, error) { return captured, nil }) },
		"method value":     func() { Register(receiver{}.method) },
		"nil":              func() { Register[int, int](nil) },
	} {
		func() {
			defer func() {
				if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), want) {
					t.Errorf("%s: Register says %v", want, v)
				}
			}()
			register()
		}()
	}
}

func TestLookupSaysWhy(t *testing.T) {
	code := func(err error) diagnostics.Code {
		var d *diagnostics.Diagnosis
		if !errors.As(err, &d) {
			t.Errorf("%v is no diagnosis", err)
			return ""
		}
		return d.Code
	}
	if _, err := Lookup(double); code(err) != diagnostics.UseUnregistered {
		t.Error(err)
	}
	if _, err := Lookup(func(context.Context, int) (int, error) { return 0, nil }); code(err) != diagnostics.UseClosure {
		t.Error(err)
	}
	if _, err := Lookup(receiver{}.method); code(err) != diagnostics.UseMethodValue {
		t.Error(err)
	}
	Func("any", generic[any])
	if _, err := Lookup(generic[any]); code(err) != diagnostics.UseValue {
		t.Error(err)
	}
	if _, err := Lookup[int, int](nil); err == nil {
		t.Error("a nil function was found")
	}
}

func TestIsClosure(t *testing.T) {
	for name, want := range map[string]bool{
		"example.com/p.F":              false,
		"example.com/p.func1":          false,
		"example.com/p.F.func1":        true,
		"example.com/p.F.func1.2":      true,
		"example.com/p.glob..func3":    true,
		"example.com/p.init.func1":     true,
		"example.com/p.F[...]":         false,
		"example.com/p.F[...].func2":   true,
		"example.com/p.(*T).M":         false,
		"example.com/p.(*T).M.func1":   true,
		"gopkg.in/yaml.v3.F":           false,
		"gopkg.in/yaml%2ev3.functions": false,
	} {
		if got := isClosure(name); got != want {
			t.Errorf("isClosure(%q) = %v", name, got)
		}
	}
}
