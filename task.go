package xme

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync"

	"github.com/xenonmp/xme/internal/dump"
	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/wire"
)

// task is what a row's context carries while it runs.
type task struct {
	rank    int
	seed    uint64
	row     int
	limit   int       // bytes of a result
	current Executor  // for nested calls
	fn      *function // what it runs
	log     *logSink  // nil: the process's own log
}

type taskKey struct{}

func taskOf(ctx context.Context) *task {
	t, _ := ctx.Value(taskKey{}).(*task)
	return t
}

// Rank returns the rank of the worker that runs the task, from 1; it returns 0 outside a
// task and in a task that runs in the driver.
func Rank(ctx context.Context) int {
	if t := taskOf(ctx); t != nil {
		return t.rank
	}
	return 0
}

// Seed returns the task's seed: a hash of Options.Seed and the row's index or, for Call
// and Go, a running number. It does not depend on the number of workers, so a table
// repeats its random numbers. Nor does it depend on the function, so row i has the same
// seed in every Map and Table of a pool: where they should differ, mix in part of the
// argument. Outside a task it is a fixed number.
func Seed(ctx context.Context) uint64 {
	if t := taskOf(ctx); t != nil {
		return t.seed
	}
	return mix(defaultSeed)
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable
// pseudorandom number generators, 2014).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// seedOf derives the seed of row n.
func seedOf(base, n uint64) uint64 { return mix(base + (n+1)*defaultSeed) }

// Current returns the executor on which a task makes its own calls. Outside a task it
// returns an executor whose calls end with an error that says so.
func Current(ctx context.Context) Executor {
	if t := taskOf(ctx); t != nil {
		return t.current
	}
	return refusing{errors.New("xme.Current: not in a task: call on a pool, or on xme.Inline()")}
}

// refusing is an executor that ends every call with one error.
type refusing struct{ err error }

func (r refusing) Submit(_ context.Context, calls []*Call) (int, error) {
	for _, c := range calls {
		c.Finish(nil, r.err)
	}
	return len(calls), nil
}

// metaSize is the size of what stands before a row's encoded argument: its index
// and its seed, so that they are the same whichever executor runs it.
const (
	metaSize = link.IndexSize + seedSize
	seedSize = 8
)

func appendMeta(dst []byte, row int, seed uint64) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(int64(row)))
	return binary.LittleEndian.AppendUint64(dst, seed)
}

// invocation is one run of a function.
type invocation struct {
	task   task
	parcel *wire.Parcel // the argument's; consumed
	pooled bool         // parcel is to be used again
	loose  bool         // args have no index
	space  func(n int) []byte
}

// finisher takes the end of an invocation, once. A parcel with files is its own
// from then on.
type finisher interface {
	finished(body []byte, parcel *wire.Parcel, err *Error)
}

// run runs the function on this goroutine and hands the end, with the result
// appended to dst, to to, also when the function panics or ends the goroutine. args
// may change once to has it.
func (v *invocation) run(ctx context.Context, args, dst []byte, to finisher) {
	v.task.row = -1
	returned := false
	defer func() {
		if !returned {
			v.broken(recover(), to)
		}
	}()
	body, out, e := v.invoke(ctx, args, dst)
	returned = true
	v.end(to, body, out, e)
}

// broken hands on the end of a function that panicked with r or, if that is nil, ended
// its goroutine.
func (v *invocation) broken(r any, to finisher) {
	var e *Error
	defer func() {
		switch { // nothing can stop a goroutine that is being ended
		case r == nil:
			e = v.goexit("the function called runtime.Goexit: return an error instead")
		case e == nil:
			e = v.goexit("the function panicked, and a method of the panic's value called runtime.Goexit")
		}
		v.end(to, nil, nil, e)
	}()
	if r != nil {
		e = v.panicked(r)
	}
}

// panicked makes the error of a row that panicked with r. Methods of r, which are the
// user's, may end the goroutine.
func (v *invocation) panicked(r any) *Error {
	e := v.failed(CausePanic, fmt.Sprint(r)+faultText(r), nil)
	e.Stack = dump.Panic(debug.Stack())
	if err, ok := r.(error); ok {
		e.wrapped = err
	}
	return e
}

// goexit makes the error of a row that ended its goroutine.
func (v *invocation) goexit(msg string) *Error {
	e := v.failed(CausePanic, msg, nil)
	e.Stack, e.topic = dump.Panic(debug.Stack()), topicGoexit
	return e
}

// faultText says what a fault at an address means that has to do with shared memory.
func faultText(r any) string {
	fault, ok := r.(interface{ Addr() uintptr })
	switch {
	case !ok:
		return ""
	case region.ReadOnly(fault.Addr()):
		return fmt.Sprintf(": a write at %#x, to shared memory that is read-only here: hand over the Array itself, not ReadOnly or a View", fault.Addr())
	}
	const nilPage = 1 << 12 // below it a pointer was nil
	if fault.Addr() < nilPage {
		return ""
	}
	return fmt.Sprintf(": nothing is mapped at %#x: a slice of shared memory that was kept after its task, or its Close?", fault.Addr())
}

func (v *invocation) invoke(ctx context.Context, args, dst []byte) ([]byte, *wire.Parcel, *Error) {
	index := link.IndexSize
	if v.loose {
		index = 0
	}
	if len(args) < index+seedSize {
		return nil, nil, v.failed(CauseEncode, "malformed arguments", nil)
	}
	if !v.loose {
		v.task.row = int(int64(binary.LittleEndian.Uint64(args)))
	}
	args = args[index:]
	v.task.seed = binary.LittleEndian.Uint64(args)
	if v.parcel != nil {
		v.parcel.Of = wire.TaskName{Rank: v.task.rank, Func: v.task.fn.bare, Row: v.task.row}
	}
	limit := v.task.limit
	if limit == 0 {
		limit = math.MaxInt
	}
	body, out, at, err := v.task.fn.invoke(ctx, args[seedSize:], v.parcel, dst, v.space, limit)
	if err == nil {
		return body, out, nil
	}
	e := v.failed(at, "", err)
	inner, whole := (*Error)(nil), false
	if t, ok := err.(*tamed); ok { //nolint:errorlint // the error itself, not one that it wraps
		inner, whole = t.error.(*Error) //nolint:errorlint // the same
	}
	switch {
	case whole && inner != nil:
		e.relay(inner)
	case at == CauseReturned && as(err, &inner):
		e.Stack, e.Output = inner.Stack, inner.Output // the innermost place is the useful one
		if e.topic = inner.topic; e.topic == "" && inner.Cause != CauseReturned {
			e.topic = inner.Cause.anchor()
		}
	}
	return nil, nil, e
}

func (v *invocation) failed(cause Cause, msg string, err error) *Error {
	if err != nil && msg == "" {
		msg = err.Error()
	}
	return &Error{Func: v.task.fn.name, Row: v.task.row, Cause: cause, Message: msg, wrapped: err}
}

// end ends what the argument named, and hands on how the row has ended. What need not be given back before that, is after it: its driver waits. (But for an error: a method
// of what it wraps may end this goroutine.)
func (v *invocation) end(to finisher, body []byte, out *wire.Parcel, err *Error) {
	p := v.parcel
	if p == nil {
		to.finished(body, out, err)
		return
	}
	if v.pooled && err == nil {
		p.EndFirst()
		p.CatchFaults(false)
		to.finished(body, out, nil)
		p.LeaveHeld()
		p.Free()
		return
	}
	for _, f := range p.Taken() {
		_ = f.Close() // the task's files end with it
	}
	p.EndHeld()
	p.CatchFaults(false)
	if v.pooled {
		p.Free()
	} else {
		p.Close()
	}
	to.finished(body, out, err)
}

// Serve runs the function called name with arguments that [Call.AppendArgs] encoded in
// another process of the same build, and returns the encoded result for [Call.Finish]. It
// is for executors outside this package. The error is an *Error, which can marshal itself
// to binary. Open files do not cross this way. A function that waits for ctx needs
// something in the process that can end it: under a bare context.Background the runtime
// reports a deadlock.
func Serve(ctx context.Context, name string, args []byte) ([]byte, error) {
	if ctx == nil {
		panic(nilContext("Serve"))
	}
	fn, err := table.find(name)
	if err != nil {
		return nil, &Error{Func: name, Row: -1, Cause: CauseUnsupported, Message: err.Error(), wrapped: err}
	}
	body, parcel, e := runApart(ctx, invocation{task: task{fn: fn, current: Inline()}}, args)
	if e == nil && !parcel.Empty() {
		parcel.Close()
		return nil, &Error{Func: fn.name, Row: -1, Cause: CauseEncode, Message: "open files and shared memory do not cross with Serve", wrapped: errors.ErrUnsupported}
	}
	if e != nil {
		return nil, e
	}
	return body, nil
}

// runApart runs v on a goroutine of its own and waits for it, so that a function
// that ends its goroutine ends only itself.
func runApart(ctx context.Context, v invocation, args []byte) (body []byte, parcel *wire.Parcel, err *Error) {
	var end apartEnd
	var wait sync.WaitGroup
	wait.Go(func() { v.run(context.WithValue(ctx, taskKey{}, &v.task), args, nil, &end) })
	wait.Wait()
	return end.body, end.parcel, end.err
}

// apartEnd is the end of an invocation that somebody waits for.
type apartEnd struct {
	body   []byte
	parcel *wire.Parcel
	err    *Error
}

func (a *apartEnd) finished(body []byte, parcel *wire.Parcel, err *Error) {
	a.body, a.parcel, a.err = body, parcel, err
}
