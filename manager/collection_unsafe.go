package manager

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/xenonmp/xme/internal/wire"
)

// How handles on what a manager keeps cross, which are instances of generic types: by pointer, as the thing's number, its manager's id and the operator. What
// type it is of is found in the Go type, which both sides share.

// ref is a handle on what a manager keeps under a number. The types that refTypes names begin with one.
type ref struct {
	m      *Manager
	number uint64
	typ    string // the handle's type, by typeName
}

// refTypes are the names of the generic types that begin with a ref.
var refTypes = []string{"List", "Map", "Object"}

// refOf makes a ref for a handle of the type h.
func refOf(m *Manager, h reflect.Type) ref { return ref{m: m, typ: typeName(h)} }

func init() { wire.RegisterFamily(refFamily) }

var refPackage = reflect.TypeFor[ref]().PkgPath()

func refFamily(t reflect.Type) (f *wire.FamilyHandle, ours bool) {
	elem := t
	if t.Kind() == reflect.Pointer {
		elem = t.Elem()
	}
	if elem.PkgPath() != refPackage || elem.Kind() != reflect.Struct {
		return nil, false
	}
	if elem == reflect.TypeFor[Table]() {
		return &wire.FamilyHandle{Reason: "manager.Table is used in the process that made it", Remedy: "pass the *manager.Manager, or the values"}, true
	}
	name, _, generic := strings.Cut(elem.Name(), "[")
	if !generic || !slices.Contains(refTypes, name) {
		return nil, false
	}
	if t.Kind() != reflect.Pointer {
		return &wire.FamilyHandle{Reason: "manager." + name + " is used by pointer", Remedy: "use *manager." + name}, true
	}
	return refHandle(elem), true
}

func refHandle(t reflect.Type) *wire.FamilyHandle {
	typ := typeName(t)
	return &wire.FamilyHandle{
		Append: func(dst []byte, v unsafe.Pointer, _ *wire.Parcel) ([]byte, error) {
			r := *(**ref)(v)
			if r.m == nil || r.number == 0 {
				return dst, errZero
			}
			return appendBare(binary.LittleEndian.AppendUint64(dst, r.number), r.m)
		},
		Decode: func(src []byte, v unsafe.Pointer, _ *wire.Parcel) error {
			const numberSize = 8
			if len(src) < numberSize {
				return errMalformed
			}
			m, err := decodeBare(src[numberSize:])
			if err != nil {
				return err
			}
			a := reflect.New(t).UnsafePointer()
			*(*ref)(a) = ref{m, binary.LittleEndian.Uint64(src), typ}
			*(*unsafe.Pointer)(v) = a
			return nil
		},
	}
}

// errZero is why a handle that nobody made does not cross.
var errZero = errors.New("a zero handle: make it with its New function")

// ref returns the value, which is a list or a map, as what its handle is without the type of its elements.
func (v Value) ref() (*ref, error) {
	if v.s == nil {
		return nil, noKey(v.key)
	}
	t, err := typeOf(reflect.TypeFor[*List[any]]()) // all are written alike
	if err != nil {
		return nil, err
	}
	got, err := t.decodeAny(v.s, fmt.Sprintf("the value of %q", v.key))
	if err != nil {
		return nil, err
	}
	r := (*ref)(got.UnsafePointer())
	if r == nil {
		return nil, errorf("the value of %q is a nil %s: %w", v.key, v.s.typ, ErrType)
	}
	r.typ = v.s.typ[1:] // it is a pointer's
	return r, nil
}
