package proc

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/sys"
)

// Who waits for rows reads the lanes itself: handing a result from a goroutine that
// reads to one that waits costs more than a small row does. Of several who wait one
// at a time is the leader; the others are woken by whoever reads the end of their
// rows. While nobody leads, listen reads.
//
// A worker is told, by its lane's watch word, whom to ring. While the leader looks,
// nobody; while it sleeps, the leader's bell; while there is none, listen's bell.
// p.leader says which, and changes under p.mu; rows that are sent meanwhile are
// watched accordingly.

type leaderState uint8

const (
	leaderNone   leaderState = iota
	leaderLooks              // it will look at all lanes again before it sleeps or goes
	leaderSleeps             // on the second bell
)

// Waiter is a goroutine's wait for rows of its own.
type Waiter interface {
	// Rest is the waiter's own.
	Rest() *Rest
	// Ready reports whether there is nothing to wait for any more. It must be cheap.
	Ready() bool
	// Woken returns a channel that yields after Ready may have become true.
	Woken() <-chan struct{}
}

// Lead is called by a goroutine that is about to submit rows and then to Await them:
// nobody else is woken for them meanwhile. If it returns true, Await must follow.
func (p *Pool) Lead() bool {
	if p.laneList.Load() == nil || !p.leading.CompareAndSwap(false, true) {
		return false
	}
	p.mu.Lock()
	p.leader = leaderLooks
	p.mu.Unlock()
	return true
}

// Await blocks until w is ready or ctx has ended; it may also return before. fn is the
// function whose rows it waits for. led says that Lead returned true.
//
// Whoever makes w ready must call Wake after it, and put something in Woken before.
func (p *Pool) Await(ctx context.Context, w Waiter, fn uint16, led bool) {
	if !led {
		if w.Ready() {
			return
		}
		if led = p.Lead(); !led {
			select {
			case <-w.Woken():
			case <-ctx.Done():
			}
			return
		}
	}
	p.lead(ctx, w, fn)
	p.resign()
}

// Rest is where a Waiter waits. Its zero value is ready for use.
type Rest struct{ asleep atomic.Bool }

// Wake wakes the Waiter whose Rest it is, if it sleeps as the leader.
func (p *Pool) Wake(r *Rest) {
	if r.asleep.Load() {
		p.lanes.bells[1].Ring()
	}
}

// lead reads lanes until w is ready or ctx has ended.
func (p *Pool) lead(ctx context.Context, w Waiter, fn uint16) {
	b := p.batch()
	defer b.free()
	for !w.Ready() {
		if p.anyReady() && p.readAsLeader(b) {
			continue
		}
		if w.Ready() || ctx.Err() != nil {
			return
		}
		if p.watchFor(w, fn) {
			continue
		}
		p.sleep(ctx, w, b)
	}
}

func (p *Pool) readAsLeader(b *batch) bool {
	p.mu.Lock()
	any := p.readAll(b)
	p.mu.Unlock()
	b.run()
	return any
}

// anyReady reports whether there is something to read.
func (p *Pool) anyReady() bool {
	p.looking.Add(1)
	ready := p.laneReady()
	p.looked()
	return ready
}

// laneReady is anyReady between looking.Add and looked.
func (p *Pool) laneReady() bool {
	for _, l := range *p.laneList.Load() {
		if l.Results.Ready() {
			return true
		}
	}
	return false
}

// looked says that the caller no longer looks at lanes.
func (p *Pool) looked() {
	if p.looking.Add(-1) == 0 && p.deadLanes.Load() {
		p.mu.Lock()
		p.freeLanes()
		p.mu.Unlock()
	}
}

// watchFor looks at the lanes for as long as it is cheaper than to sleep, and reports
// whether something came.
func (p *Pool) watchFor(w Waiter, fn uint16) bool {
	limit, yield := p.patienceFor(fn)
	if limit == 0 {
		return false
	}
	p.looking.Add(1)
	defer p.looked()
	begin := time.Now()
	for {
		for range lookEach {
			if p.laneReady() || w.Ready() {
				return true
			}
		}
		if time.Since(begin) > limit {
			return false
		}
		if yield {
			sys.Yield()
		}
	}
}

// lookEach is how many looks there are between looks at the clock.
const lookEach = 32

// patienceFor returns how long to look for the end of a row of a function, and whether
// to give way meanwhile: where there are CPUs enough, as long as two rows and a wake
// take; else, for a worker may need this CPU, hardly.
func (p *Pool) patienceFor(fn uint16) (limit time.Duration, yield bool) {
	mean := p.mean(fn)
	if mean > 2*wakeTime {
		return 0, false
	}
	p.mu.Lock()
	busy, rows := p.busy()
	p.mu.Unlock()
	switch {
	case busy+1 <= p.cpus:
		return min(2*mean+2*wakeTime, 4*wakeTime), false
	case rows > 2*busy, mean > yieldTime:
		return 0, false // the workers have work meanwhile: sleep until there is a lot to read
	}
	return yieldTime, true
}

// yieldTime is how long one looks where there are fewer CPUs than have work.
const yieldTime = 10 * time.Microsecond

// sleep waits for the second bell, unless there is something to see.
func (p *Pool) sleep(ctx context.Context, w Waiter, b *batch) {
	w.Rest().asleep.Store(true)
	p.mu.Lock()
	p.leader = leaderSleeps
	for _, o := range p.laned {
		p.watchLane(b, o)
	}
	look := b.look
	p.mu.Unlock()
	if !look && !w.Ready() && ctx.Err() == nil {
		stop := func() bool { return true }
		if ctx.Done() != nil {
			stop = context.AfterFunc(ctx, p.lanes.bells[1].Ring)
		}
		if p.lanes.bells[1].Wait() != nil { // the pool has ended, and with it all rows
			select {
			case <-w.Woken():
			case <-ctx.Done():
			}
		}
		stop()
	}
	p.mu.Lock()
	p.leader = leaderLooks
	p.mu.Unlock()
	w.Rest().asleep.Store(false)
	b.run()
}

// resign ends the lead: workers ring listen from now on.
func (p *Pool) resign() {
	p.leading.Store(false)
	b := p.batch()
	p.mu.Lock()
	if !p.leading.Load() { // else there is another one by now
		p.leader = leaderNone
		for _, w := range p.laned {
			p.watchLane(b, w)
		}
	}
	p.mu.Unlock()
	b.done()
}

// lanesInUse is what the pool's goroutines see without p.mu.
type lanesInUse struct {
	laneList  atomic.Pointer[[]*link.Lane]
	looking   atomic.Int32 // goroutines that look at laneList
	deadLanes atomic.Bool
	leading   atomic.Bool
}
