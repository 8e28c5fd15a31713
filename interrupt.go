package xme

import (
	"context"
	"os"
	"os/signal"
	"sync"

	"github.com/xenonmp/xme/internal/drain"
)

// interrupted reports whether no more rows shall begin under ctx.
func interrupted(ctx context.Context) bool {
	d := drain.Of(ctx)
	return d != nil && d.Err() != nil
}

// drainOf returns what is closed when no more rows shall begin under ctx; nil if
// nothing is.
func drainOf(ctx context.Context) <-chan struct{} {
	if d := drain.Of(ctx); d != nil {
		return d.Done()
	}
	return nil
}

// onDrain calls f, on a goroutine of its own, when no more rows shall begin under
// ctx, unless stop is called first.
func onDrain(ctx context.Context, f func()) (stop func() bool) {
	if d := drain.Of(ctx); d != nil {
		return context.AfterFunc(d, f)
	}
	return func() bool { return true }
}

// Interruptible returns a context for work that the user may stop with Ctrl-C (SIGINT,
// and on Unix also SIGTERM).
//
// At the first signal, no more rows begin under it: those that wait end with
// ErrInterrupted, those that run go on, the contexts of services end, and rpc.Serve takes
// no more requests. The context itself does not end yet: whatever waits only for its Done
// channel, such as a server of another package, goes on until the second signal. At the
// second the context ends, with ErrInterrupted as its cause, and the rows that run are
// cancelled with it: they have Options.Grace to return, then their workers are killed. At
// the third the process exits with status 130, or 143 for SIGTERM, and its workers end
// with it.
//
// If ctx itself comes from Interruptible, an interrupt of ctx applies to the new context
// too.
//
// The returned function ends the context and restores the handling of the signals; call
// it once the work is done. Without Interruptible the driver's signals are left as they
// are: Ctrl-C ends the driver, and the system ends its workers.
func Interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	draining, stop := context.WithCancelCause(context.Background())
	drained := func() { stop(ErrInterrupted) }
	apart := func() bool { return true }
	if outer := drain.Of(ctx); outer != nil { // one that has begun has begun here too
		if outer.Err() != nil {
			drained()
		}
		apart = context.AfterFunc(outer, drained)
	}
	ctx, cancel := context.WithCancelCause(drain.With(ctx, draining))
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, interruptSignals...)
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for n := 1; ; n++ {
			select {
			case s := <-signals:
				switch n {
				case 1:
					drained()
				case 2:
					cancel(ErrInterrupted)
				default:
					os.Exit(exitStatus(s)) //nolint:forbidigo // the user asked three times
				}
			case <-over:
				return
			}
		}
	})
	var once sync.Once
	return ctx, func() {
		once.Do(func() {
			signal.Stop(signals)
			close(over)
			watching.Wait()
			apart()
			cancel(nil) // what waits under a context without this end has not been interrupted
		})
	}
}
