package xme_test

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime"
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
