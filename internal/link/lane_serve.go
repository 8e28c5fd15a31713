package link

import (
	"errors"
	"os"
	"time"

	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

// workerLane is the worker's end of a lane.
type workerLane struct {
	lane    *ring.Lane
	claims  *ring.RowReader
	results *ring.ResultWriter
	sleeper ring.Sleeper
	wanter  ring.Sleeper
	bells   []waitBell // its own, and those of the driver
	clock   rowClock

	// The row that runs.
	call uint64
	task Task
	done Done
	dst  []byte // the buffer for small results
	over bool   // its end found the lane over

	alone bool // it is, and so can its end be

	woke  time.Time // when it last slept for a row, if the scheduler was not told since; else zero
	looks uint32    // of goesOn

	// What the driver was last seen to wait for, and when that was.
	watched uint64
	since   time.Time

	broke func(error) // the process cannot go on

	frame Frame
	out   *Segment // what space gave it
}

// waitBell is a Bell that can be waited for.
type waitBell interface {
	Bell
	Wait() error
	Close() error
}

func newWorkerLane(l *ring.Lane) *workerLane {
	return &workerLane{lane: l, claims: l.RowReader(), results: l.ResultWriter(), sleeper: l.Sleeper(), wanter: l.Wanter()}
}

// A worker looks for the next row, before it sleeps, for as long as the driver says,
// at most maxSpin; it looks at the clock after firstLooks looks and then every spinLooks, and gives the CPU away
// between if the driver says so.
const (
	maxSpin    = 200 * time.Microsecond
	spinLooks  = 32
	firstLooks = 128
)

// next waits for a row and claims it; false once the lane is over.
func (l *workerLane) next() (ring.Row, bool, error) {
	for spun := false; ; {
		row, ok, err := l.claims.Claim()
		if ok || err != nil {
			return row, ok, err
		}
		l.clock.idle()
		l.ring(true)
		if !spun {
			spun = true
			if l.spin() {
				continue
			}
		}
		l.sleeper.Set()
		if !l.claims.Waiting() {
			l.woke = time.Time{}
			switch err := l.bells[0].Wait(); {
			case isClosed(err): // when the lane is over
				return ring.Row{}, false, nil
			case err != nil:
				return ring.Row{}, false, err
			}
			l.woke = time.Now()
		}
		l.sleeper.Clear()
		spun = false // who woke it may not have put the row there yet
	}
}

// spin looks for a row for a while and reports whether there is one.
func (l *workerLane) spin() bool {
	pace := l.lane.Pace()
	limit := min(time.Duration(pace.Spin), maxSpin)
	if limit <= 0 {
		return false
	}
	looks := firstLooks // of two that talk back and forth nobody looks at the clock
	if pace.Yield {
		looks = spinLooks
	}
	for begin := (time.Time{}); ; looks = spinLooks {
		for range looks {
			if l.claims.Waiting() {
				return true
			}
			sys.Pause()
		}
		if begin.IsZero() {
			begin = time.Now()
		} else if time.Since(begin) > limit {
			return false
		}
		if pace.Yield {
			sys.Yield()
		}
	}
}

// goesOn reports whether the worker has had rows for attendAfter since it slept. It looks at the clock for some of them only.
func (l *workerLane) goesOn() bool {
	now := l.clock.last
	if now.IsZero() {
		if l.looks++; l.looks%64 != 0 {
			return false
		}
		now = time.Now()
	}
	return now.Sub(l.woke) > attendAfter
}

// isClosed reports whether a bell's Wait says that it is closed.
func isClosed(err error) bool { return errors.Is(err, ErrClosed) || errors.Is(err, os.ErrClosed) }

// longest is how long a result waits, and the row that runs then, for the driver to be woken for more: as long as rows are
// reckoned to take that are sent ahead, but that may have been wrong. It goes by rowClock, which measures short rows some
// together: the first slow ones behind them are seen late.
const longest = 16 * time.Millisecond

// overdue reports whether the driver has waited for long. It has read all that was there when it said what it waits for.
func (l *workerLane) overdue() bool {
	word, now := l.results.Watched(), l.clock.last
	if word == l.watched && !l.since.IsZero() {
		return now.Sub(l.since) > longest
	}
	l.watched, l.since = word, now
	return false
}

// ring rings the driver's bell if it is due.
func (l *workerLane) ring(idle bool) {
	if bell := l.results.Due(idle || l.overdue()); bell != ring.Nobody {
		// Whatever else stands there is not the driver's: then both are woken.
		for i := 1; i <= 2; i++ {
			if bell == uint8(i) || bell > ring.Second {
				l.bells[i].Ring()
			}
		}
	}
}

// put sends a record, waiting for room if there is none; false once the lane is over.
func (l *workerLane) put(r ring.Result, ends bool) bool {
	if ends && l.alone && l.results.PutAlone(r) {
		l.ring(!l.claims.Waiting())
		return true
	}
	l.alone = false
	for !l.results.Put(r, ends) {
		l.ring(true)
		l.wanter.Set()
		if !l.results.Room() {
			if err := l.bells[0].Wait(); err != nil {
				if !isClosed(err) {
					l.broke(err)
				}
				return false
			}
		}
		l.wanter.Clear()
	}
	l.ring(!l.claims.Waiting())
	return true
}

// close wakes who waits and ends the lane. The driver's bells stay: the row that runs
// still ends.
func (l *workerLane) close() { _ = l.bells[0].Close() }

// rowClock tells how long rows take without looking at the clock for each: short ones
// are measured together, and of short ones that come one by one only some.
type rowClock struct {
	last  time.Time // zero: the rows that run are not measured
	rows  int64     // since last
	every int64     // rows between looks
	skip  int64     // rows that come after idling and are not measured
	mean  time.Duration
}

const (
	// Rows are measured alone from this mean on, else as many together as take about
	// it.
	clockEvery = 4 * time.Microsecond
	// Of short rows that come one by one, one in so many is measured.
	clockSome = 16
)

// begin is called before a row runs.
func (c *rowClock) begin() {
	switch {
	case !c.last.IsZero():
	case c.skip > 0:
		c.skip--
	default:
		c.last = time.Now()
	}
}

// end is called after it, and returns what rows take, 0: not known yet. It looks at the
// clock if looking takes little against the row; else look must follow.
func (c *rowClock) end() time.Duration {
	if c.mean == 0 || c.mean >= clockEvery {
		c.look()
	}
	return c.mean
}

// look is called after end.
func (c *rowClock) look() {
	if c.last.IsZero() {
		return
	}
	if c.rows++; c.rows < c.every {
		return
	}
	now := time.Now()
	c.mean = max(now.Sub(c.last)/time.Duration(c.rows), 1)
	c.last, c.rows = now, 0
	c.every = min(max(int64(clockEvery/c.mean), 1), 64)
}

// idle is called when there is no row: waiting is not measured.
func (c *rowClock) idle() {
	c.last, c.rows = time.Time{}, 0
	if c.skip == 0 && c.mean > 0 && c.mean < clockEvery {
		c.skip = clockSome
	}
}

// serveLane runs rows of the lane until it is over. A row that ends its goroutine has
// another take over.
func (s *server) serveLane(l *workerLane) {
	alive := false
	defer func() {
		if !alive {
			go s.serveLane(l)
		}
	}()
	if many := s.side.Many; many != nil && l.call == 0 {
		many()
	}
	for {
		row, ok, err := l.next()
		if err != nil {
			s.breakLink(err) // and with it this process ends
		}
		if !ok || !s.laneRow(l, row) {
			alive = true
			s.runners.Done()
			return
		}
	}
}

// laneRow runs one row; false once the lane is over.
func (s *server) laneRow(l *workerLane, row ring.Row) bool {
	f := &l.frame
	f.Func, f.Call, f.Body, f.Loose = row.Func, row.Call, row.Body, row.Flags&FlagLoose != 0
	if row.Flags&FlagSegment != 0 {
		var err error
		if f.Body, err = s.resolve(row.Body); err != nil {
			s.breakLink(err)
			return false
		}
	}
	task := s.begin(f)
	if task == nil {
		return false
	}
	l.call, l.task, l.alone = row.Call, task, row.Alone
	if row.Flags&FlagStart != 0 {
		if !l.put(ring.Result{Kind: uint8(wire.KindStart), Call: uint32(row.Call)}, false) {
			return false
		}
		l.ring(true) // its clock runs from now on
	}
	if !l.woke.IsZero() && (!s.quick(f.Func) || l.goesOn()) {
		l.woke = time.Time{}
		sys.Attend()
	}
	l.clock.begin()
	task.Run(f, l.dst[:0], l.done)
	return !l.over
}

// endInLane sends the end of the row that runs. What the lane cannot carry, and what
// must not overtake frames that the task sent, goes by the Conn, and the lane says so.
func (s *server) endInLane(l *workerLane, kind wire.Kind, body []byte, parcel *wire.Parcel) {
	short := l.clock.mean > 0 && l.clock.mean < clockEvery
	took := l.clock.end()
	s.ran(l.frame.Func, took)
	s.ranRows.Add(1)
	s.sendEnd(l, kind, uint64(took), body, parcel)
	if short {
		l.clock.look()
	}
}

func (s *server) sendEnd(l *workerLane, kind wire.Kind, took uint64, body []byte, parcel *wire.Parcel) {
	if g := l.out; g != nil {
		if kind == wire.KindResult && parcel.Empty() && len(body) > 0 && &body[0] == &g.Bytes()[0] {
			s.endIn(l, took, len(body))
			return
		}
		l.out = nil
		defer g.Free()
	}
	r := ring.Result{Kind: uint8(kind), Call: uint32(l.call), Time: took}
	if parcel.Empty() && l.results.Fits(len(body)) && !s.spoke(l) {
		r.Body = body
		l.dst = body
		l.over = !l.put(r, true)
		return
	}
	l.dst = nil
	s.endElsewhere(l, Frame{Kind: kind, Call: l.call, Time: took, Body: body, Parcel: parcel})
}

// spoke reports whether frames have been sent for the row that its end must not overtake.
func (s *server) spoke(l *workerLane) bool { return l.task.Spoke() || s.shares.spoke.Load() }

// endElsewhere sends the end of a row by the Conn. It is out before the next row is
// claimed.
func (s *server) endElsewhere(l *workerLane, f Frame) {
	if l.over = !l.put(ring.Result{Kind: uint8(wire.KindElsewhere), Call: uint32(l.call)}, true); l.over {
		f.Parcel.Close()
		return
	}
	s.conn.Send(f)
	s.conn.Flush()
	s.conn.Wait(0)
}

// openLane starts to run the rows of a lane as well.
func (s *server) openLane(f Frame) error {
	if s.lane != nil {
		f.Parcel.Close()
		return errors.New("a second lane")
	}
	l := f.lane
	if l == nil {
		var err error
		if l, err = openLane(f); err != nil {
			return err
		}
	}
	l.frame = Frame{Kind: wire.KindCall, Over: s.shares.ended, Space: func(n int) []byte { return s.space(l, n) }}
	l.done = func(kind wire.Kind, body []byte, parcel *wire.Parcel) { s.endInLane(l, kind, body, parcel) }
	l.broke = s.breakLink
	s.mu.Lock()
	s.lane = l
	s.mu.Unlock()
	s.runners.Add(1)
	go s.serveLane(l)
	return nil
}
