package xme_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// picky fails on every seventh number, and says which.
var picky = xme.Register("picky", func(_ context.Context, n int) (int, error) {
	if n%7 == 0 {
		return 0, fmt.Errorf("number %d", n)
	}
	return n + 1, nil
})

// pickyEnd checks the end of a row of picky.
func pickyEnd(t *testing.T, row, v int, err error) {
	t.Helper()
	var e *xme.Error
	switch {
	case row%7 != 0:
		if v != row+1 || err != nil {
			t.Fatalf("row %d: %d, %v", row, v, err)
		}
	case !errors.As(err, &e) || e.Row != row || !strings.Contains(e.Message, fmt.Sprintf("number %d", row)):
		t.Fatalf("row %d: %d, %v; want its own error", row, v, err)
	}
}

// However the input stops and goes on, every row that it has yielded ends without
// its help: rows are held back only behind others.
//
// feature: S7, S8
func TestInputThatWaitsForItsRows(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]xme.Executor{
		"processes":  xmetest.Open(t, xme.Options{Workers: 2}),
		"goroutines": xmetest.OpenInProcess(t, xme.Options{Workers: 3}),
		"inline":     xme.Inline(),
	} {
		bursts := func(ended *counter) iter.Seq[int] {
			rnd := rand.New(rand.NewPCG(1, uint64(len(name))))
			return func(yield func(int) bool) {
				for n := 0; n < 6000; {
					for range 1 + rnd.IntN(1+rnd.IntN(2000)) {
						if !yield(n) {
							return
						}
						n++
					}
					ended.await(n)
				}
			}
		}
		t.Run(name+"/Map", func(t *testing.T) {
			t.Parallel()
			var ended counter
			row := 0
			for v, err := range picky.Map(t.Context(), on, bursts(&ended)) {
				pickyEnd(t, row, v, err)
				row++
				ended.add()
			}
		})
		t.Run(name+"/Unordered", func(t *testing.T) {
			t.Parallel()
			var ended counter
			for r := range picky.Unordered(t.Context(), on, bursts(&ended)) {
				pickyEnd(t, r.Index, r.Value, r.Err)
				ended.add()
			}
		})
		t.Run(name+"/Table", func(t *testing.T) {
			t.Parallel()
			var ended counter
			var tab xme.Table
			rows := picky.Add(&tab, bursts(&ended))
			ran := make(chan error, 1)
			go func() { ran <- tab.Run(t.Context(), on) }()
			row := 0
			for row == 0 {
				for v, err := range rows.All() {
					if err != nil && strings.Contains(err.Error(), "has not run") {
						break
					}
					pickyEnd(t, row, v, err)
					row++
					ended.add()
				}
			}
			if err := <-ran; err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d of %d rows failed", (row+6)/7, row)) {
				t.Errorf("%d rows: %v", row, err)
			}
		})
	}
}

// counter counts up; somebody waits for a number.
type counter struct {
	mu   sync.Mutex
	n    int
	want int
	met  chan struct{}
}

func (c *counter) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n++; c.n == c.want {
		close(c.met)
	}
}

func (c *counter) await(n int) {
	c.mu.Lock()
	if c.n >= n {
		c.mu.Unlock()
		return
	}
	met := make(chan struct{})
	c.want, c.met = n, met
	c.mu.Unlock()
	<-met
}

// A row's end is its own, whatever became of the rows whose memory it uses again:
// ended, failed, tried again, lost with their worker, cancelled.
//
// feature: S7, S12
func TestRowsInUsedMemory(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*xme.Func[int, int]{"once": picky, "retries": picky.With(xme.Retries(1))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := xmetest.OpenInProcess(t, xme.Options{Workers: 3})
			waitForRanks(t, pool, 3)
			for cut := range 4 {
				ctx, cancel := context.WithCancel(t.Context())
				row, lost := 0, 0
				for v, err := range f.Map(ctx, pool, count(20_000)) {
					switch {
					case errors.Is(err, xme.ErrWorkerLost), ctx.Err() != nil && errors.Is(err, context.Canceled):
						if e := (*xme.Error)(nil); !errors.As(err, &e) || e.Row != row {
							t.Fatalf("row %d: %v", row, err)
						}
						lost++
					default:
						pickyEnd(t, row, v, err)
					}
					if row++; row%5000 == 0 {
						waitForRanks(t, pool, 3)
						xmetest.Kill(t, pool, 1+row/5000%3)
					}
					if row == 5001*cut {
						cancel()
					}
				}
				if cut == 0 && (row != 20_000 || lost > 4) {
					t.Errorf("%d rows, %d lost", row, lost)
				}
				cancel()
			}
		})
	}
}

// A row that an idle rank may run is not held back behind rows that wait for another rank.
// feature: S3, S7
func TestRowsForAnIdleRank(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*xme.Func[int, int]{"On": square.With(xme.On(2)), "any": square} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := xmetest.Open(t, xme.Options{Workers: 2})
			waitForRanks(t, pool, 2)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, g, release := gates(t)
			const blocked = 18 // behind so many three were held back
			var tab xme.Table
			first := pass.With(xme.On(1)).Add(&tab, xme.Repeat(blocked, g))
			reads, more := make(chan struct{}), make(chan struct{})
			second := f.Add(&tab, func(yield func(int) bool) {
				close(reads)
				if yield(3) {
					<-more
				}
			})
			ran := make(chan error, 1)
			go func() { ran <- tab.Run(ctx, pool) }()
			<-reads
			for n, err := range second.All() {
				if n != 9 || err != nil {
					t.Errorf("the row for rank 2: %d, %v", n, err)
				}
				break
			}
			close(more)
			if _, err := release.Write(make([]byte, blocked)); err != nil {
				t.Fatal(err)
			}
			if err := <-ran; err != nil {
				t.Error(err)
			}
			if got, err := first.Values(); len(got) != blocked || err != nil {
				t.Errorf("the rows for rank 1: %v, %v", got, err)
			}
		})
	}
}
