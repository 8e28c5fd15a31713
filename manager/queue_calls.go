package manager

import (
	"context"
	"errors"
	"time"
)

// Queue is a handle on a manager's queue of calls, acting as the operator of the manager's handle
// it came from. Calls appended to it are run one at a time, in order, by the manager's guard (see
// [Guard]) or by [Queue.Exec]. Calls it has accepted it runs once, whatever becomes of those who
// appended them; only if the manager's own process dies are queued calls lost, and their futures
// say so.
//
// Three kinds of calls can be appended: of an object's method, by [MethodFunc.Append]; of a
// function of the function table, by f.Go(ctx, queue, in), since a Queue is an xme.Executor; and of
// the manager's own functions, by [Queue.Append]. Methods and the manager's functions run in the
// manager's process, functions of the function table in the guard's.
//
// A Queue is made by [Manager.Queue]. All methods may be called concurrently, from all processes.
// Those that take a context give up when it ends, and their errors wrap ErrClosed once the manager
// is closed, and ErrLost if its process has died.
type Queue struct{ m *Manager }

// Queue returns the manager's queue of calls.
func (m *Manager) Queue() *Queue { return &Queue{m} }

// As returns a handle on the same queue that acts as the operator o.
func (q *Queue) As(o Operator) *Queue { return &Queue{q.m.As(o)} }

var opDiscard = define("discard", true, func(_ context.Context, h *host, _ *caller, in operatorRequest) (int, error) {
	if err := h.check(in.Op); err != nil {
		return 0, err
	}
	return h.queue.discard(in.Op, errorf("discarded by %v: %w", in.Op, ErrDropped)), nil
})

// Discard removes from the queue those calls of the handle's operator that have not begun, and
// returns how many there were. They end with an error that wraps ErrDropped.
func (q *Queue) Discard(ctx context.Context) (int, error) {
	return opDiscard.call(ctx, q.m, operatorRequest{q.m.Operator()})
}

// QueueState is the state of a queue at one moment.
type QueueState struct {
	Len     int           // calls accepted that have not begun
	Bound   int           // how many of these there may be
	Waiting int           // appends waiting for room
	Guarded bool          // a guard runs, or is being replaced
	Running string        // the call that runs; empty: none
	Idle    time.Duration // since the last call ended; 0: one runs or is queued
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

// State returns the state of the queue. It does not wait.
func (q *Queue) State(ctx context.Context) (QueueState, error) {
	return opState.call(ctx, q.m, struct{}{})
}

// Len returns the number of queued calls that have not begun.
func (q *Queue) Len(ctx context.Context) (int, error) {
	s, err := q.State(ctx)
	return s.Len, err
}

// Buffers holds a queue's calls, and the results that are kept, at one moment.
type Buffers struct {
	Queued  []QueuedCall     // in order
	Results map[int][]Result // by operator number, oldest first
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

// Buffers returns a copy of the queue's contents, with up to 255 results for each operator.
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
