package proc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/xenonmp/xme/internal/life"
	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/wire"
)

var (
	// ErrClosed is what a closed pool returns, and how rows end that it cut short.
	ErrClosed = errors.New("pool closed")
	// ErrTimeout is how rows end that ran longer than their Timeout.
	ErrTimeout = errors.New("time limit exceeded")
)

// Config says what a pool is made of. Every field must be set.
type Config struct {
	Backend      Backend
	Identity     wire.Identity
	Workers      int
	Queue        int           // rows accepted and not ended
	MaxMessage   int           // bytes of one value
	Grace        time.Duration // what a row has to end in once its context has
	StartTimeout time.Duration // what a worker has to answer the handshake in

	// Setup, if not nil, makes the row that every worker runs first.
	Setup func() (*link.Row, error)
}

// slack is what a frame's body may hold beside a value of MaxMessage bytes.
const slack = 64 << 10

// Pool queues rows, hands them to its workers and sees that each ends exactly
// once. All methods may be called concurrently.
type Pool struct {
	cfg   Config
	group *life.Group

	mu      sync.Mutex
	workers []*worker // by rank - 1
	any     queue     // rows for any rank
	picky   queue     // rows for one of several ranks; those for one are with their worker
	seq     uint64
	live    int           // rows accepted and not ended
	room    chan struct{} // closed when live shrinks while somebody waits
	closed  bool
	idle    chan struct{}     // closed when live is 0 while Drain waits
	means   map[uint16]uint64 // running mean of a function's rows, ns
	stats   Stats
	stall   stall

	up      chan error      // the first worker's start: nil or why not
	closing context.Context //nolint:containedctx // the pool's own life: it ends when Close begins
	shut    context.CancelFunc
	closes  sync.Once
	ended   chan struct{} // closed when Close has done its work
}

// Stats counts what a pool has done.
type Stats struct {
	Queued, Running           int
	Done, Failed              uint64
	Deaths, Starts, TakenBack uint64
}

// Info describes one worker.
type Info struct {
	Rank, PID int
	Ready     bool
	Running   bool
	Done      uint64
}

// Open starts a pool's workers side by side and returns when the first can take
// rows. ctx bounds Open only.
func Open(ctx context.Context, cfg Config) (*Pool, error) {
	p := &Pool{
		cfg: cfg, group: life.New(), means: map[uint16]uint64{},
		up: make(chan error, 1), ended: make(chan struct{}),
	}
	p.closing, p.shut = context.WithCancel(context.Background())
	for i := range cfg.Workers {
		p.workers = append(p.workers, newWorker(p, i+1))
	}
	for _, w := range p.workers {
		p.group.Go(w.supervise)
	}
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
	return p, nil
}

// CheckRanks reports whether one of ranks names a worker of this pool.
func (p *Pool) CheckRanks(ranks []int) error {
	for _, r := range ranks {
		if r < 1 || r > len(p.workers) {
			return fmt.Errorf("rank %d does not exist: this pool has ranks 1 to %d", r, len(p.workers))
		}
	}
	return nil
}

// OnClose calls f, on a goroutine of its own, once Close has begun, unless stop is
// called first.
func (p *Pool) OnClose(f func()) (stop func() bool) { return context.AfterFunc(p.closing, f) }

// Closed reports whether the pool takes no more rows.
func (p *Pool) Closed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// Ranks returns the ranks whose workers are alive now.
func (p *Pool) Ranks() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ranks []int
	for _, w := range p.workers {
		if w.ready {
			ranks = append(ranks, w.rank)
		}
	}
	return ranks
}

// Workers describes the workers, by rank.
func (p *Pool) Workers() []Info {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Info, 0, len(p.workers))
	for _, w := range p.workers {
		list = append(list, Info{Rank: w.rank, PID: w.pid, Ready: w.ready, Running: w.flight.Len() > 0, Done: w.done})
	}
	return list
}

// Stats returns the counts so far.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	for _, w := range p.workers {
		if w.setup == nil {
			s.Running += w.flight.Len()
		}
	}
	s.Queued = p.live - s.Running
	return s
}

// Kill ends the process of rank at once, as if it had crashed.
func (p *Pool) Kill(rank int) error {
	if err := p.CheckRanks([]int{rank}); err != nil {
		return err
	}
	p.mu.Lock()
	proc := p.workers[rank-1].proc
	p.mu.Unlock()
	if proc == nil {
		return fmt.Errorf("rank %d has no process now", rank)
	}
	proc.Kill()
	return nil
}

// Submit accepts a prefix of rows, top to bottom, and returns its length. It
// blocks only while there is no room for the first; ctx and Close end that wait.
func (p *Pool) Submit(ctx context.Context, rows []*link.Row) (int, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	p.mu.Lock()
	for p.live >= p.cfg.Queue && !p.closed {
		if p.room == nil {
			p.room = make(chan struct{})
		}
		room := p.room
		p.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		p.mu.Lock()
	}
	if p.closed {
		p.mu.Unlock()
		return 0, ErrClosed
	}
	n := min(len(rows), p.cfg.Queue-p.live)
	p.live += n
	// While rows wait, no worker has room (settle keeps it so): nothing to hand out.
	quiet := p.any.len > 0
	for _, r := range rows[:n] {
		p.seq++
		r.Seq = p.seq
		p.enqueue(r)
		if r.On != nil {
			quiet = false
		}
	}
	if quiet {
		p.mu.Unlock()
		return n, nil
	}
	var b batch
	p.settle(&b)
	p.mu.Unlock()
	b.run()
	return n, nil
}

// enqueue puts a row where its ranks say. p.mu is held.
func (p *Pool) enqueue(r *link.Row) { p.queueOf(r).put(r) }

func (p *Pool) queueOf(r *link.Row) *queue {
	switch len(r.On) {
	case 0:
		return &p.any
	case 1:
		return &p.workers[r.On[0]-1].own
	default:
		return &p.picky
	}
}

// Cancel ends rows early, with err as why: rows that have not begun end at once,
// the context of those that run ends. Rows that have ended are left alone.
func (p *Pool) Cancel(err error, rows ...*link.Row) {
	var b batch
	p.mu.Lock()
	for _, r := range rows {
		p.cancel(&b, r, err)
	}
	p.settle(&b)
	p.mu.Unlock()
	b.run()
}

func (p *Pool) cancel(b *batch, r *link.Row, err error) {
	if r.Cancelled != nil || r.Seq == 0 {
		return
	}
	switch r.State() {
	case link.Queued:
		p.queueOf(r).remove(r)
		r.Cancelled = err
		p.end(b, r, link.Outcome{Err: err})
	case link.Sent, link.Started:
		r.Cancelled = err
		w := r.Flight().Tag.(*worker)
		if f, ok := r.Flight().Recall(r, wire.KindCancel); ok {
			w.conn.Send(f)
			b.flush(w.conn)
		}
		if r.State() == link.Started {
			w.armGrace(r)
		} else {
			w.armAnswer(r)
		}
	case link.Ended:
	}
}

// end ends a row that is in no queue and on no link, and frees its room.
func (p *Pool) end(b *batch, r *link.Row, o link.Outcome) {
	if r.State() == link.Queued {
		r.End()
	}
	if o.Err == nil {
		p.stats.Done++
	} else {
		p.stats.Failed++
	}
	p.release()
	b.ends = append(b.ends, ending{r, o})
}

// release frees the room of one row.
func (p *Pool) release() {
	p.live--
	p.wakeWaiting()
	if p.live == 0 && p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
}

// batch gathers what must happen outside p.mu: writing to links and telling owners.
type batch struct {
	conns []link.Conn
	ends  []ending
}

type ending struct {
	row *link.Row
	o   link.Outcome
}

func (b *batch) flush(c link.Conn) {
	if !slices.Contains(b.conns, c) {
		b.conns = append(b.conns, c)
	}
}

// run writes to the links, then tells the owners.
func (b *batch) run() {
	for _, c := range b.conns {
		c.Flush()
	}
	clear(b.conns)
	b.conns = b.conns[:0]
	b.tell()
}

func (b *batch) tell() {
	for _, e := range b.ends {
		e.row.Parcel.Close()
		e.row.Owner.End(e.o)
	}
	clear(b.ends)
	b.ends = b.ends[:0]
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
		var b batch
		p.mu.Lock()
		p.closed = true
		p.wakeWaiting()
		for _, q := range p.queues() {
			for r := q.head; r != nil; r = q.head {
				q.remove(r)
				p.end(&b, r, link.Outcome{Err: ErrClosed})
			}
		}
		for _, w := range p.workers {
			w.bye(&b)
		}
		p.stopStall()
		p.mu.Unlock()
		b.run()
		p.shut()
		quit := time.AfterFunc(p.cfg.Grace, func() { p.each(Process.Quit) })
		kill := time.AfterFunc(p.cfg.Grace+dumpTime, func() { p.each(Process.Kill) })
		p.group.Stop()
		quit.Stop()
		kill.Stop()
		close(p.ended)
	})
	<-p.ended
}

// each calls f on every process there is.
func (p *Pool) each(f func(Process)) {
	p.mu.Lock()
	var list []Process
	for _, w := range p.workers {
		if w.proc != nil {
			list = append(list, w.proc)
		}
	}
	p.mu.Unlock()
	for _, proc := range list {
		f(proc)
	}
}

func (p *Pool) queues() []*queue {
	list := []*queue{&p.any, &p.picky}
	for _, w := range p.workers {
		list = append(list, &w.own)
	}
	return list
}
