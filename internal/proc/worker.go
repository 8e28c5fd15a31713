package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/post"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// worker is one process of a pool, from its start until it has been reaped.
type worker struct {
	p *Pool

	// Guarded by p.mu.
	rank    int     // of its seat; above Workers: none's
	seat    *seat   // nil: a spare, an extra, or on its way out
	mourned *seat   // it had, and that gets no other
	spare   bool    // waits for a seat or a row of its own
	proc    Process // nil until it has been started
	conn    link.Conn
	pid     int
	ready   bool // takes rows
	leaving bool // was told bye
	started bool // its process is being started, or was
	ending  bool // its link has ended, or it did not start
	flight  link.Flight
	setup   *link.Row
	pending *link.Row   // what an extra that is being started is for
	rows    int         // that it was sent and did not give back
	ahead   uint64      // what the rows in flight were reckoned to take, ns
	alone   bool        // the row in flight travels alone
	worn    bool        // it is to run no more: a row that has ended was to be its last, or it was asked to quit
	stalled bool        // the row at the front is slow: send nothing behind it
	looked  uint64      // the front's call number at the last look, or what its lane said
	since   time.Time   // of the look that first saw it
	clock   *time.Timer // of one row, see after
	clocked uint64      // that one's call number
	clocks  bool        // it took the place of another row's
	parting *time.Timer // kills it, should it not end when it was told bye
	asked   int         // see mayAsk; its reader's own

	exceeded *MemoryError // why it was killed; nil: it was not, or for something else

	begins  *link.Begun // where it says which row on the link it has begun; nil: it sends frames
	noBegun bool        // and there will be no such word

	lane        *link.Lane // nil: it has none
	noLane      bool       // and shall have none
	viaLane     bool       // the rows in flight are in the lane
	unpublished bool       // some of them are not to be seen by it yet
	elsewhere   bool       // the end of the front comes on the link
	broken      bool       // it wrote rubbish into its lane
	stale       bool       // rows have ended, and it was not handed others
	paused      int        // it is handed none for now
	prompts     int        // rows in the lane whose ends are waited for one by one
	armed       uint8      // the bell that it was last asked to ring
	armedAt     uint32     // and the row at whose end
	later       bool       // another is to ring before it
	pace        ring.Pace  // as it was last told
	bound       int64      // of memory, as it was last told
	startedCall uint64     // the last call in the lane that it said it had begun

	segments  map[uint64]bool              // that it was told of
	shown     map[region.ID]*region.Region // shared memory that it was shown
	lastShown *region.Region               // the latest of these; nil: none, or it is no more
	keeps     map[region.ID]*region.Region // with locks, that it goes on using
	reserved  int64                        // shared memory that it has made, if that is bounded
	results   map[uint64]*result           // memory that its results lie in

	children map[uint64]*link.Row // calls that its running row made and that have not ended
	lent     bool                 // its running row waits for some of them
	loan     uint64               // the number of the last loan
	most     int64                // the most memory it was seen to use, 0: it was not looked
	launched time.Time            // when its process was started
	mark     mark                 // the row that it was seen to run
	halted   int                  // looks in a row that found it stopped
	why      error                // what the driver killed it for; nil: it did not

	posts *post.Port // nil: the process is this one, or not up

	dead atomic.Bool // the process has ended; what it sent may still be unread
}

func newWorker(p *Pool, rank int) *worker {
	w := &worker{p: p, rank: rank}
	w.flight.Tag = w
	return w
}

// lastBytes is how long a link may be silent after its process ended, or a process
// live on without its link.
const lastBytes = time.Second

// run returns the worker's life: it starts the process, serves it until it has
// ended, and reaps it.
func (w *worker) run(after time.Duration) func(context.Context) {
	return func(ctx context.Context) {
		if after > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(after):
			}
		}
		p := w.p
		p.mu.Lock()
		w.started = ctx.Err() == nil && !w.leaving
		started := w.started
		p.mu.Unlock()
		if !started {
			w.gone(nil)
			return
		}
		launched := time.Now()
		proc, err := p.cfg.Backend.Start(w.rank, p.cfg.MaxMessage+slack)
		if err != nil {
			w.gone(&StartError{Rank: w.rank, Err: err})
			return
		}
		conn := proc.Conn()
		p.mu.Lock()
		w.proc, w.conn, w.pid, w.launched = proc, conn, proc.PID(), launched
		p.stats.Starts++
		late := w.leaving || p.over
		p.mu.Unlock()
		if late {
			proc.Kill()
		}
		w.serve(proc, conn)
	}
}

// serve reads what the process sends until it has ended, then reaps it.
func (w *worker) serve(proc Process, conn link.Conn) {
	// Once the process has ended, all it sent can still be read, and the end of
	// the stream follows, unless something it started holds the link: cut it when
	// nothing comes any more.
	cut := time.AfterFunc(time.Hour, func() { _ = conn.Close() })
	cut.Stop()
	ended := make(chan struct{})
	go func() {
		proc.Ended()
		if pid := proc.PID(); pid != os.Getpid() { // else it was a worker in this process, which lives and has what it has
			runSweeps(pid)
		}
		proc.Kill() // what it left behind, while its group's number is still its own
		w.dead.Store(true)
		cut.Reset(lastBytes)
		close(ended)
	}()
	err := w.greet(conn, proc)
	if err == nil {
		if !conn.Local() {
			w.posts = link.NewPost(false, conn)
		}
		err = w.read(conn, cut)
	}
	if !endsLink(err) {
		proc.Kill() // it broke the protocol, or what it sent is cut short
	}
	wasReady := w.detach()
	select {
	case <-ended:
	case <-time.After(lastBytes):
		proc.Kill() // it let go of the link and lives
		<-ended
	}
	cut.Stop()
	if w.posts != nil {
		w.posts.Close()
	}
	_ = conn.Close()
	exit := proc.Reap()
	w.lost(exit, err, wasReady)
}

// greet shakes hands and sends the set-up row.
func (w *worker) greet(conn link.Conn, proc Process) error {
	p := w.p
	limit := p.cfg.StartTimeout
	late := time.AfterFunc(max(limit, time.Hour), proc.Kill)
	if limit > 0 {
		late.Reset(limit)
	} else {
		late.Stop()
	}
	err := greet(conn, p.cfg.Identity, wire.Hello{
		Version: p.cfg.Identity.Version, Build: p.cfg.Identity.Build, Fingerprint: p.cfg.Identity.Fingerprint(),
		Rank: uint32(w.rank), MaxMessage: uint64(p.cfg.MaxMessage), Shared: uint64(p.cfg.Shared), Umask: int32(p.cfg.Umask),
	})
	if !late.Stop() && err != nil && limit > 0 {
		err = fmt.Errorf("no answer within %v: the program must call xme.Init first of all in main", limit)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = &NoInitError{}
	}
	if err != nil {
		return err
	}
	proc.Fresh()
	if p.cfg.Memory > 0 {
		if err := proc.Limit(p.cfg.Memory); err != nil {
			return fmt.Errorf("limit its memory: %w", err)
		}
	}
	b := batch{p: p}
	p.mu.Lock()
	if p.cfg.Setup == nil {
		w.becomeReady(&b)
	} else {
		err = w.sendSetup(&b)
	}
	p.mu.Unlock()
	b.run()
	return err
}

// NoInitError says what a worker that ended before the handshake most likely means.
type NoInitError struct{ Exit string } // how it ended; empty: not known

func (e *NoInitError) Error() string {
	const text = "it ended before xme.Init served it: make xme.Init() the first statement of main, and of TestMain"
	if e.Exit != "" {
		return e.Exit + "; " + text
	}
	return text
}

// errNoFiles is what a row with open files gets from a link that carries none.
var errNoFiles = fmt.Errorf("open files cross on the socket link only: %w", errors.ErrUnsupported)

// sendSetup sends the set-up row. p.mu is held.
func (w *worker) sendSetup(b *batch) error {
	row, err := w.p.cfg.Setup()
	if err != nil {
		return err
	}
	parcel := row.Parcel
	row.Parcel = nil
	if parcel != nil && len(parcel.Items) > 0 && !w.conn.CarriesFiles() {
		parcel.Close()
		return fmt.Errorf("setup: %w", errNoFiles)
	}
	if parcel != nil {
		regions := parcel.Regions.Take() // whoever set the pool up holds them too
		err := w.p.showShared(b, w, &regions)
		b.letGoOf(regions)
		if err != nil {
			parcel.Close()
			return fmt.Errorf("setup: %w", err)
		}
	}
	w.setup = row
	f := w.flight.Send(row)
	f.Parcel = parcel
	w.conn.Send(f)
	b.flush(w.conn)
	w.p.watchOver(w.p.cfg.Memory > 0)
	return nil
}

// becomeReady lets rows in. p.mu is held.
func (w *worker) becomeReady(b *batch) {
	p := w.p
	if w.leaving || p.over || w.spare && p.open+p.closing == 0 { // a spare of no rank
		w.leave(b)
		return
	}
	w.ready = true
	if !p.lanes.off && w.proc.Lanes() {
		p.hasLanes.Store(true)
	}
	p.account.starting += time.Since(w.launched)
	p.account.started++
	select {
	case p.up <- nil:
	default:
	}
	switch {
	case w.seat != nil:
		w.seat.tries, w.seat.broken = 0, false
		p.isUp(w.seat)
		p.tellNews()
	case w.spare:
		p.spares = append(p.spares, w)
	case w.pending != nil:
		r := w.pending
		w.pending, r.Where = nil, nil
		p.send(b, w, r)
	}
	p.settle(b)
}

// read applies the worker's frames until the link ends.
func (w *worker) read(conn link.Conn, cut *time.Timer) error {
	p := w.p
	b := batch{p: p}
	for {
		f, owned, err := conn.Recv()
		if err != nil {
			b.run()
			return err
		}
		if w.dead.Load() {
			cut.Reset(lastBytes) // there is still something to read
		}
		if err := w.mayAsk(conn, f.Kind); err != nil {
			f.Parcel.Close()
			b.run()
			return err
		}
		if f.Kind == wire.KindPost {
			if err = w.postEvent(f); err != nil || !conn.Buffered() {
				b.run()
			}
			if err != nil {
				return err
			}
			continue
		}
		p.mu.Lock()
		err = p.event(&b, w, f, owned)
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

// What may be queued for a worker when it asks for something that is answered by itself, and how often it may ask while more is.
const (
	unreadBytes = 256 << 20
	unreadAsked = 1 << 20
)

// mayAsk says that a worker asks again and again, and does not read its link: what is queued for it would grow for ever.
func (w *worker) mayAsk(conn link.Conn, k wire.Kind) error {
	switch k {
	case wire.KindPost, wire.KindReserve, wire.KindNest:
	default:
		return nil
	}
	if conn.Queued() <= unreadBytes {
		w.asked = 0
		return nil
	}
	if w.asked++; w.asked > unreadAsked {
		return fmt.Errorf("it sent %d requests, with %d bytes for it that it does not read", w.asked, conn.Queued())
	}
	return nil
}

// postEvent passes a message between processes on.
func (w *worker) postEvent(f link.Frame) error {
	if w.posts == nil {
		f.Parcel.Close()
		return fmt.Errorf("unexpected %v frame", f.Kind)
	}
	if err := w.posts.Arrived(f.Body, f.Parcel); err != nil {
		return fmt.Errorf("%v frame: %w", f.Kind, err)
	}
	return nil
}

// setupEnded takes the set-up row's outcome out of b. p.mu is held.
func (w *worker) setupEnded(b *batch) error {
	w.setup = nil
	last := b.ends[len(b.ends)-1]
	b.ends = b.ends[:len(b.ends)-1]
	last.o.Parcel.Close()
	if last.o.Err != nil {
		// The owner knows how to read the worker's error.
		last.row.Owner.End(last.o, false)
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

// bye asks the process to end and cuts short what it runs. p.mu is held.
func (w *worker) bye(b *batch) {
	if r := w.pending; r != nil {
		w.pending, r.Where = nil, nil
		w.p.end(b, r, link.Outcome{Err: ErrClosed})
	}
	if w.conn == nil || w.leaving {
		w.leaving = true
		return
	}
	if w.viaLane {
		w.p.takeBack(b, w)
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
	if !w.p.over { // else Close has a clock of its own
		proc := w.proc
		w.parting = time.AfterFunc(w.p.cfg.Grace+dumpTime, proc.Kill)
	}
}
