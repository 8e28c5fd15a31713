package link

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/post"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

// Task is one row on the worker's side.
type Task interface {
	// Run runs the row that the task was begun with. It calls done exactly once, with
	// the body of the result, appended to dst, or of the error; in a deferred function
	// if the row ends its goroutine with runtime.Goexit. It must not panic. The
	// frame's body is valid until done is called; its parcel is the task's, the
	// result's becomes the link's.
	Run(f *Frame, dst []byte, done Done)

	// Cancel ends the row's context, with cause as why. It does not block and may be
	// called from any goroutine, any number of times, also before Run and after its
	// end.
	Cancel(cause error)

	// Spoke reports whether the task has sent frames on the Conn, which its end must not
	// overtake.
	Spoke() bool
}

// Done takes the end of a row: KindResult or KindFail.
type Done func(kind wire.Kind, body []byte, parcel *wire.Parcel)

// Side is what a worker does with what its driver says.
type Side struct {
	// Prepare, if not nil, is called before a row is said to begin.
	Prepare func(f Frame)

	// Many, if not nil, is called before the first row of a lane: more will follow.
	Many func()

	// Bounded says that the driver is asked before shared memory is made.
	Bounded bool

	// Begin makes the task of a row, before the row is said to begin: a cancel that
	// comes from then on reaches it. It must not block. The tasks are run one at a
	// time, in order.
	Begin func(f *Frame) Task

	// Bye, if not nil, is called when the driver says bye: nothing that it sends will
	// be read any more.
	Bye func()

	// Other takes the frames that concern no row of this link: KindSeat,
	// KindNested and KindNestFail. It is called on the goroutine that reads; the
	// body is valid until it returns unless owned is true, the parcel is its own.
	// nil: such frames break the link.
	Other func(f Frame, owned bool) error

	// Lost, if not nil, is called at once when the link ends without a bye, from
	// another goroutine than Serve's, and may end the process.
	Lost func(error)
}

// Serve runs the rows that arrive on c until the driver says bye (then it returns
// nil) or the link ends (then the error of Recv). The running task is cancelled in
// both cases, and when ctx ends; Serve returns when the row has ended.
func Serve(ctx context.Context, c Conn, side Side) error {
	s := &server{conn: c, side: side}
	s.wake.L = &s.mu
	s.done = s.end
	s.results = results{told: map[uint64]bool{}, away: map[uint64]*Segment{}}
	s.results.Forget = s.unmapResult
	s.shares.wait = s.handOver
	s.shares.begin(c, side.Bounded)
	if !c.Local() {
		s.posts = NewPost(true, c)
		defer s.posts.Close()
	}
	s.runners.Add(1)
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		s.stop(context.Cause(ctx))
		s.mu.Unlock()
	})
	defer stop()
	s.readEnd = make(chan struct{})
	go s.reader()
	go s.work()
	s.runners.Wait()
	c.Flush()
	c.Wait(0)
	err := c.Close()
	<-s.readEnd
	s.unmapAll()
	s.shares.end()
	s.begun.Close()
	if s.err != nil {
		err = s.err
	}
	return err
}

// breakLink ends the link for what is wrong beside it.
func (s *server) breakLink(err error) {
	s.why.CompareAndSwap(nil, &err)
	_ = s.conn.Close()
}

// reader reads until the link ends, unless it has handed that over.
func (s *server) reader() {
	alive := false
	defer func() {
		switch {
		case alive:
		case s.endInline(): // a row has ended this goroutine
			go s.reader()
		default:
			s.conn.Flush()
		}
	}()
	handed, err := s.receive()
	alive = true
	if handed {
		return
	}
	defer close(s.readEnd)
	if why := s.why.Load(); err != nil && why != nil {
		err = *why
	}
	if err != nil && s.side.Lost != nil {
		s.side.Lost(err)
	}
	s.mu.Lock()
	s.over, s.err = true, err
	s.stop(fmt.Errorf("link ended: %w", context.Canceled))
	s.drop()
	s.shares.over()
	s.wake.Broadcast()
	lane := s.lane
	s.mu.Unlock()
	if lane != nil {
		lane.close()
	}
}

type server struct {
	conn Conn
	side Side

	readEnd chan struct{}         // closed once nobody reads any more
	why     atomic.Pointer[error] // why this side ended the link; nil: it did not

	mu      sync.Mutex
	wake    sync.Cond
	queue   []Frame // rows that have not begun
	running uint64  // call number of the row that runs, 0: none
	task    Task    // of that row
	stopped error   // why every task is cancelled; nil: they are not
	late    uint64  // the last call that was cancelled while it did not run
	over    bool    // begin no more rows
	waits   bool    // the goroutine that runs rows waits for one
	err     error
	lane    *workerLane // nil: none yet
	quiet   bool        // the driver was not told that the row runs
	begun   *Begun      // the reader sets it, before it queues rows that need it
	inline  inline
	posts   *post.Port // nil: the driver is this process

	segments map[uint64]*sys.Shared
	results  results
	shares

	// The rest belongs to the goroutine that runs rows, which is in at most one row.
	dst   []byte // its buffer for small results
	args  []byte // of a row that the reader runs
	call  uint64
	fn    uint16
	since time.Time
	done  Done   // end
	short []bool // by function: its last row was

	runners sync.WaitGroup // the goroutines that run rows: work, serveLane

	// ranRows counts rows that have ended. What a row did happens before the next row
	// begins, though it may run on another goroutine: the end of each adds, the begin of
	// each looks.
	ranRows atomic.Uint64
}

var errNoRow = errors.New("a frame that concerns no row")

// receive reads frames until bye or an error. It answers recalls while a row runs.
func (s *server) receive() (handed bool, err error) {
	for {
		if !s.conn.Buffered() {
			s.flushIdle()
		}
		f, owned, err := s.conn.Recv()
		if err != nil {
			return false, err
		}
		if f.Kind == wire.KindCall && f.Time&wire.Quiet != 0 && !s.conn.Buffered() {
			if task := s.takeInline(&f); task != nil {
				if !owned {
					s.args = append(s.args[:0], f.Body...) // should another read meanwhile
					f.Body = s.args
				}
				s.one(f, task)
				if !s.endInline() {
					s.conn.Flush() // who reads now sleeps, it may be
					return true, nil
				}
				continue
			}
		}
		done, err := s.frame(f, owned)
		if done || err != nil {
			return false, err
		}
	}
}

// frame applies a frame and reports whether it was the last.
func (s *server) frame(f Frame, owned bool) (last bool, err error) {
	switch f.Kind {
	case wire.KindCall:
		if !owned {
			f.Body = append([]byte(nil), f.Body...)
		}
		s.mu.Lock()
		s.queue = append(s.queue, f)
		s.wake.Broadcast()
		s.mu.Unlock()
	case wire.KindRecall, wire.KindCancel:
		s.giveBack(f)
	case wire.KindSeat, wire.KindNested, wire.KindNestFail:
		err := errNoRow
		if s.side.Other != nil {
			err = s.side.Other(f, owned)
		}
		if err != nil {
			return false, fmt.Errorf("%v frame: %w", f.Kind, err)
		}
	case wire.KindLane:
		if err := s.openLane(f); err != nil {
			return false, fmt.Errorf("%v frame: %w", f.Kind, err)
		}
	case wire.KindBegun:
		if s.begun != nil {
			f.Parcel.Close()
			return false, errors.New("a second begun frame")
		}
		var err error
		if s.begun, err = mapBegun(f); err != nil {
			return false, fmt.Errorf("%v frame: %w", f.Kind, err)
		}
	case wire.KindSegment:
		if err := s.mapSegment(f); err != nil {
			return false, fmt.Errorf("%v frame: %w", f.Kind, err)
		}
	case wire.KindRead:
		s.read(f.Call)
	case wire.KindPost:
		if s.posts == nil {
			f.Parcel.Close()
			return false, errNoRow
		}
		if err := s.posts.Arrived(f.Body, f.Parcel); err != nil {
			return false, fmt.Errorf("%v frame: %w", f.Kind, err)
		}
	case wire.KindShare, wire.KindUnshare, wire.KindReserved:
		if err := s.shares.event(f); err != nil {
			return false, fmt.Errorf("%v frame: %w", f.Kind, err)
		}
	case wire.KindUnmap:
		s.unmapSegment(f.Call)
	case wire.KindBye:
		if s.side.Bye != nil {
			s.side.Bye()
		}
		return true, nil
	default:
		return false, fmt.Errorf("unexpected %v frame from the driver", f.Kind)
	}
	return false, nil
}

// flushIdle writes the last row's result if take left it to the next row's start
// and the frames that were there brought no row.
func (s *server) flushIdle() {
	s.mu.Lock()
	idle := s.waits && len(s.queue) == 0
	s.mu.Unlock()
	if idle {
		s.conn.Flush()
	}
}

// giveBack answers a recall or a cancel: a row that has not begun is given back;
// one that runs has its context ended if it was a cancel; one that has ended
// needs no answer, its result is under way.
func (s *server) giveBack(f Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.queue {
		if s.queue[i].Call == f.Call {
			s.queue[i].Parcel.Close()
			s.queue = append(s.queue[:i], s.queue[i+1:]...)
			// Sent under the lock, so that it stands before the start of any later row.
			s.conn.Send(Frame{Kind: wire.KindRecalled, Call: f.Call})
			s.conn.Flush()
			return
		}
	}
	switch {
	case f.Kind != wire.KindCancel:
	case f.Call == s.running && s.task != nil:
		if s.quiet { // else the driver knows, or is about to
			s.quiet = false
			s.conn.Send(Frame{Kind: wire.KindStart, Call: f.Call})
			s.conn.Flush()
		}
		s.task.Cancel(context.Canceled)
	default:
		s.late = max(s.late, f.Call) // claimed in the lane, it may be, and about to begin: rows before it have ended
	}
}

// stop cancels the task that runs and those that follow. s.mu is held.
func (s *server) stop(cause error) {
	if s.stopped == nil {
		s.stopped = cause
	}
	if s.task != nil {
		s.task.Cancel(cause)
	}
}

// drop closes what the queued rows brought along. s.mu is held.
func (s *server) drop() {
	for _, f := range s.queue {
		f.Parcel.Close()
	}
	s.queue = nil
}

// work runs rows until the server is over. A row runs on the goroutine that took
// it; should it end that goroutine, another takes its place.
func (s *server) work() {
	alive := false
	defer func() {
		if !alive {
			go s.work()
		}
	}()
	for {
		f, task := s.take()
		if task == nil {
			alive = true
			s.runners.Done()
			return
		}
		s.one(f, task)
	}
}

// take waits for the next row and begins its task; a nil one when the server is
// over.
func (s *server) take() (Frame, Task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = true // before the look: if the reader brings no row, it flushes
	if len(s.queue) == 0 && !s.over {
		// The last row's result goes out before this goroutine sleeps, unless there
		// is something to read: then the reader comes first and most likely brings
		// a row, with whose start the result goes out in one write; else it flushes.
		s.mu.Unlock()
		if !s.conn.Pending() {
			s.conn.Flush()
		}
		s.mu.Lock()
	}
	for s.inline.busy || len(s.queue) == 0 && !s.over { // the end, too, waits for the reader's row
		s.wake.Wait()
	}
	s.waits = false
	if s.over {
		return Frame{}, nil
	}
	f := s.queue[0]
	s.queue[0] = Frame{}
	s.queue = s.queue[1:]
	return f, s.beginLocked(&f)
}

// begin makes the task of a row; nil when the server is over.
func (s *server) begin(f *Frame) (t Task) {
	s.mu.Lock()
	if !s.over {
		t = s.beginLocked(f)
	}
	s.mu.Unlock()
	return t
}

// beginLocked is begin, with s.mu held.
func (s *server) beginLocked(f *Frame) Task {
	_ = s.ranRows.Load()
	if s.shares.spoke.Load() {
		s.shares.spoke.Store(false)
	}
	s.running, s.task = f.Call, s.side.Begin(f)
	s.quiet = f.Kind == wire.KindCall && f.Time&wire.Quiet != 0
	switch {
	case s.stopped != nil:
		s.task.Cancel(s.stopped)
	case f.Call == s.late:
		s.task.Cancel(context.Canceled)
	}
	return s.task
}

// ended says that no task runs any more.
func (s *server) ended() {
	s.ranRows.Add(1)
	s.mu.Lock()
	s.running, s.task = 0, nil
	s.mu.Unlock()
}

// one runs a row and sends its end.
func (s *server) one(f Frame, task Task) {
	quiet := f.Time&wire.Quiet != 0
	f.Time &^= wire.Quiet
	if s.side.Prepare != nil {
		s.side.Prepare(f)
	}
	if quiet {
		s.begun.word.Store(f.Call)
	} else {
		s.conn.Send(Frame{Kind: wire.KindStart, Call: f.Call})
	}
	// The start, and the end of the row before, must be out before the row runs: should
	// the row end this process, the driver charges it and nothing else.
	s.conn.Flush()
	s.conn.Wait(0)

	if !s.quick(f.Func) {
		sys.Attend() // it may have slept
	}
	s.call, s.fn, s.since = f.Call, f.Func, time.Now()
	task.Run(&f, s.dst[:0], s.done)
}

// end sends the end of the row that runs.
func (s *server) end(kind wire.Kind, body []byte, parcel *wire.Parcel) {
	took := time.Since(s.since)
	s.ran(s.fn, took)
	s.ended()
	s.dst = body
	if s.conn.Send(Frame{Kind: kind, Call: s.call, Time: uint64(max(took, 0)), Body: body, Parcel: parcel}) {
		s.dst = nil
	}
}

const (
	// quickRow is what a row takes at most for whose function the scheduler need not be told, see sys.Attend, when it has slept. What comes for it meanwhile waits as long.
	quickRow = time.Millisecond
	// attendAfter is for how long such rows may follow each other until it is told nevertheless: from then on the monitor looks round as in any program that computes, and interrupts every 10 ms, which takes 3 of 100 where wakes are dear.
	attendAfter = 200 * time.Millisecond
)

// quick reports whether rows of a function are known to be.
func (s *server) quick(fn uint16) bool { return int(fn) < len(s.short) && s.short[fn] }

// ran notes how long a row took, 0: not known.
func (s *server) ran(fn uint16, took time.Duration) {
	if took <= 0 {
		return
	}
	if int(fn) >= len(s.short) {
		s.short = append(s.short, make([]bool, int(fn)+1-len(s.short))...)
	}
	if short := took < quickRow; s.short[fn] != short {
		s.short[fn] = short
	}
}
