package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// maxRows bounds the rows of a run while workers are killed.
const maxRows = 1 << 14

// appendJob has a row append n calls. It writes down, each two words, how many it has begun to append, and how many were accepted.
type appendJob struct {
	M      *manager.Manager
	Tally  *manager.Object[tally]
	Record *shm.Array[int64]
	Row, N int
	Seed   uint64
	End    int64 // it does nothing if it comes later; 0: never
}

var appendRow = xme.Register("append", func(ctx context.Context, j appendJob) (int, error) {
	if j.End != 0 && time.Now().UnixNano() > j.End {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, longFor(j.N))
	defer cancel()
	guarded(ctx, j.M)
	rng := rand.New(rand.NewPCG(j.Seed, uint64(j.Row)))
	words := j.Record.Slice()[2*j.Row:][:2]
	for i := range j.N {
		atomic.StoreInt64(&words[0], int64(i+1))
		f, err := countFor.Append(ctx, j.Tally, j.Row)
		for err != nil && unlucky(ctx, err) {
			f, err = countFor.Append(ctx, j.Tally, j.Row)
		}
		if err != nil {
			return i, err
		}
		atomic.StoreInt64(&words[1], int64(i+1))
		if rng.IntN(1000) > 0 && (i+1 < j.N || j.Row%2 == 0) {
			continue
		}
		if n, err := f.Wait(ctx); err != nil || n != i+1 {
			return i, fmt.Errorf("call %d of the row was counted as its number %d: %w", i+1, n, err)
		}
	}
	return j.N, nil
})

// appends has workers append while the guard is killed, and then while they are too.
func appends(ctx context.Context, s *soak, pool *xme.Pool, m *manager.Manager, d time.Duration) error {
	err := s.append(ctx, nil, pool, m, func(j appendJob, yield func(appendJob) bool) {
		for j.Row = range workers {
			if j.N = s.n; !yield(j) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return s.append(ctx, pool, pool, m, func(j appendJob, yield func(appendJob) bool) {
		end := time.Now().Add(d)
		j.N, j.End = min(s.n, 2000), end.UnixNano()
		for j.Row = 0; j.Row < maxRows && time.Now().Before(end) && yield(j); j.Row++ {
		}
	})
}

// append runs a table of jobs while the guard is killed, and the workers of victims if there are any.
func (s *soak) append(ctx context.Context, victims, pool *xme.Pool, m *manager.Manager, jobs func(j appendJob, yield func(appendJob) bool)) error {
	return withArray(2*maxRows, func(record *shm.Array[int64]) error {
		return withArray(boardSize(0), func(b board) error {
			o, err := manager.ShareNew(ctx, m, "", newTally, struct{}{})
			if err != nil {
				return err
			}
			var table xme.Table
			each := 0
			rows := appendRow.Add(&table, func(yield func(appendJob) bool) {
				jobs(appendJob{M: m, Tally: o, Record: record, Seed: s.seed}, func(j appendJob) bool {
					each = j.N
					return yield(j)
				})
			})
			ended, err := s.guard(ctx, &table, m, b, 0)
			if err != nil {
				return err
			}
			stop, begin := s.monkey(b, victims), time.Now()
			_ = table.Run(ctx, pool) // what failed, the rows say
			k, took := stop(), time.Since(begin)
			ended()
			s.quiet(ctx, m)
			t, err := sumsOf.Call(ctx, o, struct{}{})
			if err != nil {
				return err
			}
			s.lookAppended(rows, record, t, each, k, took, atomic.LoadInt64(&b.Slice()[boardStarts]))
			<-time.After(50 * time.Millisecond)
			if again, err := sumsOf.Call(ctx, o, struct{}{}); err != nil || again.Total != t.Total {
				s.wrong("%d, and later %d: a call came late (%v)", t.Total, again.Total, err)
			}
			return o.Release(ctx)
		})
	})
}

// lookAppended compares what was counted with what was appended.
func (s *soak) lookAppended(rows *xme.Rows[int], record *shm.Array[int64], t tally, each int, k kills, took time.Duration, starts int64) {
	row, late, lost, unknown, ofThem, sum, accepted := 0, 0, 0, 0, 0, 0, 0
	for returned, err := range rows.All() {
		tried, known, n := int(record.Slice()[2*row]), int(record.Slice()[2*row+1]), t.Rows[row]
		sum += n
		accepted += known
		switch {
		case err == nil && (returned != each && returned != 0 || returned != n):
			s.wrong("row %d returned %d of %d: %d counted", row, returned, each, n)
		case err == nil && returned == 0:
			late++
		case err == nil:
		case s.lost(row, err):
			lost++
			unknown += tried - known
			ofThem += n - known
			if n < known || n > tried {
				s.wrong("row %d: %d counted; %d were accepted, of %d", row, n, known, tried)
			}
		}
		row++
	}
	if lost > k.workers {
		s.wrong("%d rows were lost, and %d workers killed", lost, k.workers)
	}
	if sum != t.Total {
		s.wrong("the rows have %d, all have %d", sum, t.Total)
	}
	s.say("%d guards and %d workers killed, %d guards began: %d rows, %d of them lost; %d counted, %d accepted, %d not known, of which %d were counted; in %v",
		k.guards, k.workers, starts, row-late, lost, t.Total, accepted, unknown, ofThem, took.Round(time.Millisecond))
}
