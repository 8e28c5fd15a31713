package manager

import (
	"context"
	"fmt"
	"reflect"

	"github.com/xenonmp/xme/internal/proc"
)

// Values, lists and maps whose types are known by name only: monitors show them. A program that named all these types would have the code of each.

func init() {
	proc.PutAny = func(key string, v any) any { return putAny(key, reflect.ValueOf(v)) }
	proc.ValueAs = func(value any, t reflect.Type) (any, error) { return value.(Value).as(t) }
	proc.ElementsOf = func(ctx context.Context, value any, t reflect.Type, isMap bool) (any, error) {
		return value.(Value).elements(ctx, t, isMap)
	}
}

// putAny is Put.
func putAny(key string, v reflect.Value) Change {
	return Change{change{Kind: changePut, Key: key}, func() (*stored, error) {
		t, err := typeOf(v.Type())
		if err != nil {
			return nil, err
		}
		p := t.plan.NewParcel()
		b, err := t.plan.AppendAny(nil, v, p)
		s, err := t.encoded(b, p, err)
		if err == nil {
			s.typ = t.name
		}
		return s, err
	}}
}

// as is As.
func (v Value) as(t reflect.Type) (any, error) {
	if v.s == nil {
		return nil, noKey(v.key)
	}
	got, err := decodeAny(v.s, t, fmt.Sprintf("the value of %q", v.key))
	if err != nil {
		return nil, err
	}
	return got.Interface(), nil
}

// elements returns the elements, of type t, of the list or the map whose handle the value is.
func (v Value) elements(ctx context.Context, t reflect.Type, isMap bool) (any, error) {
	r, err := v.ref()
	if err != nil {
		return nil, err
	}
	if !isMap {
		items, err := r.slice(ctx, 0, -1)
		defer releaseAll(items)
		if err != nil {
			return nil, err
		}
		all, err := itemsOf(items, t)
		if err != nil {
			return nil, err
		}
		return all.Interface(), nil
	}
	keys, items, err := r.pairs(ctx, false)
	defer releaseAll(items)
	if err != nil {
		return nil, err
	}
	names, err := decodeItems[string](keys)
	if err != nil {
		return nil, err
	}
	all, err := itemsOf(items, t)
	if err != nil {
		return nil, err
	}
	m := reflect.MakeMapWithSize(reflect.MapOf(reflect.TypeFor[string](), t), len(names))
	for i, k := range names {
		m.SetMapIndex(reflect.ValueOf(k), all.Index(i))
	}
	return m.Interface(), nil
}

// itemsOf returns a slice of elements of type t.
func itemsOf(items []*stored, t reflect.Type) (reflect.Value, error) {
	all := reflect.MakeSlice(reflect.SliceOf(t), len(items), len(items))
	k, err := typeOf(t)
	if err != nil {
		return all, err
	}
	for i, s := range items {
		e, err := k.decodeAny(s, "")
		if err != nil {
			return all, err
		}
		all.Index(i).Set(e)
	}
	return all, nil
}
