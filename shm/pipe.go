package shm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"reflect"
	"slices"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/ring"
)

// Pipe is one end of a two-way connection between two processes, or two tasks, that each
// have an end. What is sent at one end is received at the other, in order. An end crosses
// as a field of an argument or a result, and belongs to whoever had it last: when that
// process dies, the other end receives what was sent before, and then an error that says
// so.
//
// Methods may be called concurrently; those that wait do so until ctx ends or this end is
// closed in this process. The lifetime is that of an Array. A task that returns should
// call End, so that the receiver knows.
type Pipe[T any] struct {
	_ [0]T
	core
}

// ErrPeerLost is wrapped by the errors at one end of a pipe after the process that last
// had the other end has died.
var ErrPeerLost = xme.RegisterError("github.com/xenonmp/xme/shm.ErrPeerLost", errors.New("the process at the other end died"))

// NewPipe makes a pipe with room for n items each way and returns its two ends. Items
// that hold pointers share room as in a Queue.
func NewPipe[T any](n int) (a, b *Pipe[T], err error) {
	it, err := newItems[T]()
	if err != nil {
		return nil, nil, err
	}
	bytes := 0
	if it.elem == 0 {
		bytes = max(256*max(n, 0), 64<<10)
	}
	size := ring.QueueSize(n, it.elem, bytes)
	if size == 0 || size > (math.MaxInt-headSize)/2 {
		return nil, nil, fmt.Errorf("shm: a pipe with room for %d items: make it 1 or more, and less than fills memory", n)
	}
	a, b = &Pipe[T]{}, &Pipe[T]{}
	err = openLocked(&a.core, kindPipe, 2*size, func(mem []byte) error {
		word(mem, 8).Store(uint64(size))
		for i := range 2 {
			word32(mem, 16+4*i).Store(me)
			if _, err := ring.NewQueue(mem[headSize+i*size:][:size], n, it.elem, bytes, waits{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	b.region, b.size, b.second = a.region, a.size, true
	b.region.Retain()
	return a, b, nil
}

// ends returns the queue that this end sends into and that which it receives from, and
// keeps the pipe open until unuse.
func (p *Pipe[T]) ends() (l *local, out, in *side, err error) {
	if err := p.enter(); err != nil {
		return nil, nil, nil, err
	}
	if l, err = attach(p.region, kindPipe); err != nil {
		p.unuse()
		return nil, nil, nil, err
	}
	mine := p.which()
	l.takeEnd(mine)
	return l, l.queues[mine], l.queues[1-mine], nil
}

// which says which end of a pipe the handle is: 0 or 1.
func (c *core) which() int {
	if c.second {
		return 1
	}
	return 0
}

// takeEnd notes that this process has an end now.
func (l *local) takeEnd(i int) {
	if l.users[i].Load() != me {
		l.users[i].Store(me)
	}
}

// haveEnd notes that this process has a handle on an end until leave is called. Once the
// last is left, this process's death says nothing of that end any more.
func (l *local) haveEnd(i int) (leave func()) {
	l.ends.Lock()
	defer l.ends.Unlock()
	l.has[i]++
	l.takeEnd(i)
	return func() {
		l.ends.Lock()
		defer l.ends.Unlock()
		if l.has[i]--; l.has[i] == 0 {
			l.users[i].CompareAndSwap(me, 0)
		}
	}
}

// explain says what the end of one of a pipe's queues means.
func (p *Pipe[T]) explain(l *local, of *side, err error) error {
	if (err == ErrEnded || err == io.EOF) && !l.endedBefore(of) { //nolint:errorlint // what wraps it is a context's cause, or an item's
		if pid := l.broken[1-p.which()].Load(); pid != 0 {
			return fmt.Errorf("shm: %w (process %d)", ErrPeerLost, pid)
		}
		if pid := l.broken[p.which()].Load(); pid != 0 {
			return fmt.Errorf("shm: process %d died with this end of the pipe: make another: %w", pid, ErrPeerLost)
		}
	}
	return err
}

// endedBefore reports whether a queue had ended by End before a process died with an end.
func (l *local) endedBefore(of *side) bool {
	return l.before.Load()&(1<<slices.Index(l.queues, of)) != 0
}

// Send sends an item, waiting for room. It returns ErrEnded after End at this end, an
// error that wraps ErrPeerLost if the process at the other end died, ErrClosed after
// Close, and ctx's cause once ctx has ended. It also returns an error if the item cannot
// be encoded, and one that wraps ErrTooLarge if it can never fit.
func (p *Pipe[T]) Send(ctx context.Context, v T) error {
	l, out, _, err := p.ends()
	if err != nil {
		return err
	}
	defer p.unuse()
	_, err = mustItems[T]().put(ctx, &p.core, out, []T{v})
	return p.explain(l, out, err)
}

// Recv receives the next item, waiting for one. It returns io.EOF once the other end has
// been ended and all it sent has been received, an error that wraps ErrPeerLost if that
// end was lost instead, ErrClosed after Close, ctx's cause once ctx has ended, and an
// *ItemError for an item that cannot be decoded.
func (p *Pipe[T]) Recv(ctx context.Context) (T, error) {
	var v [1]T
	l, _, in, err := p.ends()
	if err != nil {
		return v[0], err
	}
	defer p.unuse()
	_, err = mustItems[T]().get(ctx, &p.core, in, v[:])
	return v[0], p.explain(l, in, err)
}

// All yields what Recv returns until io.EOF. It goes on after an *ItemError, which it
// yields; any other error it yields before it stops.
func (p *Pipe[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) { all(yield, func() (T, error) { return p.Recv(ctx) }) }
}

// all yields what get returns.
func all[T any](yield func(T, error) bool, get func() (T, error)) {
	for {
		v, err := get()
		if err == io.EOF { //nolint:errorlint // what wraps it is a context's cause, or an item's
			return
		}
		if _, bad := err.(*ItemError); !yield(v, err) || err != nil && !bad { //nolint:errorlint // likewise
			return
		}
	}
}

// End says that nothing more will be sent from this end: the other end receives io.EOF
// after what was sent. Ending twice does nothing.
func (p *Pipe[T]) End() error {
	_, out, _, err := p.ends()
	if err != nil {
		return err
	}
	defer p.unuse()
	out.End()
	return nil
}

// Retain returns the same end as a handle that the caller owns and must close. Until
// then, the other end is told if this process dies.
func (p *Pipe[T]) Retain() (*Pipe[T], error) {
	r := &Pipe[T]{}
	if err := p.retain(&r.core); err != nil {
		return nil, err
	}
	l, err := attach(r.region, kindPipe)
	if err != nil {
		_ = r.close()
		return nil, err
	}
	r.leaves = l.haveEnd(r.which())
	return r, nil
}

// Close ends the use of this end in this process; whoever else was given it can go on
// using it. It does not imply End. Closing twice does nothing.
func (p *Pipe[T]) Close() error { return p.close() }

// String describes the pipe, not its contents.
func (p *Pipe[T]) String() string { return fmt.Sprintf("shm.Pipe[%v]", reflect.TypeFor[T]()) }
