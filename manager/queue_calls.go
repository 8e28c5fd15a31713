package manager

import (
	"context"
	"errors"
	"time"
)

// Queue is a handle on a manager's queue of calls, with the operator of the manager's handle that it is of. What is appended to it is run one call at a
// time, in order, by the manager's guard (see [Guard]) or by [Queue.Exec]. What it has accepted it runs once, whatever becomes of who appended it; only
// if the manager's own process dies are the calls lost that were queued, and their futures say so.
//
// Three kinds of calls can be appended: of an object's method by [MethodFunc.Append]; of a function of the function table, for a Queue is an
// xme.Executor, by f.Go(ctx, queue, in); of the manager's own functions by [Queue.Append]. Methods and the manager's functions run in the manager's
// process, functions of the table in the guard's.
//
// It is made by [Manager.Queue]. All methods may be called concurrently, from all processes. Those that take a context give up when it ends, and their
// errors wrap ErrClosed once the manager is closed, and ErrLost if its process has died.
type Queue struct{ m *Manager }

// Queue returns the manager's queue of calls.
func (m *Manager) Queue() *Queue { return &Queue{m} }

// As returns a handle on the same queue whose calls are the operator's.
func (q *Queue) As(o Operator) *Queue { return &Queue{q.m.As(o)} }

var opDiscard = define("discard", true, func(_ context.Context, h *host, _ *caller, in operatorRequest) (int, error) {
	if err := h.check(in.Op); err != nil {
		return 0, err
	}
	return h.queue.discard(in.Op, errorf("discarded by %v: %w", in.Op, ErrDropped)), nil
})

// Discard takes the handle's operator's calls out of the queue that have not begun, and returns how many they were. They end with an error that wraps
// ErrDropped.
func (q *Queue) Discard(ctx context.Context) (int, error) {
	return opDiscard.call(ctx, q.m, operatorRequest{q.m.Operator()})
}

// QueueState is a queue at one moment.
type QueueState struct {
	Len     int           // calls that are accepted and have not begun
	Bound   int           // how many there may be
	Waiting int           // appends that wait for room
	Guarded bool          // a guard runs, or is being replaced
	Running string        // the call that runs; empty: none does
	Idle    time.Duration // since the last call has ended; 0: one runs, or is queued
}

var opState = define("queue state", false, func(_ context.Context, h *host, _ *caller, _ struct{}) (QueueState, error) {
	if err := h.usable(); err != nil {
		return QueueState{}, err
	}
	return h.queue.state(), nil
})

func (q *callQueue) state() QueueState {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := QueueState{Len: q.entries.len(), Bound: q.bound, Waiting: q.waiting.len(), Guarded: q.isGuarded()}
	if q.current != nil {
		s.Running = q.current.what
	}
	if q.current == nil && s.Len == 0 {
		s.Idle = time.Since(q.last)
	}
	return s
}

// State returns how the queue is. It does not wait.
func (q *Queue) State(ctx context.Context) (QueueState, error) {
	return opState.call(ctx, q.m, struct{}{})
}

// Len returns how many calls are queued that have not begun.
func (q *Queue) Len(ctx context.Context) (int, error) {
	s, err := q.State(ctx)
	return s.Len, err
}

// Buffers are a queue's calls, and the results that are kept, at one moment.
type Buffers struct {
	Queued  []QueuedCall     // in their order
	Results map[int][]Result // by the operators' numbers, oldest first
}

// QueuedCall is a call that has not begun.
type QueuedCall struct {
	Call     uint64
	Name     string
	Operator int
}

type buffersOut struct {
	Queued  []QueuedCall
	Numbers []int
	Results []resultOut
}

var opBuffers = defineStored("buffers", false, func(_ context.Context, h *host, _ *caller, _ struct{}) (buffersOut, error) {
	if err := h.usable(); err != nil {
		return buffersOut{}, err
	}
	return h.queue.image(), nil
})

func (q *callQueue) image() (out buffersOut) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.entries.all() {
		out.Queued = append(out.Queued, QueuedCall{e.seq, e.what, e.op.Number()})
	}
	for n, b := range q.buffers {
		for _, k := range b.kept.all() {
			k.outcome.value = k.outcome.value.lend()
			out.Numbers = append(out.Numbers, int(n))
			out.Results = append(out.Results, k.out())
		}
	}
	return out
}

// Buffers returns a copy of what the queue has: up to 255 results of each operator's with it.
func (q *Queue) Buffers(ctx context.Context) (b Buffers, err error) {
	out, err := opBuffers.call(ctx, q.m, struct{}{})
	if err != nil {
		return b, err
	}
	b.Queued, b.Results = out.Queued, map[int][]Result{}
	if len(out.Numbers) != len(out.Results) {
		return b, errorf("%w", errMalformed)
	}
	for i := range out.Results {
		r, rerr := out.Results[i].result()
		err = errors.Join(err, rerr)
		b.Results[out.Numbers[i]] = append(b.Results[out.Numbers[i]], r)
	}
	return b, err
}
