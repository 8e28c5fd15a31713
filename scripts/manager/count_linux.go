package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// ledger is an object that counts.
type ledger struct {
	total int
	byRow map[int]int
}

func (l *ledger) Add(_ context.Context, row int) (int, error) {
	l.total++
	l.byRow[row]++
	return l.byRow[row], nil
}

// Sums returns what has been counted.
func (l *ledger) Sums(context.Context, struct{}) (sums, error) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, _ := os.ReadDir("/proc/self/fd")
	return sums{l.total, l.byRow, m.HeapAlloc, len(fds)}, nil
}

type sums struct {
	Total int
	ByRow map[int]int
	Heap  uint64
	Files int
}

var (
	newLedger = manager.Constructor("new", func(context.Context, struct{}) (*ledger, error) { return &ledger{byRow: map[int]int{}}, nil })
	add       = manager.Method("add", (*ledger).Add)
	look      = manager.Method("sums", (*ledger).Sums)
)

type addJob struct {
	Ledger *manager.Object[ledger]
	Row, N int
}

var addRow = xme.Register("addRow", func(ctx context.Context, j addJob) (int, error) {
	for i := range j.N {
		n, err := add.Call(ctx, j.Ledger, j.Row)
		if err == nil && n != i+1 {
			err = fmt.Errorf("call %d counted %d", i+1, n)
		}
		if err != nil {
			return i, err
		}
	}
	return j.N, nil
})

// parted is into how many rows each worker's share is cut.
const parted = 5

func object(ctx context.Context, c config) error {
	var all error
	for _, process := range []bool{false, true} {
		for _, kill := range []bool{false, true} {
			err := countObject(ctx, c, process, kill)
			if err != nil {
				all = errors.Join(all, fmt.Errorf("process %v, kill %v: %w", process, kill, err))
			}
		}
	}
	return all
}

func countObject(ctx context.Context, c config, process, kill bool) error {
	m, err := manager.Open(ctx, manager.Options{Process: process})
	if err != nil {
		return err
	}
	defer m.Close()
	l, err := manager.ShareNew(ctx, m, "ledger", newLedger, struct{}{})
	if err != nil {
		return err
	}
	n := max(c.n/parted, 1)
	jobs := make([]addJob, parted*c.workers)
	for i := range jobs {
		jobs[i] = addJob{l, i, n}
	}
	var lost map[int]bool
	kills, err := withPool(ctx, c, kill, func(pool *xme.Pool) (err error) {
		lost, err = rows(ctx, pool, addRow, jobs)
		return err
	})
	if err != nil {
		return err
	}
	s, err := look.Call(ctx, l, struct{}{})
	if err != nil {
		return err
	}
	sum := 0
	for i := range jobs {
		got := s.ByRow[i]
		sum += got
		if got > n || got != n && !lost[i] {
			err = errors.Join(err, fmt.Errorf("row %d counted %d of %d (lost: %v)", i, got, n, lost[i]))
		}
	}
	if sum != s.Total {
		err = errors.Join(err, fmt.Errorf("the rows have %d, the total is %d", sum, s.Total))
	}
	fmt.Printf("  object, process of its own %v: %d increments, %d kills, %d rows lost of %d\n", process, s.Total, kills, len(lost), len(jobs))
	return err
}

type lockJob struct {
	Lock   *manager.Lock
	Counts *shm.Array[int] // the total, then each row's
	Row, N int
}

var lockRow = xme.Register("lockRow", func(ctx context.Context, j lockJob) (int, error) {
	for range j.N {
		err := j.Lock.Do(ctx, func(died *shm.OwnerDiedError) error {
			c := j.Counts.Slice()
			if died != nil { // who had it may have counted in one place only
				c[0] = total(c[1:])
			}
			c[1+j.Row]++
			c[0]++
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return j.N, nil
})

func total(c []int) (sum int) {
	for _, n := range c {
		sum += n
	}
	return sum
}

func locks(ctx context.Context, c config) error {
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	var all error
	for _, kind := range []manager.Kind{manager.Mutex, manager.Spin, manager.Authorisation} {
		for _, kill := range []bool{false, true} {
			if err := countLocked(ctx, c, m, kind, kill); err != nil {
				all = errors.Join(all, fmt.Errorf("%v, kill %v: %w", kind, kill, err))
			}
		}
	}
	return all
}

func countLocked(ctx context.Context, c config, m *manager.Manager, kind manager.Kind, kill bool) error {
	l, err := m.NewLock(ctx, manager.LockOptions{Kind: kind})
	if err != nil {
		return err
	}
	defer l.Close()
	n := max(c.n/parted, 1)
	jobs := make([]lockJob, parted*c.workers)
	counts, err := shm.NewArray[int](1 + len(jobs))
	if err != nil {
		return err
	}
	defer counts.Close()
	var ops []manager.Operator
	for i := range jobs {
		op, err := m.NewOperator(ctx)
		if err != nil {
			return err
		}
		ops = append(ops, op)
		jobs[i] = lockJob{l.As(op), counts, i, n}
	}
	if err := l.Authorize(ctx, ops...); err != nil {
		return err
	}
	var lost map[int]bool
	kills, err := withPool(ctx, c, kill, func(pool *xme.Pool) (err error) {
		lost, err = rows(ctx, pool, lockRow, jobs)
		return err
	})
	if err != nil {
		return err
	}
	err = l.Acquire(ctx)
	s := counts.Slice()
	if errors.Is(err, shm.ErrOwnerDied) {
		s[0], err = total(s[1:]), nil
	}
	if err = errors.Join(err, l.Release(ctx)); err != nil {
		return err
	}
	for i := range jobs {
		if got := s[1+i]; got > n || got != n && !lost[i] {
			err = errors.Join(err, fmt.Errorf("row %d counted %d of %d (lost: %v)", i, got, n, lost[i]))
		}
	}
	if sum := total(s[1:]); sum != s[0] {
		err = errors.Join(err, fmt.Errorf("the rows have %d, the total is %d", sum, s[0]))
	}
	fmt.Printf("  %-13v %d increments, %d kills, %d rows lost of %d\n", kind, s[0], kills, len(lost), len(jobs))
	return err
}

// calls makes a million calls and looks at what is in use before and after.
func calls(ctx context.Context, c config) error {
	m, err := manager.Open(ctx, manager.Options{Process: true})
	if err != nil {
		return err
	}
	defer m.Close()
	l, err := manager.ShareNew(ctx, m, "", newLedger, struct{}{})
	if err != nil {
		return err
	}
	var before, after, there, thereAfter sums
	n := 10 * c.n
	for _, round := range []struct {
		n           int
		here, there *sums
	}{{n / 10, &before, &there}, {n, &after, &thereAfter}} {
		for range round.n {
			if _, err := add.Call(ctx, l, 0); err != nil {
				return err
			}
		}
		*round.here, _ = (&ledger{}).Sums(ctx, struct{}{})
		if *round.there, err = look.Call(ctx, l, struct{}{}); err != nil {
			return err
		}
	}
	fmt.Printf("  %d calls: heap %d -> %d bytes here, %d -> %d there; %d -> %d and %d -> %d descriptors\n",
		n, before.Heap, after.Heap, there.Heap, thereAfter.Heap, before.Files, after.Files, there.Files, thereAfter.Files)
	const slack, files = 1 << 20, 20 // of a spare process that came up meanwhile
	if after.Heap > before.Heap+slack || thereAfter.Heap > there.Heap+slack || after.Files > before.Files+files || thereAfter.Files > there.Files+files {
		return errors.New("it grew")
	}
	return nil
}
