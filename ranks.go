package xme

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/xenonmp/xme/internal/proc"
)

// Ranks returns the ranks, counted from 1, that take calls and whose workers are alive
// now.
func (p *Pool) Ranks() []int { return p.opened().Ranks() }

// Workers describes the workers, ordered by rank.
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

// Retire takes ranks out of service: those given, or all of them if none is given. It
// lets no more calls in for them, waits for those that were accepted for them, and
// returns when their processes have ended. They are not replaced, and the state of the
// ranks is [Retired]. Ranks may be retired in any order and more than once, even when a
// rank has just died or is being started.
//
// A call that names only closed ranks ends at once with an error that wraps ErrClosed and
// names them. One accepted for several ranks runs on whichever of them is free first; one
// for any rank runs on the open ones, and on closing ones only once no rank is open. When
// all ranks are closed, calls to the pool end with an error that wraps ErrClosed.
// Services go on, and so do the calls that tasks make.
//
// If ctx ends first, Retire returns its cause. The ranks take no more calls nevertheless,
// and a further Retire continues to wait. A rank that does not exist is an error,
// reported before anything is done. Once the pool has been closed, all ranks are.
func (p *Pool) Retire(ctx context.Context, ranks ...int) error {
	if err := p.opened().Retire(ctx, ranks...); err != nil {
		return fmt.Errorf("xme: Retire: %w", err)
	}
	return nil
}

// watchEvery is how often Watch looks for ranks that have become busy or idle.
const watchEvery = 5 * time.Millisecond

// Watch yields the current description of each rank, ordered by rank, and then each
// change of State or PID, until ctx ends or the pool has been closed: the last value
// yielded for a rank is its final one.
//
// Only the latest state counts: a loop whose body takes its time misses what came and
// went meanwhile. Watch learns at once of a worker that is started, ready, dead or
// retired. For workers that become Busy or Idle it looks every 5 ms, so as not to slow
// calls down: a shorter call may go unseen. Nothing is left behind when the loop ends.
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
