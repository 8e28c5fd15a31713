package xme

import (
	"context"
	"encoding/binary"
	"iter"
	"sync"
	"testing"

	"github.com/xenonmp/xme/internal/drain"
	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
)

// stubRunner stands for the workers: it ends rows with their argument and one, at
// once on the goroutine that submits one, or else on a goroutine of its own.
type stubRunner struct {
	ended chan struct{}

	mu   sync.Mutex
	wake sync.Cond
	rows []*link.Row
	over bool
}

func newStubRunner() *stubRunner {
	r := &stubRunner{ended: make(chan struct{})}
	r.wake.L = &r.mu
	go r.run()
	return r
}

func (r *stubRunner) close() {
	r.mu.Lock()
	r.over = true
	r.wake.Signal()
	r.mu.Unlock()
	<-r.ended
}

func (r *stubRunner) Submit(_ context.Context, rows []*link.Row) (int, error) {
	if len(rows) == 1 && rows[0].Owner.(*rowOwner).index < 0 {
		r.end(rows[0])
		return 1, nil
	}
	r.mu.Lock()
	r.rows = append(r.rows, rows...)
	r.wake.Signal()
	r.mu.Unlock()
	return len(rows), nil
}

func (r *stubRunner) run() {
	defer close(r.ended)
	var rows []*link.Row
	for {
		r.mu.Lock()
		for len(r.rows) == 0 && !r.over {
			r.wake.Wait()
		}
		rows, r.rows = r.rows, rows[:0]
		r.mu.Unlock()
		if len(rows) == 0 {
			return
		}
		for _, row := range rows {
			r.end(row)
		}
	}
}

func (r *stubRunner) end(row *link.Row) {
	row.Renew()
	row.End()
	var body [8]byte
	binary.NativeEndian.PutUint64(body[:], binary.NativeEndian.Uint64(row.Body[metaSize:])+1)
	row.Body = nil
	row.Owner.End(link.Outcome{Body: body[:]}, false)
}

func (*stubRunner) Cancel(error, ...*link.Row)        {}
func (*stubRunner) CancelUnbegun(error, ...*link.Row) {}

// openStub opens a pool whose rows a stub runs.
func openStub(tb testing.TB) *Pool {
	tb.Helper()
	pool, err := Open(proc.WithBackend(tb.Context(), proc.NewInProcess()), Options{Workers: 2})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = pool.Close() })
	stub := newStubRunner()
	tb.Cleanup(stub.close)
	pool.rows = stub
	return pool
}

// BenchmarkDriverRow times what the driver does with a row besides its pool: on one
// CPU (-cpu 1), that is all of it.
func BenchmarkDriverRow(b *testing.B) {
	pool := openStub(b)
	numbers := func(n int) iter.Seq[int] {
		return func(yield func(int) bool) {
			for i := range n {
				if !yield(i) {
					return
				}
			}
		}
	}
	b.Run("Map", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for v, err := range benchAdd.Map(b.Context(), pool, numbers(b.N)) {
			if i++; v != i || err != nil {
				b.Fatal(i, v, err)
			}
		}
	})
	b.Run("Unordered", func(b *testing.B) {
		b.ReportAllocs()
		for r := range benchAdd.Unordered(b.Context(), pool, numbers(b.N)) {
			if r.Value != r.Index+1 || r.Err != nil {
				b.Fatal(r)
			}
		}
	})
	b.Run("Table", func(b *testing.B) {
		b.ReportAllocs()
		var t Table
		benchAdd.Add(&t, numbers(b.N))
		if err := t.Run(b.Context(), pool); err != nil {
			b.Fatal(err)
		}
	})
	for name, ctx := range map[string]context.Context{"background": context.Background(), "cancellable": b.Context()} {
		b.Run("Call/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v, err := benchAdd.Call(ctx, pool, 1); v != 2 || err != nil {
					b.Fatal(v, err)
				}
			}
		})
		b.Run("Go/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v, err := benchAdd.Go(ctx, pool, 1).Wait(ctx); v != 2 || err != nil {
					b.Fatal(v, err)
				}
			}
		})
	}
}

// A call that something may still end is not used again: its context, or what lets no more rows begin under one that has no end.
func TestReusable(t *testing.T) {
	t.Parallel()
	draining, drained := context.WithCancel(t.Context())
	defer drained()
	bare := context.WithoutCancel(t.Context())
	for name, tc := range map[string]struct {
		ctx  context.Context
		want bool
	}{
		"no end": {bare, true}, "an end": {t.Context(), false}, "a drain": {drain.With(bare, draining), false},
	} {
		if c := (&Call{ctx: tc.ctx, opts: &CallOptions{}}); c.reusable() != tc.want {
			t.Errorf("%s: reusable: %t", name, !tc.want)
		}
	}
}
