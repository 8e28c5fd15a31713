package proc

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// backlogBytes bounds what waits for an Output to take it.
	backlogBytes = 1 << 20
	// atomicBytes is what a pipe takes whole (PIPE_BUF on Linux): writes up to it are not
	// torn by others who write to the same pipe.
	atomicBytes = 4 << 10
	// stuckTime is for how long one write may last before the Output counts as
	// blocked, and what it has no room for is dropped.
	stuckTime = time.Second
	// closeTime bounds how long Close waits for an output that is slow.
	closeTime = 30 * time.Second
)

// Output passes items on, in order, to a writer or a function that may be slow: lines, or
// log records. A goroutine of its own does so. Who brings more than it keeps up with
// waits, as long as it moves on; once one write has lasted for stuckTime the rest is
// dropped and counted until that write returns, so that nobody waits for an output that
// is blocked.
type Output struct {
	write func(items [][]byte, dropped int)
	most  int // bytes that are written at once, if that is more than one item

	mu      sync.Mutex
	items   []item
	bytes   int
	dropped int   // behind the last item
	failed  int   // items that the writer returned an error for
	err     error // the first of these
	closed  bool
	gone    bool        // Close has given up
	writes  int         // so far
	watched int         // writes when somebody began to wait for room, and the clock was set
	stuck   bool        // the write that runs lasts too long
	timer   *time.Timer // not nil: set
	wake    sync.Cond   // there are items, or it is closed
	room    sync.Cond
	ended   chan struct{}
}

// item is something to be written, or how many were dropped in its place.
type item struct {
	b       []byte
	dropped int
}

// NewOutput returns an Output that writes lines to w, several at once, and in the place of
// those that it dropped the line that notice makes of their number. Close ends it.
func NewOutput(w io.Writer, notice func(dropped int) []byte) *Output {
	var o *Output
	o = newOutput(func(lines [][]byte, dropped int) {
		n := len(lines) + dropped
		if dropped > 0 {
			lines = append(lines, notice(dropped))
		}
		if _, err := w.Write(bytes.Join(lines, nil)); err != nil {
			o.fail(n, err)
		}
	})
	o.most = atomicBytes
	go o.run()
	return o
}

// NewOutputFunc returns an Output that calls take, from one goroutine, with items in
// order, or nil and how many were dropped in their place. Close ends it.
func NewOutputFunc(take func(item []byte, dropped int)) *Output {
	o := newOutput(func(items [][]byte, dropped int) {
		for _, b := range items {
			take(b, 0)
		}
		if dropped > 0 {
			take(nil, dropped)
		}
	})
	go o.run()
	return o
}

func newOutput(write func([][]byte, int)) *Output {
	o := &Output{write: write, ended: make(chan struct{})}
	o.wake.L, o.room.L = &o.mu, &o.mu
	return o
}

// fail notes that items could not be written.
func (o *Output) fail(items int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed += items
	if o.err == nil {
		o.err = err
	}
}

// Failed returns how many items the writer returned an error for, and the first of these errors.
func (o *Output) Failed() (items int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed, o.err
}

// Put takes one item over. It waits for room, unless the Output is closed or blocked.
func (o *Output) Put(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.full(b) && !o.closed && !o.stuck {
		o.watch()
		o.room.Wait()
	}
	if o.closed || o.full(b) {
		o.dropped++
		return
	}
	o.markDropped()
	o.items = append(o.items, item{b: b})
	o.bytes += len(b)
	o.wake.Signal()
}

func (o *Output) full(b []byte) bool { return o.bytes > 0 && o.bytes+len(b) > backlogBytes }

// markDropped notes what was dropped where it would stand. o.mu is held.
func (o *Output) markDropped() {
	if o.dropped > 0 {
		o.items = append(o.items, item{dropped: o.dropped})
		o.dropped = 0
	}
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
	o.mu.Lock()
	defer func() { // also if a writer of the user's ends its goroutine
		o.closed, o.gone = true, true
		o.room.Broadcast()
		o.mu.Unlock()
		close(o.ended)
	}()
	for !o.gone {
		if len(o.items) == 0 {
			o.markDropped()
		}
		if len(o.items) == 0 {
			if o.closed {
				return
			}
			o.wake.Wait()
			continue
		}
		var batch [][]byte
		n, size, dropped := 0, 0, 0
		for n < len(o.items) && dropped == 0 && (n == 0 || size+len(o.items[n].b) <= o.most) {
			if it := o.items[n]; it.dropped > 0 {
				dropped = it.dropped
			} else {
				batch = append(batch, it.b)
				size += len(it.b)
			}
			n++
		}
		clear(o.items[:n])
		o.items = o.items[n:]
		o.unlocked(batch, dropped)
		o.bytes -= size
		o.writes++
		o.stuck = false
		o.room.Broadcast()
	}
}

// unlocked calls write without o.mu, which is held before and after. A panic in code of
// the user's is told, once: his rows have nothing to do with it.
func (o *Output) unlocked(batch [][]byte, dropped int) {
	o.mu.Unlock()
	defer func() {
		r := recover()
		o.mu.Lock()
		if r != nil && !o.gone {
			panicked.Do(func() {
				_, _ = fmt.Fprintf(os.Stderr, "xme: the writer or log handler that takes the workers' output panicked, what it was given is lost: %v\n%s", r, debug.Stack())
			})
		}
	}()
	o.write(batch, dropped)
}

var panicked sync.Once

// Close waits for what is queued to be written, as long as no single write takes longer than
// patience, and returns how many items were not; what comes later is dropped. A writer
// that blocks for ever keeps its goroutine, but nothing is written any more once it
// returns.
func (o *Output) Close(patience time.Duration) (lost int) {
	o.mu.Lock()
	o.closed = true
	o.wake.Signal()
	o.room.Broadcast()
	if o.timer != nil {
		o.timer.Stop()
		o.timer = nil
	}
	writes := o.writes
	o.mu.Unlock()
	for begin := time.Now(); ; {
		select {
		case <-o.ended:
			return 0
		case <-time.After(patience):
		}
		o.mu.Lock()
		if o.writes == writes || time.Since(begin) > closeTime {
			o.gone = true
			for _, it := range o.items {
				lost += max(it.dropped, 1)
			}
			lost += o.dropped + 1 // and what is being written
			o.items, o.dropped = nil, 0
			o.mu.Unlock()
			return lost
		}
		writes = o.writes
		o.mu.Unlock()
	}
}
