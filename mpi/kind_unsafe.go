package mpi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"reflect"
	"sync"
	"unsafe"

	"github.com/xenonmp/xme/internal/wire"
)

// kind is what is known of a type that messages have.
type kind[T any] struct {
	name string
	hash uint32 // of the name, in 23 bits
	err  error  // why it cannot be sent; nil: it can

	// How a value goes: as it lies in memory (raw), as the elements of a slice lie there (elem is their size), or
	// by its codec.
	raw   bool
	elem  int
	codec wire.Codec[T]

	recvs sync.Pool // of *receipt[T]
	intos sync.Pool // of *into[E], of a slice of E
}

// The hash of a letter's type has one more bit: the slice was nil.
const (
	hashMask = 1<<23 - 1
	hashNil  = 1 << 23
)

// typeHash tells a type from others: by its name, and by where it stands in the program, which is the same in all ranks but for where the system
// has put all of it. (Two functions may each have a type of one name.)
func typeHash(t reflect.Type) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(t.PkgPath() + "." + t.String()))
	_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(reflect.ValueOf(t).Pointer()-reflect.ValueOf(reflect.TypeFor[int]()).Pointer())))
	return (h.Sum32() ^ h.Sum32()>>23) & hashMask
}

var kinds sync.Map // of *kind[T], by reflect.Type

func kindOf[T any]() *kind[T] {
	t := reflect.TypeFor[T]()
	if k, ok := kinds.Load(t); ok {
		return k.(*kind[T]) //nolint:forcetypeassert // the key says so
	}
	k := &kind[T]{name: t.String()}
	k.hash = typeHash(t)
	switch {
	case isRaw(t):
		k.raw = true
	case t.Kind() == reflect.Slice && t.Elem().Size() > 0 && isRaw(t.Elem()) && !marshals(t):
		k.elem = int(t.Elem().Size())
	default:
		if k.codec, k.err = wire.CodecFor[T](); k.err != nil {
			k.err = fmt.Errorf("mpi: a message of type %s: %w", k.name, k.err)
		} else if k.codec.Plan.Handles() || k.codec.Plan.Borrowed() != "" {
			k.err = fmt.Errorf("mpi: a message of type %s: files and shared memory do not go from rank to rank: hand them to the function that Spawn runs: %w", k.name, errors.ErrUnsupported)
		}
	}
	got, _ := kinds.LoadOrStore(t, k)
	return got.(*kind[T]) //nolint:forcetypeassert // the key says so
}

// isRaw reports whether values of t go as they lie in memory: they hold no pointers, and whatever the bytes are they are a value.
func isRaw(t reflect.Type) bool {
	if marshals(t) {
		return false
	}
	switch t.Kind() {
	case reflect.Array:
		return isRaw(t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			if f.Tag.Get("xme") != "" || !isRaw(f.Type) {
				return false
			}
		}
		return true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return true
	default:
		return false
	}
}

// marshals reports whether values of t may encode themselves: package wire decides.
func marshals(t reflect.Type) bool {
	pt := reflect.PointerTo(t)
	_, binary := pt.MethodByName("MarshalBinary") // constants: the linker looks for them
	_, text := pt.MethodByName("MarshalText")
	return binary || text
}

// bytesOf is the memory of s.
func bytesOf[E any](s []E) []byte {
	var none E
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(none)))
}

// sliceOf is mem as elements.
func sliceOf[E any](mem []byte) []E {
	var none E
	if len(mem) == 0 {
		return nil
	}
	return unsafe.Slice((*E)(unsafe.Pointer(unsafe.SliceData(mem))), len(mem)/int(unsafe.Sizeof(none)))
}

// valueBytes is the memory of a raw value.
func valueBytes[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

// sliceHeader is a slice of any element type, as it lies in memory.
type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}

// elements is the memory of the elements of *v, which is a slice of elements of size elem.
func elements[T any](v *T, elem int) (mem []byte, isNil bool) {
	h := (*sliceHeader)(unsafe.Pointer(v))
	return unsafe.Slice((*byte)(h.data), h.len*elem), h.data == nil
}

// makeElements makes *v a new slice of n elements of size elem, and returns its memory.
func makeElements[T any](v *T, elem, n int) []byte {
	words := make([]uint64, (n*elem+7)/8) // aligned for every type without pointers
	h := (*sliceHeader)(unsafe.Pointer(v))
	*h = sliceHeader{unsafe.Pointer(unsafe.SliceData(words)), n, n}
	if h.data == nil || n == 0 {
		h.data = unsafe.Pointer(new(struct{}))
	}
	return unsafe.Slice((*byte)(h.data), n*elem)
}

// clearSlice makes *v, which is a slice, nil.
func clearSlice[T any](v *T) { *(*sliceHeader)(unsafe.Pointer(v)) = sliceHeader{} }

// kindIn is kindOf, faster for the type that was used last in a communicator.
func kindIn[T any](g *group) *kind[T] {
	if last, _ := g.last.Load().(lastKind); last.k != nil {
		if k, ok := last.k.(*kind[T]); ok {
			return k
		}
	}
	k := kindOf[T]()
	g.last.Store(lastKind{k})
	return k
}

type lastKind struct{ k any }

// align64 returns the first n bytes of mem that begin at a multiple of 64.
func align64(mem []byte, n int) []byte {
	off := -int(uintptr(unsafe.Pointer(unsafe.SliceData(mem)))) & 63
	return mem[off : off+n : off+n]
}
