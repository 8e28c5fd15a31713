package monitor

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/xenonmp/xme"
)

// mostDepth is how deep a value may be nested.
const mostDepth = 1000

var (
	jsonMarshaler   = reflect.TypeFor[json.Marshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// encode returns a value as JSON, numeric arrays with type and shape. The error wraps xme.ErrEncode.
func encode(v any) (json.RawMessage, error) {
	var e encoder
	text, err := e.value(nil, reflect.ValueOf(v), 0)
	err = e.path.wrap(err)
	if err == nil {
		text, err = checked(text) // what marshalers have made
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", xme.ErrEncode, err)
	}
	return text, nil
}

// marshals reports whether values of a type say themselves what their JSON is.
func marshals(t reflect.Type) bool {
	return t.Implements(jsonMarshaler) || t.Implements(textMarshaler)
}

// encoder writes one value.
type encoder struct{ path path }

func (e *encoder) value(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	if depth > mostDepth {
		return dst, errors.New("it is nested too deep, or holds itself")
	}
	if !v.IsValid() {
		return append(dst, "null"...), nil
	}
	t := v.Type()
	if k := t.Kind(); k != reflect.Interface {
		if marshals(t) {
			return appendJSON(dst, v)
		}
		if v.CanAddr() && marshals(reflect.PointerTo(t)) { // as encoding/json does, which looks for methods of the pointer there
			return appendJSON(dst, v.Addr())
		}
	}
	switch t.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			return append(dst, "null"...), nil
		}
		return e.value(dst, v.Elem(), depth+1)
	case reflect.Float32, reflect.Float64:
		return appendNumber(dst, v), nil
	case reflect.Map:
		return e.object(dst, v, depth)
	case reflect.Slice, reflect.Array:
		if rank, elem := numeric(t); rank > 0 {
			if shape := shapeOf(v, rank); shape != nil {
				dst = appendNumbers(openArray(dst, elem, shape), v, true)
				return append(dst, "]}"...), nil
			}
		}
		if t.Kind() == reflect.Slice && v.IsNil() {
			return append(dst, "null"...), nil
		}
		dst = append(dst, '[')
		var err error
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = e.value(dst, v.Index(i), depth+1); err != nil {
				e.path.element(i)
				return dst, err
			}
		}
		return append(dst, ']'), nil
	}
	return appendJSON(dst, v)
}

// appendJSON has encoding/json write a value.
func appendJSON(dst []byte, v reflect.Value) ([]byte, error) {
	text, err := json.Marshal(v.Interface())
	if _, sound := reflect.TypeAssert[interface{ numbers() }](v); err == nil && !sound {
		err = checkArrays(text)
	}
	return append(dst, text...), cut(err)
}

func (e *encoder) object(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	if v.IsNil() {
		return append(dst, "null"...), nil
	}
	all := make(map[string]reflect.Value, v.Len())
	for k, in := range v.Seq2() {
		name, err := mapKey(k)
		if err != nil {
			return dst, cut(err)
		}
		name = strings.ToValidUTF8(name, "\ufffd") // as it is written
		if _, twice := all[name]; twice {
			return dst, fmt.Errorf("two keys of a map are written as %s", briefKey(name))
		}
		all[name] = in
	}
	from := len(dst)
	dst = append(dst, '{')
	for i, name := range slices.Sorted(maps.Keys(all)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		text, err := json.Marshal(name)
		if err != nil {
			return dst, err
		}
		dst = append(append(dst, text...), ':')
		if dst, err = e.value(dst, all[name], depth+1); err != nil {
			e.path.key(name)
			return dst, err
		}
	}
	dst = append(dst, '}')
	if len(all) == len(arrayKeys) && !slices.ContainsFunc(arrayKeys, func(k string) bool { return !all[k].IsValid() }) {
		return dst, checkArray(dst[from:])
	}
	return dst, nil
}

// mapKey returns a map's key as encoding/json writes it.
func mapKey(k reflect.Value) (string, error) {
	if k.Kind() == reflect.String {
		return k.String(), nil
	}
	if m, ok := reflect.TypeAssert[encoding.TextMarshaler](k); ok {
		if p := reflect.ValueOf(m); p.Kind() == reflect.Pointer && p.IsNil() {
			return "", nil
		}
		text, err := m.MarshalText()
		return string(text), err
	}
	switch {
	case k.CanInt():
		return strconv.FormatInt(k.Int(), 10), nil
	case k.CanUint():
		return strconv.FormatUint(k.Uint(), 10), nil
	}
	return "", fmt.Errorf("a map with keys of type %v has no JSON: use strings", k.Type())
}

// numeric returns how many dimensions slices and arrays of numbers have, and the numbers' type; 0: t is something else.
func numeric(t reflect.Type) (rank int, elem reflect.Type) {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		if marshals(t) || reflect.PointerTo(t).Implements(jsonUnmarshaler) {
			return 0, nil
		}
		t = t.Elem()
		if rank++; rank > mostRank { // it may be a slice of itself
			return 0, nil
		}
	}
	if numberName(t) == "" || marshals(t) || reflect.PointerTo(t).Implements(jsonMarshaler) || reflect.PointerTo(t).Implements(textMarshaler) {
		return 0, nil
	}
	return rank, t
}

// shapeOf returns the dimensions of nested slices of numbers; nil: rows differ in length, or they are no array that can be written.
func shapeOf(v reflect.Value, rank int) []int {
	shape := make([]int, 0, rank)
	for r := v; len(shape) < rank; r = r.Index(0) {
		shape = append(shape, r.Len())
		if r.Len() == 0 {
			for t := r.Type().Elem(); len(shape) < rank; t = t.Elem() {
				n := 0
				if t.Kind() == reflect.Array {
					n = t.Len()
				}
				shape = append(shape, n)
			}
			break
		}
	}
	n, ok := rectangular(v, shape)
	if !ok || checkShape(shape, n) != nil {
		return nil
	}
	return shape
}

// rectangular reports whether all rows have the lengths that shape says, and counts the elements.
func rectangular(v reflect.Value, shape []int) (n int, ok bool) {
	if v.Len() != shape[0] {
		return 0, false
	}
	if len(shape) == 1 {
		return v.Len(), true
	}
	for i := range v.Len() {
		in, ok := rectangular(v.Index(i), shape[1:])
		if !ok {
			return 0, false
		}
		n += in
	}
	return n, true
}
