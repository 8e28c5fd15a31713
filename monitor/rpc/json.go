package rpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// A form says how values of a type are read from JSON.
type form struct {
	strict bool // it holds structs, whose unknown fields are refused, or any
	loose  bool // it holds any, whose numbers are to stay exact
}

// forms are those found so far, by type.
var forms sync.Map

func formOf(t reflect.Type) form {
	if f, ok := forms.Load(t); ok {
		return f.(form)
	}
	f := findForm(t)
	forms.Store(t, f)
	return f
}

func findForm(t reflect.Type) form {
	var f form
	f.add(t, map[reflect.Type]bool{})
	f.strict = f.strict || f.loose
	return f
}

func (f *form) add(t reflect.Type, seen map[reflect.Type]bool) {
	if seen[t] {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Struct:
		f.strict = true
		for field := range t.Fields() {
			f.add(field.Type, seen)
		}
	case reflect.Interface:
		f.loose = true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		f.add(t.Elem(), seen)
	case reflect.Map:
		f.add(t.Key(), seen)
		f.add(t.Elem(), seen)
	default:
	}
}

// decode reads text into v, a pointer: one value and nothing after it; nothing at all leaves v as it is. A field that the type does not have is an
// error. A number within any becomes an int64 if it is whole, a uint64 if only that holds it, else a float64; a whole one that neither holds is an error.
func (f form) decode(text []byte, v any) error {
	if len(text) == 0 {
		return nil
	}
	if !f.strict {
		return json.Unmarshal(text, v)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if f.loose {
		d.UseNumber()
	}
	if err := d.Decode(v); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.New("the JSON ends too early")
		}
		return err
	}
	if rest := bytes.TrimLeft(text[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return fmt.Errorf("something follows the JSON value, at byte %d", len(text)-len(rest))
	}
	if f.loose {
		return settle(reflect.ValueOf(v), 0)
	}
	return nil
}

var numberType = reflect.TypeFor[json.Number]()

// mostNested is how deep a value may go: encoding/json's own bound, with room for pointers between.
const mostNested = 30_000

// settle replaces the json.Numbers within any below v.
func settle(v reflect.Value, depth int) error {
	if depth > mostNested { // an UnmarshalJSON may have made it hold itself
		return errors.New("the value is nested too deep, or holds itself")
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return settle(v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			// Of an embedded struct encoding/json fills the exported fields, whatever its name.
			if f := v.Type().Field(i); f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct {
				if err := settle(v.Field(i), depth+1); err != nil {
					return err
				}
			}
		}
	case reflect.Slice, reflect.Array:
		if k := v.Type().Elem().Kind(); k <= reflect.Complex128 || k == reflect.String {
			return nil
		}
		for i := range v.Len() {
			if err := settle(v.Index(i), depth+1); err != nil {
				return err
			}
		}
	case reflect.Map:
		return settleMap(v, depth)
	case reflect.Interface:
		if v.IsNil() {
			return nil
		}
		n, err := settled(v.Elem(), depth)
		if err == nil && n.IsValid() && v.CanSet() {
			v.Set(n)
		}
		return err
	default:
	}
	return nil
}

func settleMap(v reflect.Value, depth int) error {
	elem := v.Type().Elem()
	if k := elem.Kind(); k <= reflect.Complex128 || k == reflect.String {
		return nil
	}
	for it := v.MapRange(); it.Next(); {
		e := reflect.New(elem).Elem() // a map's elements cannot be set
		e.Set(it.Value())
		if err := settle(e, depth+1); err != nil {
			return err
		}
		v.SetMapIndex(it.Key(), e)
	}
	return nil
}

// settled returns what stands for what an any holds; none: what it holds stays.
func settled(v reflect.Value, depth int) (reflect.Value, error) {
	if v.Type() != numberType {
		return reflect.Value{}, settle(v, depth+1) // a list or a map, shared with who holds it
	}
	n := v.Interface().(json.Number).String()
	if !strings.ContainsAny(n, ".eE") {
		if i, err := strconv.ParseInt(n, 10, 64); err == nil {
			return reflect.ValueOf(i), nil
		}
		u, err := strconv.ParseUint(n, 10, 64)
		if err != nil {
			return reflect.Value{}, fmt.Errorf("the number %.40s does not fit into 64 bits", n)
		}
		return reflect.ValueOf(u), nil
	}
	x, err := strconv.ParseFloat(n, 64)
	if err != nil || math.IsInf(x, 0) {
		return reflect.Value{}, fmt.Errorf("the number %.40s does not fit into a float64", n)
	}
	return reflect.ValueOf(x), nil
}
