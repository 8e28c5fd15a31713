package shm

import (
	"reflect"
	"strings"
	"unsafe"

	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/wire"
)

// How the types of this package cross: package wire asks about every type that it meets.
// Instances of a generic type are told by their name and package; what a T is, is found
// in the type.

func init() { wire.RegisterFamily(family) }

var self = reflect.TypeFor[core]().PkgPath()

func family(t reflect.Type) (*wire.FamilyHandle, bool) {
	elem := t
	if t.Kind() == reflect.Pointer {
		elem = t.Elem()
	}
	if elem.PkgPath() != self || elem.Kind() != reflect.Struct {
		return nil, false
	}
	name, _, generic := strings.Cut(elem.Name(), "[")
	pointer := t.Kind() == reflect.Pointer
	if k, ok := primKinds[name]; ok && !generic && pointer {
		return primHandle(elem, k), true
	}
	if _, ok := primKinds[name]; !generic && !ok && name != "Cond" {
		return nil, false
	}
	switch {
	case name == "Cond" && pointer:
		return condHandle(), true
	case name == "View" && !pointer:
		return viewHandle(elem), true
	case name == "Array" && pointer:
		return arrayHandle(elem), true
	case name == "Queue" && pointer:
		return lockedHandle(elem, kindQueue), true
	case name == "Pipe" && pointer:
		return lockedHandle(elem, kindPipe), true
	case name == "Value" && pointer:
		if of := elem.Field(0).Type.Elem(); refused(of) != "" {
			return refusedElements(of), true
		}
		return lockedHandle(elem, kindValue), true
	case name == "View":
		return nil, false // what it points at is asked about next
	}
	return &wire.FamilyHandle{Reason: "shm." + name + " is used by pointer", Remedy: "use *shm." + name}, true
}

// refusedElements says that a type's elements cannot lie in shared memory.
func refusedElements(elem reflect.Type) *wire.FamilyHandle {
	return &wire.FamilyHandle{
		Reason: "its element type " + elem.String() + " " + refused(elem),
		Remedy: "use elements without pointers",
	}
}

func arrayHandle(t reflect.Type) *wire.FamilyHandle {
	elem := t.Field(0).Type.Elem() // of [0]T
	if refused(elem) != "" {
		return refusedElements(elem)
	}
	size, align := int(elem.Size()), elem.Align()
	return &wire.FamilyHandle{
		Quick: true,
		Append: func(dst []byte, v unsafe.Pointer, p *wire.Parcel) ([]byte, error) {
			return (*(**core)(v)).append(dst, p)
		},
		Decode: func(src []byte, v unsafe.Pointer, p *wire.Parcel) error {
			a := p.New(t)
			if err := (*core)(a).decode(src, p, size, align); err != nil {
				return err
			}
			*(*unsafe.Pointer)(v) = a
			return nil
		},
	}
}

// lockedHandle is the handle of what has locks.
func lockedHandle(t reflect.Type, k kind) *wire.FamilyHandle {
	size := 0 // of items that are encoded
	if of := t.Field(0).Type.Elem(); refused(of) == "" {
		size = max(int(of.Size()), 1)
	} else if why := itemsRefused(of, t); why != "" {
		return &wire.FamilyHandle{Reason: "its items cannot cross: " + why, Remedy: "use items of plain data"}
	}
	return &wire.FamilyHandle{
		Append: func(dst []byte, v unsafe.Pointer, p *wire.Parcel) ([]byte, error) {
			return (*(**core)(v)).append(dst, p)
		},
		Decode: func(src []byte, v unsafe.Pointer, p *wire.Parcel) error {
			a := reflect.New(t).UnsafePointer()
			c := (*core)(a)
			if err := c.decode(src, p, 1, 1); err != nil {
				return err
			}
			if c.readOnly || c.off != 0 {
				return region.ErrMalformed
			}
			l, err := attach(c.region, k)
			switch {
			case err != nil:
				return err
			case l.size != size:
				return region.ErrMalformed
			}
			if k == kindPipe {
				c.leaves = l.haveEnd(c.which())
			}
			*(*unsafe.Pointer)(v) = a
			return nil
		},
	}
}

// itemsRefused says what keeps values of a type from being items of a queue or a pipe of type t; empty: nothing.
func itemsRefused(of, t reflect.Type) string {
	handles := mentions(of, t, map[reflect.Type]bool{}) // it has an end: package wire would ask about t again
	if !handles {
		var err error
		if handles, err = wire.Check(of); err != nil {
			return err.Error()
		}
	}
	if handles {
		return "they hold shared memory or open files, which travel with calls only"
	}
	return ""
}

// mentions reports whether values of type in can lead to one of type t. A queue leads to what its items lead to: of [0]T.
func mentions(in, t reflect.Type, seen map[reflect.Type]bool) bool {
	if in == t {
		return true
	}
	if seen[in] {
		return false
	}
	seen[in] = true
	switch in.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return mentions(in.Elem(), t, seen)
	case reflect.Map:
		return mentions(in.Key(), t, seen) || mentions(in.Elem(), t, seen)
	case reflect.Struct:
		for f := range in.Fields() {
			if mentions(f.Type, t, seen) {
				return true
			}
		}
	}
	return false
}

// primKinds are the types that begin with a prim.
var primKinds = map[string]kind{
	"Mutex": kindMutex, "RWMutex": kindRWMutex, "Semaphore": kindSemaphore, "Event": kindEvent, "Barrier": kindBarrier,
}

func primHandle(t reflect.Type, k kind) *wire.FamilyHandle {
	return &wire.FamilyHandle{
		Append: func(dst []byte, v unsafe.Pointer, p *wire.Parcel) ([]byte, error) {
			return (*(**prim)(v)).append(dst, p)
		},
		Decode: func(src []byte, v unsafe.Pointer, p *wire.Parcel) error {
			a := reflect.New(t).UnsafePointer()
			if err := (*prim)(a).decode(src, k, p); err != nil {
				return err
			}
			*(*unsafe.Pointer)(v) = a
			return nil
		},
	}
}

// condHandle is the handle of a condition: its own and its mutex's.
func condHandle() *wire.FamilyHandle {
	return &wire.FamilyHandle{
		Append: func(dst []byte, v unsafe.Pointer, p *wire.Parcel) ([]byte, error) {
			return (*(**Cond)(v)).append(dst, p)
		},
		Decode: func(src []byte, v unsafe.Pointer, p *wire.Parcel) error {
			c := new(Cond)
			if err := c.decode(src, p); err != nil {
				return err
			}
			*(**Cond)(v) = c
			return nil
		},
	}
}

func viewHandle(t reflect.Type) *wire.FamilyHandle {
	elem := t.Field(0).Type.Elem()
	if refused(elem) != "" {
		return refusedElements(elem)
	}
	size, align := int(elem.Size()), elem.Align()
	return &wire.FamilyHandle{
		Borrowed: "a View is borrowed, for arguments only: return a slice or an Array",
		Append: func(dst []byte, v unsafe.Pointer, p *wire.Parcel) ([]byte, error) {
			w := (*View[byte])(v) // of other elements
			return appendView(dst, unsafe.Slice(unsafe.SliceData(w.s), len(w.s)*size), w.in, p)
		},
		Decode: func(src []byte, v unsafe.Pointer, p *wire.Parcel) error {
			mem, in, err := decodeView(src, p, size, align)
			if err != nil {
				return err
			}
			if len(mem) > 0 {
				*(*View[byte])(v) = View[byte]{unsafe.Slice(unsafe.SliceData(mem), len(mem)/size), in}
			}
			return nil
		},
	}
}

// markOf remembers the region that mem lies in, if it does.
func markOf(mem []byte) region.Mark {
	return region.MarkOf(unsafe.Pointer(unsafe.SliceData(mem)), len(mem))
}
