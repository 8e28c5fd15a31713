package xme

import (
	"context"

	"github.com/xenonmp/xme/internal/proc"
)

// end implements sink. It takes no lock as long as enough rows are under way.
func (s *stream) end(c *Call, result int) {
	if k := c.place.pack; k != nil {
		s.drop(c)
		k.take(c, c.place.at)
		k.end(1 << c.place.at)
		return
	}
	c.place.weight = weight(result)
	lighter := c.place.weight - weight(c.args)
	if lighter != 0 {
		s.weight.Add(int64(lighter))
	}
	if c.files != 0 {
		s.files.Add(-int64(c.files))
	}
	room := lighter < 0 || c.files != 0
	s.meter.end(c.err != nil)
	s.deliver(c)
	// The call is the ranger's now.
	s.fewer(1, room)
}

// fewer notes that n rows less are under way; room says that there is room for the reader for another reason too.
func (s *stream) fewer(n int, room bool) {
	open := s.open.Add(-int64(n))
	if half := s.most.Load() / 2; (room || open <= half && open+int64(n) > half) && s.short.Load() {
		s.reader.wake()
	}
	if open < s.spread+4*batchRows && s.pool != nil {
		s.hasten(open)
	}
}

// deliver hands an ended row to the ranger, and wakes it if that is the row that it
// waits for. The ranger says what it waits for before it looks a last time.
func (s *stream) deliver(c *Call) {
	want := int64(1)
	if s.ordered {
		want += int64(c.place.at)
		c.place.done.Store(true)
	} else {
		for {
			c.next = s.ended.Load()
			if s.ended.CompareAndSwap(c.next, c) {
				break
			}
		}
	}
	s.arrived(want)
}

// arrived wakes the ranger if that is what it waits for.
func (s *stream) arrived(want int64) {
	if s.want.Load() == want && s.want.CompareAndSwap(want, 0) {
		s.point.clear()
		s.wakeRanger()
	}
}

// take moves up to len(buf) rows that may be yielded now into buf. If there are
// none, it reports whether there will never be more, and whether the stream's end
// has come.
func (s *stream) take(buf []*Call) (n int, over, ending bool) {
	head := int(s.head.Load())
	s.mu.Lock()
	next := s.next
	s.mu.Unlock()
	if s.ordered {
		for n < len(buf) && head+n < next {
			c := *s.slot(head + n)
			if !c.place.done.Load() {
				break
			}
			buf[n] = c
			n++
		}
	} else {
		n = s.takeEnded(buf)
	}
	if n > 0 {
		s.yielded(head+n, buf[:n])
		return n, false, false
	}
	over, ending = s.nothing(head)
	return 0, over, ending
}

// nothing is called when no row can be yielded now, behind head that were. It reports whether none ever will be, and whether the
// stream's end has come.
func (s *stream) nothing(head int) (over, ending bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ending = s.ending(); ending {
		s.closed = true // so that no row is taken in that would not be yielded
	}
	return s.next == head && (s.readAll || s.closed), ending
}

// takeEnded is take for rows in the order of their end.
func (s *stream) takeEnded(buf []*Call) (n int) {
	if s.list == nil {
		for c := s.ended.Swap(nil); c != nil; {
			c, c.next, s.list = c.next, s.list, c
		}
	}
	for ; n < len(buf) && s.list != nil; n++ {
		c := s.list
		s.list, c.next = c.next, nil
		buf[n] = c
	}
	return n
}

// yielded gives the room of rows back; head rows were yielded in all.
func (s *stream) yielded(head int, rows []*Call) {
	freed := 0
	for _, c := range rows {
		freed += c.place.weight
	}
	if freed > 0 {
		s.weight.Add(-int64(freed))
	}
	s.passed(head)
}

// passed says that head rows were yielded in all.
func (s *stream) passed(head int) {
	s.head.Store(int64(head))
	if s.short.Load() {
		s.reader.wake()
	}
}

// drain yields rows until there are no more or the ranger leaves.
func (s *stream) drain(yield func(*Call) bool) {
	var buf [batchRows]*Call
	for {
		n, over, ending := s.take(buf[:])
		for _, c := range buf[:n] {
			if !yield(c) {
				return
			}
		}
		s.reuse(buf[:n])
		switch {
		case n > 0:
			continue
		case over:
			s.checkPanic()
			return
		}
		s.await(ending)
	}
}

// checkPanic panics, on the ranger's goroutine, if the input did.
func (s *stream) checkPanic() {
	s.mu.Lock()
	panicked := s.panicked // once ctx has ended the reader may be about to
	s.mu.Unlock()
	if panicked != nil {
		panic(panicked)
	}
}

// await returns when there may be a row to take. Once the end has come that is when
// one ends: what was taken in still does, each row with its error.
func (s *stream) await(ending bool) {
	head := int(s.head.Load())
	want := int64(1)
	if s.ordered {
		want += int64(head)
	}
	s.want.Store(want)
	if !s.news(head) {
		s.point.enter()
		switch {
		case s.pool != nil:
			s.pool.p.Await(context.Background(), ranging{s, ending}, s.fn, false) // cut wakes it when ctx ends
		case ending:
			s.ranger.wait(nil, nil)
		default:
			s.ranger.wait(s.ctx.Done(), s.drained)
		}
		s.point.leave()
	}
	s.want.Store(0)
}

// wakeRanger has the ranger look again.
func (s *stream) wakeRanger() {
	s.want.Store(0)
	s.ranger.wake()
	if s.pool != nil {
		s.pool.p.Wake(&s.rest)
	}
}

// ranging is the ranger's wait on a pool. Whoever ends it says so in want.
type ranging struct {
	s      *stream
	ending bool // the end of ctx is no news any more
}

// Ready, Woken and Rest implement proc.Waiter.
func (r ranging) Ready() bool            { return r.s.want.Load() == 0 || !r.ending && r.s.ending() }
func (r ranging) Woken() <-chan struct{} { return r.s.ranger }
func (r ranging) Rest() *proc.Rest       { return &r.s.rest }

// news reports whether there is a row to take.
func (s *stream) news(head int) bool {
	if s.packed {
		return s.packNews(head)
	}
	if !s.ordered {
		return s.ended.Load() != nil
	}
	s.mu.Lock()
	there := s.next > head
	s.mu.Unlock()
	return there && (*s.slot(head)).place.done.Load()
}

// stop tells the reader that nobody ranges any more.
func (s *stream) stop() {
	s.meter.close()
	s.mu.Lock()
	s.closed = true
	over := s.readAll && s.next == int(s.head.Load())
	s.mu.Unlock()
	calm := s.calm()
	if over && s.unwatch() && calm { // no row is under way; else the end of ctx, which follows, ends them
		s.leave()
	}
	s.reader.wake()
}
