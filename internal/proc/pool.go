package proc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/drain"
	"github.com/xenonmp/xme/internal/life"
	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

var (
	// ErrClosed is what a closed pool returns, and how rows end that it cut short.
	ErrClosed = errors.New("the pool was closed")
	// ErrTimeout is how rows end that ran longer than their Timeout.
	ErrTimeout = errors.New("time limit exceeded")
)

// Config says what a pool is made of.
type Config struct {
	Backend      Backend
	Identity     wire.Identity
	Workers      int
	Spares       int           // processes kept ready beside the workers
	MaxProcesses int           // workers, spares, services and nested calls together
	Recycle      int           // rows after which a process is replaced; 0: never
	Shared       int64         // shared memory that rows name and workers make, in bytes; 0: no bound
	Memory       int64         // what a worker may use, in bytes; 0: no bound
	Queue        int           // rows accepted and not ended
	MaxMessage   int           // bytes of one value
	Umask        int           // what files that processes make are without; -1: what they inherit says
	Grace        time.Duration // what a row has to end in once its context has
	StartTimeout time.Duration // what a worker has to answer the handshake in; 0: for ever
	Kind         Kind

	// Setup, if not nil, makes the row that every worker runs first.
	Setup func() (*link.Row, error)

	// FailBody encodes, for the process that made a call, how it failed.
	FailBody func(r *link.Row, o link.Outcome) []byte
	// RowOf returns the index of a row in its table, -1 if it is in none. It must not
	// block.
	RowOf func(r *link.Row) int
	// FuncName names a function of the table.
	FuncName func(uint16) string
}

// slack is what a frame's body may hold beside a value of MaxMessage bytes.
const slack = 256 << 10

// Pool queues rows, hands them to its workers and sees that each ends exactly
// once. All methods may be called concurrently.
//
// A rank from 1 to Workers is a seat, which has one process at a time; a process
// that is gone is replaced by a spare if one is ready. Processes without a seat
// are spares, or extras: those of services and of nested calls.
type Pool struct {
	cfg   Config
	group *life.Group
	lanesInUse

	mu        sync.Mutex
	seats     []*seat              // by rank - 1
	all       map[*worker]struct{} // every process that has not been reaped
	spares    []*worker            // ready, without a seat
	extras    []*worker            // of services and nested calls
	any       queue                // rows for any rank
	sets      map[string]*rankSet  // rows for one of several ranks; those for one are with their seat
	nested    []*queue             // calls that tasks made, for any rank, by depth - 1
	pinned    int                  // calls that tasks made, for given ranks, that have not begun
	loans     int                  // workers whose task waits for calls of its own
	seq       uint64
	live      int             // rows accepted and not ended
	inner     int             // of these, those that tasks made
	telling   int             // rows that have ended and whose owners may not have been told: they have their room still
	returning int             // rows that have ended and whose owners may have them run again
	open      int             // seats that are not closing
	closing   int             // seats that are, and are not retired yet
	news      chan struct{}   // closed at the next change of a seat that somebody waits for; nil: nobody does
	room      chan struct{}   // closed when live shrinks while somebody waits
	closed    bool            // no more rows are accepted
	starved   bool            // rows wait for descriptors
	over      bool            // Close has begun
	sparing   bool            // spares are wanted by now
	badSpares int             // spares in a row that came to nothing
	idle      chan struct{}   // closed when live is 0 while Drain waits
	means     []atomic.Uint64 // by function, ns; 0: not known
	cpus      int
	lanes     lanes
	segments  link.Segments
	laned     []*worker // those that have a lane
	stats     Stats
	stall     stall
	lookout   lookout
	marks     marks
	account   account
	shared    shared
	unhook    func() // ends the hearing of regions that are no more
	sparesIn  *time.Timer

	someClosed atomic.Bool // some seat is closing or retired
	showed     atomic.Bool // some worker was shown shared memory: not in pools of this process, which may live in a bubble of testing/synctest

	up     chan error      // the first worker's start: nil or why not
	life   context.Context //nolint:containedctx // the pool's own life: it ends when Close begins
	shut   context.CancelFunc
	closes sync.Once
	ended  chan struct{} // closed when Close has done its work
}

// Stats counts what a pool has done.
type Stats struct {
	Queued, Running           int
	Processes, Spares         int
	Done, Failed              uint64
	Deaths, Starts, TakenBack uint64
	Restarts, Retried         uint64
	Functions                 []FuncStats // by function
}

// Info describes one worker.
type Info struct {
	Rank, PID int
	Ready     bool
	Running   bool
	Retired   bool // it takes no more rows, and has no process
	Done      uint64
}

// Open starts a pool's workers side by side and returns when the first can take
// rows. ctx bounds Open only.
func Open(ctx context.Context, cfg Config) (*Pool, error) {
	p := &Pool{
		cfg: cfg, group: life.New(), means: make([]atomic.Uint64, max(len(cfg.Identity.Funcs), 1)), all: map[*worker]struct{}{}, sets: map[string]*rankSet{},
		up: make(chan error, 1), ended: make(chan struct{}),
	}
	p.cpus, _ = sys.CPUs()
	p.account = account{funcs: make([]FuncStats, len(cfg.Identity.Funcs)), least: ownTime - 1, opened: time.Now()}
	p.segments.Forget = p.unmap
	p.unhook = region.OnForget(p.unshare)
	p.life, p.shut = context.WithCancel(context.Background())
	p.mu.Lock()
	p.open = cfg.Workers
	for i := range cfg.Workers {
		s := &seat{rank: i + 1}
		p.seats = append(p.seats, s)
		p.startFor(s, 0)
	}
	p.mu.Unlock()
	var err error
	select {
	case err = <-p.up:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	p.wantSparesSoon()
	return p, nil
}

// OnClose calls f, on a goroutine of its own, once Close has begun, unless stop is
// called first.
func (p *Pool) OnClose(f func()) (stop func() bool) { return context.AfterFunc(p.life, f) }

// Backend returns what starts the pool's workers.
func (p *Pool) Backend() Backend { return p.cfg.Backend }

// Closed reports whether the pool takes no more rows.
func (p *Pool) Closed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed || p.open == 0
}

// Ranks returns the ranks that take rows and whose workers are alive now.
func (p *Pool) Ranks() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ranks []int
	for _, s := range p.seats {
		if s.w != nil && s.w.ready && !s.closing {
			ranks = append(ranks, s.rank)
		}
	}
	return ranks
}

// OpenRanks returns the ranks that take rows: also those whose worker is being started, or started anew.
func (p *Pool) OpenRanks() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ranks []int
	for _, s := range p.seats {
		if !s.closing && !p.over {
			ranks = append(ranks, s.rank)
		}
	}
	return ranks
}

// Workers describes the workers with a rank up to Workers, by rank.
func (p *Pool) Workers() []Info {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Info, 0, len(p.seats))
	for _, s := range p.seats {
		i := Info{Rank: s.rank, Done: s.done, Retired: s.retired || p.over && s.w == nil}
		if w := s.w; w != nil {
			i.PID, i.Ready, i.Running = w.pid, w.ready, w.flight.Len() > 0
		}
		list = append(list, i)
	}
	return list
}

// Stats returns the counts so far.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	for w := range p.all {
		if w.setup == nil {
			s.Running += w.flight.Len()
		}
		if w.proc != nil {
			s.Processes++
		}
	}
	s.Queued = p.live - s.Running - p.telling
	s.Spares = len(p.spares)
	s.Functions = slices.Clone(p.account.funcs)
	for _, f := range append(slices.Clip(s.Functions), p.account.other) {
		s.Done += f.Done
		s.Failed += f.Failed
		s.Retried += f.Retried
	}
	return s
}

// Kill ends the process of rank at once, as if it had crashed.
func (p *Pool) Kill(rank int) error {
	if err := p.checkExist([]int{rank}); err != nil {
		return err
	}
	p.mu.Lock()
	var proc Process
	if w := p.seats[rank-1].w; w != nil {
		proc = w.proc
	}
	p.mu.Unlock()
	if proc == nil {
		return fmt.Errorf("rank %d has no process now", rank)
	}
	proc.Kill()
	return nil
}

// Submit accepts a prefix of rows, top to bottom, and returns its length. It
// blocks only while there is no room for the first; ctx and Close end that wait. A
// row that has ended may be submitted again, as another one.
func (p *Pool) Submit(ctx context.Context, rows []*link.Row) (int, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	n, err := p.enter(ctx, len(rows), !rows[0].Tireless)
	if err != nil {
		return 0, err
	}
	// While rows wait, no worker has room (settle keeps it so): nothing to hand out.
	quiet := p.any.len > 0
	b := &batch{p: p}
	if n == 1 && p.live == 1 && p.sendAlone(b, rows[0]) {
		p.mu.Unlock()
		b.run()
		return 1, nil
	}
	for _, r := range rows[:n] {
		p.seq++
		r.Seq = p.seq
		r.Renew()
		quiet = quiet && r.On == nil && !r.Service
		err := p.checkOpen(r.On)
		if err == nil {
			err = p.charge(r)
		}
		if err != nil {
			p.endForGood(b, r, link.Outcome{Err: err})
			continue
		}
		p.enqueue(b, r)
	}
	if !quiet {
		p.settle(b)
	}
	p.mu.Unlock()
	b.run()
	return n, nil
}

// enter lets up to n rows in, waiting for room for the first; drains says that they are not to begin once ctx lets no more begin. If there is no error, p.mu is held when it returns.
func (p *Pool) enter(ctx context.Context, n int, drains bool) (int, error) {
	p.mu.Lock()
	var d context.Context
	var drained <-chan struct{}
	for p.live-p.inner >= p.cfg.Queue && !p.closed && p.open > 0 {
		if p.room == nil {
			p.room = make(chan struct{})
		}
		room := p.room
		b := &batch{p: p}
		p.readMeanwhile(b)
		p.mu.Unlock()
		b.run()
		if drains && d == nil {
			if d = drain.Of(ctx); d != nil {
				drained = d.Done()
			}
		}
		select {
		case <-room:
		case <-drained:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		if drained != nil && d.Err() != nil { // also if there is room: nothing that has waited begins
			return 0, context.Cause(d)
		}
		p.mu.Lock()
	}
	var err error
	switch {
	case p.closed:
		err = ErrClosed
	case p.open == 0:
		err = p.retiredError(nil)
	default:
		n = min(n, p.cfg.Queue-p.live+p.inner)
		p.live += n
		return n, nil
	}
	p.mu.Unlock()
	return 0, err
}

// Drain lets no more rows in and returns when all have ended, or ctx's error.
// Close must follow.
func (p *Pool) Drain(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.wakeWaiting()
	if p.live == 0 {
		p.mu.Unlock()
		return nil
	}
	if p.idle == nil {
		p.idle = make(chan struct{})
	}
	idle := p.idle
	p.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// wakeWaiting wakes who waits for room. p.mu is held.
func (p *Pool) wakeWaiting() {
	if p.room != nil {
		close(p.room)
		p.room = nil
	}
}

// Close ends the rows that wait with ErrClosed, ends the context of those that
// run, kills what still runs after the grace period, and returns when every
// worker has been reaped. Closing again waits for the same end.
func (p *Pool) Close() {
	p.closes.Do(func() {
		b := batch{p: p}
		p.mu.Lock()
		p.closed, p.over = true, true
		p.tellNews()
		p.account.closed = time.Now()
		p.wakeWaiting()
		for _, q := range p.queues() {
			for _, r := range q.rows() {
				p.unqueue(r)
				p.end(&b, r, link.Outcome{Err: ErrClosed})
			}
		}
		for w := range p.all {
			w.bye(&b)
		}
		p.stopTimers()
		p.mu.Unlock()
		b.run()
		p.shut()
		quit := time.AfterFunc(p.cfg.Grace, func() { p.each(Process.Quit) })
		kill := time.AfterFunc(p.cfg.Grace+dumpTime, func() { p.each(Process.Kill) })
		p.group.Stop()
		p.stopListening()
		p.segments.Close()
		p.unhook()
		quit.Stop()
		kill.Stop()
		p.mu.Lock()
		p.tellNews()
		p.mu.Unlock()
		close(p.ended)
	})
	<-p.ended
}

// each calls f on every process there is.
func (p *Pool) each(f func(Process)) {
	p.mu.Lock()
	var list []Process
	for w := range p.all {
		if w.proc != nil {
			list = append(list, w.proc)
		}
	}
	p.mu.Unlock()
	for _, proc := range list {
		f(proc)
	}
}
