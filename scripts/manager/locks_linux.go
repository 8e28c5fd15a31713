package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// The words that a lock guards.
const (
	wordInside   = iota // which row is inside, from 1; 0: none
	wordIntent          // which row's increment is under way, from 1; the two that follow are set before
	wordNext            // what the count becomes
	wordOwn             // what the row's own count becomes
	wordCount           //
	wordTold            // how often a holder was told of a death
	wordRepaired        // how often an increment was found half-done
	words
)

// lockJob has a row count n times under a lock. Own has the count of each row.
type lockJob struct {
	Lock   *manager.Lock
	Words  *shm.Array[int64]
	Own    *shm.Array[int64]
	Row, N int
	Deadly bool // it kills its own process now and then
	Seed   uint64
	End    int64 // it does nothing if it comes later
}

var lockRow = xme.Register("lock", func(ctx context.Context, j lockJob) (int, error) {
	if over(j.End) {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, longFor(j.N))
	defer cancel()
	rng := rand.New(rand.NewPCG(j.Seed, uint64(j.Row)))
	for i := range j.N {
		dies := -1 // where
		if j.Deadly && rng.IntN(20_000) == 0 {
			dies = rng.IntN(6)
		}
		if err := j.increment(ctx, dies); err != nil {
			return i, err
		}
	}
	return j.N, nil
})

// increment counts once. dies is at which place the process kills itself.
func (j *lockJob) increment(ctx context.Context, dies int) error {
	die := func(place int) {
		if place == dies {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until it arrives
		}
	}
	err := j.Lock.Acquire(ctx)
	told := errors.Is(err, shm.ErrOwnerDied)
	if err != nil && !told {
		return err
	}
	w, own := j.Words.Slice(), j.Own.Slice()
	die(0)
	if told {
		w[wordTold]++
		repair(w, own)
	}
	if w[wordInside] != 0 || w[wordIntent] != 0 {
		return fmt.Errorf("row %d is inside, the increment of row %d is under way, and nobody was told of a death", w[wordInside]-1, w[wordIntent]-1)
	}
	me := int64(j.Row) + 1
	atomic.StoreInt64(&w[wordInside], me)
	die(1)
	w[wordNext], w[wordOwn] = w[wordCount]+1, own[j.Row]+1
	die(2)
	atomic.StoreInt64(&w[wordIntent], me)
	die(3)
	w[wordCount]++
	die(4)
	own[j.Row]++
	die(5)
	atomic.StoreInt64(&w[wordIntent], 0)
	if inside := atomic.LoadInt64(&w[wordInside]); inside != me {
		return fmt.Errorf("row %d came in", inside-1)
	}
	atomic.StoreInt64(&w[wordInside], 0)
	return j.Lock.Release(ctx)
}

// repair ends what a dead holder had under way. It may be done twice: who repairs may die too.
func repair(w, own []int64) {
	if row := atomic.LoadInt64(&w[wordIntent]); row != 0 {
		w[wordCount], own[row-1] = w[wordNext], w[wordOwn]
		w[wordRepaired]++
		atomic.StoreInt64(&w[wordIntent], 0)
	}
	atomic.StoreInt64(&w[wordInside], 0)
}

// locks has workers count under locks of three kinds.
func locks(ctx context.Context, s *soak, d time.Duration) error {
	return withPool(ctx, func(pool *xme.Pool) error {
		return withManager(ctx, manager.Options{Process: true}, func(m *manager.Manager) error {
			for _, kind := range []manager.Kind{manager.Mutex, manager.Spin, manager.Authorisation} {
				if err := s.countLocked(ctx, pool, m, kind, 0); err != nil {
					return err
				}
				if err := s.countLocked(ctx, pool, m, kind, d); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// countLocked counts under a lock of a kind: undisturbed if d is 0, or for as long while workers are killed.
func (s *soak) countLocked(ctx context.Context, pool *xme.Pool, m *manager.Manager, kind manager.Kind, d time.Duration) error {
	lock, err := m.NewLock(ctx, manager.LockOptions{Name: fmt.Sprint(kind, d > 0), Kind: kind})
	if err != nil {
		return err
	}
	var ops []manager.Operator
	for range workers {
		op, err := m.NewOperator(ctx)
		if err != nil {
			return err
		}
		ops = append(ops, op)
	}
	if err := lock.Authorize(ctx, ops...); err != nil {
		return err
	}
	return errors.Join(withArray(words, func(w *shm.Array[int64]) error {
		return withArray(maxRows, func(own *shm.Array[int64]) error {
			job := func(row int) lockJob {
				return lockJob{Lock: lock.As(ops[row%workers]), Words: w, Own: own, Row: row, N: s.n, Seed: s.seed}
			}
			if d == 0 {
				begin := time.Now()
				onEach(ctx, s, lockRow, pool, job)
				c := w.Slice()
				if c[wordCount] != int64(workers*s.n) || c[wordTold] != 0 {
					s.wrong("%v: %d counted of %d; %d times told of a death", kind, c[wordCount], workers*s.n, c[wordTold])
				}
				s.say("%v, undisturbed: %d counted of %d, in %v", kind, c[wordCount], workers*s.n, time.Since(begin).Round(time.Millisecond))
				return nil
			}
			each := min(s.n, 2000)
			e := disturbed(ctx, s, lockRow, pool, d, each, func(row int, end int64) lockJob {
				j := job(row)
				j.N, j.Deadly, j.End = each, true, end
				return j
			})
			return s.lookLocked(ctx, lock, kind, e, int64(each), w.Slice(), own.Slice())
		})
	}), lock.Close())
}

// lookLocked looks at the counts of rows that were killed.
func (s *soak) lookLocked(ctx context.Context, lock *manager.Lock, kind manager.Kind, e ended, each int64, w, own []int64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := lock.Acquire(ctx)
	switch {
	case errors.Is(err, shm.ErrOwnerDied):
		w[wordTold]++
		repair(w, own)
	case err != nil:
		s.wrong("%v: in the end: %v", kind, err)
	}
	if w[wordInside] != 0 || w[wordIntent] != 0 {
		s.wrong("%v: in the end row %d is inside, the increment of row %d is under way", kind, w[wordInside]-1, w[wordIntent]-1)
	}
	sum, ofLost := int64(0), int64(0)
	for row, n := range own {
		sum += n
		switch {
		case row >= e.rows && n != 0:
			s.wrong("%v: row %d of %d counted %d", kind, row, e.rows, n)
		case row < e.rows && e.counted[row] >= 0 && n != int64(e.counted[row]), n > each:
			s.wrong("%v: row %d counted %d of %d and returned %d", kind, row, n, each, e.counted[row])
		case row < e.rows && e.counted[row] < 0:
			ofLost += n
		}
	}
	if sum != w[wordCount] {
		s.wrong("%v: the rows have counted %d, the count is %d", kind, sum, w[wordCount])
	}
	if w[wordTold] > int64(e.lost) {
		s.wrong("%v: %d times told of a death, of %d", kind, w[wordTold], e.lost)
	}
	s.say("%v, %d kills and those by their own hand: %d rows, %d of them lost, with %d of the %d counted; %d times told of a death, %d increments were half-done",
		kind, e.kills, e.rows-e.late, e.lost, ofLost, w[wordCount], w[wordTold], w[wordRepaired])
	return lock.Release(ctx)
}
