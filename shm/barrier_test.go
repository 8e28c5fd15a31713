package shm_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// meeting is a barrier and how many have come in each round.
type meeting struct {
	Barrier *shm.Barrier
	Came    *shm.Value[int]
	N       int
	How     string
}

var (
	// meet comes N times.
	meet = xme.Register("meet", func(ctx context.Context, in meeting) (int, error) {
		parties, _ := in.Barrier.Parties()
		sum := 0
		for i := range in.N {
			shm.Add(in.Came, 1)
			n, err := in.Barrier.Wait(ctx)
			if err != nil {
				return i, err
			}
			if came := in.Came.Load(); came < (i+1)*parties {
				return i, errors.New("it opened too early")
			}
			sum += n
		}
		return sum, nil
	})
	// dieAtBarrier dies before it came, or while it waits; or returns.
	dieAtBarrier = xme.Register("dieAtBarrier", func(ctx context.Context, in meeting) (int, error) {
		switch in.How {
		case "before":
			return 0, killSelf()
		case "waiting":
			go func() { _, _ = in.Barrier.Wait(ctx) }()
			for waiting := 0; waiting < 2; _, waiting = in.Barrier.Parties() {
			}
			return 0, killSelf()
		case "gives up":
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			_, err := in.Barrier.Wait(ctx)
			return 0, err
		case "aborts":
			return 0, in.Barrier.Abort()
		}
		return 0, nil
	})
)

func newBarrier(t testing.TB, parties int) *shm.Barrier {
	t.Helper()
	b, err := shm.NewBarrier(parties)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// feature: M1
func TestBarrier(t *testing.T) {
	onAllOf(t, 3, func(t *testing.T, on xme.Executor) {
		came, err := shm.NewValue(0)
		if err != nil {
			t.Fatal(err)
		}
		defer came.Close()
		in := meeting{Barrier: newBarrier(t, 4), Came: came, N: 100}
		sums := make(chan int, 4)
		var all sync.WaitGroup
		for _, on := range []xme.Executor{on, on, on, xme.Inline()} {
			all.Go(func() {
				sum, err := meet.Call(t.Context(), on, in)
				if err != nil {
					t.Error(err)
				}
				sums <- sum
			})
		}
		all.Wait()
		sum := 0
		for range 4 {
			sum += <-sums
		}
		if sum != in.N*(0+1+2+3) {
			t.Errorf("numbers sum up to %d, want %d", sum, in.N*6)
		}
	})
}

// A barrier breaks when who takes part dies or gives up, for all, who are told by whom; it does not when one merely returns.
//
// feature: M1, K6
func TestBarrierBreaks(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		for _, tc := range []struct {
			how string
			why shm.Break
		}{{"before", shm.BreakDied}, {"waiting", shm.BreakDied}, {"gives up", shm.BreakGaveUp}, {"aborts", shm.BreakAborted}, {"returns", ""}} {
			in := meeting{Barrier: newBarrier(t, 3), How: tc.how}
			in.Barrier.SetName("start")
			waits := make(chan error, 1)
			go func() {
				_, err := in.Barrier.Wait(t.Context())
				waits <- err
			}()
			for waiting := 0; waiting < 1; _, waiting = in.Barrier.Parties() {
			}
			_, err := dieAtBarrier.Call(t.Context(), pool, in)
			if died := tc.why == shm.BreakDied; errors.Is(err, xme.ErrWorkerLost) != died {
				t.Fatal(tc.how, err)
			}
			if tc.why == "" {
				if err := in.Barrier.Broken(); err != nil {
					t.Errorf("%s: %v", tc.how, err)
				}
				if err := in.Barrier.Reset(); err != nil {
					t.Error(err)
				}
				if broke := new(shm.BarrierError); !errors.As(<-waits, &broke) || broke.Why != shm.BreakReset || !broke.Owner.Driver {
					t.Errorf("got %v", broke)
				}
				continue
			}
			_, late := in.Barrier.Wait(t.Context())
			for _, err := range []error{<-waits, late, in.Barrier.Broken()} {
				broke := new(shm.BarrierError)
				if !errors.As(err, &broke) || !errors.Is(err, shm.ErrBroken) ||
					broke.Why != tc.why || broke.Owner.Func != "dieAtBarrier" || !strings.Contains(err.Error(), `barrier "start" is broken: worker `) {
					t.Errorf("%s: got %v", tc.how, err)
				}
			}
			if err := errors.Join(in.Barrier.Reset(), in.Barrier.Broken()); err != nil {
				t.Error(tc.how, err)
			}
			again := []error{nil, nil, nil}
			var all sync.WaitGroup
			for i := range again {
				all.Go(func() { _, again[i] = in.Barrier.Wait(t.Context()) })
			}
			all.Wait()
			if i := slices.IndexFunc(again, func(err error) bool { return err != nil }); i >= 0 {
				t.Errorf("%s, reset: %v", tc.how, again[i])
			}
		}
	})
}

func TestBarrierExplains(t *testing.T) {
	for _, n := range []int{0, -1, shm.MaxParties + 1} {
		if _, err := shm.NewBarrier(n); err == nil || !strings.Contains(err.Error(), "make it 1 to") {
			t.Errorf("%d: %v", n, err)
		}
	}
	b := newBarrier(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := b.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, new(*shm.WaitError)) {
		t.Errorf("got %v", err)
	}
	if err := b.Broken(); !errors.Is(err, shm.ErrBroken) || !strings.Contains(err.Error(), "the driver") || !strings.Contains(err.Error(), "gave up waiting") {
		t.Errorf("got %v", err)
	}
	r, err := b.Retain()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Close(), r.Reset()); err != nil {
		t.Error(err)
	}
	ended := make(chan error)
	go func() {
		_, err := r.Wait(t.Context())
		ended <- err
	}()
	for waiting := 0; waiting < 1; _, waiting = r.Parties() {
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, shm.ErrClosed) {
		t.Errorf("got %v", err)
	}
	_, err = r.Wait(t.Context())
	for _, err := range []error{err, r.Abort(), r.Reset(), r.Broken()} {
		if !errors.Is(err, shm.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
}
