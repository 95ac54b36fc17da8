package wire

import (
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

type inner struct {
	Name string
	Tags map[int][]string
}

type embedding struct {
	inner
	N *int
}

func roundTrip[T any](t *testing.T, v T) {
	t.Helper()
	if err := CheckType(reflect.TypeFor[T]()); err != nil {
		t.Errorf("CheckType(%T): %v", v, err)
	}
	b, err := Marshal(v)
	if err != nil {
		t.Errorf("Marshal(%#v): %v", v, err)
		return
	}
	got, err := Unmarshal[T](b)
	if err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("%#v arrived as %#v, %v", v, got, err)
	}
}

func TestRoundTrip(t *testing.T) {
	n := 7
	roundTrip(t, struct{}{})
	roundTrip(t, []byte("raw\x00\xf6"))
	roundTrip(t, "text\xff")
	roundTrip(t, struct{ Key string }{"key\xff"})
	roundTrip(t, map[string]string{"\xfe": "\x80"})
	roundTrip(t, []string(nil))
	roundTrip(t, []string{})
	roundTrip(t, map[int64]bool{-1: true, 1 << 40: false})
	roundTrip(t, map[[2]int]string{{1, 2}: "x"})
	roundTrip(t, embedding{inner{"a", map[int][]string{3: {"x"}}}, &n})
	roundTrip(t, []*inner{nil, {Name: "b"}})
	roundTrip(t, 3*time.Second)
	roundTrip(t, time.Date(2026, 2, 3, 4, 5, 6, 7, time.UTC))
	roundTrip(t, netip.MustParseAddrPort("127.1.2.3:80"))
	roundTrip(t, struct{ B []byte }{make([]byte, 1000)})
	roundTrip(t, struct{ A [4]byte }{[4]byte{1, 2, 3, 4}})
	roundTrip(t, *big.NewInt(1).Lsh(big.NewInt(1), 200))
	roundTrip(t, float32(1)/3)
	roundTrip(t, ownStamp{Zone: "x"})
	roundTrip(t, &pointerStamp{Zone: "x"})
	roundTrip(t, struct{ time.Time }{time.Date(2026, 2, 3, 4, 5, 6, 7, time.UTC)})
	roundTrip(t, struct {
		base
		At   struct{ time.Time } `json:"ID2"`
		Text string              `cbor:"1"`
		N    int                 `cbor:"1,keyasint"`
	}{base: base{7}, Text: "x", N: 8})
	roundTrip(t, struct {
		base `json:"base"`
		ID   int
	}{base{7}, 8})
	roundTrip(t, uint64(1<<63))
}

// A stamp is encoded by what it embeds.
type stamp struct {
	time.Time
	zone string
}

// A halfStamp too, for time.Time has MarshalBinary besides.
type halfStamp struct {
	time.Time
	Zone string
}

func (s halfStamp) MarshalText() ([]byte, error) { return []byte(s.Zone), nil }
func (s *halfStamp) UnmarshalText([]byte) error  { return nil }

// An ownStamp is encoded by itself.
type ownStamp struct {
	time.Time
	Zone string
}

func (s ownStamp) MarshalBinary() ([]byte, error)     { return []byte(s.Zone), nil }
func (s *ownStamp) UnmarshalBinary(data []byte) error { s.Zone = string(data); return nil }

// A pointerStamp as well.
type pointerStamp struct {
	time.Time
	Zone string
}

func (s *pointerStamp) MarshalBinary() ([]byte, error)    { return []byte(s.Zone), nil }
func (s *pointerStamp) UnmarshalBinary(data []byte) error { s.Zone = string(data); return nil }

type base struct{ ID int }

type other struct{ base }

type Selfish struct {
	A int
	*Selfish
}

func TestCheckType(t *testing.T) {
	type recursive struct{ Next *recursive }
	if err := CheckType(reflect.TypeFor[recursive]()); err != nil {
		t.Error(err)
	}
	for _, test := range []struct {
		typ  reflect.Type
		want string
	}{
		{reflect.TypeFor[chan int](), "chan int cannot cross"},
		{reflect.TypeFor[func()](), "cannot cross"},
		{reflect.TypeFor[any](), "interface"},
		{reflect.TypeFor[error](), "interface"},
		{reflect.TypeFor[complex128](), "cannot cross"},
		{reflect.TypeFor[struct{ m sync.Mutex }](), "unexported field m"},
		{reflect.TypeFor[struct{ A []struct{ B chan int } }](), "chan int cannot cross between processes (at A.B)"},
		{reflect.TypeFor[struct {
			Secret string `json:"-"`
		}](), `field Secret tagged "-"`},
		{reflect.TypeFor[map[string]any](), "interface"},
		{reflect.TypeFor[struct {
			time.Time
			Name string
		}](), "has its MarshalBinary from an embedded field, which leaves out the field Name"},
		{reflect.TypeFor[struct {
			Name string
			*netip.AddrPort
		}](), "leaves out the field Name"},
		{reflect.TypeFor[[]stamp](), "leaves out the field zone"},
		{reflect.TypeFor[struct {
			base
			ID int
		}](), `has the field ID, which would be lost: base.ID has the name "ID", too`},
		{reflect.TypeFor[struct {
			A int `json:"x"`
			B int `cbor:"x,omitempty"`
		}](), `field B, which would be lost: A has the name "x", too`},
		{reflect.TypeFor[struct {
			A int `cbor:"1,keyasint"`
			B int `cbor:"+1,keyasint"`
		}](), `field B, which would be lost: A has the name "1", too`},
		{reflect.TypeFor[struct {
			base
			Other struct{ base }
			other
		}](), `field other.base.ID, which would be lost: base.ID has`},
		{reflect.TypeFor[Selfish](), "field Selfish, which would be lost: wire.Selfish is embedded in itself"},
		{reflect.TypeFor[struct { // neither's methods are the struct's
			time.Time
			netip.Addr
		}](), "field Time, which would be lost: time.Time is embedded, and encodes itself only where"},
		{reflect.TypeFor[halfStamp](), "MarshalBinary from an embedded field, which leaves out the field Zone"},
	} {
		if err := CheckType(test.typ); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("CheckType(%v) = %v, want %q", test.typ, err, test.want)
		}
	}
}
