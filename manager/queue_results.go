package manager

import (
	"context"
	"iter"

	"github.com/xenonmp/xme"
)

// Result is the outcome of a queued call.
type Result struct {
	Call    uint64 // its number: calls are numbered in the order they are accepted
	Name    string // of the method or function
	Value   Value  // of a call that succeeded; As reads it
	Err     error
	Dropped int // earlier results of the same operator that nobody fetched in time
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
		return r, errorf("%w", errMalformed)
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

// Result fetches the oldest result, not yet fetched, of the calls of the handle's operator, waiting
// for one until ctx ends. At most 255 results are kept for an operator, including those that a
// future has delivered; older ones are dropped, and the next result says how many. The error wraps
// ErrGuardStopped if the guard has ended, or is to end, and no call of the operator is queued any
// more. Each result goes to one waiter only. Within a queued call Result may wait for that call's
// own result, which does not come before the call returns.
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

// Results yields the results of the calls of the handle's operator, fetched as by [Queue.Result],
// until ctx ends, the guard has ended and there are no more, or the loop is left. The last pair has
// the error that ended it; one that wraps ErrGuardStopped is the regular end.
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

// Clean discards the results, not yet fetched, of the calls of the handle's operator, and returns
// how many there were.
func (q *Queue) Clean(ctx context.Context) (int, error) {
	return opClean.call(ctx, q.m, operatorRequest{q.m.Operator()})
}
