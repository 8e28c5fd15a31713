package xme_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// What is told of other rows, pools and contexts, and of what comes too late.

// A weighty service holds what was handed to it until it is told to end.
var weighty = xme.Register("weighty", func(ctx context.Context, b []byte) (int, error) {
	<-ctx.Done()
	return len(b), nil
})

// Services begin together, whatever they weigh: none of them ends to make room for another.
//
// feature: S10
func TestWeightyServices(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]xme.Executor{"pool": xmetest.Open(t, xme.Options{Workers: 1, Grace: patience}), "inline": xme.Inline()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			var tab xme.Table
			size := 12 << 20 // three are more than is read ahead of rows
			services := weighty.With(xme.Service()).Add(&tab, xme.Repeat(3, make([]byte, size)))
			rows := square.Add(&tab, count(10))
			if err := tab.Run(ctx, on); err != nil {
				t.Fatal(err)
			}
			got, err := services.Values()
			if err != nil || !slices.Equal(got, []int{size, size, size}) {
				t.Errorf("%v, %v", got, err)
			}
			if vs, err := rows.Values(); len(vs) != 10 || err != nil {
				t.Errorf("%v, %v", vs, err)
			}
		})
	}
}

// Broadcast on nobody is an error, whatever may be tried again.
//
// feature: S7
func TestBroadcastOnNobodyIsNotRetried(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Spares: -1})
	told := 0
	for i := 0; i < 20 && told == 0; i++ { // until it comes while the worker is being replaced
		before := pool.Workers()[0].PID
		xmetest.Kill(t, pool, 1)
		wait(t, func() bool { return len(pool.Ranks()) == 0 || pool.Workers()[0].PID != before })
		fs := square.With(xme.Retries(5)).Broadcast(t.Context(), pool, 1)
		if _, err := fs[0].Wait(t.Context()); err != nil {
			e, ok := errors.AsType[*xme.Error](err)
			if len(fs) != 1 || !ok || e.Attempt != 1 || !errors.Is(err, xme.ErrWorkerLost) {
				t.Errorf("%d futures, %v", len(fs), err)
			}
			told++
		}
		waitForRanks(t, pool, 1)
	}
	if told == 0 {
		t.Error("nobody was told that there is no worker")
	}
}

// An awkward error panics when it is asked for its text.
type awkward struct{ text string }

func (a *awkward) Error() string { return a.text }

// undecodable is a result whose decoder returns a nil pointer as an error.
type undecodable struct{ N int }

func (undecodable) MarshalBinary() ([]byte, error) { return []byte{1}, nil }
func (*undecodable) UnmarshalBinary([]byte) error  { var a *awkward; return a }

var returnsUndecodable = xme.Register("returnsUndecodable", func(context.Context, int) (undecodable, error) { return undecodable{1}, nil })

// A decoder's error whose text panics ends its row, not the driver.
//
// feature: S12
func TestDecodersErrorPanics(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	_, err := returnsUndecodable.Call(t.Context(), pool, 1)
	e, ok := errors.AsType[*xme.Error](err)
	if !ok || e.Cause != xme.CauseEncode {
		t.Errorf("%T", err)
	}
	if n, err := square.Call(t.Context(), pool, 3); n != 9 || err != nil {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}

// panicsLater is an executor that panics when it is asked a second time.
type panicsLater struct{ calls atomic.Int32 }

func (p *panicsLater) Submit(_ context.Context, calls []*xme.Call) (int, error) {
	if p.calls.Add(1) > 1 {
		panic("boom")
	}
	calls[0].Finish(nil, errors.New("not yet"))
	return 1, nil
}

// An executor that panics at a further attempt ends the row, not the program: nobody is there whom the panic could reach.
//
// feature: S11
func TestExecutorPanicsLater(t *testing.T) {
	t.Parallel()
	_, err := square.With(xme.Retries(2)).Go(t.Context(), &panicsLater{}, 1).Wait(t.Context())
	if err == nil || !strings.Contains(err.Error(), "panicked in Submit: boom") {
		t.Errorf("%v", err)
	}
}

var oversleeps = xme.Register("oversleeps", func(_ context.Context, d time.Duration) (int, error) {
	<-time.After(d)
	return 1, nil
})

// A row that ran longer than it may has done so, whatever has become of its caller's context since.
//
// feature: S12
func TestInlineTimeoutIsKept(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if n, err := oversleeps.With(xme.Timeout(20*time.Millisecond)).Call(ctx, xme.Inline(), 400*time.Millisecond); !errors.Is(err, xme.ErrTimeout) {
		t.Errorf("%d, %v", n, err)
	}
}

// A meeting is a barrier, and something to carry there.
type meeting struct {
	Barrier *shm.Barrier
	Data    []byte
}

var meets = xme.Register("meets", func(ctx context.Context, m meeting) (int, error) {
	_, err := m.Barrier.Wait(ctx)
	return len(m.Data), err
})

// A row that is light does not wait for one before it that was heavy, and waits for it.
//
// feature: S3
func TestLightRowBehindAHeavyOne(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	b, err := shm.NewBarrier(2)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	n := 0
	for got, err := range meets.Map(ctx, pool, slices.Values([]meeting{{b, make([]byte, 20<<20)}, {b, nil}})) {
		if err != nil || got != 20<<20*(1-n) {
			t.Fatalf("row %d: %d, %v", n, got, err)
		}
		n++
	}
}

// guesses is a value whose size nobody knows before it is encoded.
type guesses struct{ n int }

func (g guesses) MarshalBinary() ([]byte, error)  { return make([]byte, g.n), nil }
func (g *guesses) UnmarshalBinary(b []byte) error { g.n = len(b); return nil }

var takesGuesses = xme.Register("takesGuesses", func(ctx context.Context, g guesses) (int, error) {
	<-time.After(20 * time.Millisecond)
	return g.n, nil
})

// What is read ahead of rows whose size shows once they are encoded is bounded too.
//
// feature: S3
func TestReadAheadOfGuesses(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	var yielded atomic.Int64
	most := int64(0)
	in := func(yield func(guesses) bool) {
		for read := range int64(60) {
			if most = max(most, read+1-yielded.Load()); !yield(guesses{4 << 20}) {
				return
			}
		}
	}
	for n, err := range takesGuesses.Map(t.Context(), pool, in) {
		if n != 4<<20 || err != nil {
			t.Fatal(n, err)
		}
		yielded.Add(1)
	}
	if most > 20 { // 32 MiB are 8 of them; some have ended and wait for who ranges
		t.Errorf("%d rows of 4 MiB were read ahead", most)
	}
}
