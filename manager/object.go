package manager

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// object is one where it lives.
type object struct {
	number uint32
	name   string
	typ    string
	v      any // *T

	made string   // its constructor; empty: none
	args *payload // the constructor's; nil: none, or nobody keeps snapshots

	here atomic.Pointer[callContext] // of the call of this process's own that runs

	mu    sync.Mutex
	busy  bool // a call runs
	gone  bool
	queue []*job
}

// job is a call that waits for those before it.
type job struct {
	run    func()
	refuse func(error) // called in its place once the object is released
}

// enter begins a call, or has j run when its turn comes; false: that is so. It fails if the object is released.
func (o *object) enter(j func() *job) (now bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.gone:
		return false, o.released()
	case o.busy:
		o.queue = append(o.queue, j())
		return false, nil
	}
	o.busy = true
	return true, nil
}

// leave ends a call. Those that wait run on another goroutine.
func (o *object) leave() {
	o.mu.Lock()
	if len(o.queue) == 0 {
		o.busy = false
		o.mu.Unlock()
		return
	}
	o.mu.Unlock()
	go o.drain()
}

// drain runs what waits.
func (o *object) drain() {
	alive := false
	defer func() {
		if !alive { // a method has ended the goroutine
			go o.drain()
		}
	}()
	for {
		o.mu.Lock()
		if len(o.queue) == 0 {
			o.busy = false
			o.mu.Unlock()
			break
		}
		j := o.queue[0]
		o.queue[0] = nil
		o.queue = o.queue[1:]
		if len(o.queue) == 0 {
			o.queue = nil
		}
		gone := o.gone
		o.mu.Unlock()
		if gone {
			j.refuse(o.released())
		} else {
			j.run()
		}
	}
	alive = true
}

func (o *object) released() error { return errorf("object %s: %w", o.what(), ErrReleased) }

// what names it in texts.
func (o *object) what() string {
	if o.name != "" {
		return fmt.Sprintf("%q", o.name)
	}
	return fmt.Sprintf("%d (%s)", o.number, o.typ)
}

// method runs a call that a connection brought, now or when its turn comes.
func (r *reader) method(rec ring.Result, number uint32, p *wire.Parcel) {
	c := r.c
	if len(rec.Body) < methodSize {
		p.Close()
		c.bye()
		return
	}
	m := methodAt(binary.LittleEndian.Uint16(rec.Body))
	o := c.h.object(number)
	switch {
	case o == nil:
		p.Close()
		c.failed(rec.Call, errorf("object %d: %w", number, ErrReleased))
		return
	case m == nil || m.typ != o.typ:
		p.Close()
		c.failed(rec.Call, errorf("object %s is a %s, which does not have that method: %w", o.what(), o.typ, ErrType))
		return
	}
	kind := rec.Kind & kindBits
	now, err := o.enter(func() *job {
		body := append([]byte(nil), rec.Body[methodSize:]...)
		t := c.begin(rec.Call, o)
		if c.crowded() || !c.use() {
			c.ended(rec.Call)
			p.Close()
			return &job{run: func() {}, refuse: func(error) {}}
		}
		return &job{run: func() {
			a := outcome{kind: kindThrew}
			defer func() {
				c.ended(rec.Call)
				go func() { // the object is not to wait for who does not read
					defer c.unuse()
					c.reply(rec.Call, m, &a)
				}()
			}()
			a.of(t, m, kind, body, p, nil)
		}, refuse: func(err error) {
			c.ended(rec.Call)
			p.Close()
			go func() {
				defer c.unuse()
				c.failed(rec.Call, err)
			}()
		}}
	})
	if err != nil {
		p.Close()
		c.failed(rec.Call, err)
		return
	}
	if !now {
		return
	}
	t := &callContext{call: rec.Call, object: o}
	r.runs(t)
	r.open()
	r.outcome = outcome{kind: kindThrew}
	defer func() {
		r.ran(t)
		o.leave() // it is not to wait for who does not read
		c.reply(rec.Call, m, &r.outcome)
	}()
	r.outcome.of(t, m, kind, rec.Body[methodSize:], p, r.dst)
	if r.outcome.kind == kindAnswer {
		r.dst = r.outcome.body
	}
}

// outcome is what a method has come to: an answer or what it threw. With no body and that kind it has ended its goroutine.
type outcome struct {
	kind uint8
	body []byte
	out  *wire.Parcel
}

// of runs a method. dst is memory for its answer.
func (a *outcome) of(t *callContext, m *method, kind uint8, args []byte, p *wire.Parcel, dst []byte) {
	defer p.Close()
	var err *xme.Error
	if kind == kindBatch {
		a.body, err = m.batch(t, t.object.v, args, dst[:0])
	} else {
		a.body, a.out, err = m.serve(t, t.object.v, args, p, dst[:0])
	}
	if err != nil {
		a.body = errorBody(err)
		return
	}
	a.kind = kindAnswer
}

// reply answers a call of a method.
func (c *hostConn) reply(call uint32, m *method, a *outcome) {
	if a.kind == kindThrew && a.body == nil {
		a.body = errorBody(m.threw(xme.CausePanic, "called runtime.Goexit", "", nil))
	}
	c.answer(a.kind, call, a.body, a.out)
	a.out.Free()
}

// callContext is the context of one call of a method, or of an op that waits. It ends when the caller gives up, and when the call has ended.
type callContext struct {
	call   uint32
	object *object         // whose method it is; nil: of none
	queue  id              // of the manager from whose queue it runs; zero: from none
	up     context.Context //nolint:containedctx // of a call in this process: the caller's

	mu   sync.Mutex
	done chan struct{} // made when somebody asks
	err  error
}

// Deadline implements context.Context.
func (t *callContext) Deadline() (time.Time, bool) {
	if t.up != nil {
		return t.up.Deadline()
	}
	return time.Time{}, false
}

// Done implements context.Context.
func (t *callContext) Done() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done == nil {
		t.done = make(chan struct{})
		if t.err != nil {
			close(t.done)
		}
	}
	return t.done
}

// Err implements context.Context.
func (t *callContext) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

type callKey struct{}

// Value implements context.Context.
func (t *callContext) Value(key any) any {
	if key == (callKey{}) {
		return t
	}
	if key == (queueKey{}) && t.queue != (id{}) {
		return t.queue
	}
	if t.up != nil {
		return t.up.Value(key)
	}
	return nil
}

func (t *callContext) cancel(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
		if t.done != nil {
			close(t.done)
		}
	}
}

// within reports whether ctx is that of a call of o's, or of what such a call has called in this process.
func within(ctx context.Context, o *object) bool {
	t, _ := ctx.Value(callKey{}).(*callContext)
	return t != nil && (t.object == o || t.up != nil && within(t.up, o))
}

// runsIn reports whether ctx is that of a call which runs, and has not been given up, of an object that is says, or that led to one.
func runsIn(ctx context.Context, is func(*object) bool) bool {
	t, _ := ctx.Value(callKey{}).(*callContext)
	return t != nil && (t.object != nil && t.Err() == nil && is(t.object) || t.up != nil && runsIn(t.up, is))
}

// localCall is a call of this process's own.
type localCall struct {
	taken atomic.Bool // by who runs it, or by who gives it up
	over  chan struct{}

	body []byte
	out  *wire.Parcel
	err  error
}

// start runs a call of this process's own when its turn comes, on another goroutine, which a method may end. args and p are the call's until it is over.
func (h *host) start(ctx context.Context, number uint32, m *method, args []byte, p *wire.Parcel) (*localCall, error) {
	if err := h.usable(); err != nil {
		return nil, errorf("%s: %w", m.name, err)
	}
	o := h.object(number)
	switch {
	case o == nil:
		return nil, errorf("%s: object %d: %w", m.name, number, ErrReleased)
	case o.typ != m.typ:
		return nil, errorf("%s: object %s is a %s: %w", m.name, o.what(), o.typ, ErrType)
	case within(ctx, o):
		return nil, errorf("%s: a method of object %s calls the object itself, which would wait for it for ever: %w", m.name, o.what(), ErrDeadlock)
	}
	l := &localCall{over: make(chan struct{})}
	run := func() {
		if l.taken.Swap(true) {
			return
		}
		t := &callContext{object: o, up: ctx}
		o.here.Store(t)
		if h.usable() != nil {
			t.cancel(context.Canceled)
		}
		stop := context.AfterFunc(ctx, func() { t.cancel(ctx.Err()) })
		l.err = m.threw(xme.CausePanic, "called runtime.Goexit", "", nil) // unless it comes to an end
		defer func() {
			stop()
			o.here.Store(nil)
			t.cancel(context.Canceled)
			close(l.over)
		}()
		body, out, err := m.serve(t, o.v, args, p, nil)
		l.body, l.out, l.err = body, out, nil
		if err != nil {
			l.err = err
		}
	}
	now, err := o.enter(func() *job {
		return &job{run: run, refuse: func(err error) {
			if !l.taken.Swap(true) {
				l.err = errorf("%s: %w", m.name, err)
				close(l.over)
			}
		}}
	})
	switch {
	case err != nil:
		return nil, errorf("%s: %w", m.name, err)
	case now:
		go func() {
			defer o.leave()
			run()
		}()
	}
	return l, nil
}

// wait waits for the call's end; if ctx ends before it has begun it is given up.
func (l *localCall) wait(ctx context.Context, use func(body []byte, p *wire.Parcel) error) error {
	select {
	case <-l.over:
	default:
		select {
		case <-l.over:
		case <-ctx.Done():
			if !l.taken.Swap(true) {
				return context.Cause(ctx)
			}
			<-l.over
		}
	}
	if l.err != nil {
		return l.err
	}
	defer l.out.Free()
	return use(l.body, l.out)
}

// method is a registered method without its types.
type method struct {
	index uint16
	name  string // of its type, a dot, its own
	typ   string
	out   string // the type of its results
	place string

	serve func(ctx context.Context, v any, args []byte, p *wire.Parcel, dst []byte) ([]byte, *wire.Parcel, *xme.Error)
	batch func(ctx context.Context, v any, args []byte, dst []byte) ([]byte, *xme.Error)
}

// threw makes the error of a method that failed.
func (m *method) threw(cause xme.Cause, msg, stack string, err error) *xme.Error {
	return proc.MethodFailed(m.name, int(cause), msg, stack, err).(*xme.Error) //nolint:errorlint // it makes nothing else
}

// guarded calls f and turns a panic into an error.
func (m *method) guarded(f func() *xme.Error) (err *xme.Error) {
	defer func() {
		if r := recover(); r != nil {
			err = m.threw(xme.CausePanic, fmt.Sprint(r), string(debug.Stack()), nil)
		}
	}()
	return f()
}

// close closes what an object is, if it can be, and gives up what it was made with.
func (o *object) close() {
	o.args.close()
	if c, ok := o.v.(io.Closer); ok {
		defer func() { _ = recover() }() // there is nobody to tell
		_ = c.Close()
	}
}
