package manager

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/xenonmp/xme"
)

// callQueue is the queue of a host's calls. It needs no host: what runs a call is handed to it. All methods may be called concurrently.
//
// A call is accepted into entries, or waits for room; it is running while it is neither; it has ended once its sink and its operator's buffer have the outcome. One runs at a time, on the goroutine
// that has found work: see drain. Whether there is work to do says the lease: without one the queue stands still.
type callQueue struct {
	bound int
	run   func(e *queued) outcomeOf // methods and built-ins; must not panic

	mu       sync.Mutex
	closed   bool
	entries  fifo[*queued]
	bytes    int // of arguments in entries
	waiting  fifo[*queued]
	lease    *lease
	gone     *lease            // of a guard whose process has died, for which another is expected; nil: none
	expect   *time.Timer       // until when
	blanks   []*queued         // to be used again
	ended    map[uint64]*lease // of which their holders have not heard
	stop     stopping
	current  *queued // runs
	barren   int     // guards in a row that died before they asked for work
	last     time.Time
	seq      uint64
	overs    fifo[uint64]       // the same, oldest first
	buffers  map[uint32]*buffer // of outcomes, by operator
	beats    map[uint64]*beat
	lastBeat uint64
	over     map[uint64]bool // guards that have ended, or are to: another of their processes may still come
	noting   sync.Mutex      // a heartbeat's status is noted: the last note is the last event's
	freed    chan struct{}   // closed when the lease ends; nil: nobody waits
	died     func(Operator)  // is told, without the lock, of an operator whose heartbeat's process has died
	guarded  func()          // is told, without the lock, that a guard has begun or ended
}

// stopping is how far a queue is in being stopped.
type stopping uint8

const (
	open     stopping = iota
	asked             // by a queued call: once rows and heartbeats have ended
	draining          // nothing is accepted any more
	stopped
)

// queued is a call that was appended.
type queued struct {
	seq  uint64
	op   Operator
	what string // a name for people
	size int
	from any // the connection that it came by; nil: this process

	method queuedMethod     // a method of an object; without one: none
	own    func() outcomeOf // a built-in function
	drop   func()           // gives up what own holds, if that is not called
	fn     *fnCall          // a registered function, for the guard's process

	to       sink
	id       uint64       // the call's at its sink
	call     uint32       // of the append, by its connection
	told     chan<- error // who waits for room in this process; nil: who came by a connection, if any
	waits    any          // from, of a call that has waited for room
	answered bool         // its append is; guarded by that connection's lock
	holds    bool         // its connection, while it waits; the connection's lock guards both
	reported bool         // a function's outcome is there
	pooled   bool         // see blank
	now      bool         // it does not wait for room
	nested   bool         // appended by a call that ran from the queue
}

// admitted tells who appended a call, and waits for room, that it was accepted, or why not. The queue's lock is not held.
func (e *queued) admitted(err error) {
	if e.told != nil {
		e.told <- err
		return
	}
	e.waits.(*hostConn).admitted(e, err)
}

// fnCall is a call of a registered function.
type fnCall struct {
	Name string
	Args []byte
}

// outcomeOf is what a queued call came to.
type outcomeOf struct {
	value *stored
	err   error
}

// sink takes the outcomes of the calls that one process has appended. Its methods must not block, and are called without the queue's lock.
type sink interface {
	finished(id uint64, o outcomeOf)
}

// lease is the right to have the queue run: a guard's, or for one call that of exec.
type lease struct {
	gen   uint64
	conn  any           // whose it is; nil: this process's
	exec  bool          // for one call
	id    uint64        // the guard's
	rows  bool          // it guards those of a table, and they have not ended
	idle  time.Duration // after which without a call it ends; 0: never
	timer *time.Timer   // of idle

	calls int                    // that ran
	asked bool                   // it is ready
	sent  bool                   // the current call, a function, is with its process
	reply func(askAnswer, error) // to who holds it, and waits for something to do; nil: he does not
	ended string                 // why
}

// Why a guard ended.
const (
	endedIdle = "idle"
	endedStop = "stopped"
	endedExec = "exec"
	endedShut = "closed"
	endedLost = "lost"
)

const (
	defaultQueue = 1 << 16
	// defaultIdle is after which time without a call a guard ends.
	defaultIdle = 10 * time.Second
	// mostQueuedBytes bounds the arguments of what is queued.
	mostQueuedBytes = 1 << 28
	// mostWaiting bounds the appends that wait for room.
	mostWaiting = 1 << 16
	// patience is how long a guard is expected whose process has died.
	patience = 10 * time.Second
	// mostBarren is how many guards in a row may die before they begin.
	mostBarren = 3
	// mostOver bounds how many tables are remembered whose rows have ended, for guards that come, or are replaced, afterwards.
	mostOver = 1 << 10
)

func newCallQueue(bound int, run func(*queued) outcomeOf) *callQueue {
	if bound == 0 {
		bound = defaultQueue
	}
	return &callQueue{
		bound: bound, run: run, buffers: map[uint32]*buffer{}, beats: map[uint64]*beat{}, over: map[uint64]bool{}, last: time.Now(),
		ended: map[uint64]*lease{}, guarded: func() {}, died: func(Operator) {},
	}
}

// append takes a call. accepted: it is in the queue, and whoever calls is to call drain. Neither that nor an error: it waits for room, and e.admitted will be called.
func (q *callQueue) append(e *queued) (accepted bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return false, ErrClosed
	case q.stop >= draining:
		return false, fmt.Errorf("manager: append %s: %w", e.what, ErrGuardStopped)
	}
	if q.waiting.len() == 0 && q.room(e) {
		q.push(e)
		return true, nil
	}
	switch {
	case !q.isGuarded():
		return false, fmt.Errorf("manager: append %s: %d calls are queued and no guard runs: %w", e.what, q.entries.len(), ErrFull)
	case e.now:
		return false, fmt.Errorf("manager: append %s: %d calls are queued: %w", e.what, q.entries.len(), ErrFull)
	case e.nested:
		return false, fmt.Errorf("manager: append %s: %d calls are queued, and a call that runs from the queue cannot wait for it: %w", e.what, q.entries.len(), ErrFull)
	case q.waiting.len() >= mostWaiting:
		return false, fmt.Errorf("manager: append %s: %d calls are queued and as many wait for room: %w", e.what, q.entries.len(), ErrFull)
	}
	e.pooled, e.waits = false, e.from // who tells of its admission refers to it when it may have run
	q.waiting.push(e)
	return false, nil
}

// room reports whether there is room for a call. q.mu is held.
func (q *callQueue) room(e *queued) bool {
	return q.entries.len() < q.bound && (q.bytes+e.size <= mostQueuedBytes || q.entries.len() == 0)
}

// push accepts a call. q.mu is held.
func (q *callQueue) push(e *queued) {
	q.seq++
	e.seq = q.seq
	q.bytes += e.size
	q.entries.push(e)
	q.bufferOf(e.op).pending++
}

// isGuarded reports whether a guard runs, or is being replaced. q.mu is held.
func (q *callQueue) isGuarded() bool { return q.lease != nil && !q.lease.exec || q.gone != nil }

// withdraw takes a call back that waits for room; false: it does not any more.
func (q *callQueue) withdraw(e *queued) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting.remove(func(w *queued) bool { return w == e }) > 0
}

// admit lets those in for whom there is room. It returns whom to tell, without the lock. q.mu is held.
func (q *callQueue) admit() (in []*queued) {
	for q.waiting.len() > 0 && q.stop < draining && q.room(q.waiting.first()) {
		e := q.waiting.pop()
		q.push(e)
		in = append(in, e)
	}
	return in
}

// drain runs what is there to run until there is nothing, another goroutine does, or the next call is the guard's to run. It does so on a goroutine
// that a method may end, and waits for that.
func (q *callQueue) drain() {
	q.mu.Lock()
	none := q.current != nil || q.entries.len() == 0
	var after func()
	if none {
		after = q.settle()
	}
	q.mu.Unlock()
	if after != nil {
		after()
	}
	if none {
		return
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		q.drainHere()
	}()
	<-over
}

// drainHere is drain on this goroutine.
func (q *callQueue) drainHere() {
	for q.drainOne() {
	}
}

// kick has what is there to run be run on another goroutine, if nothing runs.
func (q *callQueue) kick() {
	q.mu.Lock()
	work := q.current == nil && q.lease != nil && q.lease.asked && q.entries.len() > 0
	q.mu.Unlock()
	if work {
		go q.drainHere()
	}
}

// drainOne runs one call; false: there is none to run here.
func (q *callQueue) drainOne() bool {
	q.mu.Lock()
	e, in := q.next()
	after := q.settle()
	if l := q.lease; l != nil && l.reply != nil {
		after = join(after, q.answer(l))
	}
	q.mu.Unlock()
	for _, w := range in {
		w.admitted(nil)
	}
	if after != nil {
		after()
	}
	if e == nil {
		return false
	}
	q.runOne(e)
	return true
}

func (q *callQueue) runOne(e *queued) {
	o, returned := outcomeOf{err: errExited}, false
	defer func() {
		if m := e.method.m; !returned && m != nil {
			o.err = m.threw(xme.CausePanic, "called runtime.Goexit", "", nil)
		}
		q.finish(e, o)
		if !returned { // it has ended this goroutine
			go q.drainHere()
		}
	}()
	o = q.run(e)
	returned = true
}

var errExited = errors.New("manager: a queued call has ended its goroutine, by runtime.Goexit")

// next takes the next call to run here, and lets others in. q.mu is held.
func (q *callQueue) next() (e *queued, in []*queued) {
	l := q.lease
	switch {
	case q.closed || q.current != nil || q.entries.len() == 0:
		return nil, nil
	case l == nil && (q.stop != draining || q.entries.first().fn != nil || q.gone != nil && !q.gone.asked):
		// What is drained needs no guard once one has begun, but for functions.
		return nil, nil
	case l != nil && (!l.asked || l.exec && l.calls > 0):
		return nil, nil
	}
	e = q.entries.pop()
	q.bytes -= e.size
	q.current = e
	if l != nil {
		l.calls++
	}
	in = q.admit()
	if e.fn != nil {
		l.sent = false
		return nil, in
	}
	return e, in
}

// finish ends the call that runs.
func (q *callQueue) finish(e *queued, o outcomeOf) {
	q.mu.Lock()
	q.current = nil
	q.last = time.Time{}
	if q.entries.len() == 0 {
		q.last = time.Now()
	}
	q.record(e, o)
	after := q.settle()
	q.mu.Unlock()
	if e.to != nil {
		e.to.finished(e.id, o)
	} else {
		o.value.release()
	}
	q.reuse(e)
	if after != nil {
		after()
	}
}

// blank returns a call to be filled in.
func (q *callQueue) blank() *queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.blanks)
	if n == 0 {
		return &queued{pooled: true}
	}
	e := q.blanks[n-1]
	q.blanks = q.blanks[:n-1]
	return e
}

const (
	mostBlanks = 64
	mostReused = 1 << 10 // bytes of its arguments
)

// reuse takes back a call that has ended, and that nobody refers to.
func (q *callQueue) reuse(e *queued) {
	if !e.pooled || e.fn != nil || cap(e.method.args) > mostReused {
		return
	}
	*e = queued{pooled: true, method: queuedMethod{args: e.method.args[:0]}}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.blanks) < mostBlanks {
		q.blanks = append(q.blanks, e)
	}
}

// drop ends calls that will not run. They are in no list any more. q.mu is held; the returned function is called without it.
func (q *callQueue) drop(calls []*queued, why error) func() {
	if len(calls) > 0 {
		q.last = time.Now()
	}
	for _, e := range calls {
		q.bytes -= e.size
		q.record(e, outcomeOf{err: why})
	}
	return func() {
		for _, e := range calls {
			e.free()
			if e.to != nil {
				e.to.finished(e.id, outcomeOf{err: why})
			}
		}
	}
}

// free gives up what a call that never runs holds.
func (e *queued) free() {
	e.method.parcel.Close()
	if e.drop != nil {
		e.drop()
	}
}

// settle ends a lease whose time has come. What it returns is called without the lock; it may be nil. q.mu is held.
func (q *callQueue) settle() (after func()) {
	l := q.lease
	if q.stop == asked && !q.held() {
		after = q.beginStop()
	}
	if q.current != nil {
		return after
	}
	switch {
	case l != nil && l.exec && (l.calls > 0 || l.asked && q.entries.len() == 0):
		return join(after, q.end(endedExec))
	case q.stop != draining || l != nil && l.exec:
	case q.entries.len() == 0 && l == nil && q.gone != nil: // who takes its place is to find that it was stopped
	case q.entries.len() == 0:
		q.stop = stopped
		if l != nil {
			return join(after, q.end(endedStop))
		}
		return join(after, q.told())
	case l == nil && q.gone == nil && q.entries.first().fn != nil: // no process is there to run it
		var lost []*queued
		for q.entries.len() > 0 && q.entries.first().fn != nil {
			lost = append(lost, q.entries.pop())
		}
		return join(after, q.drop(lost, fmt.Errorf("manager: %s, and functions behind it: %w", lost[0].what, ErrGuardLost)), q.drain)
	}
	return after
}

func lostCall(e *queued) error { return fmt.Errorf("manager: %s: %w", e.what, ErrGuardLost) }

// join makes one function of several, some of which may be nil.
func join(all ...func()) func() {
	return func() {
		for _, f := range all {
			if f != nil {
				f()
			}
		}
	}
}

// held reports whether rows or heartbeats keep a guard from ending. q.mu is held.
func (q *callQueue) held() bool {
	return q.lease != nil && q.lease.rows || q.gone != nil && q.gone.rows || q.beating()
}

// fifo is a queue in memory.
type fifo[T any] struct {
	items []T
	head  int
}

func (f *fifo[T]) len() int { return len(f.items) - f.head }

func (f *fifo[T]) push(v T) {
	if f.head > 0 && len(f.items) == cap(f.items) && f.head >= len(f.items)/2 {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, v)
}

func (f *fifo[T]) first() T { return f.items[f.head] }

func (f *fifo[T]) all() []T { return f.items[f.head:] }

func (f *fifo[T]) pop() T {
	var none T
	v := f.items[f.head]
	f.items[f.head] = none
	f.head++
	if f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
		if cap(f.items) > 1<<12 {
			f.items = nil
		}
	}
	return v
}

// remove takes out what is meant, and returns how many that were.
func (f *fifo[T]) remove(meant func(T) bool) int {
	kept := f.items[:f.head]
	for _, v := range f.items[f.head:] {
		if !meant(v) {
			kept = append(kept, v)
		}
	}
	n := len(f.items) - len(kept)
	clear(f.items[len(kept):])
	f.items = kept
	return n
}
