package monitor

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
)

// Number is the constraint of the elements of an [Array].
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// Array is a numeric array of any number of dimensions, in row-major order: the last index varies
// fastest. Its JSON keeps type and shape. A nil Shape stands for one dimension.
type Array[T Number] struct {
	Shape []int
	Data  []T
}

// At returns the element at an index, given for each dimension. If the index is out of range, At
// panics, as indexing a slice does.
func (a Array[T]) At(index ...int) T {
	shape := a.shape()
	if len(index) != len(shape) {
		panic(fmt.Sprintf("monitor: %d indices of an array of shape %v", len(index), shape))
	}
	at := 0
	for i, n := range shape {
		if index[i] < 0 || index[i] >= n {
			panic(fmt.Sprintf("monitor: index %v of an array of shape %v", index, shape))
		}
		at = at*n + index[i]
	}
	return a.Data[at]
}

func (a Array[T]) shape() []int {
	if a.Shape == nil {
		return []int{len(a.Data)}
	}
	return a.Shape
}

// MarshalJSON encodes a as {"$array":type,"shape":[…],"data":[…]}.
func (a Array[T]) MarshalJSON() ([]byte, error) {
	if err := checkShape(a.shape(), len(a.Data)); err != nil {
		return nil, err
	}
	dst := openArray(nil, reflect.TypeFor[T](), a.shape())
	dst = appendNumbers(dst, reflect.ValueOf(a.Data), true)
	return append(dst, "]}"...), nil
}

// numbers says that what MarshalJSON writes is an array.
func (a Array[T]) numbers() {}

// UnmarshalJSON decodes the output of MarshalJSON; a plain array of numbers becomes one of one
// dimension, and null leaves a as it is. The error wraps ErrType or ErrMalformed.
func (a *Array[T]) UnmarshalJSON(text []byte) error {
	s := &scan{b: text}
	var read Array[T]
	switch s.peek() {
	case 'n':
		if string(s.literal()) != "null" {
			return errBroken
		}
		return nil
	case '{':
		t, err := s.tagged()
		if err != nil {
			return err
		}
		if err := t.holds(reflect.TypeFor[T]()); err != nil {
			return err
		}
		read.Shape = t.shape
		if read.Data, err = numbersOf[T](t); err != nil {
			return err
		}
	case '[':
		if err := decodeSlice(s, reflect.ValueOf(&read.Data).Elem()); err != nil {
			return err
		}
		read.Shape = []int{len(read.Data)}
	default:
		return fmt.Errorf("%s is no numeric array: %w", brief(text), ErrType)
	}
	*a = read
	return nil
}

// mostRank is how many dimensions an array may have, mostEmpty how many elements the dimensions of one could have but for the zero among them.
const (
	mostRank  = 64
	mostEmpty = 1 << 16
)

// checkShape says what is wrong with a shape for n elements.
func checkShape(shape []int, n int) error {
	if len(shape) > mostRank {
		return fmt.Errorf("%w: an array of %d dimensions, more than %d", ErrMalformed, len(shape), mostRank)
	}
	product, zero := 1, false
	for _, d := range shape {
		switch {
		case d < 0:
			return fmt.Errorf("%w: an array of shape %v", ErrMalformed, shape)
		case d == 0:
			zero = true
		case product > math.MaxInt/d:
			return fmt.Errorf("%w: an array of shape %v has no such number of elements", ErrMalformed, shape)
		default:
			product *= d
		}
	}
	if zero && product > mostEmpty {
		return fmt.Errorf("%w: an empty array of shape %v", ErrMalformed, shape)
	}
	if zero {
		product = 0
	}
	if product != n {
		return fmt.Errorf("%w: an array of shape %v has %d elements, not %d", ErrMalformed, shape, product, n)
	}
	return nil
}

// tagged is an array as it is written, its elements unread.
type tagged struct {
	elem  reflect.Type
	shape []int
	data  []byte
}

func (a tagged) String() string { return fmt.Sprintf("array of %v, shape %v", a.elem, a.shape) }

// holds says why an array has not elements of a type.
func (a tagged) holds(elem reflect.Type) error {
	if a.elem.Kind().String() != numberName(elem) {
		return fmt.Errorf("it is an %v, not of %v: %w", a, elem, ErrType)
	}
	return nil
}

// tagged takes an array with type and shape.
func (s *scan) tagged() (t tagged, err error) {
	var at [3][]byte
	err = s.object(func(key string) error {
		i := slices.Index(arrayKeys, key)
		if i < 0 {
			return fmt.Errorf("%w: an object that is no array: it has %s", ErrType, briefKey(key))
		}
		if at[i] != nil {
			return errArray
		}
		at[i] = s.skip()
		return nil
	})
	if err != nil {
		return t, err
	}
	return newTagged(at)
}

// newTagged makes an array of what stands behind arrayKeys.
func newTagged(at [3][]byte) (t tagged, err error) {
	elem, shape := at[0], at[1]
	t.data = at[2]
	if elem == nil || shape == nil || t.data == nil {
		return t, fmt.Errorf("an object that is no array: %w", ErrType)
	}
	name, err := (&scan{b: elem}).str()
	if t.elem = numberTypes[name]; err != nil || t.elem == nil {
		return t, fmt.Errorf("%w: an array of %s", ErrMalformed, brief(elem))
	}
	t.shape = []int{}
	s := &scan{b: shape}
	err = s.array(func() error {
		n, err := strconv.ParseInt(string(s.skip()), 10, strconv.IntSize)
		if err != nil || len(t.shape) == mostRank {
			return fmt.Errorf("%w: an array of shape %s", ErrMalformed, brief(shape))
		}
		t.shape = append(t.shape, int(n))
		return nil
	})
	if err != nil {
		return t, err
	}
	t.shape = slices.Clip(t.shape)
	n := 0
	data := &scan{b: t.data}
	err = data.array(func() error {
		if c := data.peek(); c == '[' || c == '{' || c == 't' || c == 'f' || c == 'n' {
			return fmt.Errorf("%w: an array with an element that is no number", ErrMalformed)
		}
		n++
		data.skip()
		return nil
	})
	if err != nil {
		return t, err
	}
	return t, checkShape(t.shape, n)
}

// numbersOf reads an array's elements, which are no more than its text has room for.
func numbersOf[T Number](t tagged) ([]T, error) {
	n := 1
	for _, d := range t.shape {
		n *= d
	}
	all := make([]T, n)
	r := reader{scan{b: t.data}}
	return all, r.fill(reflect.ValueOf(all))
}

// reader takes the elements of an array one after the other.
type reader struct{ scan }

func (r *reader) fill(v reflect.Value) error {
	for i := range v.Len() {
		if !r.next('[') && !r.next(',') {
			return errBroken
		}
		if err := setNumber(v.Index(i), r.skip()); err != nil {
			return err
		}
	}
	return nil
}

// brief is the beginning of a text, for an error.
func brief(text []byte) string {
	const most = 40
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}

var _ json.Marshaler = Array[int]{}
