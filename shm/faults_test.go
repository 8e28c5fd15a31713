package shm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// kept is what keeps takes: an array, and two queues by which its worker and the driver take
// turns.
type kept struct {
	How         string
	Array       *shm.Array[float64]
	Go, Written *shm.Queue[int]
}

var (
	length64 = xme.Register("length64", func(_ context.Context, in *shm.Array[float64]) (int, error) { return in.Len(), nil })
	identity = xme.Register("identity", func(_ context.Context, in *shm.Array[float64]) (*shm.Array[float64], error) { return in, nil })
	// keeps keeps its array beyond its end, in one of the ways there are, and writes to it when
	// it is told.
	keeps = xme.Register("keeps", func(ctx context.Context, in kept) (bool, error) {
		var mine *shm.Array[float64]
		var err error
		switch in.How {
		case "retain":
			mine, err = in.Array.Retain()
		case "retain after a nested call":
			if _, err = length64.Call(ctx, xme.Current(ctx), in.Array); err == nil {
				mine, err = in.Array.Retain()
			}
		case "result of a nested call":
			mine, err = identity.Call(ctx, xme.Current(ctx), in.Array)
		case "result of an inline call":
			mine, err = identity.Call(ctx, xme.Inline(), in.Array)
		case "use":
			mine = in.Array
		}
		if err != nil {
			return false, err
		}
		turn, err := in.Go.Retain()
		if err != nil {
			return false, err
		}
		written, err := in.Written.Retain()
		if err != nil {
			return false, err
		}
		begun := make(chan struct{})
		go func() {
			_ = mine.Use(func(s []float64) error {
				close(begun)
				_, err := turn.Get(context.Background())
				s[0] = 666
				return err
			})
			_ = written.Put(context.Background(), 1)
			_, _, _ = mine.Close(), turn.Close(), written.Close()
		}()
		<-begun
		return true, nil
	})
	// blocked waits for its end.
	blocked = xme.Register("blocked", func(ctx context.Context, begun *shm.Queue[int]) (bool, error) {
		if err := begun.Put(ctx, 1); err != nil {
			return false, err
		}
		<-ctx.Done()
		return false, ctx.Err()
	})
	// counts counts how often each row begins, and waits in every tenth.
	counts = xme.Register("counts", func(ctx context.Context, in counting) (int, error) {
		in.Times.Slice()[in.Row]++
		if in.Row%10 == 5 {
			if err := in.Begun.Put(ctx, in.Row); err != nil {
				return 0, err
			}
			<-ctx.Done()
			return 0, ctx.Err()
		}
		return in.Row, nil
	})
	foreign = xme.Register("foreign", func(_ context.Context, in *shm.Array[float64]) (foreignResult, error) {
		return foreignResult{A: in}, nil
	})
	failsToReturn = xme.Register("failsToReturn", func(_ context.Context, n int) (failing, error) {
		a, err := shm.NewArray[byte](n)
		return failing{A: a, B: func() any { return make(chan int) }()}, err
	})
	returnsError = xme.Register("returnsError", func(_ context.Context, which int) (int, error) {
		return 0, fmt.Errorf("wrapped: %w", []error{shm.ErrClosed, shm.ErrEnded, shm.ErrPeerLost}[which])
	})
)

type counting struct {
	Times *shm.Array[int32]
	Begun *shm.Queue[int]
	Row   int
}

// foreignNumber decodes by code of its own, so that its results are decoded apart.
type foreignNumber struct{ n byte }

func (f foreignNumber) MarshalBinary() ([]byte, error) { return []byte{f.n}, nil }

// gate holds up the decoding of foreign numbers.
var gate = make(chan struct{}, 1)

func (f *foreignNumber) UnmarshalBinary(b []byte) error {
	<-gate
	f.n = b[0]
	return nil
}

type foreignResult struct {
	F foreignNumber
	A *shm.Array[float64]
}

type failing struct {
	A *shm.Array[byte]
	B any
}

// TestKeptMemoryIsNotUsedAgain has a worker go on with an array in every way that there is: the
// driver's next array is other memory.
func TestKeptMemoryIsNotUsedAgain(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		for _, how := range []string{"retain", "retain after a nested call", "result of a nested call", "result of an inline call", "use"} {
			a := newArray(t, 1000)
			turn, written := newQueue[int](t, 1), newQueue[int](t, 1)
			if _, err := keeps.Call(t.Context(), pool, kept{How: how, Array: a, Go: turn, Written: written}); err != nil {
				t.Fatalf("%s: %v", how, err)
			}
			used, _ := region.Usage()
			_ = a.Close()
			settles(t, used-8192)
			b := newArray(t, 1000)
			if err := turn.Put(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			if _, err := written.Get(t.Context()); err != nil {
				t.Fatal(err)
			}
			if b.Slice()[0] != 0 {
				t.Errorf("%s: the next array holds %v", how, b.Slice()[0])
			}
			_ = b.Close()
		}
	})
}

// TestCancelKillsNobody cancels running calls: on a socket their workers were thought to break
// the protocol.
func TestCancelKillsNobody(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		begun := newQueue[int](t, 1)
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			f := blocked.Go(ctx, pool, begun)
			if _, err := begun.Get(t.Context()); err != nil {
				t.Fatal(err)
			}
			cancel()
			if _, err := f.Wait(t.Context()); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
		if n := pool.Stats().Deaths; n > 0 {
			t.Errorf("%d workers died", n)
		}
	})
}

// TestRowsBeginOnce cancels running rows while others wait behind them.
func TestRowsBeginOnce(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		const n = 60
		for range 5 {
			times, err := shm.NewArray[int32](n)
			if err != nil {
				t.Fatal(err)
			}
			begun := newQueue[int](t, n)
			cancels := make([]context.CancelFunc, n)
			futures := make([]*xme.Future[int], n)
			for i := range n {
				var ctx context.Context
				ctx, cancels[i] = context.WithCancel(t.Context())
				futures[i] = counts.Go(ctx, pool, counting{Times: times, Begun: begun, Row: i})
			}
			for range n / 10 {
				i, err := begun.Get(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				cancels[i]()
			}
			for i, f := range futures {
				if _, err := f.Wait(t.Context()); err != nil && i%10 != 5 {
					t.Errorf("row %d: %v", i, err)
				}
				cancels[i]()
			}
			for i, k := range times.Slice() {
				if k != 1 {
					t.Errorf("row %d began %d times", i, k)
				}
			}
			_ = times.Close()
		}
	})
}

// TestComesAgain has a region go and come again, by the same id, while those who had it are
// being told that it went.
func TestComesAgain(t *testing.T) {
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	a := newArray(t, 1000)
	if _, err := keepWeights.With(xme.On(1)).Call(t.Context(), pool, a); err != nil {
		t.Fatal(err)
	}
	_ = a.Close()
	for range 300 {
		back, err := returnWeights.With(xme.On(1)).Call(t.Context(), pool, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := length64.With(xme.On(2)).Call(t.Context(), pool, back); err != nil {
			t.Fatal(err)
		}
		_ = back.Close()
	}
}

// TestForeignResult decodes a result late: the array that it names is still there.
func TestForeignResult(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		a := newArray(t, 1000)
		a.Slice()[0] = 5
		f := foreign.Go(t.Context(), pool, a)
		_ = a.Close()
		for range 50 { // meanwhile other arrays come and go
			b := newArray(t, 1000)
			b.Slice()[0] = 99
			_ = b.Close()
		}
		gate <- struct{}{}
		r, err := f.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.A.Slice()[0] != 5 {
			t.Errorf("it holds %v", r.A.Slice()[0])
		}
		_ = r.A.Close()
	})
}

// TestSharedBoundHolds bounds calls that are tried again, and lets those through that come one
// after the other.
func TestSharedBoundHolds(t *testing.T) {
	for _, link := range []xme.Link{xme.LinkAuto, xme.LinkSocket} {
		pool := xmetest.Open(t, xme.Options{Workers: 1, Shared: 1 << 20, Link: link})
		if _, err := length64.With(xme.Retries(3)).Call(t.Context(), pool, newArray(t, 1<<20)); !errors.Is(err, xme.ErrMemory) {
			t.Errorf("got %v", err)
		}
		a := newArray(t, 100_000)
		for i := range 1000 {
			if _, err := length64.Call(t.Context(), pool, a); err != nil {
				t.Fatalf("call %d: %v", i, err)
			}
		}
		for range 5 { // what cannot be returned is given up
			if _, err := failsToReturn.Call(t.Context(), pool, 1<<19); err == nil || errors.Is(err, xme.ErrMemory) {
				t.Errorf("got %v", err)
			}
		}
	}
}

func TestViewOfClosedArray(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		a, err := shm.NewArray[int32](1000)
		if err != nil {
			t.Fatal(err)
		}
		v, err := shm.ViewOf(a.Slice()[5:])
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Close()
		shm.Trim()
		if _, err := sumView.Call(t.Context(), on, v); err == nil || !strings.Contains(err.Error(), "has been closed") {
			t.Errorf("got %v", err)
		}
	})
}

func TestErrorsKeepTheirNames(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		for i, want := range []error{shm.ErrClosed, shm.ErrEnded, shm.ErrPeerLost} {
			if _, err := returnsError.Call(t.Context(), on, i); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
	})
}

// TestPipeLostByThisEnd tells who uses an end after its process died so, not that all was
// received.
func TestPipeLostByThisEnd(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		a, b, err := shm.NewPipe[string](3)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		defer b.Close()
		if err := a.Send(t.Context(), "there"); err != nil {
			t.Fatal(err)
		}
		if _, err := hangUp.Call(t.Context(), pool, b); !errors.Is(err, xme.ErrWorkerLost) {
			t.Errorf("got %v", err)
		}
		if _, err := echo.Call(t.Context(), pool, b); !errors.Is(err, shm.ErrPeerLost) {
			t.Errorf("got %v", err)
		}
	})
}
