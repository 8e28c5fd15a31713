package monitor

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// decode reads a JSON text that is valid into *v. The error wraps ErrType, ErrMalformed or ErrTooLarge.
func decode(text []byte, v any) error {
	s := &scan{b: text}
	return s.path.wrap(decodeValue(s, reflect.ValueOf(v).Elem()))
}

func decodeValue(s *scan, v reflect.Value) error {
	t := v.Type()
	if p := reflect.PointerTo(t); p.Implements(jsonUnmarshaler) || p.Implements(textUnmarshaler) {
		return decodeJSON(s, v)
	}
	switch t.Kind() {
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return decodeJSON(s, v)
		}
		got, err := s.any()
		if err == nil && got != nil {
			v.Set(reflect.ValueOf(got))
		}
		return err
	case reflect.Pointer:
		if s.peek() == 'n' {
			s.skip()
			return nil
		}
		v.Set(reflect.New(t.Elem()))
		return decodeValue(s, v.Elem())
	case reflect.Float32, reflect.Float64:
		if s.peek() == '"' {
			return setNumber(v, s.skip())
		}
	case reflect.Map:
		return decodeMap(s, v)
	case reflect.Slice, reflect.Array:
		return decodeSlice(s, v)
	}
	return decodeJSON(s, v)
}

// decodeJSON has encoding/json read a value.
func decodeJSON(s *scan, v reflect.Value) error {
	text := s.skip()
	err := json.Unmarshal(text, v.Addr().Interface())
	if err != nil && !isOurs(err) {
		return fmt.Errorf("%s is no %v: %w: %w", brief(text), v.Type(), ErrType, cut(err))
	}
	return cut(err)
}

func isOurs(err error) bool { return errors.Is(err, ErrType) || errors.Is(err, ErrMalformed) }

func decodeMap(s *scan, v reflect.Value) error {
	t := v.Type()
	switch c := s.peek(); {
	case c == 'n':
		s.skip()
		return nil
	case c != '{':
		return fmt.Errorf("%s is no %v: %w", brief(s.skip()), t, ErrType)
	case t.Key().Kind() != reflect.String || reflect.PointerTo(t.Key()).Implements(textUnmarshaler):
		if k := t.Key().Kind(); k < reflect.Int || k > reflect.Uint64 || reflect.PointerTo(t.Key()).Implements(textUnmarshaler) {
			return decodeJSON(s, v)
		}
	}
	v.Set(reflect.MakeMap(t))
	return s.object(func(name string) error {
		key, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		if key.Kind() == reflect.String {
			key.SetString(name)
		} else if err := setNumber(key, []byte(name)); err != nil {
			return err
		}
		if err := decodeValue(s, e); err != nil {
			s.path.key(name)
			return err
		}
		v.SetMapIndex(key, e)
		return nil
	})
}

func decodeSlice(s *scan, v reflect.Value) error {
	t := v.Type()
	rank, elem := numeric(t)
	switch c := s.peek(); {
	case c == 'n' && t.Kind() == reflect.Slice:
		s.skip()
		return nil
	case c == '{' && rank > 0:
		a, err := s.tagged()
		if err != nil {
			return err
		}
		if err := a.fits(t, rank, elem); err != nil {
			return err
		}
		if n := a.emptyRows(); n > 0 {
			if s.rows > 0 && s.rows+n > len(s.b)+mostEmpty { // one alone may be as large as it may be written
				return fmt.Errorf("%w: arrays without elements of %d rows in %d bytes", ErrTooLarge, s.rows+n, len(s.b))
			}
			s.rows += n
		}
		r := reader{scan{b: a.data}}
		return r.nested(v, a.shape)
	case c == '"' && rank == 1 && t.Kind() == reflect.Slice && elem.Kind() == reflect.Uint8:
		return decodeJSON(s, v) // base64, as others write bytes
	case c != '[':
		return fmt.Errorf("%s is no %v: %w", brief(s.skip()), t, ErrType)
	}
	return decodeElements(s, v, rank == 1)
}

// decodeElements reads an array without a type.
func decodeElements(s *scan, v reflect.Value, numbers bool) error {
	t, n := v.Type(), 0
	if t.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(t, 0, 0))
	}
	err := s.array(func() error {
		if t.Kind() == reflect.Slice {
			v.Grow(1)
			v.SetLen(n + 1)
		} else if n == v.Len() {
			return fmt.Errorf("an array of more than %d elements is no %v: %w", n, t, ErrType)
		}
		e := v.Index(n)
		n++
		if !numbers {
			return decodeValue(s, e)
		}
		if c := s.peek(); c == '[' || c == '{' {
			return fmt.Errorf("%s is no %v: %w", brief(s.skip()), e.Type(), ErrType)
		}
		return setNumber(e, s.skip())
	})
	if err == nil && n < v.Len() {
		return fmt.Errorf("an array of %d elements is no %v: %w", n, t, ErrType)
	}
	return err
}

// fits says why an array is no t, nested slices or arrays of so many dimensions.
func (a tagged) fits(t reflect.Type, rank int, elem reflect.Type) error {
	if err := a.holds(elem); err != nil {
		return err
	}
	fits := len(a.shape) == rank
	for d := 0; fits && d < rank; d++ {
		fits = t.Kind() == reflect.Slice || t.Len() == a.shape[d]
		t = t.Elem()
	}
	if !fits {
		return fmt.Errorf("it is an %v, which is another shape: %w", a, ErrType)
	}
	return nil
}

// emptyRows returns how many slices an array without elements is read as; 0: it has elements, and its text is as long.
func (a tagged) emptyRows() int {
	zero := slices.Index(a.shape, 0)
	if zero < 0 {
		return 0
	}
	n, all := 1, 0
	for _, d := range a.shape[:zero] {
		n *= d
		all += n
	}
	return all
}

// nested reads the elements of nested slices and arrays.
func (r *reader) nested(v reflect.Value, shape []int) error {
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(v.Type(), shape[0], shape[0]))
	}
	if len(shape) == 1 {
		return r.fill(v)
	}
	for i := range v.Len() {
		if err := r.nested(v.Index(i), shape[1:]); err != nil {
			return err
		}
	}
	return nil
}

// any takes the next value as any: nil, bool, string, int64, uint64, float64 or json.Number, []any and map[string]any, and arrays as slices if they have one
// dimension, as an Array if they have more.
func (s *scan) any() (any, error) {
	switch c := s.peek(); c {
	case '{':
		return s.anyObject()
	case '[':
		all := []any{}
		err := s.array(func() error {
			v, err := s.any()
			all = append(all, v)
			return err
		})
		return all, err
	case '"':
		return s.str()
	}
	switch text := string(s.literal()); text {
	case "true", "false":
		return text == "true", nil
	case "null":
		return nil, nil
	case "":
		return nil, errBroken
	default:
		return number(text), nil
	}
}

func number(text string) any {
	if !strings.ContainsAny(text, ".eE") {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return n
		}
		return json.Number(text)
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return f
	}
	return json.Number(text)
}

// anyObject takes an object. One with the keys of an array, and no other, is an array.
func (s *scan) anyObject() (any, error) {
	all := map[string]any{}
	parts, err := s.arrayParts(func(key string) (err error) {
		all[key], err = s.any()
		return err
	})
	if err != nil {
		return nil, err
	}
	if parts.isArray() {
		a, err := parts.array()
		if err != nil {
			return nil, err
		}
		return a.any()
	}
	for i, unread := range parts.unread {
		if !unread {
			continue
		}
		if all[arrayKeys[i]], err = (&scan{b: parts.texts[i]}).any(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (a tagged) any() (any, error) {
	switch a.elem.Kind() {
	case reflect.Int8:
		return anyOf[int8](a)
	case reflect.Int16:
		return anyOf[int16](a)
	case reflect.Int32:
		return anyOf[int32](a)
	case reflect.Int64:
		return anyOf[int64](a)
	case reflect.Uint8:
		return anyOf[uint8](a)
	case reflect.Uint16:
		return anyOf[uint16](a)
	case reflect.Uint32:
		return anyOf[uint32](a)
	case reflect.Uint64:
		return anyOf[uint64](a)
	case reflect.Float32:
		return anyOf[float32](a)
	}
	return anyOf[float64](a)
}

func anyOf[T Number](a tagged) (any, error) {
	data, err := numbersOf[T](a)
	if err != nil || len(a.shape) == 1 {
		return data, err
	}
	return Array[T]{a.shape, data}, nil
}
