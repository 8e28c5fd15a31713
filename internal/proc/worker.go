package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/wire"
)

// worker is one rank of a pool: a process, and its replacements after it.
type worker struct {
	p    *Pool
	rank int

	// Guarded by p.mu. The process's fields are those of the present one.
	proc    Process
	conn    link.Conn
	pid     int
	ready   bool // takes rows
	leaving bool // was told bye
	flight  link.Flight
	own     queue     // rows for this rank alone
	ahead   uint64    // what the rows in flight add up to by their functions' means, ns
	alone   bool      // the row in flight travels alone
	stalled bool      // the row at the front is slow: send nothing behind it
	looked  uint64    // the front's call number at the last look
	since   time.Time // of the look that first saw it
	setup   *link.Row
	clock   *time.Timer // of the running row: its time-out, then the ladder's steps
	done    uint64
	broken  bool // the last starts all failed
}

func newWorker(p *Pool, rank int) *worker {
	w := &worker{p: p, rank: rank}
	w.flight.Tag = w
	return w
}

// setAside is how many workers may die with a row at their front before it ends
// as the likely reason.
const setAside = 3

// startTries is how many starts in a row may fail before rows that need the
// worker end with the reason.
const startTries = 3

// supervise runs one process after another until the pool is closed.
func (w *worker) supervise(ctx context.Context) {
	for failed := 0; ctx.Err() == nil; {
		wasReady, err := w.live()
		if ctx.Err() != nil {
			return
		}
		if wasReady {
			failed = 0
			continue
		}
		failed++
		w.p.startFailed(w, err, failed >= startTries)
		select {
		case <-ctx.Done():
		case <-time.After(min(time.Second, time.Millisecond<<min(failed, 10))):
		}
	}
}

// live starts a process, serves it until it has ended, and reaps it. It reports
// whether the process ever took rows; if not, err says why.
func (w *worker) live() (wasReady bool, err error) {
	proc, err := w.p.cfg.Backend.Start(w.rank, w.p.cfg.MaxMessage+slack)
	if err != nil {
		return false, &StartError{Rank: w.rank, Err: err}
	}
	conn := proc.Conn()
	w.p.mu.Lock()
	w.proc, w.conn, w.pid = proc, conn, proc.PID()
	w.p.stats.Starts++
	late := w.leaving
	w.p.mu.Unlock()
	if late {
		proc.Kill()
	}

	// Once the process has ended, all it sent can still be read, and the end of
	// the stream follows, unless something it started holds the link: cut it then.
	cut := time.AfterFunc(time.Hour, func() { _ = conn.Close() })
	cut.Stop()
	exited := make(chan Exit, 1)
	go func() {
		exit := proc.Wait()
		cut.Reset(lastBytes)
		exited <- exit
	}()

	err = w.greet(conn, proc)
	if err == nil {
		err = w.read(conn)
	}
	if !errors.Is(err, io.EOF) {
		proc.Kill() // it broke the protocol, or what it sent is cut short
	}
	var exit Exit
	select {
	case exit = <-exited:
	case <-time.After(lastBytes):
		proc.Kill() // it let go of the link and lives
		exit = <-exited
	}
	cut.Stop()
	_ = conn.Close()
	return w.lost(exit, err)
}

// lastBytes is how long a link may outlive its process, or a process its link.
const lastBytes = time.Second

// greet shakes hands and sends the set-up row.
func (w *worker) greet(conn link.Conn, proc Process) error {
	p := w.p
	late := time.AfterFunc(p.cfg.StartTimeout, proc.Kill)
	err := greet(conn, p.cfg.Identity, wire.Hello{
		Version: p.cfg.Identity.Version, Build: p.cfg.Identity.Build, Fingerprint: p.cfg.Identity.Fingerprint(),
		Rank: uint32(w.rank), MaxMessage: uint64(p.cfg.MaxMessage),
	})
	if !late.Stop() && err != nil {
		err = fmt.Errorf("no answer within %v: the program must call xme.Init first of all in main", p.cfg.StartTimeout)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errNoInit
	}
	if err != nil {
		return err
	}
	var row *link.Row
	if p.cfg.Setup != nil {
		if row, err = p.cfg.Setup(); err != nil {
			return err
		}
	}
	var b batch
	p.mu.Lock()
	if row == nil {
		w.becomeReady(&b)
	} else {
		w.setup = row
		p.send(&b, w, row)
	}
	p.mu.Unlock()
	b.run()
	return nil
}

// errNoInit is what a worker that ended before the handshake most likely means.
var errNoInit = errors.New("it ended before xme.Init served it: make xme.Init() the first statement of main, and of TestMain")

// errNoFiles is what a row with open files gets from a link that carries none.
var errNoFiles = fmt.Errorf("open files cross on the socket link only: %w", errors.ErrUnsupported)

// becomeReady lets rows in. p.mu is held.
func (w *worker) becomeReady(b *batch) {
	if w.leaving || w.p.closed && w.p.live == 0 {
		w.leave(b)
		return
	}
	w.ready, w.broken = true, false
	select {
	case w.p.up <- nil:
	default:
	}
	w.p.settle(b)
}

// read applies the worker's frames until the link ends.
func (w *worker) read(conn link.Conn) error {
	p := w.p
	var b batch
	for {
		f, _, err := conn.Recv()
		if err != nil {
			b.run()
			return err
		}
		p.mu.Lock()
		err = p.event(&b, w, f)
		if w.setup != nil && w.setup.State() == link.Ended {
			err = w.setupEnded(&b)
		}
		p.mu.Unlock()
		b.tell() // now: the body is valid until the next Recv
		if err != nil || !conn.Buffered() {
			b.run() // what the frames that came together cause goes out together
		}
		if err != nil {
			return err
		}
	}
}

// setupEnded takes the set-up row's outcome out of b. p.mu is held.
func (w *worker) setupEnded(b *batch) error {
	w.setup = nil
	last := b.ends[len(b.ends)-1]
	b.ends = b.ends[:len(b.ends)-1]
	last.o.Parcel.Close()
	if last.o.Err != nil {
		// The owner knows how to read the worker's error.
		last.row.Owner.End(last.o)
		return &SetupError{Row: last.row}
	}
	w.becomeReady(b)
	return nil
}

// SetupError says that the set-up row failed; its owner knows how.
type SetupError struct{ Row *link.Row }

func (e *SetupError) Error() string {
	if err, ok := e.Row.Owner.(error); ok {
		return "setup: " + err.Error()
	}
	return "setup failed"
}

// Unwrap returns the owner, if it is an error.
func (e *SetupError) Unwrap() error {
	err, _ := e.Row.Owner.(error)
	return err
}

// bye asks the process to end. p.mu is held.
func (w *worker) bye(b *batch) {
	if w.conn == nil || w.leaving {
		w.leaving = true
		return
	}
	for r := range w.flight.Waiting() {
		r.Cancelled = ErrClosed
	}
	if r := w.flight.Front(); r != nil && r.Cancelled == nil {
		r.Cancelled = ErrClosed
	}
	w.leave(b)
}

// leave sends bye. p.mu is held.
func (w *worker) leave(b *batch) {
	w.leaving = true
	w.ready = false
	w.conn.Send(link.Frame{Kind: wire.KindBye})
	b.flush(w.conn)
}

// armTimeout ends the running row r when its time is up. p.mu is held.
func (w *worker) armTimeout(r *link.Row) {
	w.after(r, r.Timeout, func(b *batch) { w.p.cancel(b, r, ErrTimeout) })
}

// armGrace starts the ladder for the running row r, whose context has ended: it
// has the grace period to return in, then its process is asked for a dump of its
// goroutines, and then it is killed. p.mu is held.
func (w *worker) armGrace(r *link.Row) {
	proc := w.proc
	w.after(r, w.p.cfg.Grace, func(*batch) {
		proc.Quit()
		w.after(r, dumpTime, func(*batch) { proc.Kill() })
	})
}

// armAnswer gives the process the grace period to answer for a row that was
// cancelled before it began: to give it back or begin it. One that does not read
// its link, because it is stopped, say, is killed. p.mu is held.
func (w *worker) armAnswer(r *link.Row) {
	proc := w.proc
	time.AfterFunc(w.p.cfg.Grace+dumpTime, func() {
		w.p.mu.Lock()
		deaf := w.proc == proc && r.Flight() == &w.flight && r.State() == link.Sent
		w.p.mu.Unlock()
		if deaf {
			proc.Kill()
		}
	})
}

// dumpTime is what a process has to write its dump in.
const dumpTime = 500 * time.Millisecond

// after calls f, with p.mu held, after d if r still runs then. It replaces the
// clock that ran. p.mu is held.
func (w *worker) after(r *link.Row, d time.Duration, f func(*batch)) {
	w.disarm()
	w.clock = time.AfterFunc(d, func() {
		var b batch
		w.p.mu.Lock()
		if r.Flight() == &w.flight {
			f(&b)
		}
		w.p.mu.Unlock()
		b.run()
	})
}

// disarm stops the running row's clock. p.mu is held.
func (w *worker) disarm() {
	if w.clock != nil {
		w.clock.Stop()
		w.clock = nil
	}
}

// lost settles what a process that is gone leaves: the row that ran fails, those
// that had not begun wait again.
func (w *worker) lost(exit Exit, why error) (wasReady bool, err error) {
	p := w.p
	var b batch
	p.mu.Lock()
	wasReady = w.ready || w.leaving
	w.ready = false
	started, waiting := w.flight.Lose()
	pid := w.pid
	w.proc, w.pid = nil, 0
	w.disarm()
	w.ahead, w.alone, w.stalled, w.looked = 0, false, false, 0
	lost := &LostError{Exit: exit}
	if why != nil && !errors.Is(why, io.EOF) && !errors.Is(why, link.ErrClosed) {
		lost.Detail = why.Error()
	}
	if w.setup != nil {
		if started == w.setup {
			started = nil
		}
		waiting = nil
		w.setup = nil
		why = fmt.Errorf("setup: %w", lost)
	}
	if wasReady && !p.closed {
		p.stats.Deaths++
	}
	if started != nil {
		o := link.Outcome{Err: lost, Rank: w.rank, PID: pid}
		if started.Cancelled != nil {
			o.Err = &KilledError{Why: started.Cancelled, Exit: exit}
		}
		p.end(&b, started, o)
	}
	for i, r := range waiting {
		if i == 0 && started == nil && wasReady && !w.leaving {
			// It was next: reading or decoding it may be what kills.
			if r.Lost++; r.Lost >= setAside && r.Cancelled == nil {
				r.Cancelled = &LostError{Exit: exit, Detail: fmt.Sprintf("set aside: %d workers died as they were about to begin it", r.Lost)}
			}
		}
		switch {
		case r.Cancelled != nil:
			p.end(&b, r, link.Outcome{Err: r.Cancelled})
		case w.leaving:
			p.end(&b, r, link.Outcome{Err: ErrClosed})
		default:
			p.enqueue(r)
		}
	}
	p.settle(&b)
	p.mu.Unlock()
	b.run()
	if wasReady {
		return true, nil
	}
	if errors.Is(why, errNoInit) {
		why = fmt.Errorf("%v; %w", exit, why)
	}
	return false, &StartError{Rank: w.rank, PID: pid, Err: why}
}

// startFailed records that w did not start. Rows that nobody can run any more
// end with the reason; the worker goes on trying.
func (p *Pool) startFailed(w *worker, err error, final bool) {
	select {
	case p.up <- err:
	default:
	}
	if !final {
		return
	}
	var b batch
	p.mu.Lock()
	fail := func(q *queue, hopeless func(*link.Row) bool) {
		for r := q.head; r != nil; {
			next := r.Next
			if hopeless(r) {
				q.remove(r)
				p.end(&b, r, link.Outcome{Err: err})
			}
			r = next
		}
	}
	w.broken = true
	all := true
	for _, o := range p.workers {
		all = all && o.broken
	}
	fail(&w.own, func(*link.Row) bool { return true })
	if all {
		fail(&p.any, func(*link.Row) bool { return true })
	}
	fail(&p.picky, func(r *link.Row) bool {
		for _, rank := range r.On {
			if !p.workers[rank-1].broken {
				return false
			}
		}
		return true
	})
	p.mu.Unlock()
	b.run()
}
