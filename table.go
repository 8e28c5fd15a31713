package xme

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/xenonmp/xme/internal/proc"
)

// Table is an execution table: rows of functions and arguments that [Table.Run] runs top
// to bottom, as many at once as the executor has workers. Fill it with [Func.Add], from
// one goroutine and before Run. The zero value is an empty table. A table runs once.
type Table struct {
	mu   sync.Mutex
	run  bool
	adds []added
}

// rowKind says when a table's rows end.
type rowKind uint8

const (
	ordinaryRows rowKind = iota // by themselves
	serviceRows                 // when the ordinary ones have
	guardRows                   // when the services have, by themselves: see proc.Guard
)

// added is one Add without its types.
type added struct {
	fn     *function
	opts   *CallOptions
	packed bool // the rows can go by packs
	rows   interface {
		begin()
		// over says that there will be no more rows, and why if that is not their end.
		over(err error)
	}
	// read submits a row for each value of the input, and reports whether it came
	// to the input's end.
	read func(r *tableRun) bool
}

// Add appends one row per value of in to t. It does not read in; Run does. The returned
// Rows gives access to the results.
func (f *Func[In, Out]) Add(t *Table, in iter.Seq[In]) *Rows[Out] {
	switch name := known(f).callOf("Add"); {
	case t == nil:
		panic("xme: " + name + " to a nil *Table: give it the address of a Table")
	case in == nil:
		panic(nilInput(name))
	}
	rows := &Rows[Out]{news: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.run {
		rows.over(errors.New("xme: Add to a table that has run: make a new Table"))
		return rows
	}
	t.adds = append(t.adds, added{f.fn, &f.opts, f.ways.packs, rows, func(r *tableRun) bool { return readRows(r, f, in, rows) }})
	return rows
}

func (a *added) kind() rowKind {
	switch {
	case !a.opts.Service:
		return ordinaryRows
	case a.fn.guards:
		return guardRows
	}
	return serviceRows
}

func readRows[In, Out any](r *tableRun, f *Func[In, Out], in iter.Seq[In], rows *Rows[Out]) bool {
	if r.window.packed {
		base := r.rows
		for v := range in {
			if !feedPack(r.window, f, v, rows, base) {
				return false
			}
			r.rows++
		}
		return r.window.flush() == nil
	}
	to := &tableSink[Out]{ends: tableEnds{r: r}, rows: rows, out: func(c *Call) *Out { return &c.value.(*call[In, Out]).out }}
	slot := 0
	for v := range in {
		if r.kind == guardRows {
			v = to.ends.guard(any(v)).(In)
		}
		if !feed(r.window, f, v, r.rows, slot, to, rows.expect) {
			return false
		}
		r.rows++
		slot++
	}
	return true
}

// tableSink passes a row's end on to its Rows and to the run's window.
type tableSink[Out any] struct {
	ends tableEnds
	rows *Rows[Out]
	out  func(c *Call) *Out // where a call's result is
}

// tableEnds is what a tableSink knows that asks for no types.
type tableEnds struct {
	r      *tableRun
	guards []proc.Guard // by row, of guards
}

func (s *tableSink[Out]) end(c *Call, _ int) {
	s.ends.failed(c)
	out := s.out(c)
	s.rows.end(c.place.slot, *out, c.err)
	var none Out
	*out = none
	s.ends.r.window.end(c, 0) // the result is not the window's
}

// guard returns the argument of a guard, and notes it, before its row is submitted.
func (s *tableEnds) guard(v any) any {
	v = s.r.guard(v)
	s.r.mu.Lock()
	s.guards = append(s.guards, v.(proc.Guard))
	s.r.mu.Unlock()
	return v
}

// failed tells a guard whose row has failed.
func (s *tableEnds) failed(c *Call) {
	if c.err == nil || s.r.kind != guardRows {
		return
	}
	s.r.mu.Lock()
	go s.guards[c.place.slot].Failed(context.WithoutCancel(s.r.ctx)) // it returns when the manager has heard, or is gone
	s.r.mu.Unlock()
}

// tableRun is one Run's ordinary rows, or its services: its window counts the rows
// that have not ended.
type tableRun struct {
	ctx    context.Context //nolint:containedctx // the run's own, for as long as it lasts
	on     Executor
	adds   []*added
	kind   rowKind
	beside bool // there are rows of other kinds
	window *stream
	rows   int // that were read

	mu     sync.Mutex
	guards []proc.Guard

	submitted chan struct{} // closed when all rows are, and all guards known

	total, failed int
	first         error // in order of their end
}

func newTableRun(ctx context.Context, on Executor, adds []added, kind rowKind) *tableRun {
	r := &tableRun{ctx: ctx, on: on, kind: kind}
	apart, packed := kind != ordinaryRows, true
	for i := range adds {
		a := &adds[i]
		if a.kind() != kind {
			r.beside = true
			continue
		}
		r.adds = append(r.adds, a)
		apart = apart || len(a.opts.On) > 0
		packed = packed && a.packed
		a.rows.begin()
	}
	r.window = newStream(ctx, on, false, apart, packed)
	r.window.boundless = kind != ordinaryRows
	return r
}

// guard returns the argument of a guard for this table, and notes it.
func (r *tableRun) guard(v any) any {
	v = v.(proc.Guard).Named()
	if r.beside {
		v = v.(proc.Guard).OfTable(r.ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.guards = append(r.guards, v.(proc.Guard))
	return v
}

// release tells the guards that the other rows have ended.
func (r *tableRun) release() (err error) {
	r.mu.Lock()
	guards := slices.Clone(r.guards)
	r.mu.Unlock()
	for _, g := range guards { // without the lock: a manager may take its time
		err = errors.Join(err, g.TableEnded(context.WithoutCancel(r.ctx)))
	}
	return err
}

// read submits the rows, on a goroutine of its own.
func (r *tableRun) read() {
	r.submitted = make(chan struct{})
	go func() {
		defer close(r.submitted)
		r.window.read(func() {
			for _, a := range r.adds {
				if !a.read(r) {
					return
				}
				a.rows.over(nil)
			}
			r.window.meter.complete(r.rows)
		})
	}()
}

// releaseAgain repeats it, until over is closed: whom it told may have been replaced.
func (r *tableRun) releaseAgain(over <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = r.release() // if it cannot be told, its row knows
		case <-over:
			return
		}
	}
}

// wait returns when all rows have ended. It panics with an input's panic.
func (r *tableRun) wait(fails func(error) bool) {
	fail := func(err error) {
		if fails(err) {
			r.failed++
			if r.first == nil {
				r.first = err
			}
		}
	}
	if r.window.packed {
		r.window.drainPacks(func(k *pack, rows uint64) bool {
			r.total += bits.OnesCount64(rows)
			k.value.pass(rows, fail)
			return true
		})
		return
	}
	r.window.drain(func(c *Call) bool {
		r.total++
		if c.err != nil {
			fail(c.err)
		}
		return true
	})
}

// end says to the Rows that there will be no more.
func (r *tableRun) end(why error) {
	r.window.stop()
	for _, a := range r.adds {
		a.rows.over(why)
	}
}

// Run runs the table's rows on an executor, Add by Add, each top to bottom, and returns
// when all have ended. If rows failed, it returns an error that says how many and wraps
// the first to end; the results of the others are in their Rows nevertheless. When ctx
// ends, rows that have not begun end with its error and those that run have their
// contexts ended; Run then returns ctx's cause too, without waiting for an input that
// blocks. A panic of an input reaches Run's caller once the rows before it have ended, as
// with [Func.Map]. A second Run is an error.
//
// Rows of functions with the option [Service] begin beside the others. Their contexts end
// when the ordinary rows have ended and the services have begun; a table of services only
// runs until they return or ctx ends. A service that then returns its context's error has
// not failed, nor has one that [Interruptible] kept from beginning; their own [Rows] say
// what became of them. A guard, of package manager, stays until the other services have
// ended as well and what was queued has been done.
func (t *Table) Run(ctx context.Context, on Executor) error {
	on = check(ctx, nil, "Table.Run", on)
	t.mu.Lock()
	if t.run {
		t.mu.Unlock()
		return errors.New("xme: a Table runs once: make a new one")
	}
	t.run = true
	adds := t.adds
	t.mu.Unlock()

	m := newMeter(ctx)
	finished := false
	defer func() { m.wait(finished) }()
	runCtx, cancel := untilClosed(ctx, on)
	defer cancel()
	serviceCtx, stop := context.WithCancelCause(runCtx)
	defer stop(nil)
	if drained := drainOf(ctx); drained != nil {
		defer onDrain(ctx, func() { stop(ErrInterrupted) })()
	}
	guardCtx, endGuards := context.WithCancelCause(runCtx)
	defer endGuards(nil)
	guards := newTableRun(guardCtx, on, adds, guardRows)
	services := newTableRun(serviceCtx, on, adds, serviceRows)
	rows := newTableRun(runCtx, on, adds, ordinaryRows)
	rows.window.meter = m
	defer func() {
		why := context.Cause(runCtx)
		switch {
		case why != nil:
		case interrupted(ctx):
			why = ErrInterrupted
		case !finished:
			why = errors.New("xme: the table's Run ended in a panic of an input")
		default:
			why = errNotAccepted
		}
		guards.end(why)
		services.end(why)
		rows.end(why)
	}()
	guarded := len(guards.adds) > 0
	if guarded {
		guards.read()
		select {
		case <-guards.submitted:
		case <-runCtx.Done():
		}
	}
	services.read()
	rows.read()
	rows.wait(func(error) bool { return true })
	if len(rows.adds) > 0 { // which may have been none
		select {
		case <-services.submitted: // the rows may have been quicker than the reading of services
		case <-serviceCtx.Done():
		}
		stop(errTableOver)
	}
	services.wait(func(err error) bool { return !stoppedInTime(serviceCtx, err) })
	if guarded {
		if guards.beside {
			if err := guards.release(); err != nil {
				endGuards(errTableOver) // whom they guard is gone, or cannot be reached
			}
			told := make(chan struct{})
			defer close(told)
			go guards.releaseAgain(told)
		}
		guards.wait(func(err error) bool { return !stoppedInTime(guardCtx, err) })
	}
	finished = true
	services.failed, services.total = services.failed+guards.failed, services.total+guards.total
	if services.first == nil {
		services.first = guards.first
	}
	return runError(runCtx, rows, services)
}

// errTableOver is why the context of a service ends.
var errTableOver error = tableOverError{fmt.Errorf("the table's other rows have ended: %w", context.Canceled)}

// tableOverError has a service that has been read begin, before its context ends: what it does besides waiting it does.
type tableOverError struct{ error }

func (e tableOverError) Unwrap() error { return e.error }

// AfterBegin implements [proc.Patient].
func (e tableOverError) AfterBegin() {}

var _ proc.Patient = tableOverError{}

// stoppedInTime reports whether a service ended because it was told to, and did so
// by itself.
func stoppedInTime(ctx context.Context, err error) bool {
	var e *Error
	why := context.Cause(ctx)
	if why == nil && interrupted(ctx) { // the row heard of it first
		why = ErrInterrupted
	}
	return (why == errTableOver || why == ErrInterrupted) && //nolint:errorlint // identity is meant
		errors.As(err, &e) && (e.Cause == CauseCancelled || e.Cause == CauseInterrupted) && e.Signal == "" && !e.Killed
}

func runError(ctx context.Context, rows, services *tableRun) error {
	failed, total := rows.failed+services.failed, rows.total+services.total
	first := rows.first
	if first == nil {
		first = services.first
	}
	var err error
	if failed > 0 {
		err = rowsFailed(failed, total, first)
	}
	cause := context.Cause(ctx)
	if cause == nil && interrupted(ctx) {
		cause = ErrInterrupted
	}
	if cause != nil && !is(err, cause) {
		err = errors.Join(err, cause)
	}
	return err
}

var errNotAccepted = errors.New("xme: the executor took no more rows")

func rowsFailed(failed, total int, first error) error {
	return fmt.Errorf("%d of %d rows failed, the first: %w", failed, total, first)
}
