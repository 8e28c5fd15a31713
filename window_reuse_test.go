package xme_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// wide is a result that is too large for its rows to go by packs: they have calls, which are used again.
type wide struct {
	N int
	_ [40]int
}

var plusOne = xme.Register("plusOne", func(_ context.Context, n int) (wide, error) {
	if n < 0 {
		return wide{}, errors.New("below zero")
	}
	return wide{N: n + 1}, nil
})

var sizeOf = xme.Register("sizeOf", func(_ context.Context, b []byte) ([]byte, error) { return b[:len(b)/2], nil })

func ints(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// mapAll runs a Map to its end and checks each result.
func mapAll(ctx context.Context, t *testing.T, f *xme.Func[int, wide], pool *xme.Pool, n int) {
	t.Helper()
	want := 0
	for got, err := range f.Map(ctx, pool, ints(n)) {
		if want++; err != nil || got.N != want {
			t.Fatalf("row %d gave %d, %v", want-1, got.N, err)
		}
	}
	if want != n {
		t.Fatalf("%d of %d rows came back", want, n)
	}
}

// A stream leaves its calls to the next of its function on its pool.
func TestStreamLeavesCalls(t *testing.T) {
	if raced {
		t.Skip("under the race detector sync.Pool forgets on purpose")
	}
	const rows = 1000
	pool := xmetest.Open(t, xme.Options{Workers: 2, Spares: -1})
	mapAll(t.Context(), t, plusOne, pool, rows)
	least := float64(rows)
	for end := time.Now().Add(patience); least >= rows/2 && time.Now().Before(end); {
		least = min(least, testing.AllocsPerRun(1, func() { mapAll(t.Context(), t, plusOne, pool, rows) }))
	}
	if least >= rows/2 {
		t.Errorf("%v allocations for %d rows after as many", least, rows)
	}
}

// What a stream has left knows nothing of it: neither its context, nor how its rows ended, nor their sizes.
func TestStreamsAfterStreams(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	other := xmetest.Open(t, xme.Options{Workers: 1})
	late := plusOne.With(xme.Timeout(time.Hour))
	for round := range 40 {
		ctx, cancel := context.WithCancel(t.Context())
		mapAll(ctx, t, plusOne, pool, 300)
		switch round % 8 {
		case 0: // another pool
			mapAll(ctx, t, plusOne, other, 10)
		case 1: // other options
			mapAll(ctx, t, late, pool, 10)
		case 2: // rows that fail
			for _, err := range plusOne.Map(ctx, pool, slices.Values([]int{-1, -2, -3})) {
				if e, ok := errors.AsType[*xme.Error](err); !ok || e.Message != "below zero" || e.Attempts != 1 {
					t.Fatalf("%v", err)
				}
			}
		case 3: // a loop that is left
			for _, err := range plusOne.Map(ctx, pool, ints(5000)) {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
		case 4: // one that ends early
			early, stop := context.WithCancel(t.Context())
			n := 0
			for r := range plusOne.Unordered(early, pool, ints(5000)) {
				if n++; n == 50 {
					stop()
				}
				if n < 50 && r.Err != nil {
					t.Fatal(r.Err)
				}
			}
			stop()
		case 5: // two at once
			mapped := 0
			for got, err := range plusOne.Map(ctx, pool, ints(20)) {
				if err != nil || got.N != mapped+1 {
					t.Fatal(got.N, err)
				}
				mapAll(ctx, t, plusOne, pool, 20)
				mapped++
			}
		case 6: // arguments and results of all sizes
			sizes := []int{0, 1, 100, 70_000, 10, 3 << 20, 2}
			input := func(yield func([]byte) bool) {
				for _, n := range sizes {
					if !yield(make([]byte, n)) {
						return
					}
				}
			}
			for range 2 {
				i := 0
				for got, err := range sizeOf.Map(ctx, pool, input) {
					if err != nil || len(got) != sizes[i]/2 {
						t.Fatalf("%d bytes gave %d, %v", sizes[i], len(got), err)
					}
					i++
				}
			}
		case 7:
		}
		// The end of the first stream's context is not that of what has its calls now.
		n := 0
		for got, err := range plusOne.Map(t.Context(), pool, ints(300)) {
			if n == 1 {
				cancel()
			}
			if n++; err != nil || got.N != n {
				t.Fatalf("row %d gave %d, %v", n-1, got.N, err)
			}
		}
		cancel()
	}
}
