package mpi

import (
	"context"
	"errors"
	"runtime"
)

// request is an operation under way, or why it was not begun.
type request struct {
	w    *world
	o    *op
	err  error
	what operation
	peer int
	tag  int
}

// refused says why nothing was begun.
func (r *request) refused() error {
	if r.err == nil && r.o == nil {
		return errNoRequest
	}
	return r.err
}

var errNoRequest = errors.New("mpi: use of a zero request: use what Isend, Irecv or IrecvInto returned")

// await waits for a request; leaves: the operation ends with ctx.
func (r *request) await(ctx context.Context, leaves bool) error {
	if err := r.refused(); err != nil {
		return err
	}
	return failed(r.what, r.peer, r.tag, r.w.await(ctx, r.o, leaves))
}

// test reports whether a request is done, and moves what can be moved.
func (r *request) test() (bool, error) {
	if err := r.refused(); err != nil {
		return true, err
	}
	w := r.w
	w.mu.Lock()
	if !r.o.done && !w.leading {
		w.leading = true
		w.progress()
		w.leading = false
		w.passOn()
	}
	done, err := r.o.done, r.o.err
	w.mu.Unlock()
	if !done {
		runtime.Gosched() // who leads may be this process's
	}
	return done, failed(r.what, r.peer, r.tag, err)
}

// onward sees to it that a request goes on while nobody waits for it.
func (r *request) onward(ctx context.Context) {
	if r.err != nil {
		return
	}
	r.w.mu.Lock()
	done := r.o.done
	r.w.mu.Unlock()
	if !done {
		go func() { _ = r.await(ctx, true) }()
	}
}

// SendRequest is a Send in progress. Its methods may be called concurrently and any number of
// times.
type SendRequest struct{ request }

// Isend begins to send, and returns at once. v must not be changed until the request is done. The
// request goes on after ctx has ended, and after the rank's function has returned: until the
// message is received, its receiver has returned, or a rank of the communicator dies or fails.
func Isend[T any](ctx context.Context, c *Comm, to, tag int, v T) *SendRequest {
	check(ctx, "Isend")
	r := isend(c, to, tag, v)
	r.onward(context.WithoutCancel(ctx))
	return r
}

func isend[T any](c *Comm, to, tag int, v T) *SendRequest {
	r := &SendRequest{request{what: "Send", peer: to, tag: tag}}
	g, err := c.ranks()
	if err == nil {
		err = g.checkTag(tag, false)
	}
	member := 0
	if err == nil {
		member, err = g.member(to, false)
	}
	if err == nil {
		o := &op{g: g, what: r.what, peer: member, comm: g.id * 2, tag: tag}
		o.body, o.hash, err = kindOf[T]().encode(&v)
		if err == nil {
			r.w, r.o = g.w, o
			r.w.mu.Lock()
			err = r.w.send(o)
			r.w.mu.Unlock()
		}
	}
	r.err = failed(r.what, to, tag, err)
	return r
}

// forsake ends the request if it has not ended: what is sent is the caller's again.
func (r *SendRequest) forsake() {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	_ = r.w.leave(r.o, errForsaken)
}

// Wait waits until v may be changed, as Send does. If ctx ends first, Wait returns its cause, and
// the request goes on.
func (r *SendRequest) Wait(ctx context.Context) error {
	check(ctx, "SendRequest.Wait")
	return r.await(ctx, false)
}

// Test reports whether the request is done, and with what error.
func (r *SendRequest) Test() (done bool, err error) { return r.test() }

// RecvRequest is a Recv in progress. Its methods may be called concurrently and any number of
// times.
type RecvRequest[T any] struct {
	request
	r *receipt[T]
}

// Irecv begins to receive, and returns at once. Messages go to receives in the order in which these
// were begun. When ctx ends the request is given up.
func Irecv[T any](ctx context.Context, c *Comm, from, tag int) *RecvRequest[T] {
	check(ctx, "Irecv")
	r := &RecvRequest[T]{request: request{what: "Recv", peer: from, tag: tag}}
	g, member, err := c.source(from, tag)
	k := kindOf[T]()
	if err == nil {
		err = k.err
	}
	if err == nil {
		r.r = k.receipt()
		r.r.g, r.r.what, r.r.peer, r.r.comm, r.r.tag = g, r.what, member, g.id*2, tag
		r.w, r.o = g.w, &r.r.op
		r.w.mu.Lock()
		err = r.w.recv(r.o)
		r.w.mu.Unlock()
	}
	r.err = failed(r.what, from, tag, err)
	r.onward(ctx)
	return r
}

// Wait waits for the message. If ctx ends first, Wait returns its cause, and the request goes on.
func (r *RecvRequest[T]) Wait(ctx context.Context) (v T, st Status, err error) {
	check(ctx, "RecvRequest.Wait")
	if err = r.await(ctx, false); err == nil {
		v, err = r.r.value()
		st, err = r.o.status(), failed(r.what, r.peer, r.tag, err)
	}
	return v, st, err
}

// Test reports whether the message is there, and returns it if so.
func (r *RecvRequest[T]) Test() (v T, st Status, done bool, err error) {
	if done, err = r.test(); done && err == nil {
		v, err = r.r.value()
		st, err = r.o.status(), failed(r.what, r.peer, r.tag, err)
	}
	return v, st, done, err
}

// RecvIntoRequest is a RecvInto in progress. Its methods may be called concurrently and any number
// of times.
type RecvIntoRequest struct {
	request
	elem int
}

// IrecvInto begins to receive into dst, which must not be touched until the request is done, and
// returns at once. When ctx ends the request is given up.
func IrecvInto[T any](ctx context.Context, c *Comm, from, tag int, dst []T) *RecvIntoRequest {
	check(ctx, "IrecvInto")
	r := &RecvIntoRequest{request: request{what: "RecvInto", peer: from, tag: tag}}
	g, member, err := c.source(from, tag)
	if err == nil {
		var in *into[T]
		if in, err = newInto(g, r.what, member, g.id*2, tag, dst); err == nil {
			r.w, r.o, r.elem = g.w, &in.op, in.elem
			r.w.mu.Lock()
			err = r.w.recv(r.o)
			r.w.mu.Unlock()
		}
	}
	r.err = failed(r.what, from, tag, err)
	r.onward(ctx)
	return r
}

// Wait waits for the message and returns how many elements it has. If ctx ends first, Wait returns
// its cause, and the request goes on.
func (r *RecvIntoRequest) Wait(ctx context.Context) (n int, st Status, err error) {
	check(ctx, "RecvIntoRequest.Wait")
	if err = r.await(ctx, false); err == nil {
		n, st = r.o.size/r.elem, r.o.status()
	}
	return n, st, err
}

// Test reports whether the message is there and, if so, how many elements it has.
func (r *RecvIntoRequest) Test() (n int, st Status, done bool, err error) {
	if done, err = r.test(); done && err == nil {
		n, st = r.o.size/r.elem, r.o.status()
	}
	return n, st, done, err
}

// source checks where a message is to come from.
func (c *Comm) source(from, tag int) (g *group, member int, err error) {
	if g, err = c.ranks(); err != nil {
		return nil, 0, err
	}
	if err = g.checkTag(tag, true); err != nil {
		return nil, 0, err
	}
	member, err = g.member(from, true)
	return g, member, err
}
