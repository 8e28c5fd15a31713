package xme_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// An ender returns 100 + n, or for other numbers ends in another way.
const (
	endError = iota
	endValueAndError
	endPanic
	endExit
	endGoexit
	endTimeout
	endResult // that cannot cross
	goodEnd   // and all above it
)

var ender = xme.Register("ender", func(ctx context.Context, n int) (any, error) {
	switch n {
	case endError:
		return nil, errors.New("no")
	case endValueAndError:
		return 42, errors.New("no, though there is a value")
	case endPanic:
		panic("no")
	case endExit:
		os.Exit(0) // as if all were well
	case endGoexit:
		runtime.Goexit()
	case endTimeout:
		<-ctx.Done()
		return 42, nil // too late
	case endResult:
		return func() {}, nil
	}
	return 100 + n, nil
})

// ways are the ways to run rows: each returns their results in order.
var ways = map[string]func(context.Context, xme.Executor, *xme.Func[int, any], iter.Seq[int]) ([]any, []error){
	"Call": func(ctx context.Context, on xme.Executor, f *xme.Func[int, any], in iter.Seq[int]) (vs []any, es []error) {
		for n := range in {
			v, err := f.Call(ctx, on, n)
			vs, es = append(vs, v), append(es, err)
		}
		return vs, es
	},
	"Go": func(ctx context.Context, on xme.Executor, f *xme.Func[int, any], in iter.Seq[int]) (vs []any, es []error) {
		var fs []*xme.Future[any]
		for n := range in {
			fs = append(fs, f.Go(ctx, on, n))
		}
		for _, fu := range fs {
			<-fu.Done()
			v, err := fu.Wait(ctx)
			vs, es = append(vs, v), append(es, err)
		}
		return vs, es
	},
	"Map": func(ctx context.Context, on xme.Executor, f *xme.Func[int, any], in iter.Seq[int]) (vs []any, es []error) {
		for v, err := range f.Map(ctx, on, in) {
			vs, es = append(vs, v), append(es, err)
		}
		return vs, es
	},
	"Unordered": func(ctx context.Context, on xme.Executor, f *xme.Func[int, any], in iter.Seq[int]) ([]any, []error) {
		rs := slices.SortedFunc(f.Unordered(ctx, on, in), func(a, b xme.Result[any]) int { return a.Index - b.Index })
		vs, es := make([]any, len(rs)), make([]error, len(rs))
		for i, r := range rs {
			vs[i], es[i] = r.Value, r.Err
		}
		return vs, es
	},
	"Table": func(ctx context.Context, on xme.Executor, f *xme.Func[int, any], in iter.Seq[int]) (vs []any, es []error) {
		var tab xme.Table
		rows := f.Add(&tab, in)
		ran := tab.Run(ctx, on)
		for v, err := range rows.All() {
			vs, es = append(vs, v), append(es, err)
		}
		if _, err := rows.Values(); (ran == nil) != (err == nil) {
			es = append(es, fmt.Errorf("Run: %w, Values: %w", ran, err))
		}
		return vs, es
	},
}

// A row that fails has an error, and nothing that could be taken for a result; a row that does not has its result,
// whichever way it was run, also between rows that fail.
//
// feature: F5, S12
func TestFailureIsNoValue(t *testing.T) {
	t.Parallel()
	order := []int{goodEnd, endError, endValueAndError, goodEnd + 1, endPanic, endExit, goodEnd + 2, endGoexit, endTimeout, endResult, goodEnd + 3}
	for name, open := range executors(2) {
		in := order
		if name != "pool" { // these would end the test
			in = slices.DeleteFunc(slices.Clone(order), func(n int) bool { return n == endExit })
		}
		for way, run := range ways {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				vs, es := run(t.Context(), open(t), ender.With(xme.Timeout(100*time.Millisecond)), slices.Values(in))
				if len(vs) != len(in) || len(es) != len(in) {
					t.Fatalf("%d results and %d errors of %d rows: %v", len(vs), len(es), len(in), es)
				}
				for i, n := range in {
					switch e := (*xme.Error)(nil); {
					case n >= goodEnd && (es[i] != nil || vs[i] != 100+n):
						t.Errorf("row %d: %v, %v; want %d", i, vs[i], es[i], 100+n)
					case n < goodEnd && (vs[i] != nil || !errors.As(es[i], &e)):
						t.Errorf("row %d (%d): %v, %v; want an *Error and no value", i, n, vs[i], es[i])
					}
				}
			})
		}
	}
}

// A worker's death ends its row with an error, whichever way it was run, also if every row ends its worker; nobody
// waits for ever.
//
// feature: F1, S12
func TestDeathHangsNobody(t *testing.T) {
	t.Parallel()
	const rows = 6
	for name, o := range map[string]xme.Options{"socket": {Workers: 2}, "pipes": {Workers: 1, Link: xme.LinkPipe}, "no spare": {Workers: 1, Spares: -1}} {
		for way, run := range ways {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				pool := xmetest.Open(t, o)
				_, es := run(ctx, pool, ender, xme.Repeat(rows, endExit))
				if len(es) != rows {
					t.Fatalf("%d of %d rows have ended: %v", len(es), rows, es)
				}
				for i, err := range es {
					if !errors.Is(err, xme.ErrWorkerLost) {
						t.Errorf("row %d: %v, want ErrWorkerLost", i, err)
					}
				}
				if vs, es := run(ctx, pool, ender, slices.Values([]int{50})); len(vs) != 1 || es[0] != nil || vs[0] != 150 {
					t.Errorf("afterwards: %v, %v", vs, es)
				}
			})
		}
	}
}

// The same for Broadcast: a rank that dies fails its own future, the other's has its result.
//
// feature: F1
func TestDeathInBroadcast(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	pool := xmetest.Open(t, xme.Options{Workers: 3})
	waitForRanks(t, pool, 3)
	fs := exitOnRank.Broadcast(ctx, pool, 2)
	if len(fs) != 3 {
		t.Fatalf("%d futures", len(fs))
	}
	for i, f := range fs {
		switch rank, err := f.Wait(ctx); {
		case i == 1 && !errors.Is(err, xme.ErrWorkerLost):
			t.Errorf("the rank that died: %d, %v", rank, err)
		case i != 1 && (rank != i+1 || err != nil):
			t.Errorf("rank %d: %d, %v", i+1, rank, err)
		}
	}
}

var exitOnRank = xme.Register("exitOnRank", func(ctx context.Context, rank int) (int, error) {
	if xme.Rank(ctx) == rank {
		os.Exit(5)
	}
	return xme.Rank(ctx), nil
})

// Rows behind a slow one, its neighbours and every second one included, have all ended before it ends.
//
// feature: F11, S3
func TestSlowRowDelaysNobody(t *testing.T) {
	t.Parallel()
	const rows = 100
	for _, slow := range []int{0, 1, 50} {
		t.Run(fmt.Sprint(slow), func(t *testing.T) {
			t.Parallel()
			pool := xmetest.Open(t, xme.Options{Workers: 2})
			begun, g, release := gates(t)
			ended := 0
			for r := range pass0.Unordered(t.Context(), pool, xme.Split(func(i int) mixed {
				m := mixed{N: i}
				if i == slow {
					m.Gate = &gate{i, g.Said, g.Wait}
				}
				return m
			}, make(xme.Array[int], rows))) {
				ended++
				if r.Err != nil || r.Value != r.Index {
					t.Fatalf("row %d: %d, %v", r.Index, r.Value, r.Err)
				}
				if (r.Index == slow) != (ended == rows) {
					t.Fatalf("row %d is number %d to end", r.Index, ended)
				}
				if ended == rows-1 { // all but the slow one, which still waits
					readBegun(t, begun, 1)
					_, _ = release.Write([]byte{0})
				}
			}
			if ended != rows {
				t.Errorf("%d rows", ended)
			}
		})
	}
}
