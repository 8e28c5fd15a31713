package manager

import (
	"math/rand/v2"
	"sync"
	"time"
)

// callQueue is the queue of a host's calls. It needs no host: what runs a call is handed to it. Its methods may be called concurrently, and take its
// lock, but for those that say that it is held.
//
// A call is accepted into entries, or waits for room; it is running while it is neither; it has ended once its sink and its operator's buffer have the
// outcome. One runs at a time, on the goroutine that has found work: see drain. Whether there is work to do says the lease: without one the queue stands
// still.
type callQueue struct {
	bound int
	run   func(e *queued) outcomeOf // methods and built-ins; must not panic

	mu       sync.Mutex
	closed   bool
	entries  fifo[*queued]
	bytes    int // of arguments in entries
	waiting  fifo[*queued]
	lease    *lease
	gone     *lease            // of a guard that is expected: to begin, or in the place of one whose process has died; nil: none
	expect   *time.Timer       // until when
	ended    map[uint64]*lease // of which their holders have not heard
	stop     stopping
	current  *queued // runs
	barren   int     // guards in a row that died before they asked for work
	last     time.Time
	seq      uint64
	buffers  map[uint32]*buffer // of outcomes, by operator
	beats    map[uint64]*beat
	lastBeat uint64
	over     map[uint64]bool // guards that have ended, or are to: another of their processes may still come
	overs    fifo[uint64]    // the same, oldest first
	noting   sync.Mutex      // a heartbeat's status is noted: the last note is the last event's
	freed    chan struct{}   // closed when the lease ends, or a guard is not expected any more; nil: nobody waits
	died     func(Operator)  // is told, without the lock, of an operator whose heartbeat's process has died
	guarded  func()          // is told, without the lock, that a guard has begun or ended
}

// stopping is how far a queue is in being stopped.
//
//	                  nothing holds the guard: settle        no call is left: settle
//	open ── askStop ──> asked ──────────────────> draining ──────────────────────> stopped
//	 │                                               ^                                │
//	 ├── stopping, tableEnded ───────────────────────┘                                │
//	 ├── look (idle), abandon ───────────────────────────────────────────────────────>│
//	 └<── lend, expectGuard: another guard ───────────────────────────────────────────┘
//
// A guard that comes when it is over has the queue go to draining instead of open. giveUp takes asked back to open, for no guard is left to end.
type stopping uint8

const (
	open     stopping = iota
	asked             // by a queued call: once rows and heartbeats have ended
	draining          // nothing is accepted any more
	stopped
)

// queued is a call that was appended.
type queued struct {
	seq    uint64
	op     Operator
	what   string // a name for people
	size   int
	buffer *buffer // its operator's, once it is accepted
	from   any     // the connection that it came by; nil: this process

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
	pooled   bool         // see blanks
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
	table any           // the process that runs the table, as conn; nil: this one, or it is not known
	idle  time.Duration // after which without a call it ends; not over 0: never
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
	// mostOver bounds how many guards and leases are remembered that have ended, for processes of theirs that come afterwards.
	mostOver = 1 << 10
)

func newCallQueue(bound int, run func(*queued) outcomeOf) *callQueue {
	if bound == 0 {
		bound = defaultQueue
	}
	return &callQueue{
		bound: bound, run: run, buffers: map[uint32]*buffer{}, beats: map[uint64]*beat{}, over: map[uint64]bool{}, last: time.Now(),
		ended: map[uint64]*lease{}, guarded: func() {}, died: func(Operator) {},
		lastBeat: rand.Uint64(), // who beats may come with a number that the process before this one gave him
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
		return false, errorf("append %s: %w", e.what, ErrGuardStopped)
	}
	if q.waiting.len() == 0 && q.room(e) {
		q.push(e)
		return true, nil
	}
	switch {
	case !q.isGuarded():
		return false, errorf("append %s: %d calls are queued and no guard runs: %w", e.what, q.entries.len(), ErrFull)
	case e.now:
		return false, errorf("append %s: %d calls are queued: %w", e.what, q.entries.len(), ErrFull)
	case e.nested:
		return false, errorf("append %s: %d calls are queued, and a call that runs from the queue cannot wait for it: %w", e.what, q.entries.len(), ErrFull)
	case q.waiting.len() >= mostWaiting:
		return false, errorf("append %s: %d calls are queued and as many wait for room: %w", e.what, q.entries.len(), ErrFull)
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
	e.buffer = q.bufferOf(e.op)
	e.buffer.pending++
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
