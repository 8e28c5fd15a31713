package mpi_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
)

// Ranks are closed one by one or all at once, in any order, twice, with calls under way:
// what was accepted ends, what comes later is refused.
//
// feature: P7
func TestRunClose(t *testing.T) {
	t.Parallel()
	for name, closes := range map[string][][]int{
		"all": {{}}, "all twice": {{}, {}}, "each": {{2}, {1}, {3}}, "some": {{3, 1}, {1, 2}}, "one, then all": {{2}, {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, mpi.Options{Size: 4}, func(ctx context.Context, c *mpi.Comm) {
				allUp(t, c)
				d, said, release := open(t)
				var fs []*xme.Future[int]
				for i := range 12 {
					fs = append(fs, knock.With(xme.On(1+i%3)).Go(ctx, c, d), knock.Go(ctx, c, d))
				}
				begun(t, said, 3)
				done := make(chan error, len(closes))
				for _, ranks := range closes {
					go func() { done <- c.Close(ranks...) }()
				}
				wait(t, "no rank", func() bool { return len(c.Ranks()) == 0 })
				select {
				case err := <-done:
					t.Errorf("Close returned with calls under way: %v", err)
				default:
				}
				_, err := square.Call(ctx, c, 2)
				wantErr(t, "closed", err, xme.ErrClosed)
				letGo(release, 24)
				for i, f := range fs {
					if r, err := f.Wait(ctx); err != nil || i%2 == 0 && r != 1+i/2%3 {
						t.Errorf("call %d: %d, %v", i, r, err)
					}
				}
				for range closes {
					if err := <-done; err != nil {
						t.Error(err)
					}
				}
				for _, w := range c.Workers() {
					if w.State != xme.Retired {
						t.Errorf("%+v", w)
					}
				}
				if n, err := c.Submit(ctx, nil); n != 0 || err != nil {
					t.Errorf("nothing submitted: %d, %v", n, err)
				}
			})
		})
	}
	run(t, mpi.Options{Size: 3}, func(_ context.Context, c *mpi.Comm) {
		wantErr(t, "main", c.Close(0), nil, "rank 0 is main")
		wantErr(t, "unknown", c.Close(1, 3), nil, "rank 3 does not exist")
		wantErr(t, "unknown", c.Close(-1), nil, "rank -1 does not exist")
		if len(c.Workers()) != 2 || c.Workers()[0].State == xme.Retired {
			t.Error("a close that is refused has closed something")
		}
	})
}

// Main returns without closing: what was accepted ends first, also what was called under
// main's own context.
//
// feature: P7, F2
func TestRunMainReturns(t *testing.T) {
	t.Parallel()
	d, said, release := open(t)
	var fs []*xme.Future[int]
	var mains func() error // what main's context says
	returned, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		run(t, mpi.Options{Size: 2}, func(ctx context.Context, c *mpi.Comm) {
			mains = ctx.Err
			for range 4 {
				fs = append(fs, knock.Go(ctx, c, d))
			}
			go func() {
				defer close(returned)
				wait(t, "a pool that takes no more", func() bool {
					_, err := square.Call(t.Context(), c, 2)
					return errors.Is(err, xme.ErrClosed)
				})
			}()
			begun(t, said, 1)
		})
	}()
	letGo(release, 1)
	begun(t, said, 1)
	// Two have not begun.
	letGo(release, 3)
	<-done
	<-returned
	for _, f := range fs {
		if _, err := f.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if mains() == nil {
		t.Error("main's context lives on")
	}
}

// Main fails, panics, or ends its goroutine with calls under way: they are cut short, Run
// is what main was, and nothing is left.
//
// feature: P7, F2
func TestRunMainFails(t *testing.T) {
	t.Parallel()
	failed := errors.New("main has failed")
	for how, tc := range map[string]struct {
		main func()
		then func(err error, rec any, stack string) bool
	}{
		"error": {nil, func(err error, rec any, _ string) bool { return errors.Is(err, failed) && rec == nil }},
		"panic": {func() { panicsHere(failed) }, func(_ error, rec any, stack string) bool {
			return rec == any(failed) && strings.Contains(stack, "panicsHere")
		}},
		"goexit": {runtime.Goexit, func(err error, rec any, _ string) bool { return err == nil && rec == nil }},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			d, said, _ := open(t)
			var fs []*xme.Future[int]
			var err error
			var rec any
			var stack string
			var mains func() error // what main's context says
			var wg sync.WaitGroup
			returned := false
			wg.Go(func() {
				defer func() {
					if rec = recover(); rec != nil {
						stack = string(debug.Stack())
					}
				}()
				err = mpi.Run(t.Context(), mpi.Options{Size: 3}, func(ctx context.Context, c *mpi.Comm) error {
					mains = ctx.Err
					for range 3 {
						fs = append(fs, hang.Go(context.Background(), c, 0), hang.Go(ctx, c, 0))
					}
					fs = append(fs, square.With(xme.On(1)).Go(ctx, c, 2))
					_ = knock.With(xme.Service()).Go(ctx, c, d) // a service does not keep it
					begun(t, said, 1)
					if tc.main != nil {
						tc.main()
					}
					return failed
				})
				returned = true
			})
			wg.Wait()
			if !tc.then(err, rec, stack) || returned != (how == "error") {
				t.Errorf("error %v, panic %v, returned %v\n%s", err, rec, returned, stack)
			}
			for i, f := range fs {
				_, err := f.Wait(t.Context())
				if !errors.Is(err, xme.ErrClosed) && !errors.Is(err, context.Canceled) {
					t.Errorf("call %d: %v", i, err)
				}
			}
			if mains() == nil {
				t.Error("main's context lives on")
			}
		})
	}
}

func panicsHere(v any) { panic(v) }

// Run's context ends: main's does, the calls do, with its cause, and Close waits no longer.
//
// feature: P7, F2
func TestRunContextEnds(t *testing.T) {
	t.Parallel()
	why := errors.New("enough")
	ctx, stop := context.WithCancelCause(t.Context())
	err := mpi.Run(ctx, mpi.Options{Size: 3}, func(ctx context.Context, c *mpi.Comm) error {
		d, said, _ := open(t)
		on1 := knock.With(xme.On(1))
		fs := []*xme.Future[int]{on1.Go(context.Background(), c, d), on1.Go(ctx, c, d), hang.Go(ctx, c, 0), hang.Go(context.Background(), c, 0)}
		begun(t, said, 1)
		closed := make(chan error, 1)
		go func() { closed <- c.Close(1) }()
		wait(t, "a closed rank", func() bool { return !slices.Contains(c.Ranks(), 1) })
		stop(why)
		<-ctx.Done()
		for i, f := range fs {
			if _, err := f.Wait(t.Context()); !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
				t.Errorf("call %d: %v", i, err)
			}
		}
		if err := <-closed; err != nil && !errors.Is(err, why) {
			t.Errorf("Close: %v", err)
		}
		_, err := square.Call(context.Background(), c, 1)
		wantErr(t, "a call afterwards", err, xme.ErrClosed)
		return context.Cause(ctx)
	})
	if !errors.Is(err, why) {
		t.Error(err)
	}
}

// It ends while what main has accepted runs on: Run returns its cause.
//
// feature: P7, F2
func TestRunContextEndsAfterMain(t *testing.T) {
	t.Parallel()
	why := errors.New("enough")
	ctx, stop := context.WithCancelCause(t.Context())
	var fs []*xme.Future[int]
	err := mpi.Run(ctx, mpi.Options{Size: 2}, func(_ context.Context, c *mpi.Comm) error {
		for range 2 { // one runs, the other waits behind it
			fs = append(fs, hang.Go(context.Background(), c, 0))
		}
		go func() {
			wait(t, "a pool that takes no more", func() bool {
				short, end := context.WithTimeout(t.Context(), 10*time.Millisecond) // what is accepted still waits behind the other for ever
				defer end()
				_, err := square.Call(short, c, 2)
				return errors.Is(err, xme.ErrClosed)
			})
			stop(why)
		}()
		return nil
	})
	wantErr(t, "Run", err, why)
	for _, f := range fs {
		_, err = f.Wait(t.Context())
		wantErr(t, "the call", err, why)
	}
}

// The ranks' states can be read and watched; so can what they did.
//
// feature: P8
func TestRunStates(t *testing.T) {
	t.Parallel()
	seen := make(chan xme.Worker, 1000)
	watched := make(chan struct{})
	run(t, mpi.Options{Size: 3}, func(ctx context.Context, c *mpi.Comm) {
		go func() {
			defer close(watched)
			for w := range c.Watch(context.Background()) { // until Run ends
				seen <- w
			}
		}()
		allUp(t, c)
		d, said, release := open(t)
		f := knock.With(xme.On(2)).Go(ctx, c, d)
		begun(t, said, 1)
		if ws := c.Workers(); len(ws) != 2 || ws[1].Rank != 2 || ws[1].State != xme.Busy || ws[0].State != xme.Idle || ws[0].PID == os.Getpid() {
			t.Errorf("%+v", ws)
		}
		for w := range seen {
			if w.Rank == 2 && w.State == xme.Busy {
				break
			}
		}
		letGo(release, 1)
		if _, err := f.Wait(ctx); err != nil {
			t.Error(err)
		}
		if err := c.Close(2); err != nil {
			t.Error(err)
		}
		if s := c.Stats(); s.Done != 1 || !strings.Contains(c.Summary().String(), "run.knock") {
			t.Errorf("%+v\n%v", s, c.Summary())
		}
	})
	<-watched
	last := map[int]xme.State{}
	close(seen)
	for w := range seen {
		last[w.Rank] = w.State
	}
	if last[1] != xme.Retired || last[2] != xme.Retired {
		t.Errorf("the last states are %v", last)
	}
}

// A communicator that is nobody's main's has no calls to offer, and says so.
func TestCommWithoutCalls(t *testing.T) {
	t.Parallel()
	c := mpi.From(t.Context())
	_, err := square.Call(t.Context(), c, 2)
	wantErr(t, "a call", err, errors.ErrUnsupported, "mpi: ")
	var null *mpi.Comm
	for name, c := range map[string]*mpi.Comm{"From": c, "zero": {}, "nil": null} {
		futures := square.Broadcast(t.Context(), c, 2)
		if len(futures) != 1 {
			t.Fatalf("%s: %d futures", name, len(futures))
		}
		_, err := futures[0].Wait(t.Context())
		wantErr(t, "a broadcast, "+name, err, errors.ErrUnsupported, "mpi: there is no communicator here")
		if errors.Is(err, xme.ErrWorkerLost) {
			t.Errorf("%s: %v: no worker was lost", name, err)
		}
	}
	for _, err := range square.Map(t.Context(), c, slices.Values([]int{1, 2})) {
		wantErr(t, "a Map", err, errors.ErrUnsupported, "mpi: ")
	}
	wantErr(t, "Close", c.Close(), errors.ErrUnsupported, "mpi: ")
	if c.Ranks() != nil || c.Workers() != nil || c.Stats().Done != 0 {
		t.Error("it has ranks")
	}
	for w := range c.Watch(t.Context()) {
		t.Errorf("it has a worker %+v", w)
	}
}

// Each worker's secret is its own: see TestForgedHello in internal/proc. Calls of every kind come
// from many goroutines at once, while ranks die and are closed.
//
// feature: P10
func TestRunFromManyGoroutines(t *testing.T) {
	t.Parallel()
	run(t, mpi.Options{Size: 4, Buffer: 7}, func(ctx context.Context, c *mpi.Comm) {
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 40 {
					var err error
					n, want := 0, i*i
					switch (g + i) % 6 {
					case 0:
						n, err = square.Call(ctx, c, i)
					case 1:
						n, err = square.With(xme.On(1+i%3)).Call(ctx, c, i)
					case 2:
						n, err = square.Go(ctx, c, i).Wait(ctx)
					case 3:
						n, want = 0, 5
						for v, e := range square.Map(ctx, c, slices.Values([]int{1, 2})) {
							n, err = n+v, errors.Join(err, e)
						}
					case 4:
						n, want = 0, 0
						for _, f := range square.Broadcast(ctx, c, i) {
							_, _ = f.Wait(ctx)
						}
					case 5:
						_, _ = c.Workers(), c.Ranks()
						_, _ = c.Stats(), c.Summary()
						n, want = 0, 0
						if i > 30 && g == 0 {
							err = c.Close(3)
						} else if i%10 == 0 {
							_, _ = die.Call(ctx, c, 3)
						}
					}
					if err != nil && !errors.Is(err, xme.ErrWorkerLost) && !errors.Is(err, xme.ErrClosed) || err == nil && n != want {
						t.Errorf("%d, want %d, %v", n, want, err)
					}
				}
			})
		}
		wg.Wait()
	})
}
