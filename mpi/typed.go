package mpi

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// plain returns *v's own memory, if it goes as that.
func (k *kind[T]) plain(v *T) (body []byte, hash uint32, ok bool) {
	switch {
	case k.raw:
		return valueBytes(v), k.hash, true
	case k.elem > 0:
		mem, isNil := elements(v, k.elem)
		if isNil {
			return nil, k.hash | hashNil, true
		}
		return mem, k.hash, true
	}
	return nil, 0, false
}

// encode returns what v goes as. What it returns may be v's own memory.
func (k *kind[T]) encode(v *T) (body []byte, hash uint32, err error) {
	if body, hash, plain := k.plain(v); plain {
		return body, hash, nil
	}
	if k.err != nil {
		return nil, 0, k.err
	}
	body, err = wire.Append(k.codec, nil, v, nil)
	if err != nil {
		err = fmt.Errorf("the value cannot be sent: %w", err)
	}
	return body, k.hash, err
}

// send sends *v to a member and waits until it may be changed.
func send[T any](ctx context.Context, g *group, what operation, k *kind[T], to int, comm uint32, tag int, v *T) error {
	w := g.w
	if body, hash, plain := k.plain(v); plain && len(body) <= w.limits.eager && to != w.rank && ctx.Err() == nil {
		// What most are: small, and there is room. Nothing of it outlives this call.
		if w.post(to, &ring.Letter{Kind: whole, Type: hash, Comm: comm, Tag: int32(tag), Body: body}) {
			return nil
		}
	}
	o := &op{g: g, what: what, peer: to, comm: comm, tag: tag, unit: max(k.elem, 1)}
	held := *v
	var err error
	if o.body, o.hash, err = k.encode(&held); err != nil {
		return err
	}
	return w.run(ctx, o, w.send)
}

// run begins an operation, with send or recv, and waits for its end.
func (w *world) run(ctx context.Context, o *op, begin func(*op) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := begin(o); err != nil {
		return err
	}
	return w.wait(ctx, o, true)
}

// receipt is a receive of a T, and where it goes.
type receipt[T any] struct {
	op
	k    *kind[T]
	v    *T
	held T
	buf  []byte

	decoding sync.Once
	err      error // of decoding
}

func (k *kind[T]) receipt() *receipt[T] {
	if r, _ := k.recvs.Get().(*receipt[T]); r != nil {
		return r
	}
	r := &receipt[T]{k: k}
	r.sink = r
	r.v = &r.held
	return r
}

// free has a receipt be used again. Nobody else may know it any more.
func (r *receipt[T]) free() {
	if r.dropped || !r.done {
		return
	}
	var none T
	r.held, r.buf, r.decoding, r.err = none, nil, sync.Once{}, nil
	r.op = op{sink: r}
	r.k.recvs.Put(r)
}

func (r *receipt[T]) begin(hash uint32, size int) error {
	k := r.k
	if hash&hashMask != k.hash {
		return fmt.Errorf("it is no %s: %w", k.name, ErrType)
	}
	r.decoding, r.err = sync.Once{}, nil
	switch {
	case k.raw:
		r.buf = valueBytes(r.v)
	case k.elem > 0:
		if size%k.elem != 0 {
			return fmt.Errorf("%d bytes are no %s: %w", size, k.name, ring.ErrCorrupt)
		}
		if hash&hashNil != 0 {
			clearSlice(r.v)
			r.buf = nil
			break
		}
		r.buf = makeElements(r.v, k.elem, size/k.elem)
	default:
		if k.err != nil {
			return k.err
		}
		r.buf = make([]byte, size)
	}
	if len(r.buf) != size {
		return fmt.Errorf("%d bytes are no %s: %w", size, k.name, ring.ErrCorrupt)
	}
	return nil
}

func (r *receipt[T]) write(off int, b []byte) { copy(r.buf[off:], b) }

func (r *receipt[T]) end() error { return nil }

// value returns what has come. It is decoded by who asks first, for that may be code of the user's.
func (r *receipt[T]) value() (T, error) {
	if r.k.raw || r.k.elem > 0 {
		return r.held, nil
	}
	r.decoding.Do(func() {
		r.err = errUndecoded
		buf := r.buf
		r.buf = nil
		r.err = wire.Decode(r.k.codec, buf, &r.held, nil)
	})
	return r.held, r.err
}

// errUndecoded is what others are told if decoding panicked.
var errUndecoded = errors.New("it could not be decoded: UnmarshalBinary or UnmarshalText panicked")

// recv receives into *v.
func recv[T any](ctx context.Context, g *group, what operation, k *kind[T], from int, comm uint32, tag int, v *T) (Status, error) {
	if k.err != nil {
		return Status{}, k.err
	}
	w := g.w
	r := k.receipt()
	r.g, r.what, r.peer, r.comm, r.tag = g, what, from, comm, tag
	err := w.run(ctx, &r.op, w.recv)
	if err != nil {
		return Status{}, err
	}
	st := r.status()
	*v, err = r.value()
	r.free()
	return st, err
}

// recvInto receives a []T into dst.
func recvInto[T any](ctx context.Context, g *group, what operation, from int, comm uint32, tag int, dst []T) (int, Status, error) {
	r, err := newInto(g, what, from, comm, tag, dst)
	if err != nil {
		return 0, Status{}, err
	}
	if err = g.w.run(ctx, &r.op, g.w.recv); err != nil {
		return 0, Status{}, err
	}
	n, st := r.size/r.elem, r.status()
	r.free()
	return n, st, nil
}

// into is a receive into memory of the caller's.
type into[T any] struct {
	op
	k    *kind[[]T]
	dst  []byte
	elem int

	exact bool   // dst is as long as the message
	salt  uint32 // of a collective on slices that are as long as each other: their length, in the hash
}

// checkInPlace returns why slices cannot be received in place; nil: they go as they lie in memory.
func (k *kind[T]) checkInPlace() error {
	if k.elem == 0 {
		return fmt.Errorf("a %s cannot be received in place, its elements are encoded: use Recv", k.name)
	}
	return nil
}

func newInto[T any](g *group, what operation, from int, comm uint32, tag int, dst []T) (*into[T], error) {
	k := kindIn[[]T](g)
	if err := k.checkInPlace(); err != nil {
		return nil, err
	}
	r, _ := k.intos.Get().(*into[T])
	if r == nil {
		r = &into[T]{k: k, elem: k.elem}
		r.sink = r
	}
	r.dst = bytesOf(dst)
	r.g, r.what, r.peer, r.comm, r.tag = g, what, from, comm, tag
	return r, nil
}

func (r *into[T]) free() {
	if r.dropped || !r.done {
		return
	}
	r.op = op{sink: r}
	r.dst, r.exact, r.salt = nil, false, 0
	r.k.intos.Put(r)
}

func (r *into[T]) begin(hash uint32, size int) error {
	switch {
	case hash&hashMask == r.k.hash^r.salt&hashMask && size%r.elem == 0:
	case r.exact:
		return fmt.Errorf("it is no %s, or the slices have different lengths: %w", r.k.name, ErrType)
	default:
		return fmt.Errorf("it is no %s: %w", r.k.name, ErrType)
	}
	if r.exact && size != len(r.dst) {
		return fmt.Errorf("the slices have different lengths: %d and %d elements", size/r.elem, len(r.dst)/r.elem)
	}
	if size > len(r.dst) {
		return fmt.Errorf("it has %d elements, there is room for %d: %w", size/r.elem, len(r.dst)/r.elem, ErrTruncated)
	}
	return nil
}

func (r *into[T]) write(off int, b []byte) { copy(r.dst[off:], b) }
func (r *into[T]) end() error              { return nil }
