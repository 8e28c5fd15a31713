package xme

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/wire"
)

// Executor runs calls. [*Pool] and [Inline] are executors; others may be written outside
// this package and behave the same if they pass xmetest.Exercise.
type Executor interface {
	// Submit accepts a prefix of calls, in order, and returns its length. It may block
	// only while there is no room for the first call; ctx bounds that wait. If n <
	// len(calls) and the error is nil, the rest may be offered again. Every accepted call
	// ends with exactly one Finish, from any goroutine, possibly before Submit returns;
	// calls that were not accepted are left alone.
	//
	// A call should be encoded (AppendArgs) or run before Submit returns: until then its
	// arguments do not change, afterwards they may. An executor ends a call when the
	// call's Context ends. If it cannot honour an option, it ends the call with an error
	// that wraps errors.ErrUnsupported.
	//
	// An executor with a method Ranks() []int supports Broadcast.
	Submit(ctx context.Context, calls []*Call) (n int, err error)
}

// Call is one call on its way through an executor. Its methods are for executors; except
// for Context, Name and Options, they must be used by one goroutine at a time.
type Call struct {
	// What every row of a stream needs comes first, together.
	next    *Call // in the watch's list, or in one of its stream's
	value   value
	opts    *CallOptions
	args    int // bytes of the encoded arguments; until they are encoded, about
	files   int // open files among them
	index   int // -1: none
	seed    uint64
	place   place           // in a stream
	err     error           // how it ended
	small   [smallArgs]byte // arguments of up to that size are encoded here
	attempt int
	seeded  bool
	awaited bool // by who submits it
	led     bool // who submits it leads the pool
	ended   atomic.Bool
	row     link.Row

	rows   [1]*link.Row // it, to be submitted alone
	to     sink
	first  *Call   // the first attempt, which is the one that to knows
	window *stream // that it counts in; nil: none
	fn     *function
	ctx    context.Context //nolint:containedctx // a Call is a request: its context is its end
	on     Executor        // where it was submitted
	result *wire.Parcel    // files that travel with the result of Run
	watch  *watch          // in a pool: who ends the call when its context ends
	prev   *Call           // in the watch's list
	nested nestedCall      // in a task: what its worker knows of it

	pulled bool // see proc.Puller
	final  bool // it is not tried again: its executor takes no further attempt

	earlier []string // how earlier attempts failed
}

// smallArgs is what most arguments do not exceed, encoded.
const smallArgs = metaSize + 32

// Name returns the function's full name.
func (c *Call) Name() string { return c.fn.name }

// Options returns how the call is to be run.
func (c *Call) Options() CallOptions { return *c.opts }

// Context returns the context whose end also ends the call.
func (c *Call) Context() context.Context { return c.ctx }

// AppendArgs appends the encoded arguments, for [Serve] in another process of the same
// build. If it returns an error, finish the call with that error.
func (c *Call) AppendArgs(dst []byte) ([]byte, error) {
	var p wire.Parcel
	body, err := c.encode(dst, &p)
	if err == nil && !p.Empty() {
		err = fmt.Errorf("this executor does not carry open files and shared memory: %w", errors.ErrUnsupported)
	}
	p.Close()
	if err != nil {
		return dst, c.encodeError(err)
	}
	return body, nil
}

// Run runs the call in this process, on a goroutine of its own, and returns what to pass
// to Finish. The call's argument and result are encoded and decoded nevertheless. The
// task's context ends with ctx as well as with the call's own.
func (c *Call) Run(ctx context.Context) ([]byte, error) {
	if ctx == nil {
		panic(nilContext("Call.Run"))
	}
	args, parcel, err := c.encodeAll()
	if err != nil {
		return nil, err
	}
	return c.runEncoded(ctx, args, parcel)
}

// runEncoded is Run with arguments that encodeAll returned.
func (c *Call) runEncoded(ctx context.Context, args []byte, p *wire.Parcel) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(c.ctx, func() { cancel(context.Cause(c.ctx)) })
	defer stop()
	body, out, e := runApart(ctx, invocation{task: task{current: currentFor(c), fn: c.fn}, parcel: p}, args)
	c.result = out
	if e != nil {
		return nil, e
	}
	return body, nil
}

// encodeAll encodes the arguments for a task in this process, with what travels beside them. The
// error, if any, is what the call must be finished with.
func (c *Call) encodeAll() ([]byte, *wire.Parcel, error) {
	p := &wire.Parcel{}
	args, err := c.encode(nil, p)
	if err != nil {
		p.Close()
		return nil, nil, c.encodeError(err)
	}
	p.Task = true
	return args, p, nil
}

func currentFor(c *Call) Executor {
	switch on := c.on.(type) {
	case *inline:
		return inlineTask{on}
	case nil:
		return Inline()
	default:
		return on
	}
}

// encode appends the row's meta data and encoded arguments, and corrects what they
// were reckoned to take.
func (c *Call) encode(dst []byte, p *wire.Parcel) ([]byte, error) {
	if !c.seeded {
		n := uint64(c.index)
		if c.index < 0 {
			n = looseSeeds + looseCalls.Add(1)
		}
		c.seed, c.seeded = seedOf(defaultSeed, n), true
	}
	args, files := c.args, c.files
	dst, err := c.append(dst, p)
	if err == nil && (c.args != args || c.files != files) {
		c.charge(weight(c.args)-weight(args), c.files-files)
	}
	return dst, err
}

// append appends the meta data and encoded arguments of a call that has its seed.
func (c *Call) append(dst []byte, p *wire.Parcel) ([]byte, error) {
	n := len(dst)
	dst, err := c.value.append(appendMeta(dst, c.index, c.seed), p)
	if err == nil {
		c.args, c.files = len(dst)-n, 0
		if p != nil {
			c.files = len(p.Items)
		}
	}
	return dst, err
}

// looseCalls numbers calls that belong to no row and no pool.
var looseCalls atomic.Uint64

// looseSeeds is where the numbers of calls that are no row begin: far from any
// row's index.
const looseSeeds = 1 << 62

// attempts is how many there may be.
func (c *Call) attempts() int { return min(c.opts.Retries, math.MaxInt-1) + 1 }

func (c *Call) encodeError(err error) *Error {
	return &Error{Func: c.fn.name, Row: c.index, Cause: CauseEncode, Message: "argument: " + textOf(err), Attempt: c.attempt + 1, Attempts: c.attempts(), wrapped: err}
}

// check panics, on the caller's goroutine, on what can only be a mistake in a call of
// f's method: no context, a pool whose Open failed, one that Open did not make. It
// returns on, or the pool that this stands for.
func check(ctx context.Context, f *function, method string, on Executor) Executor {
	if ctx == nil {
		panic(nilContext(f.callOf(method)))
	}
	p, ok := on.(*Pool)
	if on == nil || ok && p == nil {
		panic("xme: " + f.callOf(method) + " on a nil executor: has Open returned an error?")
	}
	if ok && p.p == nil {
		panic("xme: " + f.callOf(method) + " on a zero Pool: use the *Pool that Open returned")
	}
	if !ok && proc.PoolOf != nil {
		if p, ok := proc.PoolOf(on).(*Pool); ok {
			return p
		}
	}
	return on
}
