package xme

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
)

// Result is the outcome of one row, as Unordered yields it.
type Result[Out any] struct {
	Index int // the row's index in the input
	Value Out // meaningless if Err is not nil
	Err   error
}

// Map runs f on every value of in and yields the results in the order of the input, each
// as soon as it and all before it are there: one pair for each value read, with a row's
// error in that row's place. Only once ctx or the executor has ended may the value that
// was read last have no pair. Map is lazy; each range over it runs anew.
//
// Where rows travel in shared memory, results are read in lots: a result whose worker has
// more rows to run may wait for up to about 16 ms, and longer right behind rows of a few
// microseconds, many of which are measured at once. [Func.Call] and [Func.Go] learn of
// their results at once.
//
// The input is read on another goroutine, ahead of what has been yielded; it may be
// endless. What is read ahead is bounded by number: 16,384 rows not yet yielded; on a
// pool, for each worker and two more, 512 rows that have not ended (2,048 if they are
// plain small values that take less than about 10 µs each); and 64 open files. It is also
// bounded by size: 32 MiB of arguments under way and results not yielded. A larger
// argument is sent alone; an argument of 64 bytes or less does not count, so rows with
// such arguments do not wait for bytes, and their results are bounded by the number of
// rows (16,384) only.
//
// Leaving the loop cancels the rows under way and returns at once, even while the input
// blocks (its goroutine ends when it next yields). A panic in the input reaches the
// ranging goroutine, after the rows before it, as an error that prints the value and its
// place, and that wraps the value if it is an error. When ctx or the executor ends, rows
// that were read yield their errors, then the sequence stops. If the input had not ended
// and none of these errors says so, because no row was under way, one more pair does, in
// place of the row that would have been next: a sequence that is cut short never looks
// complete.
func (f *Func[In, Out]) Map(ctx context.Context, on Executor, in iter.Seq[In]) iter.Seq2[Out, error] {
	on = checkInput(ctx, known(f), "Map", on, in == nil)
	return func(yield func(Out, error) bool) {
		each(ctx, f, on, in, true, func(_ int, v Out, err error) bool { return yield(v, err) })
	}
}

// Unordered is like Map, but yields results as they come, each with the index of its row.
func (f *Func[In, Out]) Unordered(ctx context.Context, on Executor, in iter.Seq[In]) iter.Seq[Result[Out]] {
	on = checkInput(ctx, known(f), "Unordered", on, in == nil)
	return func(yield func(Result[Out]) bool) {
		each(ctx, f, on, in, false, func(row int, v Out, err error) bool { return yield(Result[Out]{row, v, err}) })
	}
}

// checkInput is check for a method that has an input.
func checkInput(ctx context.Context, f *function, method string, on Executor, null bool) Executor {
	if null {
		panic(nilInput(f.callOf(method)))
	}
	return check(ctx, f, method, on)
}

// each runs f on every value of in and yields the rows as they have ended.
func each[In, Out any](ctx context.Context, f *Func[In, Out], on Executor, in iter.Seq[In], ordered bool, yield func(int, Out, error) bool) {
	r := &looping{}
	s := r.begin(ctx, on, f.fn, &f.opts, f.ways, ordered)
	defer r.end()
	go s.read(func() {
		row := 0
		for v := range in {
			if s.packed && !feedPack(s, f, v, nil, 0) || !s.packed && !feed(s, f, v, row, row, s, nil) {
				return
			}
			row++
		}
		s.complete(row)
	})
	pass := func(row int, v Out, err error) bool {
		r.told = r.told || err != nil && tellsEnd(err)
		r.left = !yield(row, v, err)
		return !r.left
	}
	if s.packed {
		s.drainPacks(func(k *pack, rows uint64) bool { return k.value.(*packOf[In, Out]).yield(rows, pass) })
	} else {
		s.drain(func(c *Call) bool {
			t := c.value.(*call[In, Out])
			v := t.out
			var none Out
			t.out = none
			return pass(c.index, v, c.err)
		})
	}
	if row, err := r.cutShort(f.fn, &f.opts); err != nil {
		var none Out
		yield(row, none, err)
	}
	r.normal = true
}

// looping is one range over a Map or Unordered.
type looping struct {
	s      *stream
	cancel context.CancelFunc
	normal bool // it did not end by a panic
	told   bool // a row's error says that ctx or the executor has ended
	left   bool // the loop was left
}

func (r *looping) begin(ctx context.Context, on Executor, fn *function, opts *CallOptions, w ways, ordered bool) *stream {
	m := newMeter(ctx)
	ctx, r.cancel = untilClosed(ctx, on)
	s := newStream(ctx, on, ordered, opts.Service, w.packs)
	s.fn, s.meter = fn.index, m
	if s.pool != nil && w.anywhere && !s.packed {
		s.keep = fn
		s.idle = fn.idleFor(s.pool, opts)
	}
	r.s = s
	return s
}

func (r *looping) end() {
	m := r.s.meter
	defer m.wait(r.normal)
	defer r.cancel()
	r.s.stop()
}

// complete says that the input was read to its end.
func (s *stream) complete(rows int) {
	s.meter.complete(rows)
	s.mu.Lock()
	s.whole = true
	s.mu.Unlock()
}

// cutShort returns the error of the first row that was not read, if nothing else says why the input was not read to its end.
func (r *looping) cutShort(fn *function, opts *CallOptions) (row int, err error) {
	row, why := r.s.cutShort()
	if why == nil || r.told || r.left {
		return 0, nil
	}
	c := &Call{}
	c.init(r.s.ctx, r.s.on, fn, opts, nil, nil)
	c.index = row
	e := c.errorOf(link.Outcome{Err: why})
	e.Message += fmt.Sprintf("; the input was not read to its end: rows from %d on were not run", row)
	return row, e
}

// tellsEnd reports whether a row's error says that ctx or the executor has ended.
func tellsEnd(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Cause == CauseCancelled || e.Cause == CauseClosed || e.Cause == CauseInterrupted)
}

// untilClosed returns a context that also ends when the executor does, if it is a
// pool: an input that blocks must not keep its ranger waiting then.
func untilClosed(ctx context.Context, on Executor) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := func() bool { return true }
	if p, ok := on.(*Pool); ok {
		stop = p.p.OnClose(func() { cancel(ErrClosed) })
	}
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// stream is one range over a Map or Unordered, or one Run of a Table: a window of
// rows between the goroutine that reads the input (the reader), the executor, and
// the goroutine that ranges (the ranger).
//
// A row is taken in by the reader (window.go), which from then on owes it to the
// ranger; it is submitted, it ends, it is yielded. On a pool its call is then used
// again for a row that is read later: the pool does not touch a row after its end.
// Other executors may keep calls, so each of theirs is made anew.
type stream struct {
	ctx     context.Context //nolint:containedctx // the range's own, for as long as it lasts
	on      Executor
	pool    *Pool // on, if it is one
	ordered bool
	most    atomic.Int64    // rows that may be under way at once; only the reader changes it, while it does not wait
	spread  int64           // rows under way that cannot all be run at once
	drained <-chan struct{} // closed when no more rows shall begin; nil: never
	ranger  waiter          // news when the row that it waits for has ended, or there are no more
	rest    proc.Rest       // the ranger's
	fn      uint16          // of the rows
	meter   *meter          // nil: nobody wants to know how far it is
	reader  waiter          // news when there may be room
	point   waitPoint
	calm    func() bool // no longer watch for the drain
	unwatch func() bool // no longer watch ctx

	mu       sync.Mutex
	ring     [windowRows / ringPart]*[ringPart]*Call // ordered: the rows from head to next
	next     int                                     // how many rows were taken in
	held     []*Call                                 // taken in and not submitted; see hold
	made     []*Call                                 // in a pool: every call that is used again
	closed   bool                                    // no more rows are taken in
	readAll  bool                                    // the reader has ended
	whole    bool                                    // and had read the input to its end
	refused  error                                   // why the executor took no more
	panicked error                                   // what the ranger is to panic with

	// The reader's own.
	taken     int  // next
	encoding  bool // the arguments of a row
	missed    int  // by how much the size of the last row was guessed too small
	missedOf  *function
	boundless bool  // services: none ends before the others have, so none can wait for room
	credit    int   // rows that there is room for, whatever happens
	free      *Call // calls to be used again

	// The reader's, and once that has ended the ranger's.
	keep *function // whose stream it is, to which the calls are left; nil: nobody
	idle []*Call   // what an earlier one has left

	// The ranger's own.
	list *Call // unordered: rows that have ended, in order

	// What the goroutines that end rows share with the others.
	open   atomic.Int64         // rows that were submitted and have not ended
	weight atomic.Int64         // of the arguments under way and the results not yielded
	files  atomic.Int64         // of the arguments under way
	ended  atomic.Pointer[Call] // unordered: rows that have ended, the last first
	want   atomic.Int64         // 1 + the place of the row that the ranger waits for; unordered: 1; 0: it does not wait
	head   atomic.Int64         // how many rows were yielded; ordered: the next to yield
	freed  atomic.Pointer[Call] // calls to be used again, for the reader
	short  atomic.Bool          // the reader waits for room
	eager  atomic.Bool          // a goroutine is about to submit what is held back

	packed bool // its rows go by packs: see pack.go
	packs  packs

	submits sync.Mutex // held while rows are submitted, so that they are in order
	spare   []*Call    // an empty list for held
	rows    []*link.Row
}

// place is a call's place in a stream.
type place struct {
	stream *stream     // of a call that is used again; else nil
	pack   *pack       // of a row of a pack
	at     int         // how many rows were taken in before; of a pack: its place there
	slot   int         // in its Rows
	weight int         // of the result, until it is yielded
	made   int         // its place among the stream's
	done   atomic.Bool // it has ended: the call is the ranger's
	spoilt bool        // somebody may still look at its memory
}

// newStream returns a stream. apart says that not every worker runs every one of its
// rows: some are services, or for other ranks than others are. packs says that all can
// go by packs.
func newStream(ctx context.Context, on Executor, ordered, apart, packs bool) *stream {
	s := &stream{
		ctx: ctx, on: on, ordered: ordered, drained: drainOf(ctx),
		ranger: newWaiter(), reader: newWaiter(), point: waitPointOn(on),
		calm: func() bool { return true }, unwatch: func() bool { return true },
	}
	s.most.Store(windowRows)
	p, ok := on.(*Pool)
	if !ok {
		return s
	}
	s.pool = p
	s.ahead(aheadRows)
	s.spread = 2 * int64(p.opts.Workers)
	if apart {
		s.spread = windowRows // a worker may idle whatever is under way: none is held back
	}
	s.packed = packs && !apart && s.inPacks()
	s.unwatch = context.AfterFunc(ctx, func() { s.cut(context.Cause(ctx), p.rows.Cancel) })
	s.calm = onDrain(ctx, func() { s.cut(ErrInterrupted, p.rows.CancelUnbegun) })
	return s
}

// ahead sets how many rows may be under way, for each worker and two more.
func (s *stream) ahead(rows int) {
	if n := int64(min(windowRows, rows*(2+s.pool.opts.Workers))); n != s.most.Load() {
		s.most.Store(n)
	}
}

// cut ends the rows under way.
func (s *stream) cut(why error, cancel func(error, ...*link.Row)) {
	if s.packed {
		s.packs.on.Cut(&s.packs.whole, why)
	}
	s.mu.Lock()
	rows := make([]*link.Row, 0, len(s.made))
	for _, c := range s.made {
		rows = append(rows, &c.row)
	}
	s.mu.Unlock()
	cancel(why, rows...)
	_ = s.flush() // which ends those that were held back
	s.wakeRanger()
}

// cutShort returns why the input was not read to its end, once all that was taken in has
// been yielded, and the first row that was not taken in; nil: it was.
func (s *stream) cutShort() (row int, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	why = s.refused
	switch {
	case s.whole:
		why = nil
	case s.ctx.Err() != nil:
		why = context.Cause(s.ctx)
	case s.ending():
		why = ErrInterrupted
	}
	return s.next, why
}

// ending reports whether no more rows are wanted.
func (s *stream) ending() bool {
	select {
	case <-s.drained:
		return true
	default:
		return s.ctx.Err() != nil
	}
}

// again notes that a row has failed and is tried once more; see Call.failed.
func (s *stream) again() { s.meter.again() }

// charge corrects what the arguments of rows under way were reckoned to weigh; see Call.charge.
func (s *stream) charge(weight, files int) {
	s.weight.Add(int64(weight))
	s.files.Add(int64(files))
}
