package proc

import (
	"bytes"
	"io"
	"sync"
	"time"
)

const (
	// backlogBytes bounds what waits for an Output to take it.
	backlogBytes = 1 << 20
	// batchBytes is about how much of it is written at once.
	batchBytes = 32 << 10
	// stuckTime is for how long one write may last before the Output counts as
	// blocked, and what it has no room for is dropped.
	stuckTime = time.Second
)

// Output passes items on, in order, to a writer or a function that may be slow: lines, or
// log records. A goroutine of its own does so. Who brings more than it keeps up with
// waits, as long as it moves on; once one write has lasted for stuckTime the rest is
// dropped and counted until that write returns, so that nobody waits for an output that
// is blocked.
type Output struct {
	write func(items [][]byte, dropped int)

	mu      sync.Mutex
	items   [][]byte
	bytes   int
	dropped int
	closed  bool
	writes  int         // so far
	watched int         // writes when somebody began to wait for room, and the clock was set
	stuck   bool        // the write that runs lasts too long
	timer   *time.Timer // not nil: set
	wake    sync.Cond   // there are items, or it is closed
	room    sync.Cond
	ended   chan struct{}
}

// NewOutput returns an Output that writes lines to w, many at once, and behind them the
// line that notice makes of how many it dropped. Close ends it.
func NewOutput(w io.Writer, notice func(dropped int) []byte) *Output {
	return NewOutputFunc(func(lines [][]byte, dropped int) {
		if dropped > 0 {
			lines = append(lines, notice(dropped))
		}
		_, _ = w.Write(bytes.Join(lines, nil))
	})
}

// NewOutputFunc returns an Output that calls write, from one goroutine, with items in
// order and with how many were dropped behind them. Close ends it.
func NewOutputFunc(write func(items [][]byte, dropped int)) *Output {
	o := &Output{write: write, ended: make(chan struct{})}
	o.wake.L, o.room.L = &o.mu, &o.mu
	go o.run()
	return o
}

// Put takes one item over. It waits for room, unless the Output is closed or blocked.
func (o *Output) Put(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.bytes+len(b) > backlogBytes && o.bytes > 0 && !o.closed && !o.stuck {
		o.watch()
		o.room.Wait()
	}
	if o.closed || o.stuck && o.bytes+len(b) > backlogBytes {
		o.dropped++
		return
	}
	o.items = append(o.items, b)
	o.bytes += len(b)
	o.wake.Signal()
}

// watch sees to it that who waits for room does not wait for a blocked write. o.mu is
// held.
func (o *Output) watch() {
	if o.timer != nil {
		return
	}
	o.watched = o.writes
	o.timer = time.AfterFunc(stuckTime, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.timer = nil
		o.stuck = o.stuck || o.writes == o.watched
		o.room.Broadcast()
	})
}

func (o *Output) run() {
	defer close(o.ended)
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		for len(o.items) == 0 && o.dropped == 0 && !o.closed {
			o.wake.Wait()
		}
		if len(o.items) == 0 && o.dropped == 0 {
			return
		}
		n, size := 0, 0
		for n < len(o.items) && size < batchBytes {
			size += len(o.items[n])
			n++
		}
		batch, dropped := o.items[:n:n], 0
		o.items = o.items[n:]
		if len(o.items) == 0 {
			dropped, o.dropped = o.dropped, 0 // they came behind
		}
		o.mu.Unlock()
		o.write(batch, dropped)
		clear(batch)
		o.mu.Lock()
		o.bytes -= size
		o.writes++
		o.stuck = false
		o.room.Broadcast()
	}
}

// Close waits up to patience for what is queued to be written; what comes later is
// dropped. A writer that blocks for ever keeps its goroutine.
func (o *Output) Close(patience time.Duration) {
	o.mu.Lock()
	o.closed = true
	o.wake.Signal()
	o.room.Broadcast()
	if o.timer != nil {
		o.timer.Stop()
		o.timer = nil
	}
	o.mu.Unlock()
	select {
	case <-o.ended:
	case <-time.After(patience):
	}
}
