package xme_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// lonely does what its argument says; its calls, one by one, go the short way.
var lonely = xme.Register("lonely", func(ctx context.Context, n int) (uint64, error) {
	switch n {
	case lonelySeed:
		return xme.Seed(ctx), nil
	case lonelyWaits:
		<-ctx.Done()
		return 0, ctx.Err()
	case lonelyExits:
		os.Exit(7)
	case lonelyFails:
		return 0, errLonely
	case lonelyPanics:
		panic("lonely")
	}
	return uint64(n) * 3, nil
})

const (
	lonelySeed = -1 - iota
	lonelyWaits
	lonelyExits
	lonelyFails
	lonelyPanics
)

var errLonely = xme.RegisterError("lonely", errors.New("as it was asked to"))

// triple calls lonely and checks its value.
func triple(ctx context.Context, t *testing.T, pool *xme.Pool, n int) {
	t.Helper()
	if got, err := lonely.Call(ctx, pool, n); err != nil || got != uint64(n)*3 {
		t.Fatalf("lonely(%d) = %d, %v", n, got, err)
	}
}

// A call that is alone in its pool ends as any other, and the next is none the worse for it.
//
// feature: F1, S1
func TestCallAlone(t *testing.T) {
	t.Parallel()
	ends := map[string]struct {
		n     int
		cause xme.Cause
		is    error
	}{
		"an error": {lonelyFails, xme.CauseReturned, errLonely},
		"a panic":  {lonelyPanics, xme.CausePanic, xme.ErrPanic},
		"a death":  {lonelyExits, xme.CauseLost, xme.ErrWorkerLost},
		"a cancel": {lonelyWaits, xme.CauseCancelled, context.Canceled},
	}
	for name, want := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := xmetest.Open(t, xme.Options{Workers: 1})
			for n := range 20 {
				for i := range 20 {
					triple(context.Background(), t, pool, i)
				}
				ctx, cancel := context.WithCancel(context.Background())
				if want.n == lonelyWaits {
					time.AfterFunc(time.Duration(n)*200*time.Microsecond, cancel)
				}
				got, err := lonely.Call(ctx, pool, want.n)
				cancel()
				var e *xme.Error
				if got != 0 || !errors.As(err, &e) || e.Cause != want.cause || !errors.Is(err, want.is) {
					t.Fatalf("%d, %v, want %v", got, err, want.is)
				}
				if want.cause == xme.CauseLost && e.ExitCode != 7 {
					t.Fatalf("exit code %d, want 7", e.ExitCode)
				}
			}
		})
	}
}

// The context of a call that is alone is looked at before, meanwhile, and not after.
func TestCallAloneUnderContexts(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	over, cancel := context.WithCancelCause(t.Context())
	for n := range 100 {
		triple(over, t, pool, n)
	}
	cancel(errLonely)
	for n := range 100 {
		if _, err := lonely.Call(over, pool, n); !errors.Is(err, errLonely) || !errors.Is(err, context.Canceled) {
			t.Fatalf("under a context that has ended: %v", err)
		}
		triple(t.Context(), t, pool, n)
	}
	late, stop := context.WithDeadline(t.Context(), time.Now().Add(20*time.Millisecond))
	defer stop()
	if _, err := lonely.Call(late, pool, lonelyWaits); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("under a deadline: %v", err)
	}
	triple(t.Context(), t, pool, 1)
}

// The end of a context is seen while others have their results read by who waits under it.
func TestCallAloneAmongMany(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	triple(t.Context(), t, pool, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := lonely.Call(ctx, pool, lonelyWaits)
		ended <- err
	}()
	n, over := 0, false
	for got, err := range lonely.Map(t.Context(), pool, func(yield func(int) bool) {
		for !over && yield(2) { // until the call has ended
		}
	}) {
		if err != nil || got != 6 {
			t.Fatalf("lonely(2) = %d, %v", got, err)
		}
		if n++; n == 2000 {
			cancel()
		}
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) || n < 2000 {
				t.Fatalf("after %d rows: %v", n, err)
			}
			return
		default:
		}
	}
}

// The seeds of calls do not depend on the way that they go.
func TestSeedsOfCallsAlone(t *testing.T) {
	t.Parallel()
	ways := []func(*xme.Pool) (uint64, error){
		func(pool *xme.Pool) (uint64, error) { return lonely.Call(t.Context(), pool, lonelySeed) },
		func(pool *xme.Pool) (uint64, error) {
			return lonely.Go(t.Context(), pool, lonelySeed).Wait(t.Context())
		},
	}
	seeds := make([][]uint64, len(ways))
	for i, call := range ways {
		pool := xmetest.Open(t, xme.Options{Workers: 1, Seed: 42})
		for range 50 {
			got, err := call(pool)
			if err != nil || slices.Contains(seeds[i], got) {
				t.Fatalf("%d, %v, after %d", got, err, seeds[i])
			}
			seeds[i] = append(seeds[i], got)
		}
	}
	if !slices.Equal(seeds[0], seeds[1]) {
		t.Errorf("by Call %d\nby Go %d", seeds[0], seeds[1])
	}
}

// Calls that are alone meet others: of the same function, of streams, and the end of the pool.
func TestCallsMeet(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		pool := xmetest.Open(t, xme.Options{Workers: workers, Queue: 3})
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for n := range 1500 {
					if got, err := lonely.Call(t.Context(), pool, n); err != nil || got != uint64(n)*3 {
						t.Errorf("lonely(%d) = %d, %v", n, got, err)
						return
					}
					if (n+g)%50 == 0 {
						i := 0
						for got, err := range lonely.Map(t.Context(), pool, xme.Repeat(10, n)) {
							if i++; err != nil || got != uint64(n)*3 {
								t.Errorf("lonely(%d) of a stream = %d, %v", n, got, err)
							}
						}
						if i != 10 {
							t.Errorf("%d rows of 10", i)
						}
					}
				}
			})
		}
		wg.Wait()
		stats := pool.Stats()
		if stats.Queued != 0 || stats.Running != 0 || stats.Failed != 0 || stats.Done != 4*1500+4*30*10 {
			t.Errorf("%d done, %d failed, %d queued, %d running", stats.Done, stats.Failed, stats.Queued, stats.Running)
		}
		var calls sync.WaitGroup
		for range 4 {
			calls.Go(func() {
				for {
					got, err := lonely.Call(context.Background(), pool, 5)
					if err == nil && got == 15 {
						continue
					}
					if !errors.Is(err, xme.ErrClosed) {
						t.Errorf("%d, %v, want %v", got, err, xme.ErrClosed)
					}
					return
				}
			})
		}
		if err := pool.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		calls.Wait()
	}
}

// A call is not alone beside one that nobody waits for.
func TestCallBesideAnother(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2} {
		pool := xmetest.Open(t, xme.Options{Workers: workers})
		for n := range 500 {
			fu := lonely.Go(t.Context(), pool, n)
			triple(t.Context(), t, pool, n+1)
			if got, err := fu.Wait(t.Context()); err != nil || got != uint64(n)*3 {
				t.Fatalf("lonely(%d) = %d, %v", n, got, err)
			}
			if s := pool.Stats(); s.Queued != 0 || s.Running != 0 || s.Done != uint64(2*n+2) {
				t.Fatalf("after %d calls %d are done, %d queued, %d running", 2*n+2, s.Done, s.Queued, s.Running)
			}
		}
	}
}

// Who leads no more reads for nobody: rows that come after a call that was alone are heard of all the same.
func TestAfterCallAlone(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	for n := range 200 {
		triple(t.Context(), t, pool, n)
		fu := lonely.Go(t.Context(), pool, n)
		<-fu.Done()
		if got, err := fu.Wait(t.Context()); err != nil || got != uint64(n)*3 {
			t.Fatalf("lonely(%d) = %d, %v", n, got, err)
		}
	}
}

// A call that is alone takes no memory of its driver's, unless it has to sleep.
func TestCallAloneAllocates(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	pool := xmetest.Open(t, xme.Options{Workers: 1, Spares: -1})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 100 {
		triple(ctx, t, pool, 1)
	}
	least := 100.0
	for end := time.Now().Add(patience); least > 0 && time.Now().Before(end); { // beside other work most have to
		least = min(least, testing.AllocsPerRun(20, func() { triple(ctx, t, pool, 1) }))
	}
	if least > 0 {
		t.Errorf("%v allocations a call", least)
	}
}

// handed is what holds shared memory in several ways.
type handed struct {
	One, Two *shm.Array[int]
	View     shm.View[int]
	File     *os.File
	Text     string
}

// seen is what a task saw of it.
type seen struct {
	Seed uint64
	Sum  int
}

var handing = xme.Register("handing", func(ctx context.Context, h handed) (seen, error) {
	s := seen{Seed: xme.Seed(ctx)}
	for _, a := range []*shm.Array[int]{h.One, h.Two} {
		if a != nil {
			s.Sum += a.Slice()[99]
		}
	}
	for _, n := range h.View.Slice() {
		s.Sum += n
	}
	if h.File != nil {
		b, err := io.ReadAll(h.File)
		if err != nil {
			return s, err
		}
		s.Sum += len(b)
	}
	return s, nil
})

// A call that hands over shared memory sees it, takes one number of the pool's for its seed, and gives back what it held, whichever
// way it goes.
//
// feature: F1, M1
func TestCallsThatHandOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]xme.Options{
		"lanes": {Workers: 1}, "2 workers": {Workers: 2}, "socket": {Workers: 1, Link: xme.LinkSocket}, "bounded": {Workers: 1, Shared: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := xmetest.Open(t, o)
			reference := xmetest.Open(t, xme.Options{Workers: 1})
			var arrays []*shm.Array[int]
			for range 2 {
				a, err := shm.NewArray[int](100)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = a.Close() }()
				a.Slice()[99] = 10
				arrays = append(arrays, a)
			}
			v, err := shm.ViewOf([]int{1, 2, 3})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 40 {
				h, sum := handed{One: arrays[0]}, 10
				if i%2 == 1 {
					h.Two, h.Text, sum = arrays[1], "more than what fits beside the word", sum+10
				}
				if i%3 == 1 {
					h.View, sum = v, sum+6
				}
				if i%5 == 1 {
					if h.File, err = os.Open(path); err != nil {
						t.Fatal(err)
					}
					sum += 5
				}
				got, err := handing.Call(t.Context(), pool, h)
				if h.File != nil {
					_ = h.File.Close()
				}
				want, err2 := lonely.Call(t.Context(), reference, lonelySeed)
				if err != nil || err2 != nil || got.Sum != sum || got.Seed != want {
					t.Fatalf("call %d: %+v, %v; want the sum %d, the seed %d, %v", i, got, err, sum, want, err2)
				}
			}
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					for range 200 {
						if got, err := handing.Call(t.Context(), pool, handed{One: arrays[0], Two: arrays[1]}); err != nil || got.Sum != 20 {
							t.Errorf("%+v, %v", got, err)
							return
						}
					}
				})
			}
			wg.Wait()
			if err := arrays[0].Close(); err != nil {
				t.Error(err)
			}
			if got, err := handing.Call(t.Context(), pool, handed{One: arrays[0]}); !errors.Is(err, shm.ErrClosed) || !errors.Is(err, xme.ErrEncode) {
				t.Errorf("of a closed array: %+v, %v", got, err)
			}
		})
	}
}

// lingers says that it has begun, does not look at its context, and ends once there is a file at path.
var lingers = xme.Register("lingers", func(_ context.Context, path string) (int, error) {
	if path == "" {
		return 1, nil
	}
	if err := os.WriteFile(path+".begun", nil, 0o600); err != nil {
		return 0, err
	}
	for !exists(path) {
		runtime.Gosched()
	}
	return 1, nil
})

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// A row that is to end may take its process along: no other is sent behind it.
//
// feature: F5
func TestNothingBehindACancelledRow(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Grace: time.Minute})
	for range 50 { // so that it is known to be short, and travels in company
		if _, err := lingers.Call(t.Context(), pool, ""); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "end")
	slow := lingers.Go(t.Context(), pool, path)
	for !exists(path + ".begun") {
		runtime.Gosched()
	}
	slow.Cancel()
	var after []*xme.Future[int]
	for range 20 {
		after = append(after, lingers.Go(t.Context(), pool, ""))
	}
	s := pool.Stats()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s.Running > 1 {
		t.Errorf("%d rows were sent to the worker whose row was cancelled", s.Running)
	}
	if got, err := slow.Wait(t.Context()); got != 1 && !errors.Is(err, context.Canceled) {
		t.Errorf("the cancelled row: %d, %v", got, err)
	}
	for _, fu := range after {
		if got, err := fu.Wait(t.Context()); got != 1 {
			t.Errorf("a row behind it: %d, %v", got, err)
		}
	}
}
