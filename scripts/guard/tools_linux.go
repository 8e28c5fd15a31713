package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/scripts/procs"
	"github.com/xenonmp/xme/shm"
)

// patience is how long a single wait may last.
const patience = time.Minute

// longFor is how long n appends of a worker may last: so long only where there are far too few CPUs for what runs.
func longFor(n int) time.Duration { return patience + time.Duration(n)*20*time.Millisecond }

// withArray makes an array for f.
func withArray[T any](n int, f func(*shm.Array[T]) error) error {
	a, err := shm.NewArray[T](n)
	if err != nil {
		return err
	}
	return errors.Join(f(a), a.Close())
}

// tally is an object that counts, in all and by row.
type tally struct {
	Total int
	Rows  map[int]int
}

// Count counts for a row, whose count it returns.
func (t *tally) Count(_ context.Context, row int) (int, error) {
	t.Total++
	t.Rows[row]++
	return t.Rows[row], nil
}

// Sums returns all counts.
func (t *tally) Sums(context.Context, struct{}) (tally, error) {
	return tally{t.Total, maps.Clone(t.Rows)}, nil
}

var (
	newTally = manager.Constructor("new", func(context.Context, struct{}) (*tally, error) { return &tally{Rows: map[int]int{}}, nil })
	countFor = manager.Method("count", (*tally).Count)
	sumsOf   = manager.Method("sums", (*tally).Sums)
)

// board is what all processes see: whose process the guard's is and how often one began, and the cells of queued functions, two words each.
type board = *shm.Array[int64]

const (
	boardPID = iota
	boardStarts
	boardCells
)

// boardSize is how long a board with so many cells is.
func boardSize(cells int) int { return boardCells + 2*cells }

// runs is how often the function of a cell has run.
func runs(b board, cell int) *int64 { return &b.Slice()[boardCells+2*cell] }

// outcome is what became of it, as who appended it knows.
func outcome(b board, cell int) *int64 { return &b.Slice()[boardCells+2*cell+1] }

// The outcomes of a cell.
const (
	notBegun  = iota
	begun     // it was appended, or is about to be
	succeeded // its future has its result
	guardLost // its future has ErrGuardLost
	refused   // it was not accepted
)

const boardKey = "board"

// onBoard is the board of the guard's process.
var onBoard atomic.Pointer[shm.Array[int64]]

const startName = "start the guard"

var _ = xme.Register(startName, func(ctx context.Context, m *manager.Manager) (struct{}, error) {
	b, err := manager.Get[board](ctx, m, boardKey)
	if err != nil {
		return struct{}{}, err
	}
	atomic.StoreInt64(&b.Slice()[boardPID], int64(os.Getpid()))
	atomic.AddInt64(&b.Slice()[boardStarts], 1)
	if old := onBoard.Swap(b); old != nil {
		return struct{}{}, old.Close()
	}
	return struct{}{}, nil
})

// tick counts in a cell, and in some of them dies before or after.
var tick = xme.Register("tick", func(_ context.Context, in tickCall) (int64, error) {
	die := func() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until it arrives
	}
	if in.Dies < 0 {
		die()
	}
	n := atomic.AddInt64(runs(onBoard.Load(), in.Cell), 1)
	if in.Dies > 0 {
		die()
	}
	return n, nil
})

type tickCall struct{ Cell, Dies int }

// guard adds a guard to a table. What it returns says, once that has run, what is wrong with how the guard ended.
func (s *soak) guard(ctx context.Context, table *xme.Table, m *manager.Manager, b board, idle time.Duration) (ended func(), err error) {
	b.Slice()[boardPID], b.Slice()[boardStarts] = 0, 0
	if err := manager.Set(ctx, m, boardKey, b); err != nil {
		return nil, err
	}
	o := manager.GuardOptions{Idle: idle, Verbose: -1, Start: startName}
	rows := manager.Guard.Add(table, xme.Repeat(1, manager.GuardCall{Manager: m, Options: o}))
	return func() {
		if _, err := rows.Values(); err != nil && !procs.Struck(err) {
			s.wrong("the guard ended with: %v", err)
		}
	}, nil
}

// killGuard kills the guard's process, if there is one.
func killGuard(b board) bool {
	return procs.Kill(int(atomic.LoadInt64(&b.Slice()[boardPID])))
}

// kills is how many processes were killed.
type kills struct{ guards, workers int }

// monkey kills the guard, and workers if there is a pool, at random, until what it returns is called.
func (s *soak) monkey(b board, pool *xme.Pool) (stop func() kills) {
	rng := rand.New(rand.NewPCG(s.seed, 2))
	end, done := make(chan struct{}), make(chan kills)
	go func() {
		var k kills
		for {
			select {
			case <-end:
				done <- k
				return
			case <-time.After(time.Duration(rng.Int64N(int64(2 * s.every)))):
			}
			if pool != nil && rng.IntN(2) == 0 {
				all := pool.Workers()
				if procs.Kill(all[rng.IntN(len(all))].PID) {
					k.workers++
				}
			} else if killGuard(b) {
				k.guards++
			}
		}
	}()
	return func() kills {
		close(end)
		return <-done
	}
}

// quiet says what is wrong with a queue that nobody uses any more.
func (s *soak) quiet(ctx context.Context, m *manager.Manager) {
	q, err := m.Queue().State(ctx)
	if err != nil || q.Len != 0 || q.Waiting != 0 || q.Guarded || q.Running != "" {
		s.wrong("afterwards the queue is %+v (%v)", q, err)
	}
}

// guarded waits a while until a guard runs: the one before may have been stopped, and until the next begins nothing is accepted.
func guarded(ctx context.Context, m *manager.Manager) {
	for range 500 {
		if s, err := m.Queue().State(ctx); err != nil || s.Guarded {
			return
		}
		<-time.After(time.Millisecond)
	}
}

// unlucky waits before an append is tried again that was refused: while no guard's process has begun the queue may be full.
func unlucky(ctx context.Context, err error) bool {
	if !errors.Is(err, manager.ErrFull) {
		return false
	}
	select {
	case <-time.After(time.Millisecond):
		return true
	case <-ctx.Done():
		return false
	}
}

// lost reports whether a row's error is that its worker was killed, and calls any other one wrong.
func (s *soak) lost(row int, err error) bool {
	if procs.Struck(err) {
		return true
	}
	s.wrong("row %d: %v", row, err)
	return false
}

func stop(ctx context.Context, m *manager.Manager) error {
	if err := m.Queue().Stop(ctx); err != nil {
		return fmt.Errorf("stop the guard: %w", err)
	}
	return nil
}
