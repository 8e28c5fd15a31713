package wire

import (
	"fmt"
	"reflect"
	"sync"
	"unsafe"
)

// A Handle says how the values of a type cross that stand for something shared: bytes that name the thing, and the thing itself
// in the parcel or kept by the package. Append and Decode get a nil parcel where the executor carries none; what they cannot do
// then ends in an error that wraps errors.ErrUnsupported. A nil pointer stays nil without asking them. Decode must not keep src.
// A panic in either is taken for an error.
type Handle[T any] struct {
	Append func(dst []byte, v T, p *Parcel) ([]byte, error)
	Decode func(src []byte, p *Parcel) (T, error)
}

// RegisterHandle makes T a handle, wherever it occurs in a type, for all codecs compiled from then on. Packages call it while
// they are initialised, before anyone who imports them can register a function. Registering a type twice panics.
func RegisterHandle[T any](h Handle[T]) {
	t := reflect.TypeFor[T]()
	n := &handleNode{
		nilable: t.Kind() == reflect.Pointer,
		put: func(dst []byte, p unsafe.Pointer, parcel *Parcel) ([]byte, error) {
			return h.Append(dst, *(*T)(p), parcel)
		},
		get: func(src []byte, p unsafe.Pointer, parcel *Parcel) error {
			v, err := h.Decode(src, parcel)
			if err == nil {
				*(*T)(p) = v
			}
			return err
		},
	}
	if _, twice := handles.LoadOrStore(t, n); twice {
		panic("wire: " + t.String() + " is registered as a handle twice")
	}
}

// handles maps a reflect.Type to its *handleNode.
var handles sync.Map

// A Family makes handles of types that cannot be named beforehand: the instances of a generic type.
type Family func(t reflect.Type) (f *FamilyHandle, ours bool)

// FamilyHandle is what a Family says of one type. Append and Decode are Handle's, with a pointer to the value; they must not panic.
type FamilyHandle struct {
	Append func(dst []byte, v unsafe.Pointer, p *Parcel) ([]byte, error)
	Decode func(src []byte, v unsafe.Pointer, p *Parcel) error
	// Quick says that Append takes no time to speak of, and waits for nobody.
	Quick bool
	// Borrowed, if not empty, is why values of the type cannot be results.
	Borrowed string
	// Reason, if not empty, is why values of the type cannot cross, and Remedy what to write instead.
	Reason, Remedy string
}

var families []Family

// RegisterFamily has f asked about every type. Packages call it while they are initialised.
func RegisterFamily(f Family) { families = append(families, f) }

// familyOf returns the node of a type that a family knows, or why it cannot cross.
func familyOf(t reflect.Type) (n *handleNode, reason, remedy string) {
	for _, f := range families {
		if h, ours := f(t); ours {
			return &handleNode{nilable: t.Kind() == reflect.Pointer, put: h.Append, get: h.Decode, trusted: true, quick: h.Quick, borrowed: h.Borrowed}, h.Reason, h.Remedy
		}
	}
	return nil, "", ""
}

type handleNode struct {
	nilable  bool
	trusted  bool   // it does not panic
	quick    bool   // see FamilyHandle
	borrowed string // why it cannot be in a result; empty: it can
	put      func(dst []byte, p unsafe.Pointer, parcel *Parcel) ([]byte, error)
	get      func(src []byte, p unsafe.Pointer, parcel *Parcel) error
}

func (h *handleNode) size(_ *sizer, p unsafe.Pointer) int {
	if h.isNil(p) {
		return 1
	}
	const usual = 31 // an id and a few numbers
	return usual
}

func (h *handleNode) least() int { return 1 }

func (h *handleNode) isNil(p unsafe.Pointer) bool {
	return h.nilable && *(*unsafe.Pointer)(p) == nil
}

func (h *handleNode) append(e *encoder, dst []byte, p unsafe.Pointer) ([]byte, *ValueError) {
	if h.isNil(p) {
		return append(dst, 0), nil
	}
	dst, mark := openBlob(dst)
	var err error
	if h.trusted {
		dst, err = h.put(dst, p, e.parcel)
	} else {
		dst, err = h.guardedPut(dst, p, e.parcel)
	}
	if err != nil {
		return dst, &ValueError{Reason: "cannot hand it over", err: err}
	}
	return closeBlob(dst, mark, 1), nil
}

func (h *handleNode) decode(d *decoder, p unsafe.Pointer) *ValueError {
	n, isNil, verr := d.count(1)
	switch {
	case verr != nil:
		return verr
	case isNil && h.nilable:
		*(*unsafe.Pointer)(p) = nil
		return nil
	case isNil:
		return valueErrorf("nil where there is no such thing")
	}
	src, verr := d.take(n)
	if verr != nil {
		return verr
	}
	var err error
	if h.trusted {
		err = h.get(src, p, d.parcel)
	} else {
		err = h.guardedGet(src, p, d.parcel)
	}
	if err != nil {
		return &ValueError{Reason: "cannot take it over", err: err}
	}
	return nil
}

func (h *handleNode) guardedPut(dst []byte, p unsafe.Pointer, parcel *Parcel) ([]byte, error) {
	err := guard(func() (err error) {
		dst, err = h.put(dst, p, parcel)
		return err
	})
	return dst, err
}

func (h *handleNode) guardedGet(src []byte, p unsafe.Pointer, parcel *Parcel) error {
	return guard(func() error { return h.get(src, p, parcel) })
}

// guard calls code that is not this package's own and turns a panic into an error.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}

// New returns what reflect.New(t) does, for a handle that is decoded. If two tasks one after the other ask for one type, that of a third is made ahead, once the
// second has ended: whoever runs tasks has nothing else to do then, and to allocate is a third of what it takes to decode an array.
func (p *Parcel) New(t reflect.Type) (v unsafe.Pointer) {
	if p == nil {
		return reflect.New(t).UnsafePointer()
	}
	switch p.asked {
	case nil:
		p.asked = t
	case t:
	default:
		p.several = true
	}
	if v = p.ahead; v == nil || p.aheadOf != t {
		return reflect.New(t).UnsafePointer()
	}
	p.ahead = nil
	return v
}

// makeAhead is called when a task has ended.
func (p *Parcel) makeAhead() {
	switch {
	case p.asked == nil:
		return
	case p.several:
		p.ahead, p.aheadOf = nil, nil
	case p.asked != p.aheadOf:
		p.ahead, p.aheadOf = nil, p.asked
	case p.ahead == nil:
		p.ahead = reflect.New(p.aheadOf).UnsafePointer()
	}
	p.asked, p.several = nil, false
}
