package manager

import (
	"context"
	"iter"
	"reflect"
)

// List is a handle on a list that a manager keeps: elements of type T, which may hold handles
// themselves. It crosses as a field of an argument, a result, or a value of a table; all who have
// one see the same list. Replacing the value of a key that holds the list does not end it: it lasts
// until Release, or until its manager is closed.
//
// Each call is done as a whole or not at all; there is no other lock. All methods may be called
// concurrently. Besides their own errors they return ErrReleased after Release, ErrClosed after the
// manager's Close, and ErrLost if its process is gone. The caller must close handles of shared
// memory in elements it has read.
type List[T any] struct {
	ref ref
}

// NewList makes a list that holds items. FindList finds it by name; an empty name means none. The
// error wraps ErrExists if the name is taken, and xme.ErrEncode if a T cannot be kept.
func NewList[T any](ctx context.Context, m *Manager, name string, items ...T) (*List[T], error) {
	in, err := encodeAll(items)
	if err != nil {
		releaseAll(in)
		return nil, err
	}
	r, err := makeList(ctx, refOf(m, reflect.TypeFor[List[T]]()), name, in)
	if err != nil {
		return nil, err
	}
	return &List[T]{r}, nil
}

// FindList returns the list with the given name. The error wraps ErrNotFound if there is none, and
// ErrType if the name is that of something else, such as a map or a list with other elements.
func FindList[T any](ctx context.Context, m *Manager, name string) (*List[T], error) {
	r, err := findCollection(ctx, refOf(m, reflect.TypeFor[List[T]]()), "find list", name)
	if err != nil {
		return nil, err
	}
	return &List[T]{r}, nil
}

// Append adds items at the end.
func (l *List[T]) Append(ctx context.Context, items ...T) error {
	return l.splice(ctx, -1, 0, items...)
}

// Insert puts items before element i; i may be the list's length. If i is out of range, the error
// wraps ErrNoKey.
func (l *List[T]) Insert(ctx context.Context, i int, items ...T) error {
	if i < 0 {
		return errorf("insert before element %d: %w", i, ErrNoKey)
	}
	return l.splice(ctx, i, 0, items...)
}

// Set replaces element i. If i is out of range, the error wraps ErrNoKey.
func (l *List[T]) Set(ctx context.Context, i int, v T) error {
	if i < 0 {
		return errorf("set element %d: %w", i, ErrNoKey)
	}
	return l.splice(ctx, i, 1, v)
}

// Delete removes n elements starting at i. If the list has fewer, it stays as it is, and the error
// wraps ErrNoKey.
func (l *List[T]) Delete(ctx context.Context, i, n int) error {
	if i < 0 {
		return errorf("delete from element %d on: %w", i, ErrNoKey)
	}
	return l.ref.splice(ctx, i, n, nil)
}

func (l *List[T]) splice(ctx context.Context, at, del int, items ...T) error {
	in, err := encodeAll(items)
	if err != nil {
		releaseAll(in)
		return err
	}
	return l.ref.splice(ctx, at, del, in)
}

// At returns element i. If i is out of range, the error wraps ErrNoKey.
func (l *List[T]) At(ctx context.Context, i int) (v T, err error) {
	if i < 0 {
		return v, errorf("element %d: %w", i, ErrNoKey)
	}
	all, err := l.Slice(ctx, i, i+1)
	if err != nil {
		return v, err
	}
	return all[0], nil
}

// Slice returns the elements from lo up to but not including hi, as they are at one moment; hi may
// be -1 for the end of the list. If the bounds are out of range, the error wraps ErrNoKey.
func (l *List[T]) Slice(ctx context.Context, lo, hi int) ([]T, error) {
	items, err := l.ref.slice(ctx, lo, hi)
	defer releaseAll(items)
	if err != nil {
		return nil, err
	}
	return decodeItems[T](items)
}

// Pop removes the last element and returns it. If the list is empty, the error wraps ErrNoKey.
func (l *List[T]) Pop(ctx context.Context) (v T, err error) {
	s, err := l.ref.pop(ctx)
	if err != nil {
		return v, err
	}
	defer s.release()
	return decodeItem[T](s)
}

// Len returns the number of elements.
func (l *List[T]) Len(ctx context.Context) (int, error) {
	return l.ref.size(ctx, false)
}

// All yields the elements as they are when the range begins, in order; it does not see later
// changes. They are fetched together and decoded one by one. An error is yielded once, as the last
// pair.
func (l *List[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		items, err := l.ref.slice(ctx, 0, -1)
		defer releaseAll(items)
		var v T
		for i := 0; err == nil && i < len(items); i++ {
			if v, err = decodeItem[T](items[i]); err == nil && !yield(v, nil) {
				return
			}
		}
		if err != nil {
			var none T
			yield(none, err)
		}
	}
}

// Release ends the list for all who have it. The error of a second Release wraps ErrReleased.
func (l *List[T]) Release(ctx context.Context) error {
	return l.ref.release(ctx)
}

// MarshalJSON fails: the contents of a list are read from its manager, not from the handle.
func (l *List[T]) MarshalJSON() ([]byte, error) { return nil, l.ref.noJSON() }

// encodeItem encodes an element.
func encodeItem[T any](v *T) (*stored, error) {
	t, err := typeOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	return encodeAs(t, v)
}

func decodeItem[T any](s *stored) (v T, err error) {
	t, err := typeOf(reflect.TypeFor[T]())
	if err != nil {
		return v, err
	}
	return decodeAs[T](t, s, "")
}

func decodeItems[T any](items []*stored) ([]T, error) {
	t, err := typeOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	out := make([]T, len(items))
	for i, s := range items {
		if out[i], err = decodeAs[T](t, s, ""); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// encodeAll encodes elements. What it returns is to be released also if it failed.
func encodeAll[T any](items []T) ([]*stored, error) {
	t, err := typeOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	all := make([]*stored, len(items))
	for i := range items {
		if all[i], err = encodeAs(t, &items[i]); err != nil {
			return all, errorf("item %d: %w", i, err)
		}
	}
	return all, nil
}

func releaseAll(all []*stored) {
	for _, s := range all {
		s.release()
	}
}
