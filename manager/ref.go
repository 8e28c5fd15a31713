package manager

import (
	"context"
	"fmt"
	"reflect"

	"github.com/xenonmp/xme"
)

// What handles do that are instances of generic types, without the types: see wire.Codec.

// operator is whose calls the handle's are.
func (r *ref) operator() Operator {
	if r.m == nil {
		return Operator{}
	}
	return r.m.op
}

func (r *ref) target() target { return target{r.number, r.typ} }

// noJSON is why a handle has no JSON.
func (r *ref) noJSON() error { return fmt.Errorf("a handle %s has no JSON: read what it holds", r.typ) }

// short is an object's number as records have it.
func (r *ref) short() uint32 { return uint32(r.number) }

// where returns where an object lives: in this process or elsewhere.
func (r *ref) where(what string) (*host, *remote, error) {
	if r == nil || r.m == nil {
		return nil, nil, errorf("%s: a zero Object: objects are made by Share: %w", what, ErrClosed)
	}
	if h, ok := r.m.at.(*host); ok {
		return h, nil, nil
	}
	return nil, r.m.at.(*remote), nil
}

// makeList has r be a new list of items, which it releases.
func makeList(ctx context.Context, r ref, name string, items []*stored) (ref, error) {
	defer releaseAll(items)
	var err error
	if r.number, err = opMake.call(ctx, r.m, makeRequest{r.operator(), name, r.typ, false, items}); err != nil {
		err = errorf("new list: %w", err)
	}
	return r, err
}

// makeMap has r be a new map of elements v with keys k.
func makeMap(ctx context.Context, r ref, name string, k, v reflect.Type) (ref, error) {
	if why := unfit(k); why != "" {
		return r, errorf("new map: %w: %v cannot be a key: %s", xme.ErrEncode, k, why)
	}
	_, err := typeOf(v)
	if err == nil {
		r.number, err = opMake.call(ctx, r.m, makeRequest{r.operator(), name, r.typ, true, nil})
	}
	if err != nil {
		err = errorf("new map: %w", err)
	}
	return r, err
}

// findCollection has r be the list or map of that name.
func findCollection(ctx context.Context, r ref, what, name string) (ref, error) {
	var err error
	if r.number, err = opFind.call(ctx, r.m, findRequest{name, r.typ}); err != nil {
		err = errorf("%s: %w", what, err)
	}
	return r, err
}

// splice puts items, which it releases, in the place of del elements of a list from at on; at -1 is its end.
func (r *ref) splice(ctx context.Context, at, del int, items []*stored) error {
	defer releaseAll(items)
	_, err := opSplice.call(ctx, r.m, spliceRequest{r.operator(), r.target(), at, del, items})
	return err
}

// slice returns elements of a list, which are the caller's, to be released also if it failed.
func (r *ref) slice(ctx context.Context, lo, hi int) ([]*stored, error) {
	return opSlice.call(ctx, r.m, sliceRequest{r.target(), lo, hi})
}

// pop takes the last element out of a list.
func (r *ref) pop(ctx context.Context) (*stored, error) {
	return opPop.call(ctx, r.m, targetRequest{Op: r.operator(), At: r.target()})
}

// size returns how many elements there are.
func (r *ref) size(ctx context.Context, isMap bool) (int, error) {
	return opSize.call(ctx, r.m, targetRequest{At: r.target(), Map: isMap})
}

// release ends a list or a map.
func (r *ref) release(ctx context.Context) error {
	_, err := opRelease.call(ctx, r.m, targetRequest{Op: r.operator(), At: r.target()})
	return err
}

// add adds a key with its element to a request, unless they could not be encoded: then the whole request is released.
func (in *putRequest) add(key, s *stored, err error) error {
	if err != nil {
		releaseAll(in.Items)
		return err
	}
	in.Keys, in.Items = append(in.Keys, string(key.bytes)), append(in.Items, s)
	return nil
}

// put sets keys of a map to elements, which it releases, and returns what the last of them had, if that is asked for.
func (r *ref) put(ctx context.Context, in putRequest) (*stored, error) {
	defer releaseAll(in.Items)
	in.Op, in.At = r.operator(), r.target()
	return opPut.call(ctx, r.m, in)
}

// get returns the element of a key of a map; nil: it has none.
func (r *ref) get(ctx context.Context, key string) (*stored, error) {
	return opMapGet.call(ctx, r.m, keyRequest{At: r.target(), Key: key})
}

// drop deletes a key of a map, and says whether there was one.
func (r *ref) drop(ctx context.Context, key string) (had bool, err error) {
	return opMapDelete.call(ctx, r.m, keyRequest{r.operator(), r.target(), key})
}

// pairs returns the keys of a map, as they are kept, and their elements, if those are wanted. The elements are the caller's, to be released also if it failed.
func (r *ref) pairs(ctx context.Context, keysOnly bool) (keys, items []*stored, err error) {
	a, err := opPairs.call(ctx, r.m, pairsRequest{r.target(), keysOnly})
	if err == nil && !keysOnly && len(a.Keys) != len(a.Items) {
		err = errorf("%w", errMalformed)
	}
	if err != nil {
		return nil, a.Items, err
	}
	keys = make([]*stored, len(a.Keys))
	for i, k := range a.Keys {
		keys[i] = &stored{bytes: []byte(k)}
	}
	return keys, a.Items, nil
}
