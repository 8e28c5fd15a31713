package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/shm"
)

func init() {
	const what = "Lock and Unlock of a shm.Mutex, which outlives its holder, round a counter that is checked; "
	const floorIs = "the smallest mutex of a futex, without recovery (Drepper, \"Futexes Are Tricky\", mutex 2), the same way"
	rows = append(
		rows, row{
			name:    "lock",
			what:    what + "in one process, not pinned",
			floorIs: floorIs,
			unit:    rowsPerSecond,
			measure: func(ctx context.Context, quick bool) (sample, error) { return measureLock(ctx, false, quick) },
			figure:  oursAlone, figureUnit: rowsPerSecond, must: 20e6, reach: 40e6, atLeast: true,
		}, row{
			name:    "lock-two",
			what:    what + "by two processes at a time, pinned to one CPU each",
			floorIs: floorIs,
			unit:    rowsPerSecond,
			measure: func(ctx context.Context, quick bool) (sample, error) { return measureLock(ctx, true, quick) },
			figure:  oursAlone, figureUnit: rowsPerSecond, must: 8e6, reach: 15e6, atLeast: true,
		},
	)
}

// counted is a number in shared memory, and what guards it.
type counted struct {
	Mutex *shm.Mutex
	Count *shm.Array[uint64] // the number in its first line; a bare mutex in its second
	Bare  bool
	N     int
	Start *shm.Value[uint32] // how many are ready
	Of    uint32
}

var countLocked = xme.Register("countLocked", func(ctx context.Context, c counted) (time.Duration, error) {
	if err := c.meet(ctx); err != nil {
		return 0, err
	}
	return c.run(ctx)
})

// meet waits until all are ready.
func (c counted) meet(ctx context.Context) error {
	shm.Add(c.Start, 1)
	for c.Start.Load() < c.Of {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// run adds N to the number, one by one, and returns how long it took.
func (c counted) run(ctx context.Context) (time.Duration, error) {
	n := c.Count.Slice()
	bare := bareMutex{word(asBytes(n), 1)}
	start := time.Now()
	for range c.N {
		if c.Bare {
			bare.lock()
			n[0]++
			bare.unlock()
			continue
		}
		if err := c.Mutex.Lock(ctx); err != nil {
			return 0, err
		}
		n[0]++
		if err := c.Mutex.Unlock(); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

func measureLock(ctx context.Context, two, quick bool) (s sample, err error) {
	rounds, n := 5, 5_000_000
	if quick {
		rounds, n = 1, 10_000
	}
	pool, err := xme.Open(ctx, alone())
	if err != nil {
		return s, err
	}
	defer pool.Close()
	rate := func(bare bool) func() (float64, error) {
		return func() (float64, error) { return lockRate(ctx, pool, n, two, bare) }
	}
	floor, ours := rate(true), rate(false)
	if two {
		pid := pool.Workers()[0].PID
		floor, ours = apart(pid, floor), apart(pid, ours)
	}
	return alternate(ctx, rounds, floor, ours)
}

// lockRate returns how many pairs a second all do together.
func lockRate(ctx context.Context, pool *xme.Pool, n int, two, bare bool) (float64, error) {
	c := counted{N: n, Bare: bare, Of: 1}
	var err error
	if c.Mutex, err = shm.NewMutex(); err != nil {
		return 0, orAbsent(err)
	}
	defer c.Mutex.Close()
	if c.Count, err = shm.NewArray[uint64](2 * line / 8); err != nil {
		return 0, err
	}
	defer c.Count.Close()
	if c.Start, err = shm.NewValue[uint32](0); err != nil {
		return 0, err
	}
	defer c.Start.Close()
	meeting, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	var other *xme.Future[time.Duration]
	if two {
		c.Of = 2
		other = countLocked.Go(ctx, pool, c)
		go func() {
			if _, err := other.Wait(ctx); err != nil {
				giveUp(err)
			}
		}()
	}
	if err := c.meet(meeting); err != nil {
		return 0, err
	}
	took, err := c.run(ctx)
	if err != nil {
		return 0, err
	}
	if two {
		its, err := other.Wait(ctx)
		if err != nil {
			return 0, err
		}
		took = max(took, its)
	}
	all := n * int(c.Of)
	if got := c.Count.Slice()[0]; got != uint64(all) {
		return 0, fmt.Errorf("the counter is %d, not %d", got, all)
	}
	return float64(all) / took.Seconds(), nil
}

// bareMutex is 0 when it is free, 1 when it is held, and 2 when somebody may wait for it.
type bareMutex struct{ word *atomic.Uint32 }

func (m bareMutex) lock() {
	if m.word.CompareAndSwap(0, 1) {
		return
	}
	for m.word.Swap(2) != 0 {
		_ = sys.FutexWait(m.word, 2, time.Second)
	}
}

func (m bareMutex) unlock() {
	if m.word.Swap(0) == 2 {
		_, _ = sys.FutexWake(m.word, 1)
	}
}
