package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// ticksJob has a row queue a function for each of its cells.
type ticksJob struct {
	M        *manager.Manager
	Board    board
	From, To int
	Seed     uint64
	Deadly   int   // one in so many kills the guard's process; 0: none
	End      int64 // it does nothing if it comes later; 0: never
}

var ticksRow = xme.Register("ticks", func(ctx context.Context, j ticksJob) (int, error) { return j.run(ctx) })

// mostOpen is how many futures a row waits for.
const mostOpen = 64

func (j *ticksJob) run(ctx context.Context) (int, error) {
	if j.End != 0 && time.Now().UnixNano() > j.End {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, longFor(j.To-j.From))
	defer cancel()
	guarded(ctx, j.M)
	rng := rand.New(rand.NewPCG(j.Seed, uint64(j.From)))
	open := make(chan func() error, mostOpen)
	over := make(chan error, 1)
	go func() {
		var err error
		for wait := range open {
			err = errors.Join(err, wait())
		}
		over <- err
	}()
	for cell := j.From; cell < j.To; cell++ {
		in := tickCall{Cell: cell}
		if j.Deadly > 0 && rng.IntN(j.Deadly) == 0 {
			in.Dies = 1 - 2*rng.IntN(2)
		}
		atomic.StoreInt64(outcome(j.Board, cell), begun)
		f := tick.Go(ctx, j.M.Queue(), in)
		open <- func() error {
			for {
				n, err := f.Wait(ctx)
				if err != nil && unlucky(ctx, err) {
					f = tick.Go(ctx, j.M.Queue(), in)
					continue
				}
				return note(j.Board, cell, n, err)
			}
		}
	}
	close(open)
	return j.To - j.From, <-over
}

// note writes down what became of a cell.
func note(b board, cell int, n int64, err error) error {
	switch {
	case err == nil && n == 1:
		atomic.StoreInt64(outcome(b, cell), succeeded)
	case err == nil:
		return fmt.Errorf("the function of cell %d was its number %d", cell, n)
	case errors.Is(err, manager.ErrGuardLost):
		atomic.StoreInt64(outcome(b, cell), guardLost)
	case errors.Is(err, manager.ErrGuardStopped):
		atomic.StoreInt64(outcome(b, cell), refused)
	default:
		return fmt.Errorf("cell %d: %w", cell, err)
	}
	return nil
}

// functions has workers and the driver queue functions while the guard is killed, and then while the workers are too.
func functions(ctx context.Context, s *soak, pool *xme.Pool, m *manager.Manager, d time.Duration) error {
	each := max(1, s.n/100)
	err := s.ticks(ctx, nil, pool, m, (workers+1)*each, func(j ticksJob, yield func(ticksJob) bool) {
		for row := range workers {
			if j.From, j.To = row*each, (row+1)*each; !yield(j) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	const most = 1 << 16
	each = min(each, 100)
	return s.ticks(ctx, pool, pool, m, most+each, func(j ticksJob, yield func(ticksJob) bool) {
		end := time.Now().Add(d)
		for j.End = end.UnixNano(); j.To+each <= most && time.Now().Before(end); {
			if j.From, j.To = j.To, j.To+each; !yield(j) {
				return
			}
		}
	})
}

// ticks runs a table of jobs that have cells, the last ones of which are the driver's.
func (s *soak) ticks(ctx context.Context, victims, pool *xme.Pool, m *manager.Manager, cells int, jobs func(j ticksJob, yield func(ticksJob) bool)) error {
	return withArray(boardSize(cells), func(b board) error {
		all := ticksJob{M: m, Board: b, Seed: s.seed, Deadly: 500}
		own := all
		own.From, own.To = cells-max(1, min(s.n/100, 100)), cells
		var table xme.Table
		reading := make(chan struct{})
		rows := ticksRow.Add(&table, func(yield func(ticksJob) bool) {
			close(reading)
			jobs(all, yield)
		})
		ended, err := s.guard(ctx, &table, m, b, 0)
		if err != nil {
			return err
		}
		stop, began := s.monkey(b, victims), time.Now()
		mine := make(chan error, 1)
		go func() {
			<-reading
			_, err := own.run(ctx)
			mine <- err
		}()
		_ = table.Run(ctx, pool) // what failed, the rows say
		k, took := stop(), time.Since(began)
		ended()
		if err := <-mine; err != nil {
			s.wrong("the driver: %v", err)
		}
		row, lost := 0, 0
		for _, err := range rows.All() {
			if err != nil && s.lost(row, err) {
				lost++
			}
			row++
		}
		if lost > k.workers {
			s.wrong("%d rows were lost, and %d workers killed", lost, k.workers)
		}
		s.quiet(ctx, m)
		var was [refused + 1]int
		ran := 0
		for cell := range cells {
			n, o := *runs(b, cell), *outcome(b, cell)
			was[o]++
			ran += int(n)
			if n > 1 || o == succeeded && n != 1 || (o == refused || o == notBegun) && n != 0 || o == begun && victims == nil {
				s.wrong("cell %d has run %d times, its outcome is %d", cell, n, o)
			}
		}
		if was[succeeded] == 0 {
			s.wrong("no function has succeeded, of %d", cells)
		}
		if most := int(b.Slice()[boardStarts]); victims == nil && was[guardLost] > most {
			s.wrong("%d functions were lost with a guard, of which %d began", was[guardLost], most)
		}
		s.say("%d guards and %d workers killed, %d guards began: %d rows, %d of them lost; %d functions ran, %d succeeded, %d were lost with a guard, %d refused, %d not known; in %v",
			k.guards, k.workers, b.Slice()[boardStarts], row, lost, ran, was[succeeded], was[guardLost], was[refused], was[begun], took.Round(time.Millisecond))
		return nil
	})
}
