package manager

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/wire"
)

// MethodFunc is a method of shared objects of type T: the handle for calling it, from any process.
// It may be used from any goroutine.
type MethodFunc[T, In, Out any] struct {
	method
	f   func(*T, context.Context, In) (Out, error)
	in  wire.Codec[In]
	out wire.Codec[Out]

	decode func(src []byte, out *Out, p *wire.Parcel) error // out's
}

// methods are all that are registered, by number once they are frozen.
var methods struct {
	sync.Mutex
	byName map[string]*method
	list   []*method
	frozen bool
}

// Method registers a method and returns the handle for calling it. Call it at package level:
//
//	var add = manager.Method("add", (*Counter).Add)
//
// f always has the form func(*T, context.Context, In) (Out, error). Its name must be unique among
// those of T. Calls on one object never overlap. The method's ctx ends when the caller gives up or
// is gone; shared memory and locks that came with the call end with it, as a task's do, unless they
// are retained; those that a method makes remain its own, even if it returns them, and are its to
// close. Method panics, naming the field, if In or Out holds something that cannot cross, if the
// name is taken, and after the program has shared its first object.
func Method[T, In, Out any](name string, f func(*T, context.Context, In) (Out, error)) *MethodFunc[T, In, Out] {
	m := &MethodFunc[T, In, Out]{f: f}
	m.typ = objectName[T]()
	m.name, m.place = m.typ+"."+name, callSite()
	fail := func(format string, args ...any) {
		panic(fmt.Sprintf("manager: Method(%q) of %s at %s: %s", name, m.typ, m.place, fmt.Sprintf(format, args...)))
	}
	if name == "" || f == nil {
		fail("it needs a name and a function")
	}
	var err error
	if m.in, err = wire.CodecFor[In](); err != nil {
		fail("the argument cannot cross: %v", err)
	}
	if m.out, err = wire.CodecFor[Out](); err != nil {
		fail("the result cannot cross: %v", err)
	}
	if why := m.out.Plan.Borrowed(); why != "" {
		fail("the result cannot cross: %s", why)
	}
	m.method.serve, m.method.batch = m.serve, m.batch
	m.decode = func(src []byte, out *Out, p *wire.Parcel) error { return wire.Decode(m.out, src, out, p) }
	m.method.out = typeName(reflect.TypeFor[Out]())
	methods.Lock()
	defer methods.Unlock()
	if methods.frozen {
		fail("objects are in use already, and other processes would not have this method: register at package level, var m = manager.Method(…)")
	}
	if old := methods.byName[m.name]; old != nil {
		fail("it is registered already, at %s: give one of them another name", old.place)
	}
	if methods.byName == nil {
		methods.byName = map[string]*method{}
	}
	if len(methods.byName) == 1<<16 {
		fail("more than 65536 methods")
	}
	methods.byName[m.name] = &m.method
	addType[T]()
	return m
}

// callSite is where the function that called this one was called.
func callSite() string {
	_, file, line, ok := runtime.Caller(2)
	if !ok {
		return "unknown place"
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// objectName is what a type of objects is called.
func objectName[T any]() string { return typeName(reflect.TypeFor[T]()) }

// freezeMethods gives the methods their numbers, the same in all processes of a program.
func freezeMethods() {
	methods.Lock()
	defer methods.Unlock()
	if methods.frozen {
		return
	}
	methods.frozen = true
	for _, m := range methods.byName {
		methods.list = append(methods.list, m)
	}
	slices.SortFunc(methods.list, func(a, b *method) int { return cmp.Compare(a.name, b.name) })
	for i, m := range methods.list {
		m.index = uint16(i)
	}
}

var freeze = sync.OnceFunc(freezeMethods)

func methodAt(i uint16) *method {
	freeze()
	if int(i) < len(methods.list) {
		return methods.list[i]
	}
	return nil
}

// serve runs the method on v, a *T, and appends the encoded result to dst.
func (m *MethodFunc[T, In, Out]) serve(ctx context.Context, v any, args []byte, p *wire.Parcel, dst []byte) (body []byte, parcel *wire.Parcel, e *xme.Error) {
	e = m.guarded(func() *xme.Error {
		var in In
		if m.in.Plan.Handles() {
			if p == nil {
				p = &wire.Parcel{}
			}
			p.Task, p.Of = true, wire.TaskName{Func: m.name, Row: -1} // what came with the call ends with it
			defer func() {
				p.EndHeld()
				p.CatchFaults(false)
			}()
		}
		if err := wire.Decode(m.in, args, &in, p); err != nil {
			return m.threw(xme.CauseEncode, "argument: "+err.Error(), "", err)
		}
		out, err := m.f(v.(*T), ctx, in)
		if err != nil {
			cause := xme.CauseReturned
			if ctx.Err() != nil && errors.Is(err, context.Canceled) {
				cause = xme.CauseCancelled
			}
			return m.threw(cause, "", "", err)
		}
		parcel = m.out.Plan.NewParcel()
		if body, err = wire.Append(m.out, dst, &out, parcel); err != nil {
			parcel.Free()
			parcel = nil
			return m.threw(xme.CauseEncode, "result: "+err.Error(), "", err)
		}
		return nil
	})
	return body, parcel, e
}

// batch runs the method on v once for each of the arguments, and appends to dst each result, or why there is none.
func (m *MethodFunc[T, In, Out]) batch(ctx context.Context, v any, args []byte, dst []byte) ([]byte, *xme.Error) {
	for len(args) > 0 {
		var one []byte
		var err error
		if one, args, err = nextOf(args); err != nil {
			return nil, m.threw(xme.CauseEncode, "arguments: "+err.Error(), "", err)
		}
		if ctx.Err() != nil {
			return nil, m.threw(xme.CauseCancelled, "", "", ctx.Err())
		}
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		body, p, e := m.serve(ctx, v, one, nil, dst)
		n := uint32(0)
		if e != nil {
			dst = append(dst, errorBody(e)...)
			n = failedBit
		} else {
			dst = body
			if !p.Empty() {
				p.Free()
				return nil, m.threw(xme.CauseEncode, "results of a batch cannot hold shared memory: call one by one", "", xme.ErrEncode)
			}
			p.Free()
		}
		if len(dst) > mostMessage {
			return nil, m.threw(xme.CauseEncode, fmt.Sprintf("results of more than %d bytes in one batch", mostMessage), "", xme.ErrEncode)
		}
		binary.LittleEndian.PutUint32(dst[at:], n|uint32(len(dst)-at-4))
	}
	return dst, nil
}

// nextOf splits the first of a batch off.
func nextOf(b []byte) (one, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, errRubbish
	}
	n := binary.LittleEndian.Uint32(b) &^ failedBit
	if uint64(n) > uint64(len(b)-4) {
		return nil, nil, errRubbish
	}
	return b[4 : 4+n], b[4+n:], nil
}

// Name returns the method's full name: that of its type, a dot, and its own.
func (m *MethodFunc[T, In, Out]) Name() string { return m.name }

// bodies are buffers for arguments.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// Call calls the method and waits for its result. If ctx ends first, the method's own context ends
// too, and it is unknown whether the call has been done.
//
// An error that the method returns, or a panic in it, is an *xme.Error; errors of the call itself
// wrap ErrReleased, ErrClosed, ErrLost or xme.ErrEncode. The calls that one goroutine makes on an
// object run in the order in which it makes them.
func (m *MethodFunc[T, In, Out]) Call(ctx context.Context, o *Object[T], in In) (out Out, err error) {
	h, r, err := o.where(m.name)
	if err != nil {
		return out, err
	}
	buf := bodies.Get().(*[]byte)
	defer bodies.Put(buf)
	p := m.in.Plan.NewParcel()
	defer p.Free()
	body, err := wire.Append(m.in, binary.LittleEndian.AppendUint16((*buf)[:0], m.number()), &in, p)
	if err != nil {
		return out, m.uncrossed(err)
	}
	*buf = body[:0]
	if h != nil {
		l, err := h.start(ctx, o.ref.short(), &m.method, body[methodSize:], p)
		if err == nil {
			err = l.wait(ctx, func(body []byte, p *wire.Parcel) error { return wire.Decode(m.out, body, &out, p) })
		}
		return out, err
	}
	c, err := r.conn()
	if err != nil {
		return out, err
	}
	defer c.unuse()
	w, leads, err := c.begin(ctx, kindCall, o.ref.short(), body, p)
	if err != nil {
		return out, err
	}
	err = c.await(ctx, w, leads, m.out.Plan.Exact(), func(kind uint8, body []byte, p *wire.Parcel) error { return m.result(kind, body, p, &out) })
	return out, err
}

func (m *MethodFunc[T, In, Out]) number() uint16 {
	freeze()
	return m.index
}

func (m *MethodFunc[T, In, Out]) uncrossed(err error) error {
	return errorf("%s: the argument cannot cross: %w: %w", m.name, xme.ErrEncode, err)
}

// result reads an answer.
func (m *MethodFunc[T, In, Out]) result(kind uint8, body []byte, p *wire.Parcel, out *Out) error {
	if kind != kindAnswer {
		return failure(kind, body)
	}
	if p == nil && m.out.Plan.Handles() {
		p = &wire.Parcel{}
	}
	return wire.Decode(m.out, body, out, p)
}

// Each calls the method once for each of ins, in order and without other calls in between, in a
// single message, and returns the results. It is the cheapest way to make many small calls. If some
// calls fail, the error joins all their errors, each of which says which call it was, and their
// results are zero; the others have been done. With any other error it is unknown what has been
// done, unless the error wraps xme.ErrEncode.
func (m *MethodFunc[T, In, Out]) Each(ctx context.Context, o *Object[T], ins []In) ([]Out, error) {
	h, r, err := o.where(m.name)
	if err != nil || len(ins) == 0 {
		return nil, err
	}
	if m.in.Plan.Handles() || m.out.Plan.Handles() {
		return nil, errorf("%s: shared memory does not cross in batches: call one by one: %w", m.name, xme.ErrEncode)
	}
	body := binary.LittleEndian.AppendUint16(nil, m.number())
	for i := range ins {
		at := len(body)
		body = append(body, 0, 0, 0, 0)
		if body, err = wire.Append(m.in, body, &ins[i], nil); err != nil {
			return nil, m.uncrossed(err)
		}
		if len(body) > mostMessage {
			return nil, m.uncrossed(errorf("%d bytes in one batch are over %d", len(body), mostMessage))
		}
		binary.LittleEndian.PutUint32(body[at:], uint32(len(body)-at-4))
	}
	outs := make([]Out, len(ins))
	read := func(body []byte) error {
		var errs []error
		for i := range outs {
			failed := len(body) >= 4 && binary.LittleEndian.Uint32(body)&failedBit != 0
			var one []byte
			var err error
			if one, body, err = nextOf(body); err != nil {
				return err
			}
			if failed {
				err = failure(kindThrew, one)
			} else {
				err = wire.Decode(m.out, one, &outs[i], nil)
			}
			if err != nil {
				errs = append(errs, errorf("call %d of %d: %w", i, len(ins), err))
			}
		}
		return errors.Join(errs...)
	}
	if h != nil {
		all := m.method
		all.serve = func(ctx context.Context, v any, args []byte, _ *wire.Parcel, dst []byte) ([]byte, *wire.Parcel, *xme.Error) {
			body, err := m.batch(ctx, v, args, dst)
			return body, nil, err
		}
		l, err := h.start(ctx, o.ref.short(), &all, body[methodSize:], nil)
		if err == nil {
			err = l.wait(ctx, func(body []byte, _ *wire.Parcel) error { return read(body) })
		}
		return outs, err
	}
	c, err := r.conn()
	if err != nil {
		return nil, err
	}
	defer c.unuse()
	return outs, c.ask(ctx, kindBatch, o.ref.short(), body, nil, func(body []byte, _ *wire.Parcel) error { return read(body) })
}
