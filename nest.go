package xme

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/wire"
)

// nester is a worker's record of the calls that its tasks make: they travel to the
// driver over the worker's link, and their ends come back over it.
type nester struct {
	conn       link.Conn
	maxMessage int

	mu    sync.Mutex
	calls map[uint64]*Call
	last  uint64
	loan  uint64 // the number of the last loan
	over  bool   // the driver has said bye
}

// nestedCall is what a nester keeps in a Call.
type nestedCall struct {
	task *nestTask
	id   uint64
	stop func() bool // no longer watch the call's context
	held region.Set  // what the call was given, until its result has been decoded
}

// nestTask is the executor of one task's calls. While a goroutine of the task waits
// for one of them the task lends its slot to other tasks of the pool.
type nestTask struct {
	n      *nester
	state  atomic.Uint32
	blocks func() // nil, or to be called before the task waits for frames; its goroutine's
	spoke  bool   // it has ended, and sent frames before; its goroutine's

	// Guarded by n.mu.
	waiting int  // goroutines that wait
	lent    bool // the driver was told, and has not taken the loan back
}

// The states of a nestTask. It leaves taskCalls, and becomes it, with n.mu held;
// most tasks make no calls, and go from the first state to the last without it.
const (
	taskMakesNone uint32 = iota // has made no call
	taskCalls                   // has made calls, or waits
	taskOver                    // has ended
)

// live notes that t makes a call or waits for one, and reports whether it may: it
// has not ended. n.mu is held.
func (t *nestTask) live() bool {
	return t.state.CompareAndSwap(taskMakesNone, taskCalls) || t.state.Load() == taskCalls
}

var errTaskEnded = fmt.Errorf("the task that called has ended: %w", context.Canceled)

// end ends the calls of a task that has returned. The driver cancels them when it
// reads the task's end.
func (t *nestTask) end() {
	if t.state.CompareAndSwap(taskMakesNone, taskOver) {
		return
	}
	n := t.n
	n.mu.Lock()
	t.state.Store(taskOver)
	t.spoke, t.lent = true, false
	var left []*Call
	for id, c := range n.calls {
		if c.nested.task == t {
			left = append(left, c)
			delete(n.calls, id)
		}
	}
	n.mu.Unlock()
	abandon(left, errTaskEnded)
}

// abandon ends calls whose ends will not be read.
func abandon(calls []*Call, why error) {
	for _, c := range calls {
		switch stop := c.nested.stop; {
		case stop == nil:
		case ownContext(c.ctx):
			stop()
		default:
			go stop()
		}
		held := c.nested.held
		c.finish(link.Outcome{Err: why})
		held.Release()
	}
}

// close ends the calls that are under way: the pool is closing.
func (n *nester) close() {
	n.mu.Lock()
	n.over = true
	left := slices.Collect(maps.Values(n.calls))
	clear(n.calls)
	n.mu.Unlock()
	abandon(left, proc.ErrClosed)
}

// Submit implements Executor. There is always room: the bounds of Map and Table
// bound what one task has under way.
func (t *nestTask) Submit(_ context.Context, calls []*Call) (int, error) {
	if t.blocks != nil {
		t.blocks()
	}
	for _, c := range calls {
		if err := t.send(c); err != nil {
			c.Finish(nil, err)
		}
	}
	t.n.conn.Flush()
	t.n.conn.Wait(nestBacklog)
	return len(calls), nil
}

// nestBacklog is how many bytes of calls may wait to be written.
const nestBacklog = 1 << 20

func (t *nestTask) send(c *Call) error {
	if err := c.opts.refused(); err != nil {
		return err
	}
	if err := context.Cause(c.ctx); err != nil {
		return err
	}
	if len(c.opts.On) > maxWorkers {
		return fmt.Errorf("option On names %d ranks: at most %d: %w", len(c.opts.On), maxWorkers, errors.ErrUnsupported)
	}
	for _, r := range c.opts.On { // the frame has 32 bits for each
		if int(int32(r)) != r {
			return fmt.Errorf("option On: rank %d does not exist: %w", r, errors.ErrUnsupported)
		}
	}
	o := wire.NestOptions{Timeout: c.opts.Timeout, Memory: c.opts.Memory, On: c.opts.On, Fresh: c.opts.Fresh, Service: c.opts.Service}
	head := o.Append(nil)
	parcel := wire.Parcel{Most: worthEncoding(t.n.maxMessage)}
	body, err := c.encode(slices.Grow(head, c.args), &parcel)
	if n := len(body) - len(head) - metaSize; err == nil && n > t.n.maxMessage {
		err = tooLarge("value", n, t.n.maxMessage)
	}
	var held region.Set
	if err == nil {
		held = parcel.Regions.Clone()
		err = packUp(t.n.conn, &parcel)
	}
	if err != nil {
		held.Release()
		parcel.Close()
		return c.encodeError(err)
	}
	f := link.Frame{Kind: wire.KindNest, Func: c.fn.index, Body: body}
	if !parcel.Empty() {
		f.Parcel = &parcel
	}
	n := t.n
	var stop func() bool
	if c.ctx.Done() != nil { // before n.mu is locked: the context may be of the user's making
		stop = context.AfterFunc(c.ctx, func() { n.unnest(c) })
	}
	if err := n.send(c, f, nestedCall{task: t, stop: stop, held: held}); err != nil {
		if stop != nil {
			stop()
		}
		held.Release()
		parcel.Close()
		return err
	}
	if stop != nil && c.ctx.Err() != nil { // it may have ended before the driver could be asked
		n.unnest(c)
	}
	return nil
}

// send notes a call and queues its frame, unless its task or the pool has ended.
func (n *nester) send(c *Call, f link.Frame, note nestedCall) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case !note.task.live():
		return errTaskEnded
	case n.over:
		return proc.ErrClosed
	}
	n.last++
	note.id, f.Call = n.last, n.last
	c.nested = note
	n.calls[n.last] = c
	n.conn.Send(f)
	return nil
}

// packUp makes a parcel ready for a link, unless that cannot carry what is in it.
func packUp(c link.Conn, p *wire.Parcel) error {
	if !c.Local() {
		if err := p.Pack(); err != nil {
			return err
		}
	}
	if len(p.Items) > 0 && !c.CarriesFiles() {
		return fmt.Errorf("open files and shared memory do not cross on this link, which carries no descriptors: %w", errors.ErrUnsupported)
	}
	return nil
}

// unnest asks the driver to end a call early, if it knows of it.
func (n *nester) unnest(c *Call) {
	f := link.Frame{Kind: wire.KindUnnest}
	if _, patient := context.Cause(c.ctx).(proc.Patient); patient { //nolint:errorlint // identity is meant
		f.Time = wire.OnceBegun
	}
	n.mu.Lock()
	f.Call = c.nested.id
	live := n.calls[f.Call] == c
	if live {
		n.conn.Send(f)
	}
	n.mu.Unlock()
	if live {
		n.conn.Flush()
	}
}

// deliver takes the end of a call from the driver.
func (n *nester) deliver(f link.Frame, owned bool) {
	n.mu.Lock()
	c := n.calls[f.Call]
	delete(n.calls, f.Call)
	var t *nestTask
	if c != nil {
		t = c.nested.task
		if t.lent && f.Time == n.loan {
			t.lent = false // the driver took it back
		}
	}
	n.mu.Unlock()
	if c == nil {
		f.Parcel.Close() // its task has ended
		return
	}
	own, failed := ownContext(c.ctx), f.Kind == wire.KindNestFail
	// A failure asks the context whether to try again, and why it has ended.
	if !failed && !c.foreign() || failed && own && c.opts.Retries == 0 && c.ctx.Err() == nil {
		c.nestedEnd(f, own)
		t.tell()
		return
	}
	// Not on the goroutine that reads the driver's frames: code of the user's may take
	// its time, or wait for another call.
	if !owned {
		f.Body = slices.Clone(f.Body)
	}
	t.tell() // until that has run, who waits for the call waits
	go c.nestedEnd(f, true)
}

// nestedEnd ends a call whose end the driver has sent. mayWait says that methods of its
// context may be called here.
func (c *Call) nestedEnd(f link.Frame, mayWait bool) {
	switch {
	case c.nested.stop == nil:
	case mayWait:
		c.nested.stop()
	default:
		go c.nested.stop()
	}
	o := link.Outcome{Body: f.Body, Parcel: f.Parcel}
	if f.Kind == wire.KindNestFail {
		o.Body, o.Err = nil, &proc.RowError{Body: f.Body}
		if cause := context.Cause(c.ctx); cause != nil {
			o.Cancelled = cause
		}
	}
	held := c.nested.held
	defer held.Release() // also if a decoder of the user's ends the goroutine
	c.finish(o)
}

// ownContext reports whether to ask ctx whether it has ended, or to stop watching it,
// runs no code of a user's making.
func ownContext(ctx context.Context) bool {
	if _, ok := ctx.(*workerRow); ok {
		return true
	}
	return slices.Contains(ownTypes(), reflect.TypeOf(ctx))
}

// ownTypes returns the types of contexts that do not ask those they are derived from.
var ownTypes = sync.OnceValue(func() []reflect.Type {
	background := context.Background()
	cancelled, cancel := context.WithCancel(background)
	cancel()
	late, cancel := context.WithDeadline(background, time.Time{})
	cancel()
	return []reflect.Type{reflect.TypeOf(cancelled), reflect.TypeOf(late), reflect.TypeOf(background)}
})

// tell tells the driver whether the task waits, if that has changed.
func (t *nestTask) tell() {
	t.n.mu.Lock()
	told := t.sync()
	t.n.mu.Unlock()
	if told {
		t.n.conn.Flush()
	}
}

// sync queues the frame that tells the driver whether t waits, if that has changed.
// n.mu is held.
func (t *nestTask) sync() bool {
	n := t.n
	switch {
	case n.over, !t.live():
	case t.waiting > 0 && !t.lent:
		t.lent = true
		n.loan++
		n.conn.Send(link.Frame{Kind: wire.KindLend, Call: n.loan})
		return true
	case t.waiting == 0 && t.lent:
		t.lent = false
		n.conn.Send(link.Frame{Kind: wire.KindReclaim, Call: n.loan})
		return true
	}
	return false
}

// waitPoint is a place where goroutines of a task wait for its calls. The zero
// value, outside a worker's tasks, does nothing.
type waitPoint struct {
	t *nestTask

	// Guarded by t.n.mu.
	waiters int
	forGood bool
	ended   bool
}

func waitPointOn(on Executor) waitPoint {
	t, _ := on.(*nestTask)
	return waitPoint{t: t}
}

// change changes the point's counts, unless it has ended, and tells the driver what
// follows. It is one step: who begins to wait meanwhile comes before it or after it.
func (w *waitPoint) change(f func()) {
	if w.t == nil {
		return
	}
	n := w.t.n
	n.mu.Lock()
	told := false
	if !w.ended {
		before := w.waiters
		f()
		w.t.waiting += w.waiters - before
		told = w.t.sync()
	}
	n.mu.Unlock()
	if told {
		n.conn.Flush()
	}
}

// enter is called before a goroutine waits.
func (w *waitPoint) enter() { w.change(func() { w.waiters++ }) }

// leave is called when it waits no more though nothing it waits for has happened.
func (w *waitPoint) leave() { w.change(func() { w.waiters = max(w.waiters-1, 0) }) }

// enterForGood counts a goroutine that may wait, once, until end.
func (w *waitPoint) enterForGood() {
	w.change(func() {
		if !w.forGood {
			w.forGood = true
			w.waiters++
		}
	})
}

// clear says that whoever waits is woken.
func (w *waitPoint) clear() { w.change(func() { w.waiters = 0 }) }

// end is clear, for good.
func (w *waitPoint) end() { w.change(func() { w.waiters, w.ended = 0, true }) }
