package xme

import (
	"context"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/wire"
)

const (
	// packRows is how many rows a pack has; the sets of them are words of as many bits.
	packRows = 64
	// packsAhead is aheadRows for rows of packs, which take less memory, as long as they take so little time that nobody else waits for
	// them for long.
	packsAhead     = 2048
	packsAheadWork = 20 * time.Millisecond
	// packOut is how large a result may be in memory, in bytes.
	packOut = 256
)

// pack is rows of a Map, Unordered or Table on a pool whose arguments are small and copied as they lie, and which ask for nothing: the
// stream keeps them together, and the pool does (see link.Pack). A row gets a call of its own where something happens to it that
// results are no part of.
type pack struct {
	s     *stream
	fn    *function
	opts  *CallOptions
	value packValue
	first int       // the place of its first row in the input
	link  link.Pack // as the pool knows it

	told uint64 // rows whose results were taken, and of which the ranger was not told; guarded by the pool's lock

	// Guarded by the stream's lock.
	n    int   // rows that were taken in
	sent int   // and submitted
	next *pack // free ones

	done atomic.Uint64 // rows that have ended; unordered: and were not taken
	errs atomic.Pointer[[packRows]error]
	news *pack // unordered: another with rows to take, pushed before

	taken int // the ranger's: how many rows it took
}

// packValue is the typed half of a pack.
type packValue interface {
	// decode takes the result of row i.
	decode(i int, body []byte) error
	// call makes a call with no arguments, which has the stream as its sink.
	call() *Call
	// take takes the result of such a call, of row i, over.
	take(c *Call, i int)
	// forget drops the result of row i.
	forget(i int)
	// pass passes rows of a table, the set of which is given, on to their Rows, and calls fails for each that has failed.
	pass(rows uint64, fails func(error))
}

// packRunner is a rowRunner that takes packs: *proc.Pool.
type packRunner interface {
	rowRunner
	SubmitPack(ctx context.Context, k *link.Pack, first, n int) (int, error)
	Cut(of *link.Packs, why error)
	HasLanes() bool
	Mean(fn uint16) time.Duration
}

// packs are those of a stream.
type packs struct {
	on    packRunner
	whole link.Packs // the pool's
	fn    uint16     // the reader's own: the function of the last row

	// Guarded by the stream's lock.
	filling *pack // the last one; nil: all are full and submitted
	free    *pack
	ring    []*pack // ordered: those of the rows from head to next

	ended atomic.Pointer[pack] // unordered: those with rows to take, the last first
	list  *pack                // the ranger's: the same, in order
}

// held returns how many rows are held back. The stream's lock is held.
func (p *packs) held() int {
	if p.filling == nil {
		return 0
	}
	return p.filling.n - p.filling.sent
}

// slot returns the ring's place for the pack of a row. The stream's lock is held.
func (p *packs) slot(row int) **pack { return &p.ring[row/packRows%len(p.ring)] }

// inPacks prepares for packs, if the pool takes them: one without lanes wants each row by itself.
func (s *stream) inPacks() bool {
	on, ok := s.pool.rows.(packRunner)
	if !ok || !on.HasLanes() || s.pool.opts.MaxMessage < smallArgs {
		return false
	}
	s.packs.on = on
	if s.ordered {
		s.packs.ring = make([]*pack, windowRows/packRows+2)
	}
	return true
}

// ahead returns how many rows like those that are read may be under way for each worker.
func (p *packs) ahead() int {
	if mean := p.on.Mean(p.fn); mean == 0 || mean > packsAheadWork/packsAhead {
		return aheadRows
	}
	return packsAhead
}

// packOf is a pack with its types.
type packOf[In, Out any] struct {
	base pack
	f    *Func[In, Out]
	to   *Rows[Out] // of a table; else nil
	from int        // the place of the first row of these in the table
	outs [packRows]Out
}

// newPack returns the pack of the rows from s.next on. s.mu is held.
func newPack[In, Out any](s *stream, f *Func[In, Out]) *packOf[In, Out] {
	k := s.packs.reused(f.fn, &f.opts)
	if k == nil {
		t := &packOf[In, Out]{f: f}
		k = &t.base
		k.init(s, f.fn, &f.opts, t)
	}
	s.fill(k)
	return k.value.(*packOf[In, Out])
}

// reused returns a pack of the same function, with the same options, that may be used again; nil: there is none. The stream's lock is held.
func (p *packs) reused(fn *function, opts *CallOptions) *pack {
	k := p.free
	switch {
	case k == nil:
	case k.fn == fn && k.opts == opts:
		p.free, k.next = k.next, nil
	default: // of an earlier Add of a table
		k, p.free = nil, nil
	}
	return k
}

func (k *pack) init(s *stream, fn *function, opts *CallOptions, v packValue) {
	size := metaSize + fn.in.Bytes()
	k.s, k.fn, k.opts, k.value = s, fn, opts, v
	k.link = link.Pack{Func: fn.index, Size: size, Args: make([]byte, packRows*size), Owner: k, Of: &s.packs.whole}
}

// fill has rows from s.next on be taken into a pack. s.mu is held.
func (s *stream) fill(k *pack) {
	k.first = s.next
	s.packs.filling = k
	if s.ordered {
		*s.packs.slot(s.next) = k
	}
}

// feedPack takes a row in and submits it, or has it submitted with others soon. It
// reports false once nobody wants more rows. to, if not nil, are the Rows of a table that it
// is one of, the first of which has the place base.
func feedPack[In, Out any](s *stream, f *Func[In, Out], in In, to *Rows[Out], base int) bool {
	if !s.room(0) {
		return false
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false
	}
	k := s.packs.filling
	if k == nil || to != nil && k.first < base { // that one is of an earlier Add, which flushes at its end
		t := newPack(s, f)
		t.to, t.from = to, base
		k = &t.base
	}
	if to != nil {
		to.expect()
	}
	at := k.n * k.link.Size
	_, err := wire.Append(f.in, appendMeta(k.link.Args[at:at], s.next, seedOf(s.pool.opts.Seed, uint64(s.next))), &in, nil)
	if err != nil {
		s.mu.Unlock()
		panic(err) // nothing can go wrong with what is copied as it lies
	}
	return s.fed(k)
}

// fed notes that a row more was taken into a pack, and submits what is not to be held back. s.mu is held, and not afterwards.
func (s *stream) fed(k *pack) bool {
	s.packs.fn = k.link.Func
	k.n++
	s.next++
	s.taken = s.next
	full, held := k.n == packRows, k.n-k.sent
	s.mu.Unlock()
	return !full && held <= s.mayHold(s.open.Load()) || s.flush() == nil
}

// flushPack submits what is held back. s.submits is held.
func (s *stream) flushPack() error {
	s.mu.Lock()
	n := s.packs.held()
	if n == 0 {
		s.mu.Unlock()
		return nil
	}
	k := s.packs.filling
	first := k.sent
	k.sent = k.n
	if k.n == packRows {
		s.packs.filling = nil
	}
	s.mu.Unlock()
	s.open.Add(int64(n))
	err := s.submitPack(k, first, n)
	s.refuse(err)
	return err
}

// submitPack hands out n rows of a pack from first on. Those that cannot be accepted end
// with the error that it returns. (Should the context have ended meanwhile, cut sees to the others.)
func (s *stream) submitPack(k *pack, first, n int) error {
	err := stoppedBy(s.ctx)
	sent := 0
	for err == nil && sent < n {
		var m int
		m, err = s.packs.on.SubmitPack(s.ctx, &k.link, first+sent, n-sent)
		sent += m
	}
	err = closedError(err)
	for i := first + sent; i < first+n; i++ { // k is this stream's until these have ended
		k.call(i).refuse(err)
	}
	return err
}

// EndAtOnce implements [link.PackOwner].
func (k *pack) EndAtOnce(i int, body []byte) {
	if err := k.value.decode(i, body); err != nil {
		k.fail(i, k.row(i).resultError(err))
	}
	k.told |= 1 << i
}

// Told implements [link.PackOwner].
func (k *pack) Told() {
	if rows := k.told; rows != 0 {
		k.told = 0
		k.end(rows)
	}
}

// unbegun stands for the error of a row that was cut off before it began, until somebody wants to see it.
type unbegun struct{ error }

// Cut implements [link.PackOwner].
func (k *pack) Cut(first, n int, why error) {
	err := &unbegun{why}
	for i := first; i < first+n; i++ {
		k.fail(i, err)
		k.told |= 1 << i
	}
	k.Told()
}

// Index implements [link.PackOwner].
func (k *pack) Index(i int) int { return k.first + i }

// Single implements [link.PackOwner].
func (k *pack) Single(i int) *link.Row {
	c := k.call(i)
	c.row.Body = append(c.small[:0], k.link.Args[i*k.link.Size:(i+1)*k.link.Size]...)
	return &c.row
}

// row returns a call that stands for row i, for what its errors say.
func (k *pack) row(i int) *Call {
	c := k.value.call()
	c.index = k.first + i
	return c
}

// call makes a call of row i, which has the stream as its sink.
func (k *pack) call(i int) *Call {
	s := k.s
	c := k.row(i)
	c.seed, c.seeded = seedOf(s.pool.opts.Seed, uint64(c.index)), true
	c.place.pack, c.place.at = k, i
	if err := s.pool.ready(c); err != nil {
		panic(err) // it asks for nothing that could be refused
	}
	s.mu.Lock()
	c.place.made = len(s.made)
	s.made = append(s.made, c)
	s.mu.Unlock()
	return c
}

// take takes the end of such a call over.
func (k *pack) take(c *Call, i int) {
	if c.err != nil {
		k.fail(i, c.err)
		return
	}
	k.value.take(c, i)
}

// fail notes how row i failed.
func (k *pack) fail(i int, err error) {
	errs := k.errs.Load()
	for errs == nil {
		k.errs.CompareAndSwap(nil, new([packRows]error))
		errs = k.errs.Load()
	}
	errs[i] = err
	k.value.forget(i)
}

// errorOf returns how row i failed; nil: it did not.
func (k *pack) errorOf(i int) error {
	errs := k.errs.Load()
	if errs == nil {
		return nil
	}
	if cut, ok := errs[i].(*unbegun); ok { //nolint:errorlint // it comes as it is
		return k.row(i).errorOf(link.Outcome{Err: cut.error})
	}
	return errs[i]
}

func (k *packOf[In, Out]) decode(i int, body []byte) error {
	return wire.Decode(k.f.out, body, &k.outs[i], nil)
}

func (k *packOf[In, Out]) call() *Call {
	s := k.base.s
	return &newCall(s.ctx, s.on, k.f, *new(In), s, s).base
}

func (k *packOf[In, Out]) take(c *Call, i int) { k.outs[i] = c.value.(*call[In, Out]).out }

func (k *packOf[In, Out]) forget(i int) { k.outs[i] = *new(Out) }

// yield passes rows on, the set of which is given, until pass returns false, and reports whether that was so.
func (k *packOf[In, Out]) yield(rows uint64, pass func(row int, v Out, err error) bool) bool {
	for ; rows != 0; rows &= rows - 1 {
		i := bits.TrailingZeros64(rows)
		v, err := k.outs[i], k.base.errorOf(i)
		if !k.f.out.Plan.PointerFree() {
			k.outs[i] = *new(Out)
		}
		if !pass(k.base.first+i, v, err) {
			return false
		}
	}
	return true
}

func (k *packOf[In, Out]) pass(rows uint64, fails func(error)) {
	slots, ends := make([]int, 0, packRows), make([]rowEnd[Out], 0, packRows)
	k.yield(rows, func(row int, v Out, err error) bool {
		if err != nil {
			fails(err)
		}
		slots, ends = append(slots, row-k.from), append(ends, rowEnd[Out]{v, err, true})
		return true
	})
	k.to.endAll(slots, ends)
}

// end hands rows, which have ended, to the ranger.
func (k *pack) end(rows uint64) {
	s, n := k.s, bits.OnesCount64(rows)
	if s.meter != nil {
		errs := k.errs.Load()
		for left := rows; left != 0; left &= left - 1 {
			s.meter.end(errs != nil && errs[bits.TrailingZeros64(left)] != nil)
		}
	}
	first := k.first
	if k.done.Or(rows) == 0 && !s.ordered {
		for {
			k.news = s.packs.ended.Load()
			if s.packs.ended.CompareAndSwap(k.news, k) {
				break
			}
		}
	}
	// The rows are the ranger's now, and maybe the pack another's. What it waits for is looked at after they were handed over.
	want := int64(1)
	if s.ordered {
		want = s.want.Load()
		if at := want - 1 - int64(first); at < 0 || at >= packRows || rows&(1<<at) == 0 {
			want = 0
		}
	}
	if want > 0 {
		s.arrived(want)
	}
	s.fewer(n, false)
}

// takePack returns rows of a pack that may be yielded now; nil: there are none.
func (s *stream) takePack() (k *pack, rows uint64) {
	head := int(s.head.Load())
	if !s.ordered {
		k, rows = s.takeEndedPack()
	} else {
		s.mu.Lock()
		if s.next > head {
			k = *s.packs.slot(head)
		}
		s.mu.Unlock()
		if k != nil {
			at := head % packRows
			n := bits.TrailingZeros64(^(k.done.Load() >> at))
			rows = (1<<n - 1) << at
		}
	}
	if rows == 0 {
		return nil, 0
	}
	n := bits.OnesCount64(rows)
	k.taken += n
	s.passed(head + n)
	return k, rows
}

// takeEndedPack is takePack for rows in the order of their end.
func (s *stream) takeEndedPack() (k *pack, rows uint64) {
	p := &s.packs
	if p.list == nil {
		for k := p.ended.Swap(nil); k != nil; {
			k, k.news, p.list = k.news, p.list, k
		}
	}
	if k = p.list; k == nil {
		return nil, 0
	}
	p.list, k.news = k.news, nil
	return k, k.done.Swap(0) // from here on it may be pushed again
}

// packNews reports whether there is a row to take, behind head that were taken.
func (s *stream) packNews(head int) bool {
	if !s.ordered {
		return s.packs.ended.Load() != nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next > head && (*s.packs.slot(head)).done.Load()&(1<<(head%packRows)) != 0
}

// drainPacks yields rows of packs, by the set, until there are no more or the ranger leaves.
func (s *stream) drainPacks(yield func(k *pack, rows uint64) bool) {
	for {
		k, rows := s.takePack()
		if k != nil {
			if !yield(k, rows) {
				return
			}
			s.reusePack(k)
			continue
		}
		over, ending := s.nothing(int(s.head.Load()))
		if over {
			s.checkPanic()
			return
		}
		s.await(ending)
	}
}

// reusePack has a pack used again once all its rows have been yielded.
func (s *stream) reusePack(k *pack) {
	if k.taken < packRows {
		return
	}
	k.taken = 0
	k.done.Store(0)
	k.errs.Store(nil)
	s.mu.Lock()
	k.n, k.sent = 0, 0
	k.next, s.packs.free = s.packs.free, k
	s.mu.Unlock()
}
