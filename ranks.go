package xme

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/xenonmp/xme/internal/proc"
)

// Ranks returns the ranks, from 1, that take calls and whose workers are alive now.
func (p *Pool) Ranks() []int { return p.opened().Ranks() }

// Workers describes the workers, by rank.
func (p *Pool) Workers() []Worker { return workersOf(p.opened().Workers()) }

func workersOf(infos []proc.Info) []Worker {
	list := make([]Worker, 0, len(infos))
	for _, i := range infos {
		w := Worker{Rank: i.Rank, PID: i.PID, State: Starting, Done: i.Done}
		switch {
		case i.Retired:
			w.State = Retired
		case i.Ready && i.Running:
			w.State = Busy
		case i.Ready:
			w.State = Idle
		}
		list = append(list, w)
	}
	return list
}

// Retire takes ranks out of service, all of them if none is given. It lets no more calls
// in for them, waits for those that were accepted for them, and returns when their
// processes have ended; these are not replaced, and the ranks' state is [Retired]. Any
// order will do, twice is fine, and so is a rank that has just died or is being started.
//
// A call that names closed ranks only ends at once with an error that wraps ErrClosed and
// names them. One that was accepted for several ranks runs on whichever of them is free
// first; one for any rank runs on those that are open, and is left to closing ones only
// once none is. When all ranks are closed the pool takes no more calls: they end with an
// error that wraps ErrClosed. Services go on, and so do the calls that tasks make.
//
// If ctx ends first Retire returns its cause. The ranks take no more calls all the same, and
// a further Retire goes on waiting. A rank that does not exist is an error, before anything
// is done. Once the pool has been closed all ranks are.
func (p *Pool) Retire(ctx context.Context, ranks ...int) error {
	if err := p.opened().Retire(ctx, ranks...); err != nil {
		return fmt.Errorf("xme: Retire: %w", err)
	}
	return nil
}

// watchEvery is how often Watch looks for ranks that have become busy or idle.
const watchEvery = 5 * time.Millisecond

// Watch yields what each rank is at present, by rank, and then each change of its State or
// PID, until ctx ends or the pool has been closed: the last that it yields of a rank is
// what that was in the end.
//
// Only the latest counts: a loop whose body takes its time misses what came and went
// meanwhile. Of a worker that is started, ready, dead or retired it hears at once; for those
// that become Busy or Idle it looks every 5 ms, so that calls cost nothing more: a
// shorter call may go unseen. Nothing is left behind when the loop ends.
func (p *Pool) Watch(ctx context.Context) iter.Seq[Worker] {
	p.opened()
	return func(yield func(Worker) bool) {
		clock := time.NewTicker(watchEvery)
		defer clock.Stop()
		var last []Worker
		for ctx.Err() == nil {
			over := false
			infos, news, closed := p.p.Look()
			select {
			case <-closed:
				infos, over = p.p.Workers(), true
			default:
			}
			now := workersOf(infos)
			for i, w := range now {
				if last != nil && last[i].State == w.State && last[i].PID == w.PID {
					continue
				}
				if !yield(w) {
					return
				}
			}
			if last = now; over {
				return
			}
			select {
			case <-ctx.Done():
			case <-news:
			case <-closed:
			case <-clock.C:
			}
		}
	}
}
