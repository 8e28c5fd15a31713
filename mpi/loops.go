package mpi

import (
	"cmp"
	"reflect"
	"runtime"
	"strings"
)

// loop combines src into dst, element by element; left: src's are the first operands.
type loop[T any] func(dst, src []T, left bool)

// loopOf returns the loop of an operator. Those of this package that commute are known by their names, and have loops without a call
// for each element; own says that it is one of them.
func loopOf[T any](op Op[T]) (l loop[T], own bool) {
	var quick any
	switch any(*new(T)).(type) {
	case float64:
		quick = loopNamed[float64](op)
	case float32:
		quick = loopNamed[float32](op)
	case int:
		quick = loopNamed[int](op)
	case int64:
		quick = loopNamed[int64](op)
	case int32:
		quick = loopNamed[int32](op)
	case uint64:
		quick = loopNamed[uint64](op)
	}
	if l, _ := quick.(loop[T]); l != nil {
		return l, true
	}
	return func(dst, src []T, left bool) {
		dst = dst[:len(src)]
		if left {
			for i, v := range src {
				dst[i] = op(v, dst[i])
			}
			return
		}
		for i, v := range src {
			dst[i] = op(dst[i], v)
		}
	}, false
}

// loopNamed returns nil for a function that is none of this package's operators.
func loopNamed[T interface {
	Number
	cmp.Ordered
}](op any,
) loop[T] {
	f := runtime.FuncForPC(reflect.ValueOf(op).Pointer())
	if f == nil {
		return nil
	}
	name, ok := strings.CutPrefix(f.Name(), "github.com/xenonmp/xme/mpi.")
	if !ok {
		return nil
	}
	switch name {
	case "Sum[...]":
		return func(dst, src []T, _ bool) {
			dst = dst[:len(src)]
			for i, v := range src {
				dst[i] += v
			}
		}
	case "Product[...]":
		return func(dst, src []T, _ bool) {
			dst = dst[:len(src)]
			for i, v := range src {
				dst[i] *= v
			}
		}
	case "Min[...]":
		return func(dst, src []T, _ bool) {
			dst = dst[:len(src)]
			for i, v := range src {
				dst[i] = min(dst[i], v)
			}
		}
	case "Max[...]":
		return func(dst, src []T, _ bool) {
			dst = dst[:len(src)]
			for i, v := range src {
				dst[i] = max(dst[i], v)
			}
		}
	}
	return nil
}
