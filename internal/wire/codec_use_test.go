package wire_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xenonmp/xme/internal/wire"
)

// A new goroutine's stack is small and moves when the walk needs more of it, at one of these depths in the middle of it.
func TestStackMovesAnywhere(t *testing.T) {
	t.Parallel()
	type record struct {
		Name  string
		Xs    []float64
		Tags  map[string]string
		Next  *record
		Plain map[string]any
	}
	c := codecFor[record](t)
	in := record{
		Name: "a", Xs: []float64{1, 2.5}, Tags: map[string]string{"k": "v"}, Next: &record{Name: "b", Tags: map[string]string{"x": "y"}},
		Plain: map[string]any{"i": 3, "s": "t", "l": []any{true, nil}},
	}
	for depth := range 300 {
		done := make(chan string)
		go func() {
			descend(depth, func() {
				src, err := wire.Append(c, nil, &in, nil)
				var out record
				if err == nil {
					err = wire.Decode(c, src, &out, nil)
				}
				if err != nil {
					done <- err.Error()
					return
				}
				done <- cmp.Diff(in, out)
			})
		}()
		if d := <-done; d != "" {
			t.Fatalf("with %d frames above: %s", depth, d)
		}
	}
}

// descend calls f below n frames.
func descend(n int, f func()) byte {
	var frame [32]byte
	frame[n%32] = 1
	if n == 0 {
		f()
		return frame[0]
	}
	return frame[n%32] + descend(n-1, f)
}

func TestStackMoves(t *testing.T) {
	t.Parallel()
	c := codecFor[tree](t)
	for range 50 {
		done := make(chan error)
		go func() {
			var in, out tree
			in.Name = "root"
			for range 1000 {
				in = tree{Name: "level", Left: new(in), Kids: []tree{{Name: "kid"}}}
			}
			src, err := wire.Append(c, nil, &in, nil)
			if err == nil {
				err = wire.Decode(c, src, &out, nil)
			}
			levels := 0
			for at := &out; at.Left != nil; at = at.Left {
				if at.Name == "level" && at.Kids[0].Name == "kid" {
					levels++
				}
			}
			if err == nil && levels != 1000 {
				t.Errorf("%d levels arrived", levels)
			}
			done <- err
		}()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	c := codecFor[map[int8]map[string]any](t)
	errs := make(chan error)
	for i := range 8 {
		go func() {
			in := map[int8]map[string]any{int8(i): {"i": i}, 100: {"list": []any{i}}}
			for range 200 {
				var out map[int8]map[string]any
				src, err := wire.Append(c, nil, &in, nil)
				if err == nil {
					err = wire.Decode(c, src, &out, nil)
				}
				if err != nil {
					errs <- err
					return
				}
				if d := cmp.Diff(in, out); d != "" {
					t.Error(d)
				}
			}
			errs <- nil
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

func TestAllocations(t *testing.T) {
	c, m := codecFor[int](t), codecFor[mixed](t)
	dst := make([]byte, 0, 1<<10)
	if n := testing.AllocsPerRun(100, func() {
		in, out := 3, 0
		dst, _ = wire.Append(c, dst[:0], &in, nil)
		_ = wire.Decode(c, dst, &out, nil)
	}); n != 0 {
		t.Errorf("an int there and back: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		in, out := mixed{Name: "a name", B: 3}, mixed{}
		dst, _ = wire.Append(m, dst[:0], &in, nil)
		_ = wire.Decode(m, dst, &out, nil)
	}); n < 1 || n > 2 { // the race detector has pools forget things
		t.Errorf("a struct with a string there and back: %v allocations, want the string's, and now and then one of a walk", n)
	}
}

// layout is how T is laid out, as a text.
func layout[T any](t *testing.T) string {
	t.Helper()
	return string(codecFor[T](t).Plan.AppendLayout(nil))
}

func TestLayout(t *testing.T) {
	t.Parallel()
	type a struct{ X, Y int }
	layouts := map[string]string{}
	for name, l := range map[string]string{
		"a":       layout[a](t),
		"swapped": layout[struct{ Y, X int }](t),
		"unnamed": layout[struct{ X, Y int }](t),
		"wider":   layout[struct{ X, Y int64 }](t),
		"left out": layout[struct {
			X int
			Y int `xme:"-"`
		}](t),
		"tree":    layout[tree](t),
		"trees":   layout[[]tree](t),
		"array":   layout[[2]string](t),
		"array 3": layout[[3]string](t),
		"map":     layout[map[string]bool](t),
	} {
		if other, twice := layouts[l]; twice {
			t.Errorf("%s and %s have the same layout %s", name, other, l)
		}
		layouts[l] = name
	}
	if l := layout[a](t); layouts[l] != "a" {
		t.Errorf("the layout of a changed to %s", l)
	}
	if l := layout[a](t); !strings.Contains(l, "internal/wire_test.a=struct{X@0 int;Y@8 int;}16") {
		t.Errorf("layout of a: %s", l)
	}
}
