package ring

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// Waits is how a goroutine sleeps on a word that processes share. Any goroutine may
// call both.
type Waits interface {
	// Wait sleeps while the word is old, until Wake, or for as long as d. It may
	// return earlier for no reason.
	Wait(word *atomic.Uint32, old uint32, d time.Duration)
	// Wake ends up to n waits on the word.
	Wake(word *atomic.Uint32, n int)
}

// bound is how long one Wait lasts at most: a wake-up that is lost because who owed
// it was killed costs this long, unless Sweep comes first.
const bound = time.Second

// everybody is the n that wakes all who sleep on a word.
const everybody = math.MaxInt32

// gate lets processes sleep until something has been published. The word is a count
// of openings, and below it one bit: somebody sleeps, or is about to.
//
//	who sleeps                            who publishes
//	1. sets the bit                       1. publishes
//	2. looks for what it wants            2. loads the word; done if no bit
//	3. sleeps while the word is as in 1   3. adds one: count up, bit off; wakes
//
// All accesses are sequentially consistent, so one of the two sees what the other
// wrote (Dekker). The count is there because two may sleep: without it the bit could be
// taken and set again, by another, between 1 and 3 of the first, who would then sleep
// beside what it wants.
//
// Waking takes the bit off, though only n of the sleepers were woken. So who has slept
// sets the bit again before it looks (the loop in wait), and once it has taken what it
// wants, or gives up, it wakes the next if there is still something (pass). Whatever is
// published before it set the bit it sees itself, and passes on; what comes
// after sees the bit.
type gate struct {
	word  *atomic.Uint32
	waits Waits
}

// open wakes up to n sleepers if there are any. Call it after publishing. (Edge
// gate-opened: the change of the word happens before the look of who it wakes; the data
// has edges of its own.)
func (g gate) open(n int) {
	for {
		w := g.word.Load()
		if w&1 == 0 {
			return
		}
		if g.word.CompareAndSwap(w, w+1) {
			g.waits.Wake(g.word, n)
			return
		}
	}
}

// poke wakes everybody, whether the word says that they sleep or not, and has who is
// about to sleep look again.
func (g gate) poke() {
	for {
		w := g.word.Load()
		if g.word.CompareAndSwap(w, (w|1)+1) {
			g.waits.Wake(g.word, everybody)
			return
		}
	}
}

// wait sleeps until ready says so, or ctx ends, which gives its cause. It says whether
// it slept at all: then the caller owes a call of open(1) once it has taken what it
// wanted, if there is more, or gives up.
func (g gate) wait(ctx context.Context, ready func() bool) (slept bool, err error) {
	stop := atEnd(ctx, g.poke)
	defer stop()
	for {
		w := g.word.Or(1) | 1
		if ready() {
			return slept, nil
		}
		if ctx.Err() != nil {
			return slept, context.Cause(ctx)
		}
		g.waits.Wait(g.word, w, bound)
		slept = true
	}
}

// atEnd calls wake when ctx ends, and again and again, in case that who waits was about
// to sleep, until stop is called. When stop has returned, wake does not run: the memory
// may be unmapped.
func atEnd(ctx context.Context, wake func()) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	left, gone := make(chan struct{}), make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(gone)
		for {
			wake()
			select {
			case <-left:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	return func() {
		close(left)
		if !cancel() {
			<-gone
		}
	}
}
