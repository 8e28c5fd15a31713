package xme

import (
	"context"
	"errors"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/dump"
)

// Progress is how far a run has come. A run is one range over a Map or Unordered, or one
// Run of a [Table].
type Progress struct {
	Run     int           // the number of the run under its WithProgress, from 1
	Total   int           // rows; -1: not yet known
	Done    int           // rows that ended with a result, whether yielded or not
	Failed  int           // rows that ended with an error
	Retried int           // further attempts at rows that had failed
	Elapsed time.Duration // since the run began
	Rate    float64       // rows ended per second of late, smoothed
	Left    time.Duration // time for the remaining rows at that rate; -1: unknown
	Over    bool          // the run has ended: this is its last report
}

const (
	// progressEvery is how often a hook is called while a run lasts.
	progressEvery = 100 * time.Millisecond
	// progressPatience is what a run waits for its hook to take the end.
	progressPatience = time.Second
	// A rate is a mean over about rateTime, and over about rateRows if these take
	// longer.
	rateTime = 3 * time.Second
	rateRows = 10
)

// WithProgress returns a context under which runs report their progress to hook: each
// range over a Map or Unordered, and each Run of a Table, on any executor. (Call, Go,
// Broadcast and the services of a table are not runs.) total is how many rows a run will
// have; if it is 0 or less, or turns out too small, the total is unknown until the input
// has been read to its end.
//
// The hook is called about every 100 ms while a run lasts, and once when it has ended,
// with Over set: before Map, Unordered or Run returns, even if the loop was left, ctx or
// the executor ended, or the input panicked. Rows cut short by leaving the loop are not
// counted. Each run reports for itself, with a number of its own: runs one after the
// other, a Map that is the input of another, goroutines that share the context. Calls of
// the hook never overlap: while it is busy with one run, others skip. Rows pay next to
// nothing for this: they are counted, and one goroutine of each run reads the counts.
//
// A hook may block, or call the executor: rows go on meanwhile. The end of a run waits
// for the hook, but no longer than a second; after that the last call comes late. If the
// hook panics, the run makes no more reports, and when it is over, the panic reaches the
// ranging goroutine, or Run's caller, as an error that prints the value and its place. A
// task does not inherit the hook, on any executor: one that wants to report runs of its
// own calls WithProgress itself. WithProgress panics if hook is nil.
func WithProgress(ctx context.Context, total int, hook func(Progress)) context.Context {
	if hook == nil {
		panic("xme: WithProgress with a nil hook: give it a function, or leave WithProgress out")
	}
	return context.WithValue(ctx, progressKey{}, &progressHook{total: total, hook: hook, task: taskOf(ctx), turn: make(chan struct{}, 1)})
}

type progressKey struct{}

// progressHook is what a context of WithProgress carries.
type progressHook struct {
	total int
	hook  func(Progress)
	task  *task // in which it was made; nil: in none
	runs  atomic.Int64
	turn  chan struct{} // holds a token while the hook runs
}

// meter counts the rows of one run and reports them. A nil one does nothing.
type meter struct {
	to    *progressHook
	run   int
	begun time.Time

	done, failed, retried atomic.Int64
	total                 atomic.Int64 // -1: not known

	closes sync.Once
	final  counts        // written before over is closed
	over   chan struct{} // closed when the run has ended
	told   chan struct{} // closed when the hook is not called any more

	panicked error // of the hook; written before told is closed

	// The reporting goroutine's own.
	last       counts
	rows, secs float64 // that count lately
}

// counts is what a meter shows at one time.
type counts struct {
	at                           time.Time
	total, done, failed, retried int
}

// newMeter returns the meter of a run under ctx, nil if nobody wants to know.
func newMeter(ctx context.Context) *meter {
	h, _ := ctx.Value(progressKey{}).(*progressHook)
	if h == nil || h.task != taskOf(ctx) {
		return nil
	}
	m := &meter{to: h, run: int(h.runs.Add(1)), begun: time.Now(), over: make(chan struct{}), told: make(chan struct{})}
	m.total.Store(int64(h.total))
	if h.total <= 0 {
		m.total.Store(-1)
	}
	m.last.at = m.begun
	go m.report()
	return m
}

// end counts a row that has ended.
func (m *meter) end(failed bool) {
	if m != nil {
		m.count(failed)
	}
}

func (m *meter) count(failed bool) {
	if failed {
		m.failed.Add(1)
	} else {
		m.done.Add(1)
	}
}

// again counts another attempt.
func (m *meter) again() {
	if m != nil {
		m.retried.Add(1)
	}
}

// complete says that the input has come to its end after that many rows.
func (m *meter) complete(rows int) {
	if m != nil {
		m.total.Store(int64(rows))
	}
}

func (m *meter) counts() counts {
	c := counts{at: time.Now(), done: int(m.done.Load()), failed: int(m.failed.Load()), retried: int(m.retried.Load())}
	if c.total = int(m.total.Load()); c.total < c.done+c.failed {
		c.total = -1 // what was said was wrong
	}
	return c
}

// close says that the run has ended as its counts are now.
func (m *meter) close() {
	if m == nil {
		return
	}
	m.closes.Do(func() {
		m.final = m.counts()
		close(m.over)
	})
}

// wait closes m and waits a while for the hook's last call. It panics with the hook's
// panic, unless something else is on its way up.
func (m *meter) wait(normal bool) {
	if m == nil {
		return
	}
	m.close()
	late := time.NewTimer(progressPatience)
	defer late.Stop()
	select {
	case <-m.told:
	case <-late.C:
		return
	}
	if m.panicked != nil && normal {
		panic(m.panicked)
	}
}

// report calls the hook until the run is over.
func (m *meter) report() {
	normal := false
	defer func() {
		r := recover()
		switch {
		case r != nil:
			m.panicked = &inputError{value: r, stack: dump.Panic(debug.Stack()), where: "the hook of WithProgress"}
		case !normal:
			m.panicked = errHookGoexit
		}
		close(m.told)
	}()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			select {
			case m.to.turn <- struct{}{}:
				m.tell(m.progress(m.counts()))
			default: // the hook is busy with another run
			}
		case <-m.over:
			p := m.progress(m.final)
			p.Over, p.Left = true, 0
			m.to.turn <- struct{}{}
			m.tell(p)
			normal = true
			return
		}
	}
}

var errHookGoexit = errors.New("xme: the hook of WithProgress called runtime.Goexit")

// tell calls the hook, whose turn it is.
func (m *meter) tell(p Progress) {
	defer func() { <-m.to.turn }()
	m.to.hook(p)
}

// progress is what counts mean after those that came before.
func (m *meter) progress(c counts) Progress {
	p := Progress{Run: m.run, Total: c.total, Done: c.done, Failed: c.failed, Retried: c.retried, Elapsed: c.at.Sub(m.begun), Left: -1}
	ended, secs := c.done+c.failed, c.at.Sub(m.last.at).Seconds()
	span := max(rateTime.Seconds(), rateRows*p.Elapsed.Seconds()/float64(max(ended, 1)))
	keep := math.Exp(-secs / span)
	m.rows = m.rows*keep + float64(ended-m.last.done-m.last.failed)
	m.secs = m.secs*keep + secs
	m.last = c
	if m.secs > 0 {
		p.Rate = m.rows / m.secs
	}
	if rest := c.total - ended; c.total >= 0 {
		if left := float64(rest) / p.Rate * float64(time.Second); rest == 0 {
			p.Left = 0
		} else if left < math.MaxInt64 { // not without a rate
			p.Left = time.Duration(left)
		}
	}
	return p
}
