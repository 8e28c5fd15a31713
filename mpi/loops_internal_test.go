package mpi

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// The operators of this package are known by their names in the program: another compiler may give others.
func TestOwnOperatorsAreKnown(t *testing.T) {
	for name, op := range map[string]Op[float64]{"Sum": Sum[float64], "Product": Product[float64], "Min": Min[float64], "Max": Max[float64]} {
		quick, own := loopOf(op)
		if !own {
			t.Errorf("%s is not known", name)
		}
		slow, own := loopOf(func(a, b float64) float64 { return op(a, b) })
		if own {
			t.Errorf("another function is taken for %s", name)
		}
		for _, left := range []bool{false, true} {
			a, b := []float64{1, -2.5, 3}, []float64{2, -2.5, 0.1}
			c := slices.Clone(a)
			quick(a, b, left)
			slow(c, b, left)
			if !slices.Equal(a, c) {
				t.Errorf("%s: %v, not %v", name, a, c)
			}
		}
	}
}

// Slices whose elements are encoded on their way are refused by all ranks, and by one alone.
func TestInPlaceIsRefused(t *testing.T) {
	concat := func(a, b string) string { return a + b }
	for size := 1; size <= 3; size++ {
		each(t, inOneProcess(size, 4096), func(c *Comm) error {
			buf := []string{"a", "b"}
			for _, err := range []error{
				ReduceSlice(t.Context(), c, 0, buf, concat), AllreduceSlice(t.Context(), c, buf, concat), BroadcastSlice(t.Context(), c, 0, buf),
			} {
				if !errors.Is(err, errors.ErrUnsupported) {
					return fmt.Errorf("got %w", err)
				}
			}
			return nil
		})
	}
}
