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
	parts
)

var partNames = [parts]string{"mutex"}

// yard is all that is shared.
type yard struct {
	Mutexes [4]*shm.Mutex
	Cells   *shm.Array[uint64] // guarded: a line for each lock
	Done    *shm.Array[uint64] // atomic: a line for each part
	Told    *shm.Value[uint64]
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
}

func openYard() (y *yard, err error) {
	y = &yard{}
	for i := range y.Mutexes {
		if y.Mutexes[i], err = shm.NewMutex(); err != nil {
			return nil, err
		}
		y.Mutexes[i].SetName(fmt.Sprint("number ", i))
	}
	if y.Cells, err = shm.NewArray[uint64](perLine * len(y.Mutexes)); err != nil {
		return nil, err
	}
	if y.Done, err = shm.NewArray[uint64](perLine * parts); err != nil {
		return nil, err
	}
	if y.Told, err = shm.NewValue[uint64](0); err != nil {
		return nil, err
	}
	y.Grants, err = shm.NewQueue[int64](1 << 16)
	for i := range y.Mutexes {
		y.Cells.Slice()[perLine*i+cellA] = whole
	}
	return y, err
}

func (y *yard) close() {
	for _, m := range y.Mutexes {
		_ = m.Close()
	}
	_ = y.Cells.Close()
	_ = y.Done.Close()
	_ = y.Told.Close()
	_ = y.Grants.Close()
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
	i := rng.IntN(len(j.Yard.Mutexes))
	if err := j.move(ctx, i, rng); err != nil {
		return err
	}
	atomic.AddUint64(&j.Yard.Done.Slice()[perLine*partMutex], 1)
	return nil
}

// move moves something from A to B of a line, or back, under its mutex.
func (j *job) move(ctx context.Context, i int, rng *rand.Rand) error {
	m, cell := j.Yard.Mutexes[i], j.Yard.Cells.Slice()[perLine*i:][:perLine:perLine]
	err := m.Lock(ctx)
	told := errors.Is(err, shm.ErrOwnerDied)
	if err != nil && !told {
		return fmt.Errorf("%v waited: %w", j.Late, err)
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
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until it arrives
	case 1, 2, 3, 4, 5:
		<-time.After(time.Duration(rng.IntN(300)) * time.Microsecond)
	}
	cell[cellB] += by
	if cell[cellInside] != me {
		return fmt.Errorf("%v: %d came in", m, cell[cellInside])
	}
	cell[cellInside] = 0
	if err := m.Unlock(); err != nil {
		return err
	}
	return nil
}

// look reads what was counted, and looks at what must be so in the end.
func (y *yard) look(n *counts, out io.Writer) error {
	wrong := func(format string, args ...any) {
		n.violations++
		fmt.Fprintf(out, "violation: "+format+"\n", args...)
	}
	for i, m := range y.Mutexes {
		if h, ok := m.Holder(); ok {
			wrong("%v is held by %v", m, h)
		}
		err := m.Lock(context.Background())
		if cell := y.Cells.Slice()[perLine*i:]; err == nil && cell[cellA]+cell[cellB] != whole {
			wrong("%v: %d + %d are not %d", m, cell[cellA], cell[cellB], whole)
		}
		if err != nil && !errors.Is(err, shm.ErrOwnerDied) {
			return err
		}
	}
	for i := range n.done {
		n.done[i] = y.Done.Slice()[perLine*i]
	}
	n.told = y.Told.Load()
	for {
		ns, ok, err := y.Grants.TryGet()
		if err != nil || !ok {
			return err
		}
		n.grants = append(n.grants, time.Duration(ns))
	}
}
