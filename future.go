package xme

import (
	"context"
	"fmt"
)

// Future is the handle on the result of one call. It may be used from any
// goroutine, any number of times, also after its executor was closed.
type Future[Out any] struct {
	done   chan struct{}
	cancel context.CancelCauseFunc
	value  Out
	err    error
	point  waitPoint
}

func newFuture[Out any](on Executor) *Future[Out] {
	return &Future[Out]{done: make(chan struct{}), point: waitPointOn(on)}
}

func (fu *Future[Out]) charge(int, int) {}

func (fu *Future[Out]) end(_ int, v Out, err error, _ sizes) {
	fu.value, fu.err = v, err
	fu.point.end()
	close(fu.done)
	if fu.cancel != nil {
		fu.cancel(nil)
	}
}

// Wait returns the result once the call has ended, or ctx's cause if that ends
// first; then the call goes on and Wait may be called again. On an error the
// result is a zero value that means nothing.
func (fu *Future[Out]) Wait(ctx context.Context) (Out, error) {
	select {
	case <-fu.done:
		return fu.value, fu.err
	default:
	}
	fu.point.enter()
	select {
	case <-fu.done:
		return fu.value, fu.err
	case <-ctx.Done():
		fu.point.leave()
		var none Out
		return none, context.Cause(ctx)
	}
}

// Done returns a channel that is closed when the call has ended. In a task, it is
// taken for waiting: the task lends its slot until then.
func (fu *Future[Out]) Done() <-chan struct{} {
	fu.point.enterForGood()
	return fu.done
}

// Cancel ends the call early: if it has not begun it never does, if it runs its
// context ends. The future then ends with an error for which errors.Is finds
// context.Canceled, unless the call ended otherwise before. Cancel does not wait.
func (fu *Future[Out]) Cancel() {
	if fu.cancel != nil {
		fu.cancel(context.Canceled)
	}
}

// Call runs f on an executor and waits for the result. ctx bounds the task: when
// it ends, a call that has not begun ends at once and one that runs has its
// context ended.
func (f *Func[In, Out]) Call(ctx context.Context, on Executor, in In) (Out, error) {
	check(f != nil, on)
	fu := newFuture[Out](on)
	_ = submit(ctx, on, &newCall(ctx, on, f, in, fu, 0).Call)
	fu.point.enter()
	<-fu.done
	return fu.value, fu.err
}

// Go starts a call of f and returns its future. It blocks until the executor has
// accepted the call or ctx ends; in may be changed once it has returned. ctx
// bounds the task, not only the wait.
func (f *Func[In, Out]) Go(ctx context.Context, on Executor, in In) *Future[Out] {
	check(f != nil, on)
	fu := newFuture[Out](on)
	ctx, fu.cancel = context.WithCancelCause(ctx)
	_ = submit(ctx, on, &newCall(ctx, on, f, in, fu, 0).Call)
	return fu
}

// Broadcast runs f once on each worker that is alive now, or on each rank given
// with On, and returns one future per rank, in rank order or On's. A worker that
// dies fails its own future only. If no worker is alive there is one future, which
// ends with an error. On an executor without ranks there is one
// future, which ends with an error that wraps errors.ErrUnsupported.
func (f *Func[In, Out]) Broadcast(ctx context.Context, on Executor, in In) []*Future[Out] {
	check(f != nil, on)
	ranked, ok := on.(interface{ Ranks() []int })
	if !ok {
		fu := newFuture[Out](on)
		newCall(ctx, on, f, in, fu, 0).Finish(nil, unsupported(fmt.Sprintf("Broadcast on a %T, which has no ranks,", on)))
		return []*Future[Out]{fu}
	}
	ranks := f.opts.On
	if ranks == nil {
		ranks = ranked.Ranks()
	}
	if len(ranks) == 0 { // a loop over no futures would look like success
		fu := newFuture[Out](on)
		err := fmt.Errorf("no worker is alive: %w", ErrWorkerLost)
		if p, ok := on.(*Pool); ok && p.p.Closed() {
			err = ErrClosed
		}
		newCall(ctx, on, f, in, fu, 0).Finish(nil, err)
		return []*Future[Out]{fu}
	}
	futures := make([]*Future[Out], 0, len(ranks))
	for _, r := range ranks {
		futures = append(futures, f.With(On(r)).Go(ctx, on, in))
	}
	return futures
}
