package manager

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/wire"
)

// Queue is a handle on a manager's queue of calls, with the operator of the manager's handle that it is of. What is appended to it is run one call at a time, in order, by the
// manager's guard (see [Guard]) or by [Queue.Exec]. What it has accepted it runs once, whatever becomes of who appended it; only if the manager's own process dies are
// the calls lost that were queued, and their futures say so.
//
// Three kinds of calls can be appended: of an object's method by [MethodFunc.Append]; of a function of the function table, for a Queue is an xme.Executor, by f.Go(ctx, queue, in); of the manager's own
// functions by [Queue.Append]. Methods and the manager's functions run in the manager's process, functions of the table in the guard's.
//
// All methods may be called concurrently, from all processes.
type Queue struct{ m *Manager }

// Queue returns the manager's queue of calls.
func (m *Manager) Queue() *Queue { return &Queue{m} }

// As returns a handle on the same queue whose calls are the operator's.
func (q *Queue) As(o Operator) *Queue { return &Queue{q.m.As(o)} }

var errNoCollector = errors.New("manager: calls of this process's own do not come as requests")

// tableCall is a call of a registered function that was appended.
type tableCall struct {
	call *xme.Call
	once sync.Once
	stop func() bool // watching its context
}

func (t *tableCall) finish(body []byte, err error) {
	t.stop()
	t.end(body, err)
}

// end is finish for who watches the context.
func (t *tableCall) end(body []byte, err error) {
	t.once.Do(func() { go t.call.Finish(body, err) }) // it decodes
}

// came implements awaitedCall.
func (t *tableCall) came(kind uint8, body []byte) {
	if kind != kindAnswer {
		t.finish(nil, failure(kind, body))
		return
	}
	t.finish(append([]byte(nil), body...), nil)
}

// cameWith implements awaitedCall.
func (t *tableCall) cameWith(s *stored) {
	s.release()
	t.finish(nil, errors.ErrUnsupported)
}

// failed implements awaitedCall.
func (t *tableCall) failed(err error) { t.finish(nil, err) }

// finished implements sink.
func (t *tableCall) finished(_ uint64, o outcomeOf) {
	if o.err != nil {
		t.finish(nil, o.err)
		return
	}
	t.finish(o.value.bytes, nil)
}

// Submit implements xme.Executor: it appends calls of registered functions, which the guard runs in its own process. It waits for room for the first only. Their arguments and results cannot hold
// shared memory or open files, and no option but Retries is honoured, which lies above it. When a call's context
// ends its future ends with it; the call stays queued, and is run all the same: a task that returns need not wait for what it has queued.
func (q *Queue) Submit(ctx context.Context, calls []*xme.Call) (int, error) {
	for i, c := range calls {
		args, err := c.AppendArgs(nil)
		if err == nil {
			err = refused(c.Options())
		}
		if err != nil {
			c.Finish(nil, err)
			continue
		}
		if err := q.submit(ctx, c, args, i > 0); err != nil {
			if i > 0 {
				err = nil // who submits the rest is told
			}
			return i, err
		}
	}
	return len(calls), nil
}

func refused(o xme.CallOptions) error {
	option := ""
	switch {
	case len(o.On) > 0:
		option = "On"
	case o.Fresh:
		option = "Fresh"
	case o.Service:
		option = "Service"
	case o.Memory != 0:
		option = "Memory"
	case o.Timeout != 0:
		option = "Timeout"
	default:
		return nil
	}
	return fmt.Errorf("manager: a queue does not honour option %s: %w", option, errors.ErrUnsupported)
}

// submit appends a call. now: it does not wait for room.
func (q *Queue) submit(ctx context.Context, c *xme.Call, args []byte, now bool) error {
	m := q.m
	h, err := m.host()
	if err != nil {
		return fmt.Errorf("manager: append %s: %w", c.Name(), err)
	}
	t := &tableCall{call: c}
	t.stop = context.AfterFunc(c.Context(), func() { t.end(nil, context.Cause(c.Context())) })
	nested := queueOf(ctx) == m.id
	call := fnCall{c.Name(), args}
	if h != nil {
		return t.submitted(h.appendHere(ctx, &queued{op: m.op, nested: nested, now: now, to: t, what: call.Name, fn: &call, size: len(args)}))
	}
	conn, err := m.at.(*remote).conn()
	if err != nil {
		return t.submitted(err)
	}
	defer conn.unuse()
	id, err := conn.queued.add(t)
	if err != nil {
		return t.submitted(err)
	}
	head := appendHead{method: uint16(len(call.Name)), nested: nested, now: now, id: id, op: m.op}
	body := append(append(head.put(nil), call.Name...), args...)
	if err := conn.appendCall(ctx, 0, body, nil); err != nil {
		if conn.queued.take(id) == nil { // it has its end already, with the connection's or because it was accepted and has run
			return nil
		}
		return t.submitted(err)
	}
	if !proc.Pulled(c) {
		conn.pump()
	}
	return nil
}

// Pull implements a seam of package xme: it fetches the ends of calls for who waits for one of them.
func (q *Queue) Pull(ctx context.Context, done <-chan struct{}) error {
	if queueOf(ctx) == q.m.id {
		return fmt.Errorf("manager: %w: %w", errOwnQueue, ErrDeadlock)
	}
	r, ok := q.m.at.(*remote)
	if !ok {
		return nil
	}
	r.mu.Lock()
	c := r.c
	r.mu.Unlock()
	if c == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // a call can end without having been fetched
		select {
		case <-done:
			cancel()
		case <-ctx.Done():
		}
	}()
	c.fetch(ctx, done)
	return nil
}

// submitted is the end of an append: a call that was not accepted is not watched any more.
func (t *tableCall) submitted(err error) error {
	if err == nil {
		return nil
	}
	t.stop()
	refused := false
	t.once.Do(func() { refused = true })
	if !refused { // it has ended already, and its context with it
		return nil
	}
	return err
}

// askBy has a manager do an op by a connection that is in use.
func askBy[In any](ctx context.Context, c *conn, o *op[In, struct{}], in In, p *wire.Parcel) error {
	body, err := o.in().Append(nil, &in, p)
	if err != nil {
		return fmt.Errorf("manager: %s: %w", o.name, err)
	}
	w, leads, err := c.begin(ctx, kindRequest, uint32(o.code), body, p)
	if err != nil {
		return err
	}
	return c.await(ctx, w, leads, false, func(kind uint8, body []byte, _ *wire.Parcel) error {
		if kind != kindAnswer {
			return failure(kind, body)
		}
		return nil
	})
}

// Result is what a queued call came to.
type Result struct {
	Call    uint64 // its number: calls are numbered as they are accepted
	Name    string // of the method or function
	Value   Value  // of a call that succeeded: As reads it
	Err     error
	Dropped int // earlier results of the same operator's that nobody fetched in time
}

type resultOut struct {
	Call    uint64
	Name    string
	Dropped int
	Value   *stored
	Err     *answerError
	Threw   []byte
}

var opResult = defineStored("result", true, func(ctx context.Context, h *host, _ *caller, in operatorRequest) (out resultOut, err error) {
	if err := h.check(in.Op); err != nil {
		return out, err
	}
	k, err := h.queue.oldest(ctx, in.Op)
	if err != nil {
		return out, err
	}
	return k.out(), nil
})

// out is the outcome for an answer. Its value is lent.
func (k *keptOutcome) out() resultOut {
	r := resultOut{Call: k.seq, Name: k.what, Dropped: k.dropped, Value: k.outcome.value}
	switch e := k.outcome.err.(type) { //nolint:errorlint // the error itself
	case nil:
	case *xme.Error:
		r.Threw = errorBody(e)
	default:
		r.Err = answerErrorOf(e)
	}
	return r
}

func (o *resultOut) result() (r Result, err error) {
	r = Result{Call: o.Call, Name: o.Name, Dropped: o.Dropped}
	switch {
	case o.Err != nil:
		if err := o.Err.arrived(); err != nil {
			return r, err
		}
		r.Err = o.Err
	case o.Threw != nil:
		r.Err = failure(kindThrew, o.Threw)
	case o.Value == nil:
		return r, errMalformed
	default:
		r.Value = newValue(o.Name, 0, o.Value)
	}
	return r, nil
}

type takeRequest struct {
	Op  Operator
	Seq uint64
}

var opTake = define("take result", false, func(_ context.Context, h *host, _ *caller, in takeRequest) (bool, error) {
	if err := h.check(in.Op); err != nil {
		return false, err
	}
	return h.queue.take(in.Op, in.Seq), nil
})

// Result waits for the oldest result of the handle's operator's calls that was not fetched, and fetches it. At most 255 are kept of an operator, also of those that a
// future has told of; older ones are dropped, which the next one says. The error wraps ErrGuardStopped if the guard has ended, or is to, and none of the operator's calls is queued any more.
func (q *Queue) Result(ctx context.Context) (r Result, err error) {
	for {
		out, err := opResult.call(ctx, q.m, operatorRequest{q.m.Operator()})
		if err != nil {
			return r, err
		}
		ok, err := opTake.call(ctx, q.m, takeRequest{q.m.op, out.Call})
		if err != nil || !ok { // somebody else has it
			out.Value.release()
			if err != nil {
				return r, err
			}
			continue
		}
		return out.result()
	}
}

// Results yields the results of the handle's operator's calls as [Queue.Result] fetches them, until ctx ends, the guard has ended and there are no more, or the range is left. The last pair has the error
// that ended it: one that wraps ErrGuardStopped is its regular end.
func (q *Queue) Results(ctx context.Context) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		for {
			r, err := q.Result(ctx)
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

var opClean = define("clean", false, func(_ context.Context, h *host, _ *caller, in operatorRequest) (int, error) {
	if err := h.check(in.Op); err != nil {
		return 0, err
	}
	return h.queue.clean(in.Op), nil
})

// Clean forgets the results of the handle's operator's calls that were not fetched, and returns how many they were.
func (q *Queue) Clean(ctx context.Context) (int, error) {
	return opClean.call(ctx, q.m, operatorRequest{q.m.Operator()})
}

var opDiscard = define("discard", true, func(_ context.Context, h *host, _ *caller, in operatorRequest) (int, error) {
	if err := h.check(in.Op); err != nil {
		return 0, err
	}
	return h.queue.discard(in.Op, fmt.Errorf("manager: discarded by %v: %w", in.Op, ErrDropped)), nil
})

// Discard takes the handle's operator's calls out of the queue that have not begun, and returns how many they were. They end with an error that wraps ErrDropped.
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

// State returns how the queue is.
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

// Buffers returns a copy of what the queue has.
func (q *Queue) Buffers(ctx context.Context) (b Buffers, err error) {
	out, err := opBuffers.call(ctx, q.m, struct{}{})
	if err != nil {
		return b, err
	}
	b.Queued, b.Results = out.Queued, map[int][]Result{}
	if len(out.Numbers) != len(out.Results) {
		return b, errMalformed
	}
	for i := range out.Results {
		r, rerr := out.Results[i].result()
		err = errors.Join(err, rerr)
		b.Results[out.Numbers[i]] = append(b.Results[out.Numbers[i]], r)
	}
	return b, err
}

// resultType names the type of what the function that runs returns.
func (q *callQueue) resultType() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.current == nil || q.current.fn == nil {
		return ""
	}
	t, err := proc.ResultOf(q.current.fn.Name)
	if err != nil {
		return ""
	}
	return typeName(t)
}
