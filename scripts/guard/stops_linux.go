package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/scripts/procs"
	"github.com/xenonmp/xme/shm"
)

// How a row of a round ends.
const (
	returnsAtOnce = iota // with its calls pending
	returnsLater         // when they have ended
	stopsGuard           // with a queued stop behind them
	dies
	dyingSorts
)

// roundJob is a row of a round.
type roundJob struct {
	M       *manager.Manager
	Tally   *manager.Object[tally]
	Board   board
	Record  *shm.Array[int64] // two words a row, as an appendJob's
	Row, N  int
	Cells   [2]int // its functions: from, to
	How     int
	Beats   bool
	Pause   time.Duration
	Patient bool // it waits until a guard runs
}

// accepted is what a row's appends came to.
type accepted struct {
	Methods int
	Stopped bool // it was told that the guard is
}

var roundRow = xme.Register("round", func(ctx context.Context, j roundJob) (accepted, error) { return j.run(ctx) })

func (j *roundJob) run(ctx context.Context) (a accepted, err error) {
	ctx, cancel := context.WithTimeout(ctx, roundLimit)
	defer cancel()
	if j.Patient {
		guarded(ctx, j.M)
	}
	if j.Beats {
		h, err := j.M.Heartbeat(ctx, manager.HeartbeatOptions{Every: 5 * time.Millisecond})
		if err != nil {
			return a, err
		}
		defer func() { _ = h.Stop() }()
	}
	words := j.Record.Slice()[2*j.Row:][:2]
	var all []*manager.Future[int]
	var ticks []*xme.Future[int64]
	for i := 0; i < j.N && !a.Stopped; {
		if j.How == dies && i == j.N/2 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until it arrives
		}
		atomic.StoreInt64(&words[0], int64(i+1))
		f, err := countFor.Append(ctx, j.Tally, j.Row)
		switch {
		case err == nil:
			all = append(all, f)
			i++
			atomic.StoreInt64(&words[1], int64(i))
		case errors.Is(err, manager.ErrGuardStopped):
			a.Stopped = true
		case !unlucky(ctx, err):
			return a, err
		}
		if cell := j.Cells[0] + len(ticks); i%8 == 0 && cell < j.Cells[1] {
			atomic.StoreInt64(outcome(j.Board, cell), begun)
			ticks = append(ticks, tick.Go(ctx, j.M.Queue(), tickCall{Cell: cell}))
		}
		if j.Pause > 0 && i%16 == 0 {
			<-time.After(j.Pause)
		}
	}
	a.Methods = len(all)
	if j.How == stopsGuard && !a.Stopped {
		err := j.stop(ctx)
		if a.Stopped = errors.Is(err, manager.ErrGuardStopped); err != nil && !a.Stopped {
			return a, err
		}
	}
	// xme does not promise that a function reaches the queue whose caller's process ends at once.
	for i, f := range ticks {
		n, err := f.Wait(ctx)
		if errors.Is(err, manager.ErrFull) {
			err = manager.ErrGuardStopped // refused too
		}
		if err := note(j.Board, j.Cells[0]+i, n, err); err != nil {
			return a, err
		}
	}
	if j.How == returnsAtOnce {
		return a, nil
	}
	for i, f := range all {
		if n, err := f.Wait(ctx); err != nil || n != i+1 {
			return a, fmt.Errorf("call %d of %d was counted as its number %d: %w", i+1, len(all), n, err)
		}
	}
	return a, nil
}

// stop queues the end of the guard.
func (j *roundJob) stop(ctx context.Context) error {
	for {
		_, err := j.M.Queue().Append(ctx, manager.Builtin{Name: "Table::update", Changes: []manager.Change{manager.Put(manager.GuardKey, manager.GuardState{})}})
		if err == nil || !unlucky(ctx, err) {
			return err
		}
	}
}

// roundLimit is how long a round may take.
const roundLimit = time.Minute

const (
	roundRows  = 12
	roundCells = 16 // of a row
)

// round is how a round goes.
type round struct {
	number  int
	rows    int
	idle    time.Duration
	kills   int             // of the guard's process
	stops   []time.Duration // after which the driver stops the guard
	driver  bool            // the guard is in the driver
	waiting bool            // the driver waits for results
	dying   int             // rows that kill their own process
	jobs    []string
}

// String implements fmt.Stringer.
func (r *round) String() string { return fmt.Sprintf("%+v", *r) }

// stops runs rounds in which guards are stopped in all ways. Its manager is another one, with a small queue.
func stops(ctx context.Context, s *soak, pool *xme.Pool, m *manager.Manager, d time.Duration) error {
	for _, small := range []int{0, 16} {
		o := manager.Options{Queue: small, Process: s.where == forms[1].name}
		few, err := manager.Open(ctx, o)
		if err != nil {
			return err
		}
		err = errors.Join(s.rounds(ctx, pool, few, d/2), few.Close())
		if err != nil {
			return err
		}
	}
	return nil
}

// sums is what became of the calls of rounds.
type sums struct{ rounds, rows, died, methods, ran, lost, refused, stopped, unknown, results, starts, kills int }

func (s *soak) rounds(ctx context.Context, pool *xme.Pool, m *manager.Manager, d time.Duration) error {
	var n sums
	for end := time.Now().Add(d); time.Now().Before(end); n.rounds++ {
		r := &round{
			number: n.rounds, rows: 1 + s.rng.IntN(roundRows), idle: []time.Duration{0, -1, 60 * time.Millisecond}[s.rng.IntN(3)], driver: s.rng.IntN(3) == 0,
			waiting: s.rng.IntN(2) == 0,
		}
		for range s.rng.IntN(3) {
			r.stops = append(r.stops, time.Duration(s.rng.IntN(40))*time.Millisecond)
		}
		if !r.driver && s.rng.IntN(4) == 0 {
			r.kills = 1 + s.rng.IntN(2)
		}
		dog := s.watchdog(roundLimit, r)
		err := s.round(ctx, pool, m, r, &n)
		dog.Stop()
		if err != nil {
			return fmt.Errorf("round %v: %w", r, err)
		}
	}
	s.say("%d rounds, %d guards began, %d of them killed: %d rows, %d of them died, %d were told of a stop; %d calls accepted, %d counted or run; of functions %d were lost with a guard, %d refused, %d not known; %d results fetched",
		n.rounds, n.starts, n.kills, n.rows, n.died, n.stopped, n.methods, n.ran, n.lost, n.refused, n.unknown, n.results)
	return nil
}

// round runs a table with a guard, which is stopped meanwhile.
func (s *soak) round(ctx context.Context, pool *xme.Pool, m *manager.Manager, r *round, n *sums) error {
	return withArray(2*roundRows, func(record *shm.Array[int64]) error {
		return withArray(boardSize(roundRows*roundCells), func(b board) error {
			o, err := manager.ShareNew(ctx, m, "", newTally, struct{}{})
			if err != nil {
				return err
			}
			table := s.roundTable(m, o, b, record, r)
			rows := table.rows
			var all sync.WaitGroup
			ended := make(chan struct{})
			for _, after := range r.stops {
				all.Go(func() {
					<-time.After(after)
					if err := stop(ctx, m); err != nil {
						s.wrong("round %v: %v", r, err)
					}
				})
			}
			rng := rand.New(rand.NewPCG(s.seed, uint64(r.number)))
			killed := 0
			all.Go(func() {
				for range r.kills {
					select {
					case <-ended:
						return
					case <-time.After(time.Duration(rng.IntN(60)) * time.Millisecond):
					}
					if killGuard(b) {
						killed++
					}
				}
			})
			results := 0
			if r.waiting {
				all.Go(func() { results = s.results(ctx, m, r) })
			}
			if err := s.runRound(ctx, pool, m, table, b, r); err != nil {
				return err
			}
			close(ended)
			if err := stop(ctx, m); err != nil {
				return err
			}
			all.Wait()
			s.quiet(ctx, m)
			n.results += results
			n.kills += killed
			n.starts += int(b.Slice()[boardStarts])
			t, err := sumsOf.Call(ctx, o, struct{}{})
			if err != nil {
				return err
			}
			s.lookRound(rows, record, b, t, r, n, killed)
			return o.Release(ctx)
		})
	})
}

type roundTable struct {
	table xme.Table
	rows  *xme.Rows[accepted]
}

// roundTable fills a round's table.
func (s *soak) roundTable(m *manager.Manager, o *manager.Object[tally], b board, record *shm.Array[int64], r *round) *roundTable {
	jobs := make([]roundJob, r.rows)
	r.jobs, r.dying = nil, 0
	for i := range jobs {
		j := roundJob{M: m, Tally: o, Board: b, Record: record, Row: i, N: s.rng.IntN(200), How: s.rng.IntN(dyingSorts), Beats: s.rng.IntN(3) == 0, Patient: s.rng.IntN(4) > 0}
		j.Cells[0] = i * roundCells
		j.Cells[1] = j.Cells[0] + s.rng.IntN(roundCells)
		if s.rng.IntN(3) == 0 {
			j.Pause = time.Duration(s.rng.IntN(5)) * time.Millisecond
		}
		if j.How == dies {
			r.dying++
		}
		jobs[i] = j
		r.jobs = append(r.jobs, fmt.Sprintf("{row %d: %d calls, cells %v, how %d, beats %v, pause %v, patient %v}", i, j.N, j.Cells, j.How, j.Beats, j.Pause, j.Patient))
	}
	t := &roundTable{}
	t.rows = roundRow.Add(&t.table, func(yield func(roundJob) bool) {
		for _, j := range jobs {
			if !yield(j) {
				return
			}
		}
	})
	return t
}

// runRound runs a round's table with its guard, here or in a process of the pool's.
func (s *soak) runRound(ctx context.Context, pool *xme.Pool, m *manager.Manager, t *roundTable, b board, r *round) error {
	if r.driver {
		if err := manager.Set(ctx, m, boardKey, b); err != nil {
			return err
		}
		o := manager.GuardOptions{Idle: r.idle, Verbose: -1, Start: startName}
		_, err := m.RunTable(ctx, &t.table, pool, o)
		if old := onBoard.Swap(nil); old != nil {
			err = errors.Join(err, old.Close())
		}
		if err != nil && !procs.Struck(err) {
			s.wrong("round %v: %v", r, err)
		}
		return nil
	}
	if _, err := s.guard(ctx, &t.table, m, b, r.idle); err != nil {
		return err
	}
	if err := t.table.Run(ctx, pool); err != nil && !procs.Struck(err) {
		s.wrong("round %v: %v", r, err)
	}
	return nil
}

// results fetches results until the guard has ended.
func (s *soak) results(ctx context.Context, m *manager.Manager, r *round) (n int) {
	for res, err := range m.Queue().Results(ctx) {
		switch {
		case err == nil:
			n++
			if res.Err != nil && !errors.Is(res.Err, manager.ErrGuardLost) {
				s.wrong("round %v: a result is %v", r, res.Err)
			}
		case !errors.Is(err, manager.ErrGuardStopped):
			s.wrong("round %v: the results end with %v", r, err)
		}
	}
	return n
}

// lookRound compares what was counted with what was accepted.
func (s *soak) lookRound(rows *xme.Rows[accepted], record *shm.Array[int64], b board, t tally, r *round, n *sums, killed int) {
	row, sum, died := 0, 0, 0
	for a, err := range rows.All() {
		tried, known, counted := int(record.Slice()[2*row]), int(record.Slice()[2*row+1]), t.Rows[row]
		sum += counted
		n.rows++
		n.methods += known
		if err == nil {
			if counted != a.Methods || counted != known {
				s.wrong("row %d: %d counted, %d accepted; round %v", row, counted, a.Methods, r)
			}
			if a.Stopped {
				n.stopped++
			}
		} else if s.lost(row, err) {
			died++
			if counted < known || counted > tried {
				s.wrong("row %d: %d counted; %d were accepted, of %d; round %v", row, counted, known, tried, r)
			}
		}
		row++
	}
	n.ran += sum
	n.died += died
	if died > r.dying+killed { // a guard that has ended may leave its process to a row
		s.wrong("%d rows died; %d were to, and %d processes were killed; round %v", died, r.dying, killed, r)
	}
	if sum != t.Total {
		s.wrong("the rows have %d, all have %d", sum, t.Total)
	}
	for cell := range roundRows * roundCells {
		ran, o := *runs(b, cell), *outcome(b, cell)
		n.ran += int(ran)
		switch o {
		case guardLost:
			n.lost++
		case refused:
			n.refused++
		case begun:
			n.unknown++
		}
		if ran > 1 || o == succeeded && ran != 1 || (o == refused || o == notBegun) && ran != 0 || o == guardLost && killed == 0 {
			s.wrong("cell %d has run %d times, its outcome is %d; round %v", cell, ran, o, r)
		}
	}
}
