package xme_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
)

// panicOf returns what f panics with, as the error that it must be.
func panicOf(t *testing.T, f func()) (err error) {
	t.Helper()
	defer func() {
		r := recover()
		if err, _ = r.(error); err == nil {
			t.Errorf("recovered %v (a %T), want an error", r, r)
			err = errors.New("none")
		}
	}()
	f()
	return nil
}

// A sequence that ends before its input does says so, and from which row on.
//
// feature: S7, S12
func TestSequenceCutShort(t *testing.T) {
	t.Parallel()
	ways := map[string]func(context.Context, xme.Executor, iter.Seq[int]) iter.Seq2[int, error]{
		"Map": square.Map,
		"Unordered": func(ctx context.Context, on xme.Executor, in iter.Seq[int]) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				for r := range square.Unordered(ctx, on, in) {
					if err, ok := errors.AsType[*xme.Error](r.Err); ok && err.Row != r.Index {
						t.Errorf("row %d has the error of row %d", r.Index, err.Row)
					}
					if !yield(r.Value, r.Err) {
						return
					}
				}
			}
		},
	}
	for name, open := range executors(2) {
		for way, results := range ways {
			t.Run(name+" "+way, func(t *testing.T) {
				t.Parallel()
				on := open(t)
				over := make(chan struct{})
				defer close(over)
				blocks := func(yield func(int) bool) {
					if yield(1) && yield(2) {
						<-over
					}
				}
				ended, end := context.WithCancel(t.Context())
				end()
				checkCut(t, results(ended, on, slices.Values([]int{1, 2, 3})), 0, context.Canceled, nil)
				why := errors.New("enough")
				ctx, cut := context.WithCancelCause(t.Context())
				checkCut(t, results(ctx, on, blocks), 2, why, func() { cut(why) })
				if pool, ok := on.(*xme.Pool); ok {
					checkCut(t, results(t.Context(), on, blocks), 2, xme.ErrClosed, func() { go pool.Close() })
				}
			})
		}
	}
}

// checkCut ranges over results: so many rows, after which cut is called, and one error.
func checkCut(t *testing.T, results iter.Seq2[int, error], rows int, want error, cut func()) {
	t.Helper()
	n := 0
	for _, err := range results {
		switch e, ok := errors.AsType[*xme.Error](err); {
		case n < rows && err != nil, n > rows:
			t.Errorf("pair %d of %d is an error: %v", n, rows, err)
		case n < rows:
		case !ok || e.Row != rows || !errors.Is(err, want) || !strings.Contains(err.Error(), "was not read to its end"):
			t.Errorf("after %d rows: %v, want %v", rows, err, want)
		}
		if n++; n == rows {
			cut()
		}
	}
	if n != rows+1 {
		t.Errorf("%d pairs, want %d rows and an error", n, rows)
	}
}

// An input's panic reaches the goroutine that ranges with its value and its place.
//
// feature: S7, S12
func TestInputPanicKeepsItsValue(t *testing.T) {
	t.Parallel()
	on := xme.Inline()
	for way, drain := range map[string]func(iter.Seq[int]){
		"Map": func(in iter.Seq[int]) {
			square.Map(t.Context(), on, in)(func(int, error) bool { return true })
		},
		"Unordered": func(in iter.Seq[int]) {
			for range square.Unordered(t.Context(), on, in) {
			}
		},
		"Table": func(in iter.Seq[int]) {
			var tab xme.Table
			square.Add(&tab, in)
			_ = tab.Run(t.Context(), on)
		},
		"a Map in a Map": func(in iter.Seq[int]) {
			inner := func(yield func(int) bool) {
				square.Map(t.Context(), on, in)(func(n int, _ error) bool { return yield(n) })
			}
			square.Map(t.Context(), on, inner)(func(int, error) bool { return true })
		},
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			throw := func(v any) error {
				return panicOf(t, func() { drain(func(func(int) bool) { panic(v) }) })
			}
			cause := &fs.PathError{Op: "read", Path: "rows", Err: fs.ErrPermission}
			err := throw(fmt.Errorf("wrapped: %w", cause))
			if found := (*fs.PathError)(nil); !errors.As(err, &found) || found != cause || !errors.Is(err, fs.ErrPermission) {
				t.Errorf("an error: %v", err)
			}
			if !strings.Contains(err.Error(), "wrapped: read rows") || !strings.Contains(err.Error(), "stream_test.go:") {
				t.Errorf("an error's value and place: %v", err)
			}
			if err := throw("just text"); !strings.HasPrefix(err.Error(), "just text\n") || !strings.Contains(err.Error(), "stream_test.go:") {
				t.Errorf("a text: %v", err)
			}
			err = panicOf(t, func() {
				drain(func(yield func(int) bool) {
					none := make([]int, 0, len(way))
					yield(none[len(way)])
				})
			})
			if fault := runtime.Error(nil); !errors.As(err, &fault) {
				t.Errorf("a fault of the runtime: %v", err)
			}
		})
	}
}
