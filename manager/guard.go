package manager

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
)

// GuardOptions configures a guard. The zero value works.
type GuardOptions struct {
	// Idle is the time without a call after which the guard ends: 10 s by default, never if
	// negative. The guard does not end while rows of its table or a heartbeat are alive.
	Idle time.Duration
	// Verbose is how often the guard reports its state to its process's log: every 5 s by default,
	// never if negative.
	Verbose time.Duration
	// Start is the name of a registered function, func(context.Context, *manager.Manager)
	// (struct{}, error), that is called in the guard's process before its first call, and again in
	// any process that takes its place. If it fails, so does the guard. Its context ends with the
	// guard's.
	Start string
}

// GuardCall is the argument of [Guard]: whose queue it runs, and how. Its methods are for package
// xme, which uses them to tell a guard about its table; programs have no use for them.
type GuardCall struct {
	Manager *Manager
	Options GuardOptions

	guardPlace
}

// guardPlace is what package xme has a call of Guard know. Embedded it crosses though nobody else sees it.
type guardPlace struct {
	id   uint64 // set when it is called: what the guard's processes have in common
	rows bool   // set by the table that it is a row of: it has other rows
}

// GuardReport says what a guard has done.
type GuardReport struct {
	Calls int    // the number it ran, in the last of its processes
	Ended string // "idle": no call came; "stopped": it was told to, and drained the queue; "closed": the manager was closed
}

// Guard is the service row that runs a manager's queue beside the rows of a table:
//
//	manager.Guard.Add(&table, xme.Repeat(1, manager.GuardCall{Manager: m}))
//
// It runs the queued calls one at a time, in order, for as long as the table's other rows run,
// services included; then it runs what is still queued, and ends. Started by Guard.Go it belongs to
// no table, and ends when it is idle or stopped; when its context ends it drains the queue, for as
// long as the pool's Grace allows. A manager has one guard running at a time: another waits for a
// second, since the process of the first may already be dead, and then ends with ErrGuardRuns.
//
// Queued functions run in the guard's process, methods in the manager's. If the guard's process
// dies, the function that it ran ends with ErrGuardLost and is not run again; the pool starts
// another guard, and the queue goes on.
var Guard = xme.Register("guard", runGuard(handles)).With(xme.Service(), xme.Retries(mostGuards))

// mostGuards bounds how often a guard is replaced.
const mostGuards = 1 << 20

func runGuard(bool) func(context.Context, GuardCall) (GuardReport, error) {
	return func(ctx context.Context, g GuardCall) (GuardReport, error) {
		return g.run(ctx)
	}
}

// Named is for package xme: it returns the call with what the guard's processes have in common.
func (g GuardCall) Named() any {
	if g.id == 0 {
		i := newID()
		g.id = binary.LittleEndian.Uint64(i[:]) | 1
	}
	return g
}

// OfTable is for package xme: it returns the call as that of a table with other rows, and makes the
// manager expect the guard.
func (g GuardCall) OfTable(ctx context.Context) any {
	g.rows = true
	_, _ = opExpect.call(ctx, g.Manager, guardRequest{g.id, g.Options.idle()}) // the guard itself finds what is wrong
	return g
}

type guardRequest struct {
	ID   uint64
	Idle time.Duration
}

var opExpect = define("expect guard", false, func(_ context.Context, h *host, c *caller, in guardRequest) (struct{}, error) {
	h.queue.expectGuard(in.ID, in.Idle, c.of())
	return struct{}{}, nil
})

var opTableEnded = define("table ended", false, func(_ context.Context, h *host, _ *caller, in guardRequest) (struct{}, error) {
	if err := h.usable(); err != nil {
		return struct{}{}, err
	}
	go h.queue.tableEnded(in.ID)
	return struct{}{}, nil
})

// TableEnded is for package xme: the table's other rows have ended.
func (g GuardCall) TableEnded(ctx context.Context) error {
	_, err := opTableEnded.call(ctx, g.Manager, guardRequest{ID: g.id})
	return err
}

var opGuardFailed = define("guard failed", true, func(_ context.Context, h *host, _ *caller, in guardRequest) (struct{}, error) {
	h.queue.failed(in.ID)
	return struct{}{}, nil
})

// Failed is for package xme: the guard has failed for good.
func (g GuardCall) Failed(ctx context.Context) {
	_, _ = opGuardFailed.call(ctx, g.Manager, guardRequest{ID: g.id}) // without a manager there is nothing to be told
}

// idle is the limit that the options ask for.
func (o *GuardOptions) idle() time.Duration {
	if o.Idle == 0 {
		return defaultIdle
	}
	return o.Idle
}

// verbose is how often the options have a guard say how it is.
func (o *GuardOptions) verbose() time.Duration {
	if o.Verbose == 0 {
		return defaultVerbose
	}
	return o.Verbose
}

var _ proc.Guard = GuardCall{}

var opAttach = define("guard", true, func(ctx context.Context, h *host, c *caller, in leaseRequest) (struct{}, error) {
	return struct{}{}, h.queue.attach(ctx, in, c.of())
})

// attach takes a lease, and returns its number.
func (m *Manager) attach(ctx context.Context, in leaseRequest) (gen uint64, err error) {
	i := newID()
	in.Gen = binary.LittleEndian.Uint64(i[:])
	if _, err = opAttach.call(ctx, m, in); err != nil {
		m.resign(ctx, in.Gen) // it may have been given all the same
	}
	return in.Gen, err
}

// resign gives a lease back.
func (m *Manager) resign(ctx context.Context, gen uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stringPatience)
	defer cancel()
	_, _ = opResign.call(ctx, m, askRequest{Gen: gen}) // what it cannot reach needs no lease
}

// run is a guard's life.
func (g *GuardCall) run(ctx context.Context) (r GuardReport, err error) {
	o := g.Options
	o.Idle, o.Verbose = o.idle(), o.verbose()
	for tries := 1; ; tries++ {
		var asked bool
		r, asked, err = g.guard(ctx, o)
		if !errors.Is(err, ErrLost) || ctx.Err() != nil {
			return r, err
		}
		if asked {
			tries = 0
		}
		if tries == mostTries { // a manager that has died may be back
			return r, err
		}
	}
}

const defaultVerbose = 5 * time.Second

// guard is its life with one process of the manager's.
func (g *GuardCall) guard(ctx context.Context, o GuardOptions) (r GuardReport, asked bool, err error) {
	m := g.Manager
	gen, err := m.attach(ctx, leaseRequest{ID: g.id, Rows: g.rows, Idle: o.Idle})
	if err != nil {
		return r, false, err
	}
	of := context.WithValue(ctx, queueKey{}, m.id)
	within := context.WithoutCancel(of) // it drains when ctx has ended
	if o.Start != "" {
		if err := g.start(of, o.Start); err != nil {
			m.resign(ctx, gen)
			return r, false, err
		}
	}
	defer context.AfterFunc(ctx, func() { _, _ = opStop.call(context.Background(), m, struct{}{}) })()
	isUp(ctx)
	defer g.verbose(ctx, o)()
	a, err := serveLease(within, within, m, gen)
	if errors.Is(err, ErrClosed) {
		a, err = askAnswer{Ended: endedShut}, nil
	}
	if err != nil {
		m.resign(ctx, gen)
	}
	return GuardReport{a.Calls, a.Ended}, true, err
}

// serveLease runs what the holder of a lease is to run, under ctx, until the lease ends, or wait.
func serveLease(wait, ctx context.Context, m *Manager, gen uint64) (askAnswer, error) {
	in := askRequest{Gen: gen}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if h, err := m.host(); err == nil && h != nil {
		defer context.AfterFunc(h.life, cancel)()
	} else if r, ok := m.at.(*remote); ok {
		if c, err := r.conn(); err == nil {
			defer context.AfterFunc(c.life, cancel)()
			c.unuse()
		}
	}
	for {
		a, err := m.ask(wait, in)
		if err != nil || a.Call == nil {
			return a, err
		}
		in = askRequest{Gen: gen, Has: true}
		body, err := xme.Serve(ctx, a.Call.Name, a.Call.Args)
		if err != nil {
			var e *xme.Error
			if !errors.As(err, &e) {
				return a, err
			}
			in.Threw = errorBody(e)
			continue
		}
		if len(body) > mostResult {
			in.Threw = errorBody(&xme.Error{Func: a.Call.Name, Row: -1, Cause: xme.CauseEncode, Message: resultTooLarge(body)})
			continue
		}
		in.Body = body
	}
}

// start calls the start-up function.
func (g *GuardCall) start(ctx context.Context, name string) error {
	f, err := xme.Lookup[*Manager, struct{}](name)
	if err == nil {
		_, err = f.Call(ctx, xme.Inline(), g.Manager)
	}
	if err != nil {
		return errorf("guard: its start-up function %s: %w", name, err)
	}
	return nil
}

var opResign = define("guard resigns", true, func(_ context.Context, h *host, _ *caller, in askRequest) (struct{}, error) {
	h.queue.resign(in.Gen)
	return struct{}{}, nil
})

// resign ends a lease that its holder gives back, or will never hear of; no other guard is expected for it. What is queued for a table goes with it.
func (q *callQueue) resign(gen uint64) {
	q.mu.Lock()
	q.isOver(gen) // who asked for it may be about to be given it
	var after func()
	if l := q.lease; l != nil && l.gen == gen {
		rows := l.rows
		if e := q.current; e != nil && e.fn != nil && l.sent && !e.reported {
			e.reported = true
			after = func() { q.finish(e, outcomeOf{err: lostCall(e)}) }
		}
		after = join(after, q.end(endedLost), q.drainSoon)
		delete(q.ended, gen)
		if rows {
			after = join(after, q.abandon())
		}
	}
	q.mu.Unlock()
	if after != nil {
		after()
	}
}

var opStop = define("stop guard", true, func(ctx context.Context, h *host, _ *caller, _ struct{}) (struct{}, error) {
	h.queue.stopSoon()
	return struct{}{}, h.queue.waitStopped(ctx)
})

// Stop makes the guard run what is queued, and then end. Nothing more is accepted, and those who
// wait for results without having a call queued get ErrGuardStopped at once. Stop waits until the
// guard has ended or ctx ends, which ends only the wait. Without a guard it does nothing; if the
// guard is being replaced it waits for the new one. A call in the queue would wait for itself: its
// error wraps ErrDeadlock.
func (q *Queue) Stop(ctx context.Context) error {
	if queueOf(ctx) == q.m.id && q.m.id != (id{}) {
		return errorf("stop the guard from a call that it runs, which would wait for itself: queue %q with %s, or set it: %w", "Table::update", GuardKey, ErrDeadlock)
	}
	_, err := opStop.call(ctx, q.m, struct{}{})
	return err
}

// Exec runs the first call of the queue, if there is one, and reports whether there was. Its
// outcome goes to its future and its operator. A function of the function table runs in this
// process. While a guard runs the error wraps ErrGuardRuns; of several concurrent Execs one runs at
// a time. If ctx ends, the error is its cause: a method that is running continues; a function has
// its context ended, and if it ignores that, its future does not learn of its result.
func (q *Queue) Exec(ctx context.Context) (ran bool, err error) {
	if q.m != nil && queueOf(ctx) == q.m.id {
		return false, errorf("exec within a call that runs from the queue, and waits for itself: %w", ErrDeadlock)
	}
	gen, err := q.m.attach(ctx, leaseRequest{Exec: true})
	if err != nil {
		return false, err
	}
	a, err := serveLease(ctx, context.WithValue(ctx, queueKey{}, q.m.id), q.m, gen)
	if err != nil {
		q.m.resign(ctx, gen)
	}
	return a.Calls > 0, err
}

// verbose says now and then how the guard is, until what it returns is called.
func (g *GuardCall) verbose(ctx context.Context, o GuardOptions) (stop func()) {
	if o.Verbose < 0 {
		return func() {}
	}
	end := make(chan struct{})
	ctx = context.WithoutCancel(ctx)
	go func() {
		tick := time.NewTicker(o.Verbose)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				g.say(ctx, o)
			case <-end:
				return
			}
		}
	}()
	return func() { close(end) }
}

// say says by the log how a guard is.
func (g *GuardCall) say(ctx context.Context, o GuardOptions) {
	limited, cancel := context.WithTimeout(ctx, o.Verbose)
	defer cancel()
	s, err := g.Manager.Queue().State(limited)
	if err != nil {
		return // the guard finds out
	}
	limit := "none"
	if o.Idle > 0 {
		limit = o.Idle.String()
	}
	xme.Logger(ctx).Info("guard", "since_last", s.Idle.Round(time.Millisecond).String(), "limit", limit, "queued", s.Len)
}
