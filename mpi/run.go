package mpi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
)

// calls is Run's side of a communicator.
type calls struct {
	pool *xme.Pool
	size int
	main context.Context //nolint:containedctx // main's own, which bounds the waits of Close
}

func init() {
	proc.PoolOf = func(on any) any {
		if c, ok := on.(*Comm); ok && c != nil && c.calls != nil {
			return c.calls.pool
		}
		return nil
	}
	proc.RefusalOf = func(on any) error {
		if c, ok := on.(*Comm); ok && (c == nil || c.calls == nil) {
			return c.errNoCalls()
		}
		return nil
	}
}

// Run starts the ranks 1 to o.Size-1, each a worker process, and runs main, which is rank 0, on the
// caller's goroutine, in this process: the variables it captures serve as its arguments and
// results. It returns main's error, joined with that of closing the pool if there is one.
//
// Main makes calls: its communicator is an [xme.Executor]. At most o.Buffer of them are under way,
// from the moment they are accepted until they have ended; [xme.Func.Go] and the like wait for
// room. Results not yet fetched take up no room, and neither do calls that tasks make (on
// [xme.Current]), so no number of calls can block main for good. Ranks make calls only through
// main's pool, and wait for nothing else: calls do not deadlock.
//
// When main returns nil, the calls that were accepted run to their ends before Run returns, and
// main's ctx ends after them; if ctx ends first, Run returns its cause. When main returns an error,
// panics, or ends its goroutine, its ctx ends at once, and the calls with it; a panic goes on to
// Run's caller. When ctx ends, so do main's ctx and the calls, with its cause. A task that does not
// return when told to is killed after the pool's Grace. Nothing is left behind. Futures may still
// be waited for afterwards.
func Run(ctx context.Context, o Options, main func(ctx context.Context, c *Comm) error) (err error) {
	check(ctx, "Run")
	switch err := o.check("Run"); {
	case err != nil:
		return err
	case main == nil:
		return errors.New("mpi: Run: main is nil")
	case o.Size == 1:
		return errors.New("mpi: Run: Size is 1: main is one of the ranks and runs no calls, so give 2 or more, or 0 for as many as CPUs; without other ranks xme.Inline runs calls")
	case o.Pool.Queue != 0:
		return fmt.Errorf("mpi: Run: Pool.Queue is %d: leave it 0, Buffer says how many calls may be under way", o.Pool.Queue)
	}
	o.Size = o.size(math.MaxInt)
	if o.Buffer == 0 {
		o.Buffer = defaultBuffer
	}
	o.Pool.Workers, o.Pool.Queue = o.Size-1, o.Buffer
	pool, err := xme.Open(proc.WithKind(ctx, proc.Kind{Main: true}), o.Pool)
	if err != nil {
		return fmt.Errorf("mpi: Run: %w", err)
	}
	mainCtx, end := context.WithCancel(ctx)
	cut, lost := make(chan struct{}), false
	stop := context.AfterFunc(ctx, func() {
		defer close(cut)
		s := pool.Stats()
		lost = s.Queued+s.Running > 0
		proc.CancelAll(pool, cancelled(ctx))
		_ = pool.Close()
	})
	err = errUnwound
	defer func() {
		var closing error
		if err == nil {
			closing = pool.Shutdown(context.WithoutCancel(ctx)) // which ends early if ctx does: see above
		}
		switch {
		case !stop():
			<-cut
			closing = pool.Close()
			if lost && err == nil {
				closing = errors.Join(cancelled(ctx), closing) // as if it had ended a moment later
			}
		case err != nil:
			end()
			closing = pool.Close()
		}
		end()
		if closing != nil {
			err = errors.Join(err, fmt.Errorf("mpi: Run: %w", closing))
		}
	}()
	err = main(mainCtx, &Comm{calls: &calls{pool: pool, size: o.Size, main: mainCtx}})
	return err
}

// errUnwound stands for what main returned as long as it has not.
var errUnwound = errors.New("main has not returned")

// cancelled returns why the calls end with ctx: an error that is one of package context's.
func cancelled(ctx context.Context) error {
	if cause := context.Cause(ctx); !is(cause, ctx.Err()) {
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
	return context.Cause(ctx)
}

// is is errors.Is, and false where a method of err's panics: it may be a context's cause.
func is(err, target error) (found bool) {
	defer func() {
		if recover() != nil {
			found = false
		}
	}()
	return errors.Is(err, target)
}

// errNoCalls is what a communicator says that is not Run's.
func (c *Comm) errNoCalls() error {
	if c != nil && c.group != nil {
		return fmt.Errorf("mpi: the ranks of Spawn make no calls on their communicator: they send messages, or call on xme.Current: %w", errors.ErrUnsupported)
	}
	return fmt.Errorf("mpi: there is no communicator here to make calls on: it is what Run gives to main (tasks call on xme.Current): %w", errors.ErrUnsupported)
}

// Submit implements [xme.Executor], for Run's main. A call that names rank 0, which is main, a rank
// that does not exist, or only closed ranks, ends at once with an error that says so.
func (c *Comm) Submit(ctx context.Context, list []*xme.Call) (int, error) {
	if c == nil || c.calls == nil {
		return 0, c.errNoCalls()
	}
	return c.calls.pool.Submit(ctx, list)
}

// Ranks returns, for Run's main, the ranks that take calls, which are also those that Broadcast
// runs on: all except main that were not closed. One whose worker is being started, or restarted
// after a death, is among them: it takes its calls once the worker is there.
func (c *Comm) Ranks() []int {
	if c == nil || c.calls == nil {
		return nil
	}
	return proc.OpenRanks(c.calls.pool)
}

// Workers describes, for Run's main, the processes and states of the other ranks. The worker of a
// rank has that rank's number.
func (c *Comm) Workers() []xme.Worker {
	if c == nil || c.calls == nil {
		return nil
	}
	return c.calls.pool.Workers()
}

// Watch yields, for Run's main, the current description of each of the other ranks, and then each
// change of it, until ctx or Run ends: see [xme.Pool.Watch].
func (c *Comm) Watch(ctx context.Context) iter.Seq[xme.Worker] {
	if c == nil || c.calls == nil {
		return func(func(xme.Worker) bool) {}
	}
	return c.calls.pool.Watch(ctx)
}

// Close takes ranks out of service: those given, or all except main if none is given. They take no
// more calls, and those accepted for them run to their ends; Close returns when their processes
// have ended, or with an error when main's ctx ends. Ranks may be closed in any order and more than
// once. When all are closed, calls end with an error that wraps [xme.ErrClosed]. Calling Close is
// optional: Run closes what main has not. See [xme.Pool.Retire].
func (c *Comm) Close(ranks ...int) error {
	if c == nil || c.calls == nil {
		return c.errNoCalls()
	}
	for _, r := range ranks {
		switch {
		case r == 0:
			return errors.New("mpi: Close: rank 0 is main, which ends when it returns")
		case r < 0 || r >= c.calls.size:
			return fmt.Errorf("mpi: Close: rank %d does not exist: the communicator has ranks 0 to %d", r, c.calls.size-1)
		}
	}
	if err := c.calls.pool.Retire(c.calls.main, ranks...); err != nil {
		return fmt.Errorf("mpi: Close: the ranks take no more calls, and calls of theirs have not ended: %w", err)
	}
	return nil
}

// Stats returns the counts so far, for Run's main.
func (c *Comm) Stats() xme.Stats {
	if c == nil || c.calls == nil {
		return xme.Stats{}
	}
	return c.calls.pool.Stats()
}

// Summary says, for Run's main, what the other ranks did with their time.
func (c *Comm) Summary() xme.Summary {
	if c == nil || c.calls == nil {
		return xme.Summary{}
	}
	return c.calls.pool.Summary()
}
