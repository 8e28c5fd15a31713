package xme

import (
	"context"
	"iter"
	"sync"
)

// Bounds of what Map, Unordered and Table read ahead of what has been yielded, or
// has ended. A row larger than windowBytes goes alone.
const (
	windowRows  = 1 << 14
	windowBytes = 32 << 20
	windowFiles = 64 // open files of rows under way: each is a descriptor
)

// Result is one row's end as Unordered yields it.
type Result[Out any] struct {
	Index int // the row's place in the input
	Value Out // means nothing if Err is not nil
	Err   error
}

// Map runs f on every value of in and yields the results in the input's order,
// each as soon as it and all before it are there: exactly one pair per value read,
// an error in its own row's place. It is lazy; each range over it runs anew.
//
// The input is read on another goroutine, ahead of what has been yielded, bounded
// by rows and bytes; it may be endless. Leaving the loop cancels the rows under way
// and returns at once, also while the input blocks (its goroutine then ends when it
// next yields). A panic in the input reaches the ranging goroutine, after the rows
// before it, as an error that prints the value and its place and wraps the value if
// that is an error. When ctx or the executor ends, rows that were read yield their errors,
// then the sequence stops.
func (f *Func[In, Out]) Map(ctx context.Context, on Executor, in iter.Seq[In]) iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		for r := range f.results(ctx, on, in, true) {
			if !yield(r.Value, r.Err) {
				return
			}
		}
	}
}

// Unordered is Map, except that results are yielded as they come, each with the
// index of its row.
func (f *Func[In, Out]) Unordered(ctx context.Context, on Executor, in iter.Seq[In]) iter.Seq[Result[Out]] {
	return f.results(ctx, on, in, false)
}

func (f *Func[In, Out]) results(ctx context.Context, on Executor, in iter.Seq[In], ordered bool) iter.Seq[Result[Out]] {
	check(f != nil, on)
	return func(yield func(Result[Out]) bool) {
		ctx, cancel := untilClosed(ctx, on)
		defer cancel()
		s := newStream[Out](ctx, on, ordered)
		defer s.stop()
		go s.read(func() {
			row := 0
			for v := range in {
				c := newCall(ctx, on, f, v, s, row)
				c.index = row
				if !s.admit(ctx, c.args) {
					return
				}
				row++
				if s.submit(ctx, on, &c.Call) != nil {
					return
				}
			}
		})
		s.drain(ctx, yield)
	}
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

// stream is one range over a Map or Unordered: a window of rows between the
// goroutine that reads the input and the one that ranges.
type stream[Out any] struct {
	ordered bool
	ready   chan struct{}   // a token when the ranger may find something new
	space   chan struct{}   // a token when the reader may find space
	drained <-chan struct{} // closed when no more rows shall begin; nil: never
	point   waitPoint

	mu       sync.Mutex
	slots    []item[Out] // ordered: a ring of the rows from head to next
	list     []item[Out] // unordered: what has ended and was not yielded
	head     int         // how many rows were yielded; ordered: the next to yield
	next     int         // the next row to read
	bytes    int         // of the arguments under way and the results not yielded
	files    int         // of the arguments under way
	stopped  bool
	readAll  bool
	panicked error // what the ranger is to panic with
}

func newStream[Out any](ctx context.Context, on Executor, ordered bool) *stream[Out] {
	return &stream[Out]{
		ordered: ordered, ready: make(chan struct{}, 1), space: make(chan struct{}, 1),
		drained: drainOf(ctx), point: waitPointOn(on),
	}
}

type item[Out any] struct {
	Result[Out]
	bytes int
	done  bool
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// admit waits until the window has room for a row of n bytes and takes the room.
// It reports false once nobody wants the row.
func (s *stream[Out]) admit(ctx context.Context, n int) bool {
	for {
		s.mu.Lock()
		held := s.next - s.head
		switch {
		case s.stopped || s.ending(ctx):
			s.mu.Unlock()
			return false
		case held == 0 || held < windowRows && s.bytes+n <= windowBytes && s.files < windowFiles:
			if s.ordered {
				s.grow()
				s.slots[s.next%len(s.slots)] = item[Out]{}
			}
			s.next++
			s.bytes += n
			s.mu.Unlock()
			return true
		}
		s.mu.Unlock()
		select {
		case <-s.space:
		case <-ctx.Done():
		case <-s.drained:
		}
	}
}

// ending reports whether no more rows are wanted.
func (s *stream[Out]) ending(ctx context.Context) bool {
	select {
	case <-s.drained:
		return true
	default:
		return ctx.Err() != nil
	}
}

// charge implements sink.
func (s *stream[Out]) charge(bytes, files int) {
	if bytes == 0 && files == 0 {
		return
	}
	s.mu.Lock()
	s.bytes += bytes
	s.files += files
	s.mu.Unlock()
}

// grow makes room for one more slot. s.mu is held.
func (s *stream[Out]) grow() {
	if s.next-s.head < len(s.slots) {
		return
	}
	slots := make([]item[Out], max(64, 2*len(s.slots)))
	for i := s.head; i < s.next; i++ {
		slots[i%len(slots)] = s.slots[i%len(s.slots)]
	}
	s.slots = slots
}

// end implements sink.
func (s *stream[Out]) end(row int, v Out, err error, size sizes) {
	r := item[Out]{Result[Out]{Index: row, Value: v, Err: err}, size.result, true}
	s.mu.Lock()
	wake := false
	if s.ordered {
		s.slots[row%len(s.slots)] = r
		wake = row == s.head
	} else {
		s.list = append(s.list, r)
		wake = len(s.list) == 1
	}
	s.bytes += size.result - size.args
	s.files -= size.files
	s.mu.Unlock()
	if wake {
		s.point.clear()
		poke(s.ready)
	}
	if size.result < size.args || size.files > 0 {
		poke(s.space)
	}
}

// take moves up to len(buf) results that may be yielded now into buf, and reports
// whether there will never be more; then panicked tells that the input panicked.
func (s *stream[Out]) take(ctx context.Context, buf []item[Out]) (n int, over bool, panicked error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ordered {
		for n < len(buf) && s.head+n < s.next {
			sl := &s.slots[(s.head+n)%len(s.slots)]
			if !sl.done {
				break
			}
			buf[n], *sl = *sl, item[Out]{}
			n++
		}
	} else {
		n = copy(buf, s.list)
		clear(s.list[:n])
		s.list = s.list[n:]
		if len(s.list) == 0 {
			s.list = nil
		}
	}
	s.head += n
	for i := range buf[:n] {
		s.bytes -= buf[i].bytes
	}
	if n > 0 {
		poke(s.space)
		return n, false, nil
	}
	// Once ctx has ended nothing is admitted any more: the reader looks at ctx
	// with s.mu held.
	return 0, s.head == s.next && (s.readAll || s.ending(ctx)), s.panicked
}

// drain yields results until there are no more or the ranger leaves.
func (s *stream[Out]) drain(ctx context.Context, yield func(Result[Out]) bool) {
	var buf [32]item[Out]
	for {
		n, over, panicked := s.take(ctx, buf[:])
		for i := range buf[:n] {
			if !yield(buf[i].Result) {
				return
			}
			buf[i] = item[Out]{}
		}
		switch {
		case n > 0:
			continue
		case over:
			if panicked != nil {
				panic(panicked)
			}
			return
		}
		s.point.enter()
		select {
		case <-s.ready:
		case <-ctx.Done():
			// What was accepted still ends, each row with its error.
			<-s.afterEnd()
		case <-s.drained:
			<-s.afterEnd()
		}
		s.point.leave()
	}
}

// afterEnd returns what drain waits for once ctx has ended: nothing if the window
// is empty, else the next result.
func (s *stream[Out]) afterEnd() <-chan struct{} {
	s.mu.Lock()
	empty := s.head == s.next
	s.mu.Unlock()
	if empty {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	return s.ready
}

// stop tells the reader that nobody ranges any more.
func (s *stream[Out]) stop() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	poke(s.space)
}
