package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/scripts/procs"
	"github.com/xenonmp/xme/shm"
)

// form is where a manager lives.
type form struct {
	name string
	o    manager.Options
}

var forms = []form{{"in the driver", manager.Options{}}, {"in a process", manager.Options{Process: true}}}

// patience is how long a single wait may last.
const patience = time.Minute

// longFor is how long n increments of a worker may last: so long only where there are far too few CPUs for what runs.
func longFor(n int) time.Duration { return patience + time.Duration(n)*20*time.Millisecond }

// withPool opens a pool for f.
func withPool(ctx context.Context, f func(*xme.Pool) error) error {
	pool, err := xme.Open(ctx, xme.Options{Workers: workers})
	if err != nil {
		return err
	}
	return errors.Join(f(pool), pool.Close())
}

// withManager opens a manager for f.
func withManager(ctx context.Context, o manager.Options, f func(*manager.Manager) error) error {
	m, err := manager.Open(ctx, o)
	if err != nil {
		return err
	}
	return errors.Join(f(m), m.Close())
}

// withArray makes an array for f.
func withArray[T any](n int, f func(*shm.Array[T]) error) error {
	a, err := shm.NewArray[T](n)
	if err != nil {
		return err
	}
	return errors.Join(f(a), a.Close())
}

// maxRows bounds the rows of a run while workers are killed.
const maxRows = 1 << 16

// ended is what became of rows while workers were killed.
type ended struct {
	rows, lost, kills int
	late              int   // rows that came when the time was over
	counted           []int // by row: what it returned; -1: it was lost
}

// onEach runs a row on each worker at once, and counts those that returned.
func onEach[In, Out any](ctx context.Context, s *soak, f *xme.Func[In, Out], pool *xme.Pool, in func(row int) In) (outs []Out) {
	var all []*xme.Future[Out]
	for i := range workers {
		all = append(all, f.With(xme.On(i+1)).Go(ctx, pool, in(i)))
	}
	for i, fu := range all {
		out, err := fu.Wait(ctx)
		if err != nil {
			s.wrong("worker %d: %v", i+1, err)
		}
		outs = append(outs, out)
	}
	return outs
}

// over reports whether the time is over that a row has, which is sent ahead; 0: it has any.
func over(end int64) bool { return end != 0 && time.Now().UnixNano() > end }

// disturbed runs rows for a while, during which workers are killed at random. A row that is not lost must return, and that all of each, or nothing
// if it came when the time was over.
func disturbed[In any](ctx context.Context, s *soak, f *xme.Func[In, int], pool *xme.Pool, d time.Duration, each int, in func(row int, end int64) In) (e ended) {
	stop := make(chan struct{})
	var monkey sync.WaitGroup
	monkey.Go(func() { e.kills = kill(pool, rand.New(rand.NewPCG(s.seed, 2)), s.every, stop) })
	end := time.Now().Add(d)
	jobs := func(yield func(In) bool) {
		for row := 0; row < maxRows && time.Now().Before(end) && yield(in(row, end.UnixNano())); row++ {
		}
	}
	for n, err := range f.Map(ctx, pool, jobs) {
		if err != nil {
			n = -1
		}
		e.counted = append(e.counted, n)
		e.rows++
		switch {
		case err == nil && n == each:
		case err == nil && n == 0:
			e.late++
		case err == nil:
			s.wrong("row %d returned %d of %d", e.rows-1, n, each)
		case procs.Struck(err):
			e.lost++
		default:
			s.wrong("row %d: %v", e.rows-1, err)
		}
	}
	close(stop)
	monkey.Wait()
	return e
}

// kill kills workers until over is closed.
func kill(pool *xme.Pool, rng *rand.Rand, every time.Duration, over <-chan struct{}) (kills int) {
	for {
		select {
		case <-over:
			return kills
		case <-time.After(time.Duration(rng.Int64N(int64(2 * every)))):
		}
		all := pool.Workers()
		if procs.Kill(all[rng.IntN(len(all))].PID) {
			kills++
		}
	}
}
