// Package park is how goroutines sleep on words that processes share, in few threads.
package park

import (
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/sys"
)

// Waits is how one waits for a word in shared memory to change. A few goroutines of a process do so each in a thread of its own, which
// is fastest; all others share a thread for every hundred, which waits for all their words at once; where
// the system has no such wait, they look again after a while.
type Waits struct{}

// own is how many wait in a thread of their own.
const own = 4

var alone = make(chan struct{}, own)

// Wait implements ring.Waits.
func (Waits) Wait(word *atomic.Uint32, old uint32, d time.Duration) {
	select {
	case alone <- struct{}{}:
		err := sys.FutexWait(word, old, d)
		<-alone
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	default:
		if hasWaitAny() {
			Park(word, old, d)
			return
		}
	}
	poll(word, old, d)
}

// hasWaitAny is replaced by tests.
var hasWaitAny = sys.HasFutexWaitAny

// Wake implements ring.Waits.
func (Waits) Wake(word *atomic.Uint32, n int) {
	woken, _ := sys.FutexWake(word, n)
	if polling.Load() > 0 {
		tell(word, n-woken)
	}
}

// How those wait who look again: longer each time, and the more there are.
const (
	pollFirst = 20 * time.Microsecond
	pollLast  = time.Millisecond
	pollMany  = 8
)

var polling atomic.Int32

// pollers are those who look again, by word, the longest first. That the word has changed they see; that they are woken without that, as who wakes for
// the end of a context does, they are told in this process.
var pollers = struct {
	sync.Mutex
	of map[*atomic.Uint32][]*poller
}{of: map[*atomic.Uint32][]*poller{}}

// poller has no channel: who waits may be in a bubble of testing/synctest, and who wakes outside.
type poller struct{ woken atomic.Bool }

func poll(word *atomic.Uint32, old uint32, d time.Duration) {
	longest := pollLast + pollLast*time.Duration(polling.Add(1))/pollMany
	defer polling.Add(-1)
	p := &poller{}
	pollers.Lock()
	pollers.of[word] = append(pollers.of[word], p)
	pollers.Unlock()
	defer p.leave(word)
	for pause, end := pollFirst, time.Now().Add(d); word.Load() == old && !p.woken.Load() && time.Now().Before(end); pause = min(2*pause, longest) {
		<-time.After(pause)
	}
}

// tell ends up to n looks at the word.
func tell(word *atomic.Uint32, n int) {
	pollers.Lock()
	defer pollers.Unlock()
	for _, p := range pollers.of[word] {
		if n <= 0 {
			return
		}
		if p.woken.CompareAndSwap(false, true) {
			n--
		}
	}
}

func (p *poller) leave(word *atomic.Uint32) {
	pollers.Lock()
	defer pollers.Unlock()
	rest := slices.DeleteFunc(pollers.of[word], func(o *poller) bool { return o == p })
	if len(rest) == 0 {
		delete(pollers.of, word)
		return
	}
	pollers.of[word] = rest
}

// parked is one who waits in another's thread.
type parked struct {
	sys.Futex
	until time.Time
	over  chan struct{}
}

// lot is a thread in which others wait.
type lot struct {
	all  []*parked     // guarded by lots
	bell atomic.Uint32 // rung when there is another
}

var lots struct {
	sync.Mutex
	all []*lot
}

// Park waits in a lot. The word is not touched any more when it has returned.
//
// No wake-up is lost though the kernel tells a lot of one word only: whoever's word has changed is let go as well. One whose word
// was woken besides and has come to be what it was is not, but in what package ring lays out such a word says that somebody
// sleeps, so it will be woken again; and who wakes without a change does so until he is heard.
func Park(word *atomic.Uint32, old uint32, d time.Duration) {
	p := &parked{sys.Futex{Word: word, Old: old}, time.Now().Add(d), make(chan struct{})}
	lots.Lock()
	i := slices.IndexFunc(lots.all, func(l *lot) bool { return len(l.all) < sys.MostFutexes-1 })
	if i >= 0 {
		l := lots.all[i]
		l.all = append(l.all, p)
		l.bell.Add(1)
		_, _ = sys.FutexWake(&l.bell, 1)
	} else {
		l := &lot{all: []*parked{p}}
		lots.all = append(lots.all, l)
		go l.run()
	}
	lots.Unlock()
	<-p.over
}

// run waits for all in a lot until none is left.
func (l *lot) run() {
	var words []sys.Futex
	var awake *atomic.Uint32
	for {
		lots.Lock()
		words = append(words[:0], sys.Futex{Word: &l.bell, Old: l.bell.Load()})
		now := time.Now()
		first := now.Add(time.Hour)
		l.all = slices.DeleteFunc(l.all, func(p *parked) bool {
			if p.Word == awake || p.Word.Load() != p.Old || !now.Before(p.until) {
				close(p.over)
				return true
			}
			words = append(words, p.Futex)
			if p.until.Before(first) {
				first = p.until
			}
			return false
		})
		awake = nil
		if len(l.all) == 0 {
			lots.all = slices.DeleteFunc(lots.all, func(o *lot) bool { return o == l })
			lots.Unlock()
			return
		}
		lots.Unlock()
		woken, err := sys.FutexWaitAny(words, time.Until(first))
		if woken > 0 {
			awake = words[woken].Word
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			<-time.After(pollLast) // it does not come to this: HasFutexWaitAny has tried
		}
	}
}
