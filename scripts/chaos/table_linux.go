package main

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
)

// run is one table on its way.
type run struct {
	t        *trial
	pool     *xme.Pool
	segments []segment

	cut    atomic.Bool // its context may have ended
	left   atomic.Bool // its results are not all taken
	inputs int         // that are read concurrently: each may lose the row it was at

	mu        sync.Mutex
	read, got []uint8 // per row: how often it was read, and got a result
	cancelled []bool  // per row: its own future was cancelled
}

// table runs one table and checks it. It reports false if the pool was closed
// meanwhile.
func (t *trial) table(rng *rand.Rand, rows int) bool {
	u := &run{t: t, pool: t.pool.Load(), segments: plan(rng, rng.Uint64()>>1, rows, t.workers)}
	bombs := 0
	for i := range u.segments {
		for j := range u.segments[i].jobs {
			job := &u.segments[i].jobs[j]
			job.Setup = t.setUp
			if job.Kind == bomb && !t.calm {
				bombs++
			} else if job.Kind == bomb {
				job.Kind = value
			}
		}
	}
	t.strikes.Add(int64(bombs))
	t.r.bombs.Add(int64(bombs))
	u.read, u.got, u.cancelled = make([]uint8, rows+kindsSlack), make([]uint8, rows+kindsSlack), make([]bool, rows+kindsSlack)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	undisturb := u.disturb(rng, cancel)
	switch rng.IntN(4) {
	case 0:
		u.asTable(ctx, rng)
	case 1:
		u.asStream(ctx, rng, true)
	case 2:
		u.asStream(ctx, rng, false)
	default:
		u.asCalls(ctx, rng)
	}
	undisturb()
	u.check()
	t.r.tables.Add(1)
	t.beat()
	return !t.closing.Load()
}

// startTries is how many starts have to fail for rows to end that waited for them.
const startTries = 3

// kindsSlack is by how much a table may be longer than asked for, services
// included.
const kindsSlack = 4096

// disturb sees that a few tables are cut short, by their context or their pool's
// end.
func (u *run) disturb(rng *rand.Rand, cancel func()) (stop func()) {
	after := time.Duration(rng.IntN(500)) * time.Millisecond
	how := rng.IntN(10)
	if how > 3 {
		return func() {}
	}
	var once sync.Once
	done := make(chan struct{})
	timer := time.AfterFunc(after, func() {
		defer close(done)
		u.t.r.disturbs.Add(1)
		switch how {
		case 0, 1:
			u.cut.Store(true)
			cancel()
		case 2:
			u.t.closing.Store(true)
			_ = u.pool.Close()
		default:
			u.t.closing.Store(true)
			ctx, cancel := context.WithTimeout(context.Background(), after)
			defer cancel()
			_ = u.pool.Shutdown(ctx)
		}
	})
	return func() {
		once.Do(func() {
			if !timer.Stop() {
				<-done
			}
		})
	}
}

// input reads jobs, and notes that they were read.
func (u *run) input(jobs []job) iter.Seq[job] {
	return func(yield func(job) bool) {
		for _, j := range jobs {
			u.mu.Lock()
			u.read[j.Row]++
			u.mu.Unlock()
			if !yield(j) {
				return
			}
		}
	}
}

// take takes a row's result.
func (u *run) take(j job, a answer, err error) {
	t := u.t
	out, complaint := judge(j, a, err)
	u.mu.Lock()
	u.got[j.Row]++
	again := u.got[j.Row] > 1
	// A service is cancelled by the end of its table, and may miss its grace.
	cut := u.cut.Load() || u.cancelled[j.Row] || j.Kind == service
	u.mu.Unlock()
	switch {
	case complaint != "":
	case again:
		complaint = "a second result"
	case out == cancelled && !cut:
		complaint = "cancelled, and nobody did: " + err.Error()
	case out == closed && !t.closing.Load():
		complaint = "closed, and nobody closed its pool: " + err.Error()
	case out == early && !cut && !t.closing.Load():
		complaint = "it was not tried again: " + err.Error()
	case out == noPlace && !t.tight:
		complaint = "found no place: " + err.Error()
	case out == noWorker && t.strikes.Load() < startTries:
		complaint = "its workers did not start: " + err.Error()
	case out == lost:
		t.lose(j, err)
	}
	if complaint != "" {
		t.r.complain(t.seed, "row %d of table %d (%s): %s", j.Row, j.Table, specs[j.Kind].name, complaint)
	}
	t.r.rows[j.Kind][out].Add(1)
	t.beat()
}

// asTable runs an execution table, its services beside it.
func (u *run) asTable(ctx context.Context, rng *rand.Rand) {
	u.inputs = 2
	var table xme.Table
	var list []*xme.Rows[answer]
	segments := u.segments
	last := segments[len(segments)-1].jobs
	next := last[len(last)-1].Row + 1
	for range rng.IntN(3) {
		j := job{Table: last[0].Table, Row: next, Kind: service, Setup: u.t.setUp}
		next++
		at := rng.IntN(len(segments) + 1)
		segments = slices.Insert(slices.Clone(segments), at, segment{work.With(specs[service].opts...), []job{j}})
	}
	u.segments = segments
	for _, s := range segments {
		list = append(list, s.f.Add(&table, u.input(s.jobs)))
	}
	err := table.Run(ctx, u.pool)
	failed := 0
	for i, rows := range list {
		n := 0
		for a, err := range rows.All() {
			if e := (*xme.Error)(nil); err != nil && !errors.As(err, &e) {
				if !u.cut.Load() && !u.t.closing.Load() {
					u.t.r.complain(u.t.seed, "a table's rows end early: %v", err)
				}
				break // the reason, behind the last row
			}
			if n == len(segments[i].jobs) {
				u.t.r.complain(u.t.seed, "more results than rows in an Add of table %d", last[0].Table)
				break
			}
			if err != nil {
				failed++
			}
			u.take(segments[i].jobs[n], a, err)
			n++
		}
	}
	if err == nil && failed > 0 || err != nil && failed == 0 && !u.cut.Load() && !u.t.closing.Load() {
		u.t.r.complain(u.t.seed, "Run of table %d: %v, and %d rows failed", last[0].Table, err, failed)
	}
}

// asStream runs the rows without options as a Map or Unordered, the others as
// futures beside it.
func (u *run) asStream(ctx context.Context, rng *rand.Rand, ordered bool) {
	u.inputs = 1
	var plain []job
	var others []segment
	for _, s := range u.segments {
		if s.jobs[0].Kind < fresh {
			plain = append(plain, s.jobs...)
		} else {
			others = append(others, s)
		}
	}
	leaveAt := -1
	if rng.IntN(8) == 0 {
		leaveAt = rng.IntN(len(plain))
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for _, s := range others {
			for _, j := range s.jobs {
				u.future(ctx, s.f, j, false)
			}
		}
	})
	n := 0
	if ordered {
		for a, err := range work.Map(ctx, u.pool, u.input(plain)) {
			if n == leaveAt {
				u.left.Store(true)
				break
			}
			u.take(plain[n], a, err)
			n++
		}
	} else {
		for r := range work.Unordered(ctx, u.pool, u.input(plain)) {
			if n == leaveAt {
				u.left.Store(true)
				break
			}
			u.take(plain[r.Index], r.Value, r.Err)
			n++
		}
	}
	wg.Wait()
}

// asCalls calls every row by itself, from a few goroutines.
func (u *run) asCalls(ctx context.Context, rng *rand.Rand) {
	type one struct {
		f *xme.Func[job, answer]
		j job
	}
	calls := make(chan one)
	var wg sync.WaitGroup
	seed := rng.Uint64()
	for g := range 8 {
		rng := rand.New(rand.NewPCG(seed, uint64(g)))
		wg.Go(func() {
			for c := range calls {
				u.future(ctx, c.f, c.j, rng.IntN(50) == 0)
			}
		})
	}
	for _, s := range u.segments {
		for _, j := range s.jobs {
			calls <- one{s.f, j}
		}
	}
	close(calls)
	wg.Wait()
}

// future runs one row, perhaps cancelling it.
func (u *run) future(ctx context.Context, f *xme.Func[job, answer], j job, cancel bool) {
	u.mu.Lock()
	u.read[j.Row]++
	u.cancelled[j.Row] = cancel
	u.mu.Unlock()
	fu := f.Go(ctx, u.pool, j)
	if cancel {
		runtime.Gosched()
		fu.Cancel()
	}
	a, err := fu.Wait(context.Background())
	u.take(j, a, err)
}
