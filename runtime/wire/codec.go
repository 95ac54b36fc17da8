package wire

import (
	"encoding"
	"fmt"
	"math/big"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// CBOR rather than JSON or gob: byte slices cross as they are, struct{} and nil
// cross at all, a message needs no stream state, and map keys keep their type.
var (
	encoder = must(cbor.EncOptions{
		Time:          cbor.TimeRFC3339Nano,
		TimeTag:       cbor.EncTagRequired,
		TextMarshaler: cbor.TextMarshalerTextString,
	}.EncMode())
	decoder = must(cbor.DecOptions{
		MaxArrayElements: 1<<31 - 1,
		MaxMapPairs:      1<<31 - 1,
		MaxNestedLevels:  1 << 12,
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		TextUnmarshaler:  cbor.TextUnmarshalerTextString,
		UTF8:             cbor.UTF8DecodeInvalid, // a key of a database is a string, and may be any bytes
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // fixed options: cannot happen
	}
	return v
}

// Marshal encodes a value. A []byte or string goes as it is, not copied; a nil
// []byte arrives as an empty one.
func Marshal[T any](v T) ([]byte, error) {
	switch v := any(v).(type) {
	case []byte:
		return v, nil
	case string:
		return []byte(v), nil
	}
	return encoder.Marshal(v)
}

// Unmarshal decodes what Marshal made of the same type. It may keep b.
func Unmarshal[T any](b []byte) (T, error) {
	var v T
	switch p := any(&v).(type) {
	case *[]byte:
		*p = b
		return v, nil
	case *string:
		*p = string(b)
		return v, nil
	}
	err := decoder.Unmarshal(b, &v)
	return v, err
}

var checked sync.Map // reflect.Type → error or nil

// CheckType says why values of a type cannot cross, or would lose something on
// the way; nil if they arrive as they left.
func CheckType(t reflect.Type) error {
	if err, ok := checked.Load(t); ok {
		err, _ := err.(error)
		return err
	}
	err := checkType(t, nil, make(map[reflect.Type]bool))
	checked.Store(t, err)
	return err
}

var (
	binaryMarshaler   = reflect.TypeFor[encoding.BinaryMarshaler]()
	binaryUnmarshaler = reflect.TypeFor[encoding.BinaryUnmarshaler]()
	textMarshaler     = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler   = reflect.TypeFor[encoding.TextUnmarshaler]()
	cborMarshaler     = reflect.TypeFor[cbor.Marshaler]()
	cborUnmarshaler   = reflect.TypeFor[cbor.Unmarshaler]()
	timeType          = reflect.TypeFor[time.Time]()
	bigIntType        = reflect.TypeFor[big.Int]()
)

func checkType(t reflect.Type, path []string, seen map[reflect.Type]bool) error {
	if seen[t] {
		return nil
	}
	seen[t] = true
	fail := func(why string) error {
		where := ""
		if len(path) > 0 {
			where = " (at " + strings.Join(path, ".") + ")"
		}
		return fmt.Errorf("%v %s%s", t, why, where)
	}
	if t == timeType || t == bigIntType {
		return nil
	}
	if method, ok := marshals(t); ok {
		if lost := besides(t, method); lost != "" {
			return fail("has its " + method.Name + " from an embedded field, which leaves out the field " + lost)
		}
		return nil
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return fail("cannot cross between processes")
	case reflect.Interface:
		return fail("is an interface: its concrete type would be lost")
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return checkType(t.Elem(), path, seen)
	case reflect.Map:
		if err := checkType(t.Key(), append(path, "key"), seen); err != nil {
			return err
		}
		return checkType(t.Elem(), path, seen)
	case reflect.Struct:
		for f := range t.Fields() {
			if f.Name == "_" {
				continue
			}
			at := append(path[:len(path):len(path)], f.Name)
			if !f.IsExported() && !(f.Anonymous && f.Type.Kind() == reflect.Struct) {
				return fail("has the unexported field " + f.Name + ", which would be lost")
			}
			key, _ := KeyOf(f.Tag, f.Name)
			if key == LeftOut {
				return fail("has the field " + f.Name + " tagged \"-\", which would be lost")
			}
			if err := checkType(f.Type, at, seen); err != nil {
				return err
			}
		}
		if lost, why := hidden(t); lost != "" {
			return fail("has the field " + lost + ", which would be lost: " + why)
		}
	}
	return nil
}

// A Key is what a struct's field has on the wire for a name.
type Key struct {
	Name   string
	Number bool // the name is one, and crosses as one
}

// LeftOut is the key of fields that do not cross.
var LeftOut = Key{}

// KeyOf reads a field's tag, as package cbor does. Without a name in it an embedded
// struct crosses as the fields that it has.
func KeyOf(tag reflect.StructTag, field string) (key Key, named bool) {
	value := tag.Get("cbor")
	if value == "" {
		value = tag.Get("json")
	}
	if value == "-" {
		return LeftOut, true
	}
	options := strings.Split(value, ",")
	key.Name, named = options[0], options[0] != ""
	if !named {
		key.Name = field
	}
	if slices.Contains(options[1:], "keyasint") {
		key.Number = true
		if n, err := strconv.Atoi(key.Name); err == nil {
			key.Name = strconv.Itoa(n) // "+1" is 1
		}
	}
	return key, named
}

// hidden returns the path of a field that does not cross with the others of a
// struct, and why; "" if there is none. With two of one name package cbor, like
// encoding/json, takes the outer one or neither.
func hidden(t reflect.Type) (lost, why string) {
	paths := make(map[Key]string)
	var around []reflect.Type
	var walk func(t reflect.Type, path string)
	walk = func(t reflect.Type, path string) {
		around = append(around, t)
		for f := range t.Fields() {
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			key, named := KeyOf(f.Tag, f.Name)
			at := path + f.Name
			switch {
			case lost != "" || f.Name == "_":
			case !f.Anonymous || named || inner.Kind() != reflect.Struct:
				if other, ok := paths[key]; ok {
					lost, why = at, fmt.Sprintf("%s has the name %q, too", other, key.Name)
				}
				paths[key] = at
			case slices.Contains(around, inner):
				lost, why = at, fmt.Sprintf("%v is embedded in itself", inner)
			case encodesItself(inner):
				lost, why = at, fmt.Sprintf("%v is embedded, and encodes itself only where it is a field with a name", inner)
			default:
				walk(inner, at+".")
			}
		}
		around = around[:len(around)-1]
	}
	walk(t, "")
	return lost, why
}

func encodesItself(t reflect.Type) bool {
	_, ok := marshals(t)
	return ok || t == timeType || t == bigIntType
}

// marshals reports whether values of t encode and decode themselves, and by what
// method.
func marshals(t reflect.Type) (by reflect.Method, ok bool) {
	p := reflect.PointerTo(t)
	// By constant names: the linker would keep all methods of all types otherwise.
	switch {
	case p.Implements(cborMarshaler) && p.Implements(cborUnmarshaler):
		if by, ok = t.MethodByName("MarshalCBOR"); !ok {
			by, ok = p.MethodByName("MarshalCBOR")
		}
	case p.Implements(binaryMarshaler) && p.Implements(binaryUnmarshaler):
		if by, ok = t.MethodByName("MarshalBinary"); !ok {
			by, ok = p.MethodByName("MarshalBinary")
		}
	case p.Implements(textMarshaler) && p.Implements(textUnmarshaler):
		if by, ok = t.MethodByName("MarshalText"); !ok {
			by, ok = p.MethodByName("MarshalText")
		}
	}
	return by, ok
}

// besides returns a field of a struct that is beside the embedded one whose method
// encodes it; "" if there is none. It would be lost without a word.
func besides(t reflect.Type, method reflect.Method) string {
	if t.Kind() != reflect.Struct {
		return ""
	}
	var lost, embedded string
	for f := range t.Fields() {
		switch {
		case embedded == "" && f.Anonymous && hasMethod(f.Type, method.Name):
			embedded = f.Name
		case lost == "" && f.Name != "_":
			lost = f.Name
		}
	}
	if embedded == "" || lost == "" {
		return ""
	}
	// The method may be of the struct itself. What the compiler makes of an embedded
	// field's has no file, or is that method where it has been inlined.
	f := runtime.FuncForPC(method.Func.Pointer())
	if file, _ := f.FileLine(f.Entry()); file != "<autogenerated>" {
		return ""
	}
	return lost
}

func hasMethod(t reflect.Type, name string) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	by, ok := marshals(t)
	return ok && by.Name == name
}
