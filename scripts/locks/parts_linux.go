package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/shm"
)

// read looks at a line under its lock. After a death it may find it half-done, if it is told so.
func (j *job) read(ctx context.Context, m *shm.RWMutex, i int, rng *rand.Rand) error {
	cell := j.Yard.line(i)
	err := m.RLock(ctx)
	told := errors.Is(err, shm.ErrOwnerDied)
	if err != nil && !told {
		return err
	}
	a, b, inside := cell[cellA], cell[cellB], cell[cellInside]
	switch rng.IntN(3000) {
	case 0:
		j.die()
	case 1, 2, 3, 4, 5:
		<-time.After(time.Duration(rng.IntN(300)) * time.Microsecond)
	}
	if !told && (inside != 0 || a+b != whole || a != cell[cellA] || b != cell[cellB]) {
		return fmt.Errorf("%v: read %d + %d and then %d + %d, while %d was inside", m, a, b, cell[cellA], cell[cellB], inside)
	}
	return m.RUnlock()
}

// permits is how many permits there are, for as many slots.
const permits = 3

// use gets some permits, and a slot for each, of which there must be enough.
func (j *job) use(ctx context.Context, rng *rand.Rand) error {
	n := 1 + rng.IntN(permits)
	if err := j.Yard.Sem.Acquire(ctx, n); err != nil {
		return err
	}
	var mine []*uint64
	me := uint64(os.Getpid())<<32 | uint64(rng.Uint32())
	for range n {
		slot := j.claim(me)
		if slot == nil {
			return fmt.Errorf("%d permits, and all slots are in use by others that live", n)
		}
		mine = append(mine, slot)
	}
	switch rng.IntN(2000) {
	case 0:
		j.die()
	case 1, 2, 3, 4, 5:
		<-time.After(time.Duration(rng.IntN(300)) * time.Microsecond)
	}
	for _, slot := range mine {
		if !atomic.CompareAndSwapUint64(slot, me, 0) {
			return fmt.Errorf("another took a slot of a process that lives: %#x", atomic.LoadUint64(slot))
		}
	}
	return j.Yard.Sem.Release(n)
}

// claim takes a slot that is free, or whose process is no more.
func (j *job) claim(me uint64) *uint64 {
	for range 1000 {
		for i := range permits {
			slot := &j.Yard.Slots.Slice()[perLine*i]
			was := atomic.LoadUint64(slot)
			if (was == 0 || dead(int(was>>32))) && atomic.CompareAndSwapUint64(slot, was, me) {
				return slot
			}
		}
	}
	return nil
}

// dead reports whether a process is no more, or only waits to be reaped.
func dead(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

// take takes one of what the driver puts.
func (j *job) take(ctx context.Context) error {
	err := j.Yard.Empty.L.Do(ctx, func(*shm.OwnerDiedError) error {
		level := j.Yard.Level.Slice()
		for level[0] == 0 {
			if err := j.Yard.Empty.Wait(ctx); err != nil && !errors.Is(err, shm.ErrOwnerDied) {
				return err
			}
		}
		level[0]--
		return nil
	})
	return errors.Join(err, j.Yard.Full.Signal())
}

// pump puts what others take, a few at most, until ctx ends.
func (y *yard) pump(ctx context.Context, late time.Duration) error {
	for ctx.Err() == nil {
		bound, cancel := context.WithTimeout(ctx, late)
		err := y.Full.L.Do(bound, func(*shm.OwnerDiedError) error {
			level := y.Level.Slice()
			for level[0] == 3 {
				if err := y.Full.Wait(ctx); err != nil && !errors.Is(err, shm.ErrOwnerDied) { // nobody may take for a while
					return err
				}
			}
			if level[0] < 0 || level[0] > 3 {
				return fmt.Errorf("there are %d of 3", level[0])
			}
			level[0]++
			return nil
		})
		cancel()
		if err = errors.Join(err, y.Empty.Signal()); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// pulse sets and clears the event until ctx ends.
func (y *yard) pulse(ctx context.Context) {
	for ctx.Err() == nil {
		_ = y.Pulse.Set()
		<-time.After(50 * time.Microsecond)
		_ = y.Pulse.Clear()
		<-time.After(200 * time.Microsecond)
	}
}

// meet waits at the barrier for another, for a while. Who finds it broken resets it.
func (j *job) meet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	n, err := j.Yard.Barrier.Wait(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, shm.ErrBroken):
		return j.Yard.Barrier.Reset()
	case err == nil && (n < 0 || n > 1):
		return fmt.Errorf("number %d of 2", n)
	}
	return err
}
