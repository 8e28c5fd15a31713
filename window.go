package xme

import (
	"slices"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/wire"
)

// Bounds of what Map, Unordered and Table read ahead of what has been yielded, or
// has ended. A row larger than windowBytes goes alone.
const (
	windowRows  = 1 << 14
	windowBytes = 32 << 20
	windowFiles = 64 // open files of rows under way: each is a descriptor

	// aheadRows is how many rows for each worker, and two workers more, are under
	// way on a pool at most: what keeps it busy while the reader is woken, and little
	// enough to stay in the caches.
	aheadRows = 512
	// batchRows is how many rows are submitted, or yielded, at once at most.
	batchRows = 64
	// lightBytes is the size up to which a row, with what goes before its arguments, counts as one row, and no bytes.
	lightBytes = 64 + metaSize
	// ringPart is how many rows a part of the ring holds.
	ringPart = 256
)

// weight is what n bytes count in a window.
func weight(n int) int {
	if n <= lightBytes {
		return 0
	}
	return n
}

// feed takes a row in and submits it, or has it submitted with others soon. expect,
// if not nil, is called when it is taken in, with a lock held. It reports false once
// nobody wants more rows.
func feed[In, Out any](s *stream, f *Func[In, Out], in In, index, slot int, to sink, expect func()) bool {
	if s.pool == nil {
		return s.feedApart(&newCall(s.ctx, s.on, f, in, to, s).base, index, slot, expect)
	}
	size := metaSize + wire.Size(f.in, &in)
	if !s.roomFor(f.fn, size) {
		return false
	}
	base := s.recall(&f.opts)
	var c *call[In, Out]
	var err error
	if base != nil {
		c = base.value.(*call[In, Out])
		c.in = in
		base.renew(to, size)
	} else {
		c = newCall(s.ctx, s.on, f, in, to, s)
		base = &c.base
		err = s.adopt(base)
	}
	base.place.slot = slot
	err = s.encode(base, index, size, err) // now: in may change afterwards
	var none In
	c.in = none
	return s.feed(base, expect, err)
}

// feedApart is feed for an executor that is no pool.
func (s *stream) feedApart(c *Call, index, slot int, expect func()) bool {
	c.index, c.place.slot = index, slot
	s.credit = 0 // what the row weighs is known once the executor encodes it
	if !s.room(weight(c.args)) {
		return false
	}
	if _, ok := s.admit(c, expect, false); !ok {
		return false
	}
	s.open.Add(1)
	return s.submit(c) == nil
}

// roomFor waits until the window has room for a row whose arguments take about so many bytes. It reports false
// once nobody wants the row.
func (s *stream) roomFor(fn *function, size int) bool {
	if !fn.in.Exact() {
		if s.missedOf != fn {
			s.missedOf, s.missed = fn, 0 // it was of an earlier Add of a table
		}
		size += s.missed // as much more as the last one took
	}
	return s.room(weight(size))
}

// encode encodes the arguments of a row on a pool, which were thought to take so many bytes, unless it must end with an error already. It returns what the row must end with.
func (s *stream) encode(c *Call, index, size int, err error) error {
	c.index = index
	c.seed, c.seeded = seedOf(s.pool.opts.Seed, uint64(index)), true
	if err == nil {
		s.encoding = true
		err = s.pool.encode(c)
		s.encoding = false
	}
	if !c.exact() {
		n := weight(size + s.missed)
		s.missed = max(0, c.args-size)
		if weight(c.args) > n {
			s.credit = 0 // the next ones look
		}
	}
	return err
}

// feed takes in a row on a pool whose arguments are encoded, or that must end with an error, and submits it, or has it submitted with others soon.
func (s *stream) feed(c *Call, expect func(), err error) bool {
	held, ok := s.admit(c, expect, err == nil)
	if !ok {
		c.row.Drop()
		return false
	}
	if err != nil {
		s.open.Add(1)
		c.refuse(err)
		return true
	}
	return held <= s.mayHold(s.open.Load()) || s.flush() == nil
}

// recall returns a call for a row on a pool that was used before; nil: there is none.
func (s *stream) recall(opts *CallOptions) *Call {
	if s.free == nil {
		s.free = s.freed.Swap(nil)
	}
	for s.free != nil {
		free := s.free
		s.free, free.next = free.next, nil
		if free.opts == opts {
			return free
		}
		s.drop(free) // of an earlier Add of a table
	}
	n := len(s.idle)
	if n == 0 {
		return nil
	}
	c := s.idle[n-1]
	s.idle[n-1], s.idle = nil, s.idle[:n-1]
	c.ctx, c.window = s.ctx, s
	s.own(c)
	return c
}

// adopt makes a new call one of the stream's, to be used again. The error is what its row must end with.
func (s *stream) adopt(c *Call) error {
	err := s.pool.ready(c)
	if err != nil {
		c.place.spoilt = true // it is not to be used again
	}
	c.row.Bulk = true
	s.own(c)
	return err
}

func (s *stream) own(c *Call) {
	c.place.stream = s
	s.mu.Lock()
	c.place.made = len(s.made)
	s.made = append(s.made, c)
	s.mu.Unlock()
}

// renew makes c, which was used before, the call of another row, whose arguments take about so many bytes.
func (c *Call) renew(to sink, size int) {
	c.to = to
	c.args, c.files, c.attempt, c.earlier = size, 0, 0, nil
}

// idleCalls are what a stream has left to the next one on the same pool, of the same function with the same options.
type idleCalls struct {
	pool  *Pool
	opts  *CallOptions
	calls []*Call
}

// idleFor returns calls that a stream has left.
func (fn *function) idleFor(p *Pool, opts *CallOptions) []*Call {
	if i, ok := fn.idle.Get().(*idleCalls); ok && i.pool == p && i.opts == opts {
		return i.calls
	}
	return nil
}

// leave leaves calls that are to be used again to the next stream. The reader has ended, all rows have been yielded, and the end of the context
// is not watched any more: nobody else can look at one.
func (s *stream) leave() {
	if s.keep == nil {
		return
	}
	calls := slices.Grow(s.idle, len(s.made))
	for _, list := range []*Call{s.free, s.freed.Swap(nil)} {
		for c := list; c != nil; {
			next := c.next
			c.next, c.ctx, c.place.stream, c.window, c.to = nil, nil, nil, nil, nil
			calls = append(calls, c)
			c = next
		}
	}
	s.free, s.idle = nil, nil
	if len(calls) > 0 {
		s.keep.idle.Put(&idleCalls{s.pool, calls[0].opts, calls})
	}
}

// drop forgets a call that is not used again.
func (s *stream) drop(c *Call) {
	s.mu.Lock()
	last := s.made[len(s.made)-1]
	s.made[c.place.made], last.place.made = last, c.place.made
	s.made[len(s.made)-1] = nil
	s.made = s.made[:len(s.made)-1]
	s.mu.Unlock()
}

// reuse hands calls that were yielded back to the reader.
func (s *stream) reuse(calls []*Call) {
	if s.pool == nil || len(calls) == 0 {
		return
	}
	var first, last *Call
	for _, c := range calls {
		if c.place.spoilt {
			s.drop(c)
			continue
		}
		c.err = nil
		c.place.done.Store(false)
		if last == nil {
			last = c
		}
		c.next, first = first, c
	}
	if first == nil {
		return
	}
	for {
		last.next = s.freed.Load() // only this goroutine adds, so what it has seen is whole
		if s.freed.CompareAndSwap(last.next, first) {
			return
		}
	}
}

// slot returns the ring's place for a row. The rows from head to next are there.
func (s *stream) slot(row int) **Call {
	return &s.ring[row/ringPart%len(s.ring)][row%ringPart]
}

// room waits until the window has room for a row of that weight. It reports false
// once nobody wants the row.
func (s *stream) room(n int) bool {
	if s.credit > 0 && n == 0 {
		s.credit--
		return true
	}
	for {
		if s.over() {
			return false
		}
		if s.boundless {
			return true
		}
		if s.packed {
			s.ahead(s.packs.ahead())
		}
		if s.credit = s.fits(n, windowRows, s.most.Load()); s.credit > 0 {
			s.credit--
			return true
		}
		if s.flush() != nil {
			return false
		}
		// Once it waits it waits until half of what is under way has ended: who ends
		// the row that makes it half wakes it.
		s.short.Store(true)
		if s.fits(n, windowRows, s.most.Load()/2+batchRows+1) <= 0 && !s.over() {
			s.reader.wait(s.ctx.Done(), s.drained)
		}
		s.short.Store(false)
	}
}

// fits returns how many rows, of which the first has weight n and the others none,
// there is room for in a window of that many rows, most of them under way.
func (s *stream) fits(n, window int, most int64) int {
	rows := s.taken - int(s.head.Load())
	switch {
	case rows == 0:
		return 1
	case s.files.Load() >= windowFiles, n > 0 && s.weight.Load()+int64(n) > windowBytes:
		return 0
	}
	return min(window-rows, int(most-s.open.Load())-batchRows, batchRows)
}

// over reports whether nobody wants more rows.
func (s *stream) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed || s.ending()
}

// admit takes a row in: from now on the ranger waits for its end. It reports false
// once no row is taken in any more. hold says that it shall be held back; held is how
// many then are.
func (s *stream) admit(c *Call, expect func(), hold bool) (held int, ok bool) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return 0, false
	}
	if s.ordered {
		part := &s.ring[s.next/ringPart%len(s.ring)]
		if *part == nil {
			*part = new([ringPart]*Call)
		}
		*s.slot(s.next) = c
	}
	c.place.at = s.next
	s.next++
	s.taken = s.next
	if n := weight(c.args); n > 0 {
		s.weight.Add(int64(n))
	}
	if s.pool != nil && c.files > 0 {
		s.files.Add(int64(c.files))
		s.credit = 0
	}
	if expect != nil {
		expect()
	}
	if hold {
		s.held = append(s.held, c)
	}
	held = len(s.held)
	s.mu.Unlock()
	return held, true
}

// Rows are held back to be submitted together, but only as long as a quarter as
// many, or more, are under way beyond what the workers run: nobody waits for a row
// that is held back. (Of a stream whose rows do not all run everywhere none is.) Whoever changes one of the two numbers looks at the other
// afterwards and submits what is held back too much: the reader when it holds a row
// back, and who ends a row.

// mayHold returns how many rows may be held back while that many are under way.
func (s *stream) mayHold(open int64) int {
	return int(min(max(open-s.spread, 0)/4, batchRows-1))
}

// hasten has what is held back submitted, if that is too much for so few rows under
// way. It does not block: the executor's room may be what its caller frees.
func (s *stream) hasten(open int64) {
	s.mu.Lock()
	n := len(s.held) + s.packs.held()
	s.mu.Unlock()
	if n > s.mayHold(open) && s.eager.CompareAndSwap(false, true) {
		go func() {
			s.eager.Store(false)
			_ = s.flush() // the reader comes to the error
		}()
	}
}

// flush submits what is held back. It waits for the executor's room as long as ctx
// lasts.
func (s *stream) flush() error {
	s.submits.Lock()
	defer s.submits.Unlock()
	if s.packed {
		return s.flushPack()
	}
	s.mu.Lock()
	calls := s.held
	s.held = s.spare
	s.mu.Unlock()
	s.spare = calls
	if len(calls) == 0 {
		return nil
	}
	s.open.Add(int64(len(calls)))
	rows := s.rows[:0]
	for _, c := range calls {
		rows = append(rows, &c.row)
	}
	err := s.pool.submitRows(s.ctx, calls, rows)
	s.refuse(err)
	clear(calls)
	clear(rows)
	s.rows, s.spare = rows[:0], calls[:0]
	return err
}

// refuse notes why the executor takes no more rows, if err says so.
func (s *stream) refuse(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	s.refused = err
	s.mu.Unlock()
}

// refuse ends a row that the pool has not taken.
func (c *Call) refuse(err error) {
	c.row.Drop()
	o := link.Outcome{Err: err}
	c.settle(o, c.errorOf(o))
}
