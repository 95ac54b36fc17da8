package crossing

import (
	"context"
	"math/big"
	"net/netip"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/distkit/dist"
)

func echo[T any](ctx context.Context, in T) (T, error) { return in, nil }

func take[T any](ctx context.Context, in T) (struct{}, error) { return struct{}{}, nil }

func give[T any](ctx context.Context, in struct{}) (out T, err error) { return out, nil }

type (
	fine struct {
		Name  string
		Peers map[string][]*fine
		At    time.Time
		Addr  netip.AddrPort
		Big   *big.Int
		Array [4]byte
		inner
		_       struct{}
		Renamed int `json:"renamed,omitempty"`
	}
	inner    struct{ Also int }
	channel  struct{ Peers []struct{ Done chan int } }
	function struct{ F func() }
	hidden   struct{ Name, secret string }
	tagged   struct {
		Name string `json:"-"`
	}
	locked struct {
		mu sync.Mutex
		N  int
	}
	iface    struct{ V any }
	pointer  struct{ P unsafe.Pointer }
	embedded struct{ hidden }
	both     struct {
		lost string
		Bad  chan int
	}
	custom struct{ secret string }
	text   struct{ secret string }
	left   struct {
		Name string `cbor:"-" json:"name"`
	}
	stamped struct {
		time.Time
		Name string
	}
	moment     struct{ time.Time }
	ownMarshal struct {
		time.Time
		Name string
	}
	shadowed struct {
		inner
		Also int
	}
	renamed struct {
		A int `json:"x"`
		B int `cbor:"x"`
	}
	named struct {
		inner `json:"inner"`
		Also  int
	}
	numbered struct {
		A int `cbor:"1,keyasint"`
		B int `cbor:"1"`
	}
	moments struct {
		time.Time
		netip.Addr
	}
	Circle struct {
		N int
		*Circle
	}
	list[T any] struct {
		Value T
		Next  *list[T]
	}
)

func (custom) MarshalBinary() ([]byte, error)     { return nil, nil }
func (*custom) UnmarshalBinary(data []byte) error { return nil }

func (text) MarshalText() ([]byte, error)     { return nil, nil }
func (*text) UnmarshalText(data []byte) error { return nil }

func (ownMarshal) MarshalBinary() ([]byte, error)     { return nil, nil }
func (*ownMarshal) UnmarshalBinary(data []byte) error { return nil }

func TestCrossing(t *testing.T) {
	ctx := t.Context()
	n := dist.Require(t).Node(0)
	dist.Call(ctx, n, echo[fine], fine{})
	dist.Call(ctx, n, echo[custom], custom{})
	dist.Call(ctx, n, echo[text], text{})
	dist.Call(ctx, n, echo[list[list[int]]], list[list[int]]{})
	dist.Call(ctx, n, take[left], left{})  // want `argument of type left loses data on its way: \.Name is left out for its tag "-"`
	dist.Call(ctx, n, take[*stamped], nil) // want `argument of type \*stamped loses data on its way: \.Name is left out by MarshalBinary, which is that of the embedded Time`
	dist.Call(ctx, n, take[struct {
		Name string
		time.Time
	}], struct { // want `\.Name is left out by MarshalBinary, which is that of the embedded Time`
		Name string
		time.Time
	}{})
	dist.Call(ctx, n, echo[moment], moment{})
	dist.Call(ctx, n, echo[named], named{})
	dist.Call(ctx, n, echo[numbered], numbered{})
	dist.Call(ctx, n, take[shadowed], shadowed{}) // want `argument of type shadowed loses data on its way: \.Also crosses as "Also", and so does \.inner\.Also`
	dist.Call(ctx, n, take[renamed], renamed{})   // want `\.B crosses as "x", and so does \.A`
	dist.Call(ctx, n, take[moments], moments{})   // want `\.Time is embedded, and encodes itself only where it is a field with a name`
	dist.Call(ctx, n, take[Circle], Circle{})     // want `\.Circle is embedded in itself`
	dist.Call(ctx, n, echo[ownMarshal], ownMarshal{})
	dist.Call(ctx, n, echo[[]byte], nil)
	dist.Call(ctx, n, give[error], struct{}{})     // want `result of type error cannot cross to another process: it is an interface, whose concrete type the other side does not learn`
	dist.Call(ctx, n, take[any], nil)              // want `argument of type any cannot cross to another process: it is an interface`
	dist.Call(ctx, n, take[channel], channel{})    // want `argument of type channel cannot cross to another process: \.Peers\[\]\.Done is a channel`
	dist.Call(ctx, n, echo[chan int], nil)         // want `argument of type chan int cannot cross to another process: it is a channel` `result of type chan int cannot cross`
	dist.Call(ctx, n, take[function], function{})  // want `argument of type function cannot cross to another process: \.F is a function`
	dist.Call(ctx, n, take[hidden], hidden{})      // want `argument of type hidden loses data on its way: \.secret is unexported`
	dist.Call(ctx, n, take[*embedded], nil)        // want `argument of type \*embedded loses data on its way: \.secret is unexported`
	dist.Call(ctx, n, take[tagged], tagged{})      // want `argument of type tagged loses data on its way: \.Name is left out for its tag "-"`
	dist.Call(ctx, n, take[*locked], nil)          // want `argument of type \*locked cannot cross to another process: \.mu is a sync.Mutex, which holds in one process only`
	dist.Call(ctx, n, take[map[string]iface], nil) // want `argument of type map\[string\]iface cannot cross to another process: \[\]\.V is an interface`
	dist.Call(ctx, n, take[pointer], pointer{})    // want `\.P is a pointer into this process`
	dist.Call(ctx, n, take[complex128], 1i)        // want `it is a complex number`
	dist.Call(ctx, n, take[context.Context], ctx)  // want `it is a context, which every call has of its own`
	dist.Call(ctx, n, take[both], both{})          // want `argument of type both cannot cross to another process: \.Bad is a channel`
	dist.Call(ctx, n, take[*dist.Node], n)         // want `argument of type \*dist.Node loses data on its way: \.name is unexported`
}

func registered(ctx context.Context, in hidden) (hidden, error) { return in, nil } // want registered:"registered"

func init() {
	dist.Register(registered) // want `argument of type hidden loses data` `result of type hidden loses data`
}
