package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// What is done, each with locks of its own.
const (
	partMutex = iota
	partRWMutex
	partSemaphore
	partCond
	partEvent
	partBarrier
	parts
)

var partNames = [parts]string{"mutex", "rwmutex", "semaphore", "cond", "event", "barrier"}

// doing is which part comes how often, of all.
var doing = [...]int{
	partMutex, partMutex, partMutex, partMutex, partMutex, partMutex, partMutex, partMutex, partMutex, partMutex,
	partRWMutex, partRWMutex, partRWMutex, partRWMutex, partSemaphore, partSemaphore, partSemaphore, partCond, partEvent, partBarrier,
}

// yard is all that is shared.
type yard struct {
	Mutexes [4]*shm.Mutex
	RW      [2]*shm.RWMutex
	Cells   *shm.Array[uint64] // guarded: a line for each lock
	Sem     *shm.Semaphore
	Slots   *shm.Array[uint64] // a line for each permit: which process uses it
	Full    *shm.Cond
	Empty   *shm.Cond
	Level   *shm.Array[int64] // guarded by theirs
	Pulse   *shm.Event
	Barrier *shm.Barrier
	Done    *shm.Array[uint64] // atomic: a line for each part
	Told    *shm.Value[uint64]
	Own     *shm.Value[uint64] // how many processes killed themselves
	Grants  *shm.Queue[int64]
}

// A line of Cells.
const (
	cellA      = iota // A + B is whole
	cellB             //
	cellInside        // who is inside; 0: nobody
	cellKilled        // when its holder killed itself, ns; 0: it did not
	perLine    = 8
	whole      = 1000
)

// job is a row of work.
type job struct {
	Yard yard
	Seed uint64
	Late time.Duration
	End  int64 // when it is over, ns: rows are sent ahead
}

// open makes all of it. What was made before an error is left to the end of the program.
func (y *yard) open() (err error) {
	array := func(n int) *shm.Array[uint64] {
		a, e := shm.NewArray[uint64](n)
		err = errors.Join(err, e)
		return a
	}
	for i := range y.Mutexes {
		m, e := shm.NewMutex()
		if err = errors.Join(err, e); err == nil {
			m.SetName(fmt.Sprint("number ", i))
		}
		y.Mutexes[i] = m
	}
	for i := range y.RW {
		m, e := shm.NewRWMutex()
		if err = errors.Join(err, e); err == nil {
			m.SetName(fmt.Sprint("number ", i))
		}
		y.RW[i] = m
	}
	y.Cells, y.Done, y.Slots = array(perLine*(len(y.Mutexes)+len(y.RW))), array(perLine*parts), array(perLine*permits)
	var errs [9]error
	y.Told, errs[0] = shm.NewValue[uint64](0)
	y.Grants, errs[1] = shm.NewQueue[int64](1 << 16)
	y.Sem, errs[2] = shm.NewSemaphore(permits)
	y.Level, errs[3] = shm.NewArray[int64](1)
	y.Pulse, errs[4] = shm.NewEvent()
	y.Barrier, errs[5] = shm.NewBarrier(2)
	y.Own, errs[8] = shm.NewValue[uint64](0)
	m, e := shm.NewMutex()
	if err = errors.Join(err, e); err == nil {
		y.Full, errs[6] = shm.NewCond(m)
		y.Empty, errs[7] = shm.NewCond(m)
	}
	if err = errors.Join(append(errs[:], err)...); err == nil {
		for i := 0; i < y.Cells.Len(); i += perLine {
			y.Cells.Slice()[i+cellA] = whole
		}
	}
	return err
}

func (y *yard) close() {
	for _, m := range y.Mutexes {
		_ = m.Close()
	}
	for _, m := range y.RW {
		_ = m.Close()
	}
	for _, c := range []io.Closer{y.Cells, y.Done, y.Told, y.Own, y.Grants, y.Sem, y.Slots, y.Full.L, y.Full, y.Empty, y.Level, y.Pulse, y.Barrier} {
		_ = c.Close()
	}
}

// work does what is to be done with several goroutines, and now and then kills its process while it holds a lock.
var work = xme.Register("work", func(ctx context.Context, j job) (int, error) {
	const goroutines, rounds = 3, 400
	errs := make([]error, goroutines)
	var all sync.WaitGroup
	for g := range goroutines {
		rng := rand.New(rand.NewPCG(j.Seed, uint64(g)))
		all.Go(func() {
			for range rounds {
				if time.Now().UnixNano() > j.End {
					return
				}
				if errs[g] = j.step(ctx, rng); errs[g] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return goroutines * rounds, errors.Join(errs...)
})

// step does one thing.
func (j *job) step(ctx context.Context, rng *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, j.Late)
	defer cancel()
	part := doing[rng.IntN(len(doing))]
	var err error
	switch part {
	case partMutex:
		i := rng.IntN(len(j.Yard.Mutexes))
		err = j.move(ctx, j.Yard.Mutexes[i], i, rng)
	case partRWMutex:
		i := rng.IntN(len(j.Yard.RW))
		if rng.IntN(4) == 0 {
			err = j.move(ctx, j.Yard.RW[i], len(j.Yard.Mutexes)+i, rng)
		} else {
			err = j.read(ctx, j.Yard.RW[i], len(j.Yard.Mutexes)+i, rng)
		}
	case partSemaphore:
		err = j.use(ctx, rng)
	case partCond:
		err = j.take(ctx)
	case partEvent:
		err = j.Yard.Pulse.Wait(ctx)
	case partBarrier:
		err = j.meet(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s, within %v: %w", partNames[part], j.Late, err)
	}
	atomic.AddUint64(&j.Yard.Done.Slice()[perLine*part], 1)
	return nil
}

// die kills this process.
func (j *job) die() {
	shm.Add(j.Yard.Own, 1)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until it arrives
}

// locker is a mutex, or the write side of a lock.
type locker interface {
	Lock(ctx context.Context) error
	Unlock() error
	String() string
}

func (y *yard) line(i int) []uint64 { return y.Cells.Slice()[perLine*i:][:perLine:perLine] }

// move moves something from A to B of a line, or back, under its lock.
func (j *job) move(ctx context.Context, m locker, i int, rng *rand.Rand) error {
	cell := j.Yard.line(i)
	err := m.Lock(ctx)
	told := errors.Is(err, shm.ErrOwnerDied)
	if err != nil && !told {
		return err
	}
	if told {
		shm.Add(j.Yard.Told, 1)
		if at := cell[cellKilled]; at != 0 {
			_, _ = j.Yard.Grants.TryPut(time.Now().UnixNano() - int64(at))
		}
		cell[cellB], cell[cellInside], cell[cellKilled] = whole-cell[cellA], 0, 0
	}
	if was := cell[cellInside]; was != 0 || cell[cellA]+cell[cellB] != whole {
		return fmt.Errorf("%v: %d is inside too, and %d + %d are not %d; nobody was told of a death", m, was, cell[cellA], cell[cellB], whole)
	}
	me := uint64(os.Getpid())<<32 | uint64(rng.Uint32()|1)
	cell[cellInside] = me
	by := rng.Uint64N(10)
	cell[cellA] -= by
	switch rng.IntN(3000) {
	case 0:
		cell[cellKilled] = uint64(time.Now().UnixNano())
		j.die()
	case 1, 2, 3, 4, 5:
		<-time.After(time.Duration(rng.IntN(300)) * time.Microsecond)
	}
	cell[cellB] += by
	if cell[cellInside] != me {
		return fmt.Errorf("%v: %d came in", m, cell[cellInside])
	}
	cell[cellInside] = 0
	return m.Unlock()
}

// look reads what was counted, and looks at what must be so in the end.
func (y *yard) look(n *counts, out io.Writer) error {
	wrong := func(format string, args ...any) {
		n.violations++
		fmt.Fprintf(out, "violation: "+format+"\n", args...)
	}
	var all []locker
	for _, m := range y.Mutexes {
		if h, ok := m.Holder(); ok {
			wrong("%v is held by %v", m, h)
		}
		all = append(all, m)
	}
	for _, m := range y.RW {
		if h := m.Holders(); h != nil {
			wrong("%v is held by %v", m, h)
		}
		all = append(all, m)
	}
	for i, m := range all {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := m.Lock(ctx)
		cancel()
		if cell := y.line(i); err == nil && cell[cellA]+cell[cellB] != whole {
			wrong("%v: %d + %d are not %d", m, cell[cellA], cell[cellB], whole)
		}
		if err != nil && !errors.Is(err, shm.ErrOwnerDied) {
			wrong("in the end: %v", err)
		}
	}
	if total, free := y.Sem.Permits(); total != permits || free != permits {
		wrong("%v: %d of %d permits are free", y.Sem, free, total)
	}
	for i := range n.done {
		n.done[i] = y.Done.Slice()[perLine*i]
	}
	n.told, n.own = y.Told.Load(), int(y.Own.Load())
	if n.lost > n.kills+n.own {
		wrong("%d rows were lost, by %d kills at random and %d by their own hand", n.lost, n.kills, n.own)
	}
	for {
		ns, ok, err := y.Grants.TryGet()
		if err != nil || !ok {
			return err
		}
		n.grants = append(n.grants, time.Duration(ns))
	}
}
