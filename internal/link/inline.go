package link

import (
	"time"

	"github.com/xenonmp/xme/internal/wire"
)

// A row that comes alone is run by the goroutine that has read it: to hand it to another
// costs more than a short row takes. Nobody reads meanwhile; so a row that lasts, and one
// that is about to wait for something that must be read, has another goroutine go on
// reading (handOver).

// inline is the state of a server whose reader may run rows. Guarded by the server's lock.
type inline struct {
	busy   bool   // the reader runs a row
	handed bool   // and another goroutine reads
	count  uint64 // rows that readers have begun
	seen   uint64 // of them at the last tick
	tick   *time.Timer
	armed  bool
}

// inlineTick is for how long at least nobody may read while a row runs, and at most for
// twice as long.
const inlineTick = time.Millisecond

// takeInline begins a row on the goroutine that has read it, if nothing else runs or waits.
func (s *server) takeInline(f *Frame) Task {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Time&wire.Quiet == 0 || s.over || !s.waits || len(s.queue) > 0 || s.running != 0 || s.inline.busy {
		return nil
	}
	i := &s.inline
	i.busy, i.handed = true, false
	i.count++
	if !i.armed {
		i.armed, i.seen = true, i.count-1
		if i.tick == nil {
			i.tick = time.AfterFunc(inlineTick, s.lookInline)
		} else {
			i.tick.Reset(inlineTick)
		}
	}
	f.Blocks = s.handOver
	return s.beginLocked(f)
}

// endInline says that the row has ended, and reports whether this goroutine reads on.
func (s *server) endInline() (reads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inline.busy = false
	if len(s.queue) > 0 || s.over {
		s.wake.Broadcast() // who waits in work for this
	}
	return !s.inline.handed
}

// lookInline hands over from a row that lasts. It goes on looking while there are rows.
func (s *server) lookInline() {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := &s.inline
	switch {
	case s.over:
		i.armed = false
	case i.count != i.seen:
		i.seen = i.count
		i.tick.Reset(inlineTick)
	case i.busy && !i.handed:
		s.handOverLocked()
		i.armed = false
	default:
		i.armed = false
	}
}

// handOver has another goroutine go on reading if the reader is in a row.
func (s *server) handOver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inline.busy && !s.inline.handed {
		s.handOverLocked()
	}
}

func (s *server) handOverLocked() {
	s.inline.handed = true
	go s.reader()
}
