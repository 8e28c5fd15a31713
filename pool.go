package xme

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

// Pool is an executor whose workers are processes: this program again. All its
// methods may be called concurrently. Whoever opened it closes it.
type Pool struct {
	p    *proc.Pool
	opts Options

	stdout, stderr *proc.Output

	calls atomic.Uint64 // numbers Call and Go, for their seeds

	mu      sync.Mutex
	watches map[<-chan struct{}]*watch
	empty   *watch // the last one that watches no call, kept for the next
}

// Worker describes one worker of a pool.
type Worker struct {
	Rank  int // from 1; a replacement takes its predecessor's
	PID   int // 0 while there is no process
	State State
	Done  uint64 // rows that ended on this rank
}

// State is what a worker does.
type State uint8

// The states of a worker.
const (
	Starting State = iota // its process is being started or replaced
	Idle                  // ready for rows
	Busy                  // has rows
)

func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Idle:
		return "idle"
	case Busy:
		return "busy"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Stats counts what a pool has done so far.
type Stats struct {
	Queued    int    // calls that wait in the driver
	Running   int    // calls that are with a worker
	Done      uint64 // calls that ended with a result
	Failed    uint64 // calls that ended with an error
	Starts    uint64 // processes started
	Deaths    uint64 // processes that ended before they were told to
	TakenBack uint64 // rows taken back from a slow worker for another
}

// Open starts the workers side by side and returns once the first is ready. ctx
// bounds Open only. It returns an error, and leaves nothing behind, if an option
// makes no sense, if [Init] has not run, or if the first worker does not start.
func Open(ctx context.Context, o Options) (*Pool, error) {
	if !table.isFrozen() {
		return nil, errors.New("xme: Open before Init: make xme.Init() the first statement of main, and of TestMain; " +
			"the workers are copies of this program and are served there")
	}
	if role != nil && !served.Load() {
		return nil, errors.New("xme: Open in a worker that does not serve: xme.Init must be called unconditionally")
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	id, err := identity()
	if err != nil {
		return nil, fmt.Errorf("xme: Open: %w", err)
	}
	pool := &Pool{opts: o, watches: map[<-chan struct{}]*watch{}}
	cfg := proc.Config{
		Identity: id, Workers: o.Workers, Queue: o.Queue, MaxMessage: o.MaxMessage, Grace: max(o.Grace, 0), StartTimeout: o.StartTimeout,
		Backend: proc.BackendFrom(ctx),
	}
	if o.Setup.row != nil {
		if _, err := o.Setup.row(); err != nil {
			return nil, fmt.Errorf("xme: Open: setup: %w", err)
		}
		cfg.Setup = func() (*link.Row, error) {
			s, err := o.Setup.row()
			if err != nil {
				return nil, err
			}
			return &s.row, nil
		}
	}
	if cfg.Backend == nil {
		if cfg.Backend, err = pool.processes(); err != nil {
			return nil, fmt.Errorf("xme: Open: %w", err)
		}
	}
	if pool.p, err = proc.Open(ctx, cfg); err != nil {
		pool.closeOutput()
		return nil, fmt.Errorf("xme: Open: %w", err)
	}
	return pool, nil
}

// processes makes the backend that starts this program again.
func (p *Pool) processes() (proc.Backend, error) {
	o := p.opts
	path, err := sys.Executable()
	if err != nil {
		return nil, err
	}
	name := path
	if len(os.Args) > 0 {
		name = os.Args[0]
	}
	p.stdout, p.stderr = proc.NewOutput(o.Stdout), proc.NewOutput(o.Stderr)
	return &proc.Exec{
		Path: path, Args: []string{name, "xme-worker"}, Env: o.Env, Dir: o.Dir, Pipes: o.Link == LinkPipe, Stdout: p.stdout, Stderr: p.stderr,
	}, nil
}

// outputTime is what the driver's own output has to take the workers' last lines.
const outputTime = time.Second

func (p *Pool) closeOutput() {
	for _, o := range []*proc.Output{p.stdout, p.stderr} {
		if o != nil {
			o.Close(outputTime)
		}
	}
}

// Submit implements [Executor]. Calls are handed out in order, each to the first
// worker that has room; it blocks while Options.Queue calls have not ended.
func (p *Pool) Submit(ctx context.Context, calls []*Call) (int, error) {
	rows := make([]*link.Row, 0, len(calls))
	at := make([]int, 0, len(calls)) // rows[i] is calls[at[i]]
	var refused []int
	var errs map[int]error
	for i, c := range calls {
		if err := p.prepare(c); err != nil {
			refused = append(refused, i)
			if errs == nil {
				errs = map[int]error{}
			}
			errs[i] = err
			continue
		}
		rows = append(rows, &c.row)
		at = append(at, i)
	}
	n, err := len(calls), error(nil)
	if len(rows) > 0 {
		var m int
		if m, err = p.p.Submit(ctx, rows); m < len(rows) {
			n = at[m]
		}
		if errors.Is(err, proc.ErrClosed) {
			err = ErrClosed
		}
	}
	for _, i := range refused {
		if i < n {
			calls[i].Finish(nil, errs[i])
		}
	}
	for i, j := range at {
		c := calls[j]
		switch {
		case j >= n:
			if c.watch != nil {
				c.watch.remove(c)
			}
		case c.ctx.Err() != nil: // it may have ended before the pool knew the row
			p.p.Cancel(context.Cause(c.ctx), rows[i])
		}
	}
	return n, err
}

// prepare encodes a call and has its context watched.
func (p *Pool) prepare(c *Call) error {
	if err := c.opts.refused(); err != nil {
		return err
	}
	if len(c.opts.On) > 0 {
		if err := p.p.CheckRanks(c.opts.On); err != nil {
			return fmt.Errorf("option On: %w", err)
		}
	}
	if err := context.Cause(c.ctx); err != nil {
		return err
	}
	if c.row.Body == nil {
		if c.args-metaSize > p.opts.MaxMessage {
			return c.encodeError(tooLarge("value", c.args-metaSize, p.opts.MaxMessage))
		}
		if !c.seeded {
			n := uint64(c.index)
			if c.index < 0 {
				n = looseSeeds + p.calls.Add(1)
			}
			c.seed, c.seeded = seedOf(p.opts.Seed, n), true
		}
		var parcel wire.Parcel
		body, err := c.encode(make([]byte, 0, c.args), &parcel)
		if err == nil && len(body)-metaSize > p.opts.MaxMessage {
			err = tooLarge("value", len(body)-metaSize, p.opts.MaxMessage)
		}
		if err != nil {
			parcel.Close()
			return c.encodeError(err)
		}
		c.row.Body, c.row.Func, c.row.Owner = body, c.fn.index, c
		if len(parcel.Items) > 0 {
			c.row.Parcel = &parcel
		}
		c.row.On, c.row.Timeout = c.opts.On, c.opts.Timeout
		c.row.Alone = len(c.opts.On) > 0 || c.opts.Timeout > 0
	}
	if c.ctx.Done() != nil {
		p.watchCall(c)
	}
	return nil
}

// Ranks returns the ranks of the workers that are alive now, from 1.
func (p *Pool) Ranks() []int { return p.p.Ranks() }

// Workers describes the workers, by rank.
func (p *Pool) Workers() []Worker {
	infos := p.p.Workers()
	list := make([]Worker, 0, len(infos))
	for _, i := range infos {
		w := Worker{Rank: i.Rank, PID: i.PID, State: Starting, Done: i.Done}
		if i.Ready {
			w.State = Idle
		}
		if i.Ready && i.Running {
			w.State = Busy
		}
		list = append(list, w)
	}
	return list
}

// Stats returns the counts so far.
func (p *Pool) Stats() Stats {
	s := p.p.Stats()
	return Stats{
		Queued: s.Queued, Running: s.Running, Done: s.Done, Failed: s.Failed, Starts: s.Starts, Deaths: s.Deaths, TakenBack: s.TakenBack,
	}
}

// Shutdown lets no more calls in, waits for those accepted to end, and closes the
// pool. If ctx ends first, it closes at once, cutting short what runs, and returns
// ctx's cause.
func (p *Pool) Shutdown(ctx context.Context) error {
	err := p.p.Drain(ctx)
	return errors.Join(err, p.Close())
}

// Close ends what waits with ErrClosed, ends the contexts of what runs, kills what
// still runs after Options.Grace, and returns when every worker has been reaped.
// Closing twice is fine.
func (p *Pool) Close() error {
	p.p.Close()
	p.closeOutput()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.empty != nil {
		p.empty.forget()
		p.empty = nil
	}
	return nil
}

// kill ends the process of a rank, for xmetest.
func (p *Pool) kill(rank int) error { return p.p.Kill(rank) }

func init() {
	proc.KillRank = func(pool any, rank int) error {
		p, ok := pool.(*Pool)
		if !ok {
			return fmt.Errorf("a %T has no workers to kill", pool)
		}
		return p.kill(rank)
	}
}

// watch ends calls when their common context ends.
type watch struct {
	p    *Pool
	done <-chan struct{}
	stop func() bool
	head *Call
}

// watchCall has c end when its context does. Calls of one table or loop share a
// context, and so a watch.
func (p *Pool) watchCall(c *Call) {
	done := c.ctx.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.watches[done]
	if w == nil {
		w = &watch{p: p, done: done}
		p.watches[done] = w
		ctx := c.ctx
		w.stop = context.AfterFunc(ctx, func() { w.fire(context.Cause(ctx)) })
	}
	if p.empty == w {
		p.empty = nil
	}
	c.watch = w
	c.next, c.prev = w.head, nil
	if w.head != nil {
		w.head.prev = c
	}
	w.head = c
}

func (w *watch) remove(c *Call) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	if c.watch != w {
		return
	}
	c.watch = nil
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		w.head = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.next, c.prev = nil, nil
	if w.head != nil {
		return
	}
	// One empty watch is kept, so that calls one after another under one context
	// do not make it anew each time.
	if old := w.p.empty; old != nil && old != w {
		old.forget()
	}
	w.p.empty = w
}

// forget drops an empty watch. p.mu is held.
func (w *watch) forget() {
	w.stop()
	delete(w.p.watches, w.done)
}

// fire ends every call of the watch.
func (w *watch) fire(cause error) {
	var rows []*link.Row
	w.p.mu.Lock()
	for c := w.head; c != nil; c = c.next {
		rows = append(rows, &c.row)
	}
	w.p.mu.Unlock()
	w.p.p.Cancel(cause, rows...)
}
