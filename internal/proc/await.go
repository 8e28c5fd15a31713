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
// p.leader says which; rows that are sent meanwhile are watched accordingly.

const (
	leaderNone   uint32 = iota
	leaderLooks         // it will look at all lanes again before it sleeps or goes; if nobody leads, the last one did
	leaderSleeps        // on the second bell
)

// Whether somebody leads: who is awake looks at laneList without p.mu at any time.
const (
	leadsNone uint32 = iota
	leadsAwake
	leadsAsleep
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

// Rouse wakes the first worker, if it sleeps, for a row that is about to be made and submitted: to wake it takes longer than that. It is the one to get the row if
// it idles; if not, it goes to sleep again.
func (p *Pool) Rouse() {
	if p.laneList.Load() == nil {
		return
	}
	p.looking.Add(1)
	p.rouse()
	if p.looking.Add(-1) == 0 && p.deadLanes.Load() {
		p.mu.Lock()
		p.freeLanes()
		p.mu.Unlock()
	}
}

// rouse is Rouse for who looks at lanes: they are not freed meanwhile.
func (p *Pool) rouse() {
	if list := *p.laneList.Load(); len(list) > 0 && list[0].Asleep() {
		list[0].Wake()
	}
}

// Lead makes the caller, who is about to submit a row and then to Await it, the leader,
// unless there is one, or no lanes: nobody else is woken for the row meanwhile. If it
// returns true, Await must follow, and nothing that takes its time may come between.
func (p *Pool) Lead() bool {
	if p.laneList.Load() == nil || !p.leading.CompareAndSwap(leadsNone, leadsAwake) {
		return false
	}
	if p.leader.Load() != leaderLooks {
		p.leader.Store(leaderLooks)
	}
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
		if !p.Lead() {
			select {
			case <-w.Woken():
			case <-ctx.Done():
			}
			return
		}
	}
	if !p.lead(ctx, w, fn) {
		b := batch{p: p}
		p.mu.Lock()
		p.resign(&b)
		p.mu.Unlock()
		b.run()
	}
}

// Rest is where a Waiter waits: its address stands for the Waiter, and nothing is read
// there.
type Rest struct{ _ byte }

// Wake wakes the Waiter whose Rest it is, if it sleeps as the leader.
func (p *Pool) Wake(r *Rest) {
	if p.asleep.Load() == r {
		p.lanes.bells[1].Ring()
	}
}

// lead reads lanes until w is ready or ctx has ended, and reports whether it has
// resigned.
func (p *Pool) lead(ctx context.Context, w Waiter, fn uint16) (resigned bool) {
	for !w.Ready() {
		if p.watchFor(w, fn) {
			read, resigned := p.readAsLeader(w)
			if resigned {
				return true
			}
			if read && ctx.Err() == nil {
				continue
			}
		}
		if w.Ready() || ctx.Err() != nil {
			return false
		}
		p.sleep(ctx, w)
	}
	return false
}

// readAsLeader reads the lanes, and resigns if w is ready after that.
func (p *Pool) readAsLeader(w Waiter) (read, resigned bool) {
	p.mu.Lock()
	b := &p.leaders
	b.p = p
	read = p.readAll(b)
	p.freeLanesOfOthers()
	if resigned = w.Ready(); resigned {
		rest := batch{p: p}
		p.resign(&rest)
		p.mu.Unlock()
		rest.run()
		return read, true
	}
	p.mu.Unlock()
	b.run()
	return read, false
}

// laneReady reports whether there is something to read. Only the leader calls it.
func (p *Pool) laneReady() bool {
	for _, l := range *p.laneList.Load() {
		if l.Results.Ready() {
			return true
		}
	}
	return false
}

// watchFor looks at the lanes, once, and then for as long as it is cheaper than to
// sleep, and reports whether there is something to read or w is ready.
func (p *Pool) watchFor(w Waiter, fn uint16) bool {
	if p.laneReady() {
		return true
	}
	limit, yield := p.patienceFor(fn)
	if limit == 0 {
		return false
	}
	looks := lookFirst
	if yield {
		looks = lookEach
	}
	for begin := (time.Time{}); ; looks = lookEach {
		for range looks {
			if p.laneReady() || w.Ready() {
				return true
			}
			sys.Pause()
		}
		if begin.IsZero() {
			begin = time.Now()
		} else if time.Since(begin) > limit {
			return false
		}
		if yield {
			sys.Yield()
		}
	}
}

// lookEach is how many looks there are between looks at the clock, lookFirst how many before the first.
const (
	lookEach  = 32
	lookFirst = 64
)

// patienceFor returns how long to look for the end of a row of a function, and whether
// to give way meanwhile: where there are CPUs enough, as long as two rows and a slow wake
// take; else, for a worker may need this CPU, hardly.
func (p *Pool) patienceFor(fn uint16) (limit time.Duration, yield bool) {
	mean := p.mean(fn)
	if mean > 2*wakeTime {
		return 0, false
	}
	crowd := p.crowd.Load()
	busy, rows := int(crowd>>32), int(uint32(crowd))
	switch {
	case busy+1 <= p.cpus:
		return min(2*mean+4*wakeTime, 5*wakeTime), false
	case rows > 2*busy, mean > yieldTime:
		return 0, false // the workers have work meanwhile: sleep until there is a lot to read
	}
	return yieldTime, true
}

// yieldTime is how long one looks where there are fewer CPUs than have work.
const yieldTime = 10 * time.Microsecond

// sleep waits for the second bell, unless there is something to see.
func (p *Pool) sleep(ctx context.Context, w Waiter) {
	b := &p.leaders
	b.p = p
	p.asleep.Store(w.Rest())
	p.mu.Lock()
	p.leader.Store(leaderSleeps)
	p.leading.Store(leadsAsleep)
	p.freeLanes()
	p.watchAll(b)
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
	p.leading.Store(leadsAwake)
	p.leader.Store(leaderLooks)
	p.asleep.Store(nil)
	b.run()
}

// readMeanwhile has listen read the lanes, whoever leads: the leader may be about to
// wait for something else. p.mu is held.
func (p *Pool) readMeanwhile(b *batch) {
	p.leader.Store(leaderNone)
	for _, w := range p.laned {
		w.later = false
		p.watchLane(b, w)
	}
}

// resign ends the lead: workers ring listen from now on. p.mu is held. (Whoever leads
// next says so without p.mu, maybe before leaderNone is stored: then listen is rung in
// vain.) What is left to run goes to b, which is empty.
func (p *Pool) resign(b *batch) {
	if !p.leaders.empty() {
		*b, p.leaders = p.leaders, batch{p: p}
	}
	p.readMeanwhile(b)
	p.leading.Store(leadsNone)
	p.freeLanes()
}

// lanesInUse is what the pool's goroutines see without p.mu.
type lanesInUse struct {
	laneList  atomic.Pointer[[]*link.Lane]
	hasLanes  atomic.Bool  // a worker is up that has one, or may get it
	looking   atomic.Int32 // goroutines that look at laneList, beside the leader
	deadLanes atomic.Bool
	leading   atomic.Uint32        // leadsNone …: the leader's own, whom rows are watched for is another matter
	leaders   batch                // the leader's
	leader    atomic.Uint32        // leaderNone …
	asleep    atomic.Pointer[Rest] // whose leader sleeps
	crowd     atomic.Uint64        // workers that had rows when some were last sent << 32 | those rows
}
