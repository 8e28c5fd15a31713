package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

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

// countJob has a row count n times. It writes down, each two words, how many calls it has begun, and how many have returned.
type countJob struct {
	Tally  *manager.Object[tally]
	Record *shm.Array[int64]
	Row, N int
	End    int64 // it does nothing if it comes later
}

var countRow = xme.Register("count", func(ctx context.Context, j countJob) (int, error) {
	if over(j.End) {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, longFor(j.N))
	defer cancel()
	begun, done := &j.Record.Slice()[2*j.Row], &j.Record.Slice()[2*j.Row+1]
	for i := 0; i < j.N; {
		step := 1
		if j.Row%4 == 3 { // several in one message
			step = min(10, j.N-i)
		}
		atomic.StoreInt64(begun, int64(i+step))
		got, err := []int{0}, error(nil)
		if step == 1 {
			got[0], err = countFor.Call(ctx, j.Tally, j.Row)
		} else {
			got, err = countFor.Each(ctx, j.Tally, slices.Repeat([]int{j.Row}, step))
		}
		if err != nil {
			return i, err
		}
		for k, n := range got {
			if n != i+k+1 {
				return i, fmt.Errorf("call %d of the row was counted as its number %d", i+k+1, n)
			}
		}
		i += step
		atomic.StoreInt64(done, int64(i))
	}
	return j.N, nil
})

// objects has workers count by an object.
func objects(ctx context.Context, s *soak, d time.Duration) error {
	return withPool(ctx, func(pool *xme.Pool) error {
		for _, f := range forms {
			err := withManager(ctx, f.o, func(m *manager.Manager) error {
				if err := s.countAll(ctx, pool, m, f.name); err != nil {
					return err
				}
				return s.countKilled(ctx, pool, m, f.name, d)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// countAll counts undisturbed.
func (s *soak) countAll(ctx context.Context, pool *xme.Pool, m *manager.Manager, where string) error {
	return withArray(2*workers, func(record *shm.Array[int64]) error {
		o, err := manager.ShareNew(ctx, m, "undisturbed", newTally, struct{}{})
		if err != nil {
			return err
		}
		begin := time.Now()
		onEach(ctx, s, countRow, pool, func(row int) countJob { return countJob{o, record, row, s.n, 0} })
		took := time.Since(begin)
		t, err := sumsOf.Call(ctx, o, struct{}{})
		if err != nil {
			return err
		}
		if t.Total != workers*s.n {
			s.wrong("%s: %d counted of %d", where, t.Total, workers*s.n)
		}
		for row, n := range t.Rows {
			if n != s.n {
				s.wrong("%s: %d counted of %d of worker %d", where, n, s.n, row+1)
			}
		}
		s.say("%s, undisturbed: %d counted of %d, in %v", where, t.Total, workers*s.n, took.Round(time.Millisecond))
		return o.Release(ctx)
	})
}

// countKilled counts while workers are killed.
func (s *soak) countKilled(ctx context.Context, pool *xme.Pool, m *manager.Manager, where string, d time.Duration) error {
	return withArray(2*maxRows, func(record *shm.Array[int64]) error {
		o, err := manager.ShareNew(ctx, m, "disturbed", newTally, struct{}{})
		if err != nil {
			return err
		}
		each := min(s.n, 2000)
		e := disturbed(ctx, s, countRow, pool, d, each, func(row int, end int64) countJob { return countJob{o, record, row, each, end} })
		if e.lost > e.kills {
			s.wrong("%s: %d rows were lost, by %d kills", where, e.lost, e.kills)
		}
		t, err := sumsOf.Call(ctx, o, struct{}{})
		if err != nil {
			return err
		}
		sum, ofLost := 0, 0
		for row, n := range t.Rows {
			sum += n
			if row >= e.rows {
				s.wrong("%s: %d counted of row %d, of %d", where, n, row, e.rows)
			}
		}
		for row, returned := range e.counted {
			n, begun, done := t.Rows[row], int(record.Slice()[2*row]), int(record.Slice()[2*row+1])
			switch {
			case returned >= 0 && n != returned:
				s.wrong("%s: row %d returned %d: %d counted", where, row, returned, n)
			case n < done || n > begun || n > each:
				s.wrong("%s: row %d: %d counted; it had begun %d and knew of %d", where, row, n, begun, done)
			}
			if returned < 0 {
				ofLost += n
			}
		}
		if sum != t.Total {
			s.wrong("%s: the rows have %d, all have %d", where, sum, t.Total)
		}
		<-time.After(50 * time.Millisecond)
		if again, err := sumsOf.Call(ctx, o, struct{}{}); err != nil || again.Total != t.Total {
			s.wrong("%s: %d, and later %d: a call of the dead came late (%v)", where, t.Total, again.Total, err)
		}
		s.say("%s, %d kills: %d rows, %d of them lost, with %d of the %d counted", where, e.kills, e.rows-e.late, e.lost, ofLost, t.Total)
		return o.Release(ctx)
	})
}
