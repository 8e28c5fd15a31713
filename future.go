package xme

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/xenonmp/xme/internal/proc"
)

// Future is a handle on the result of one call. It may be used from any goroutine, any
// number of times, even after its executor was closed. Waiting for a zero Future panics.
type Future[Out any] struct {
	over   event
	cancel context.CancelCauseFunc
	call   atomic.Pointer[Call] // in a pool, until it has ended
	value  Out
	err    error
	point  waitPoint
	on     Executor
	fn     uint16
}

func newFuture[Out any](on Executor) *Future[Out] {
	return &Future[Out]{point: waitPointOn(on), on: on}
}

// started is a call whose end a future waits for. The future, which may be kept for
// long, does not refer to it once it has ended.
type started[In, Out any] struct {
	call call[In, Out]
	fu   *Future[Out]
}

func newStarted[In, Out any](ctx context.Context, on Executor, f *Func[In, Out], in In, fu *Future[Out]) *Call {
	s := &started[In, Out]{fu: fu}
	initCall(&s.call, ctx, on, f, in, s)
	fu.fn = f.fn.index
	return &s.call.base
}

func (s *started[In, Out]) end(c *Call, _ int) {
	fu := s.fu
	fu.value, fu.err = s.call.out, c.err
	fu.call.Store(nil)
	fu.point.end()
	fu.over.happen(fu.on)
	if fu.cancel != nil {
		fu.cancel(nil)
	}
}

// Wait returns the result once the call has ended. If ctx ends first, Wait returns its
// cause; the call goes on, and Wait may be called again. If there is an error, the result
// is a zero value without meaning.
func (fu *Future[Out]) Wait(ctx context.Context) (Out, error) {
	if ctx == nil {
		panic(nilContext("Future.Wait"))
	}
	fu.known()
	if fu.over.Has() {
		return fu.value, fu.err
	}
	fu.point.enter()
	if err := pull(ctx, true, fu.on, &fu.over); err != nil {
		fu.point.leave()
		var none Out
		return none, err
	}
	if fu.over.wait(ctx, fu.on, fu.fn, false) {
		return fu.value, fu.err
	}
	fu.point.leave()
	var none Out
	return none, context.Cause(ctx)
}

// known panics, on the caller's goroutine, if nothing will ever end fu.
func (fu *Future[Out]) known() {
	switch {
	case fu == nil:
		panic("xme: use of a nil *Future: use what Go returned")
	case fu.on == nil:
		panic("xme: use of a zero Future: use what Go returned")
	}
}

// Done returns a channel that is closed when the call has ended. Within a task, calling
// Done counts as waiting: the task lends its slot to others until the call has ended.
func (fu *Future[Out]) Done() <-chan struct{} {
	fu.known()
	fu.point.enterForGood()
	done := fu.over.Done()
	if p, ok := fu.on.(proc.Puller); ok {
		go func() { _ = p.Pull(context.Background(), done) }()
	}
	return done
}

// pull has a call's end be fetched, if its executor wants that. ends says that the end of ctx ends the wait.
func pull(ctx context.Context, ends bool, on Executor, over *event) error {
	if _, pool := on.(*Pool); pool {
		return nil
	}
	p, ok := on.(proc.Puller)
	if !ok || over.Has() {
		return nil
	}
	if !ends {
		ctx = context.WithoutCancel(ctx)
	}
	return p.Pull(ctx, over.Done())
}

// Cancel ends the call early: a call that has not begun never begins, and one that runs
// has its context ended. The future then ends with an error for which errors.Is finds
// context.Canceled, unless the call had already ended otherwise or its task returns a
// value nevertheless. Cancel does not wait.
func (fu *Future[Out]) Cancel() {
	if fu.cancel != nil {
		fu.cancel(context.Canceled)
	}
	if c := fu.call.Load(); c != nil {
		c.on.(*Pool).cancel(c)
	}
}

// Call runs f on an executor and waits for the result. ctx bounds the task: when ctx
// ends, a call that has not begun ends at once, and one that runs has its context ended;
// Call returns when the task has returned, which a pool enforces after Options.Grace and
// half a second. An error is an *Error; only on a manager's queue may it instead be the
// error of fetching the result. Call panics if ctx or the executor is nil, and on a pool
// that Open did not make.
func (f *Func[In, Out]) Call(ctx context.Context, on Executor, in In) (Out, error) {
	on = check(ctx, known(f), "Call", on)
	p, inPool := on.(*Pool)
	if inPool {
		free := (f.ways.plain || f.ways.hands) && ctx.Err() == nil && drainOf(ctx) == nil
		if f.ways.plain && free && p.opts.MaxMessage >= smallArgs && p.p.LeadAlone() {
			return callAlone(ctx, f, p, in)
		}
		if f.ways.rouses {
			p.p.Rouse()
		}
		if f.ways.hands && free {
			return callHanding(ctx, f, p, in)
		}
	}
	a, _ := f.fn.awaited.Get().(*awaited[In, Out])
	if a == nil {
		a = new(awaited[In, Out])
	}
	initCall(&a.call, ctx, on, f, in, &a.wait)
	if err := a.wait.run(ctx, on, &a.call.base); err != nil {
		var none Out
		return none, err
	}
	out, err := a.call.out, a.call.base.err
	if inPool && err == nil && a.call.base.reusable() {
		*a = awaited[In, Out]{}
		f.fn.awaited.Put(a)
	}
	return out, err
}

// run submits a call and waits for its end. The error is why it cannot be waited for.
func (w *waiting) run(ctx context.Context, on Executor, c *Call) error {
	w.call, w.point = c, waitPointOn(on)
	c.awaited, c.pulled = true, true
	_ = submit(ctx, on, c)
	w.point.enter()
	if err := pull(ctx, false, on, &w.over); err != nil {
		w.point.leave()
		return err
	}
	w.over.wait(context.Background(), on, c.fn.index, c.led)
	return nil
}

// reusable reports whether nobody else can still look at a call that a pool ended with a
// result: not who watches its context, nor a clock, nor a lost worker in this process.
func (c *Call) reusable() bool {
	return endOf(c.ctx) == nil && c.opts.Timeout == 0 && c.opts.Retries == 0 && !c.row.Astray
}

// Go starts a call of f and returns its future. It blocks until the executor has accepted
// the call or ctx ends; in may be changed once Go has returned. A pool bounds the calls
// it accepts (Options.Queue), except for those that tasks make. ctx bounds the task, not
// only the wait. Go returns no error: if a call was not accepted, or failed, the *Error
// that [Future.Wait] returns says why.
func (f *Func[In, Out]) Go(ctx context.Context, on Executor, in In) *Future[Out] {
	on = check(ctx, known(f), "Go", on)
	fu := newFuture[Out](on)
	if _, ok := on.(*Pool); !ok {
		ctx, fu.cancel = context.WithCancelCause(ctx)
	}
	c := newStarted(ctx, on, f, in, fu)
	c.pulled = true
	if fu.cancel == nil {
		fu.call.Store(c)
	}
	_ = submit(ctx, on, c)
	return fu
}

// Broadcast runs f once on each of the executor's ranks and returns one future per rank,
// in rank order. A pool's ranks are those whose workers are alive now. With On it runs f
// once on each rank given, and the futures are in that order. A worker that dies fails
// only its own future. If no worker is alive there is one future, which ends with an
// error. On an executor without ranks, and on a communicator of package mpi that makes no
// calls, there is one future, which ends with an error that wraps errors.ErrUnsupported.
func (f *Func[In, Out]) Broadcast(ctx context.Context, on Executor, in In) []*Future[Out] {
	of := on // its own ranks, also if it stands for a pool
	on = check(ctx, known(f), "Broadcast", on)
	ranks, err := ranksOf(of, on, f.opts.On)
	if err != nil { // a loop over no futures would look like success
		fu := newFuture[Out](on)
		c := newStarted(ctx, on, f, in, fu)
		c.final = true // there is nowhere to try it again
		c.Finish(nil, err)
		return []*Future[Out]{fu}
	}
	futures := make([]*Future[Out], 0, len(ranks))
	for _, r := range ranks {
		futures = append(futures, f.With(On(r)).Go(ctx, on, in))
	}
	return futures
}

// ranksOf returns the ranks that a broadcast is for: those of an executor, which on stands for, unless some are given. The error is why there are none.
func ranksOf(of, on Executor, given []int) ([]int, error) {
	ranked, ok := of.(interface{ Ranks() []int })
	if !ok {
		return nil, unsupported(fmt.Sprintf("Broadcast on a %T, which has no ranks,", on))
	}
	if given == nil {
		given = ranked.Ranks()
	}
	if len(given) > 0 {
		return given, nil
	}
	if p, ok := on.(*Pool); ok && p.p.Closed() {
		return nil, ErrClosed
	}
	if why := refusal(on); why != nil {
		return nil, why
	}
	return nil, fmt.Errorf("no worker is alive: %w", ErrWorkerLost)
}

// refusal returns why an executor takes no calls at all; nil: it does, as far as is known.
func refusal(on Executor) error {
	if proc.RefusalOf == nil {
		return nil
	}
	return proc.RefusalOf(on)
}
