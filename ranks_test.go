package xme_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/xmetest"
)

// wantClosed checks that a call ended because its ranks are closed, and says so.
func wantClosed(t *testing.T, err error, says string) {
	t.Helper()
	if !errors.Is(err, xme.ErrClosed) || !strings.Contains(err.Error(), says) {
		t.Errorf("%v; want one that is ErrClosed and says %q", err, says)
	}
}

func stateOf(pool *xme.Pool, rank int) xme.State { return pool.Workers()[rank-1].State }

// A rank that is retired ends what was accepted for it, and takes no more; the others go on.
//
// feature: P7, P3
func TestRetire(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB, xme.Options) *xme.Pool{"processes": xmetest.Open, "in process": xmetest.OpenInProcess} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := open(t, xme.Options{Workers: 3})
			waitForRanks(t, pool, 3)
			begun, g, release := gates(t)
			on2 := pass.With(xme.On(2))
			first := on2.Go(t.Context(), pool, g)
			readBegun(t, begun, 1)
			second, either := on2.Go(t.Context(), pool, g), square.With(xme.On(2, 3)).Go(t.Context(), pool, 5)
			done := make(chan error, 3)
			for range 3 {
				go func() { done <- pool.Retire(t.Context(), 2) }()
			}
			wait(t, func() bool { return slices.Equal(pool.Ranks(), []int{1, 3}) })
			_, err := square.With(xme.On(2)).Call(t.Context(), pool, 3)
			wantClosed(t, err, "rank 2 is closed")
			if n, err := either.Wait(t.Context()); n != 25 || err != nil {
				t.Errorf("a call that may run on rank 3 too: %d, %v", n, err)
			}
			if n, err := rankOf.With(xme.On(2, 3)).Call(t.Context(), pool, 0); n != 3 || err != nil {
				t.Errorf("a call for ranks 2 and 3 ran on %d, %v", n, err)
			}
			if s := stateOf(pool, 2); s != xme.Busy {
				t.Errorf("rank 2, which has rows, is %v", s)
			}
			_, _ = release.Write([]byte{0, 0})
			for _, f := range []*xme.Future[int]{first, second} {
				if _, err := f.Wait(t.Context()); err != nil {
					t.Error(err)
				}
			}
			for range 3 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			if w := pool.Workers()[1]; w.State != xme.Retired || w.PID != 0 || w.State.String() != "retired" || w.Done != 2 {
				t.Errorf("rank 2 is %+v", w)
			}
			if err := pool.Retire(t.Context(), 2); err != nil {
				t.Error(err)
			}
			if fs := square.Broadcast(t.Context(), pool, 2); len(fs) != 2 {
				t.Errorf("a broadcast made %d calls, want one on each of ranks 1 and 3", len(fs))
			}
			if err := pool.Retire(t.Context(), 3, 1); err != nil {
				t.Error(err)
			}
			_, err = square.Call(t.Context(), pool, 2)
			wantClosed(t, err, "all ranks are closed")
			_, err = square.With(xme.On(3, 1, 3)).Call(t.Context(), pool, 2)
			wantClosed(t, err, "")
			for _, f := range square.Broadcast(t.Context(), pool, 2) {
				_, err := f.Wait(t.Context())
				wantClosed(t, err, "")
			}
			for _, err := range square.Map(t.Context(), pool, count(3)) {
				wantClosed(t, err, "")
			}
			if n := pool.Stats().Processes; n != 0 && name == "processes" {
				wait(t, func() bool { return pool.Stats().Processes == 0 }) // spares
			}
			if err := errors.Join(pool.Close(), pool.Retire(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
}

// All ranks retired at once, in any order, end what waits for any of them: retries too.
//
// feature: P7
func TestRetireAll(t *testing.T) {
	t.Parallel()
	for _, orders := range [][][]int{{nil}, {{1}, {2}}, {{2}, {1}}, {{1, 2}, {2, 1, 1}, nil}} {
		t.Run(fmt.Sprint(orders), func(t *testing.T) {
			t.Parallel()
			pool := xmetest.Open(t, xme.Options{Workers: 2})
			waitForRanks(t, pool, 2)
			begun, g, release := gates(t)
			var fs []*xme.Future[int]
			for range 7 {
				fs = append(fs, pass.Go(t.Context(), pool, g))
			}
			readBegun(t, begun, 2)
			again := fails.With(xme.Retries(3)).Go(t.Context(), pool, 1)
			done := make(chan error, len(orders))
			for _, ranks := range orders {
				before := len(pool.Ranks())
				go func() { done <- pool.Retire(t.Context(), ranks...) }()
				if len(ranks) == 1 {
					wait(t, func() bool { return len(pool.Ranks()) < before })
				}
			}
			wait(t, func() bool { return len(pool.Ranks()) == 0 })
			_, err := square.Call(t.Context(), pool, 2)
			wantClosed(t, err, "all ranks are closed")
			_, _ = release.Write(make([]byte, 7))
			for i, f := range append(fs, again) {
				if _, err := f.Wait(t.Context()); err != nil {
					t.Errorf("call %d: %v", i, err)
				}
			}
			for range orders {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			for _, w := range pool.Workers() {
				if w.State != xme.Retired {
					t.Errorf("%+v", w)
				}
			}
		})
	}
}

// Retire's ctx bounds the wait only; unknown ranks are refused.
//
// feature: P7
func TestRetireContext(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Queue: 2})
	for _, r := range []int{0, -1, 2} {
		if err := pool.Retire(t.Context(), 1, r); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("rank %d does not exist", r)) {
			t.Errorf("rank %d: %v", r, err)
		}
	}
	begun, g, release := gates(t)
	fs := []*xme.Future[int]{pass.Go(t.Context(), pool, g), pass.Go(t.Context(), pool, g)}
	readBegun(t, begun, 1)
	waiting := make(chan error, 1)
	go func() {
		_, err := square.Call(t.Context(), pool, 2) // there is no room, or no rank
		waiting <- err
	}()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := pool.Retire(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	wantClosed(t, <-waiting, "")
	_, _ = release.Write([]byte{0, 0})
	if err := pool.Retire(t.Context()); err != nil {
		t.Error(err)
	}
	for _, f := range fs {
		if _, err := f.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A rank whose process dies while it is closing gets another for what was accepted, and
// none if there is nothing.
//
// feature: P7
func TestRetireDying(t *testing.T) {
	t.Parallel()
	for _, spares := range []int{-1, 1} {
		pool := xmetest.Open(t, xme.Options{Workers: 2, Spares: spares})
		waitForRanks(t, pool, 2)
		begun, g, release := gates(t)
		on1 := xme.On(1)
		slow := pass.With(on1).Go(t.Context(), pool, g)
		readBegun(t, begun, 1)
		dying := exit.With(on1, xme.Retries(1)).Go(t.Context(), pool, 3)
		last, fresh := rankOf.With(on1).Go(t.Context(), pool, 0), rankOf.With(on1, xme.Fresh()).Go(t.Context(), pool, 0)
		done := make(chan error, 1)
		go func() { done <- pool.Retire(t.Context(), 1) }()
		wait(t, func() bool { return len(pool.Ranks()) == 1 })
		_, _ = release.Write([]byte{0})
		if _, err := slow.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		_, err := dying.Wait(t.Context())
		var e *xme.Error
		if !errors.As(err, &e) || !errors.Is(err, xme.ErrWorkerLost) || e.Attempt != 2 {
			t.Errorf("%v; want the second worker lost", err)
		}
		for _, f := range []*xme.Future[int]{last, fresh} {
			if n, err := f.Wait(t.Context()); n != 1 || err != nil {
				t.Errorf("behind the row that dies: %d, %v", n, err)
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		xmetest.Kill(t, pool, 2)
		if err := pool.Retire(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// In a pool without replacement a dead rank is closed, and what only it could run ends.
//
// feature: P6
func TestWithoutReplacement(t *testing.T) {
	t.Parallel()
	pool, err := xme.Open(proc.WithoutReplacement(t.Context(), nil), xme.Options{Workers: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	waitForRanks(t, pool, 3)
	wait(t, func() bool { return pool.Stats().Spares == 1 })
	begun, g, release := gates(t)
	on := func(ranks ...int) *xme.Future[int] { return pass.With(xme.On(ranks...)).Go(t.Context(), pool, g) }
	var fs []*xme.Future[int]
	for r := range 3 {
		fs = append(fs, on(r+1))
	}
	readBegun(t, begun, 3)
	own, set, whole := on(2), on(2, 3), on(1, 2, 3)
	open := []*xme.Future[int]{pass.Go(t.Context(), pool, g), pass.With(xme.Retries(5)).Go(t.Context(), pool, g)}
	lost := func(what string, f *xme.Future[int]) {
		if _, err := f.Wait(t.Context()); !errors.Is(err, xme.ErrWorkerLost) {
			t.Errorf("%s: %v", what, err)
		}
	}
	xmetest.Kill(t, pool, 2)
	lost("what ran", fs[1])
	lost("what waited", own)
	wait(t, func() bool { return stateOf(pool, 2) == xme.Retired })
	_, err = rankOf.With(xme.On(2)).Call(t.Context(), pool, 0)
	if !errors.Is(err, xme.ErrWorkerLost) || !strings.Contains(err.Error(), "killed by SIGKILL") {
		t.Errorf("a call on the rank that died: %v", err)
	}
	if err := pool.Retire(t.Context(), 2); err != nil {
		t.Error(err)
	}
	_, _ = release.Write([]byte{0}) // one of ranks 1 and 3 is free for another
	readBegun(t, begun, 1)
	xmetest.Kill(t, pool, 1)
	xmetest.Kill(t, pool, 3)
	ends := 0
	for _, f := range append(open, fs[0], fs[2], set, whole) {
		_, err := f.Wait(t.Context())
		switch {
		case err == nil:
			ends++
		case !errors.Is(err, xme.ErrWorkerLost) && !errors.Is(err, xme.ErrClosed):
			t.Error(err)
		}
	}
	if ends != 1 {
		t.Errorf("%d calls have ended well, want that which was let go on", ends)
	}
	_, err = rankOf.Call(t.Context(), pool, 0)
	wantClosed(t, err, "all ranks are closed")
	if s := pool.Stats(); s.Restarts != 0 {
		t.Errorf("%d ranks were given another process", s.Restarts)
	}
}

// Ranks are retired at random while workers die, are recycled and started: every call ends,
// and Retire returns.
//
// feature: P7
func TestRetireChaos(t *testing.T) {
	t.Parallel()
	rounds := 12
	if !long.Wanted() {
		rounds = 3
	}
	for round := range rounds {
		rng := rand.New(rand.NewPCG(uint64(round), 1))
		o := xme.Options{Workers: 1 + rng.IntN(4), Recycle: rng.IntN(2) * 3, Spares: rng.IntN(3) - 1, Queue: 20}
		if round%4 == 3 {
			o.Link = xme.LinkPipe
		}
		ctx := t.Context()
		if round%3 == 2 {
			ctx = proc.WithoutReplacement(ctx, nil)
		}
		pool, err := xme.Open(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for g := range 4 {
			rng := rand.New(rand.NewPCG(uint64(round), uint64(g+2)))
			wg.Go(func() {
				for i := range 60 {
					f := square
					switch rng.IntN(8) {
					case 0:
						f = f.With(xme.On(1 + rng.IntN(o.Workers)))
					case 1:
						f = f.With(xme.On(1+rng.IntN(o.Workers), 1+rng.IntN(o.Workers)))
					case 2:
						f = f.With(xme.Fresh())
					case 3:
						f = exit.With(xme.Retries(rng.IntN(2)))
					case 4:
						f = nestApart
					case 5:
						f = f.With(xme.Retries(1), xme.On(1+rng.IntN(o.Workers), 1+rng.IntN(o.Workers)))
					}
					fu := f.Go(t.Context(), pool, i)
					if rng.IntN(3) == 0 {
						fu.Cancel()
					}
					if rng.IntN(2) == 0 {
						continue
					}
					_, err := fu.Wait(t.Context())
					if err != nil && !errors.Is(err, xme.ErrClosed) && !errors.Is(err, xme.ErrWorkerLost) && !errors.Is(err, context.Canceled) && !errors.Is(err, xme.ErrDepth) {
						t.Errorf("round %d: %v", round, err)
					}
				}
			})
		}
		for range 3 {
			wg.Go(func() {
				for _, r := range rand.Perm(o.Workers) {
					if rand.IntN(2) == 0 {
						_ = proc.KillRank(pool, 1+rand.IntN(o.Workers))
					}
					wait(t, func() bool { return rand.IntN(20000) == 0 })
					if err := pool.Retire(t.Context(), r+1); err != nil {
						t.Errorf("round %d: %v", round, err)
					}
				}
			})
		}
		wg.Wait()
		wait(t, func() bool { s := pool.Stats(); return s.Queued == 0 && s.Running == 0 })
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Watch yields what there is, then what changes, the last state always, and ends with its
// context, the pool or the loop.
//
// feature: P8
func TestWatchRanks(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	seen, ended := make(chan xme.Worker, 1000), make(chan struct{})
	go func() {
		defer close(ended)
		for w := range pool.Watch(ctx) {
			seen <- w
		}
	}()
	last := map[int]xme.Worker{}
	until := func(what string, rank int, is func(xme.Worker) bool) xme.Worker {
		t.Helper()
		for {
			if w, ok := last[rank]; ok && is(w) {
				return w
			}
			select {
			case w := <-seen:
				if old, ok := last[w.Rank]; ok && old.State == w.State && old.PID == w.PID {
					t.Errorf("%+v was yielded twice", w)
				}
				last[w.Rank] = w
			case <-t.Context().Done():
				t.Fatalf("rank %d was never seen %s", rank, what)
			}
		}
	}
	state := func(s xme.State) func(xme.Worker) bool { return func(w xme.Worker) bool { return w.State == s } }
	until("idle", 1, state(xme.Idle))
	old := until("idle", 2, state(xme.Idle))
	begun, g, release := gates(t)
	f := pass.With(xme.On(1)).Go(t.Context(), pool, g)
	readBegun(t, begun, 1)
	until("busy", 1, state(xme.Busy))
	_, _ = release.Write([]byte{0})
	if _, err := f.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	until("idle", 1, state(xme.Idle))
	xmetest.Kill(t, pool, 2)
	until("replaced", 2, func(w xme.Worker) bool { return w.State == xme.Idle && w.PID != old.PID })
	if err := pool.Retire(t.Context(), 2); err != nil {
		t.Error(err)
	}
	until("retired", 2, state(xme.Retired))
	for range pool.Watch(t.Context()) {
		break
	}
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
	until("retired", 1, state(xme.Retired))
	<-ended
	n := 0
	for w := range pool.Watch(t.Context()) {
		if n++; w.State != xme.Retired {
			t.Errorf("in a closed pool: %+v", w)
		}
	}
	if n != 2 {
		t.Errorf("a closed pool's Watch yields %d ranks, want each once", n)
	}
	stop()
	for range pool.Watch(ctx) {
		t.Error("its context has ended")
	}
}
