package manager

import (
	"context"
	"fmt"
	"sync"

	"github.com/xenonmp/xme/internal/wire"
)

// An op is one thing that a manager does for whoever asks. Ops are package variables: in every process of a program they have the same numbers.
type op[In, Out any] struct {
	code uint8
	name string
	in   func() *wire.Codec[In] // compiled once handles are registered
	out  func() *wire.Codec[Out]
	do   func(ctx context.Context, h *host, c *caller, in In) (Out, error)
}

// rawOp is an op without its types.
type rawOp struct {
	name string
	// waits says that the op may take long: it is not to hold up what comes behind it.
	waits bool
	// serve decodes in, does it and appends the encoded outcome to dst.
	serve func(ctx context.Context, h *host, c *caller, in []byte, p *wire.Parcel, dst []byte) ([]byte, *wire.Parcel, error)
}

var rawOps []rawOp

// caller is who asks.
type caller struct {
	conn *hostConn // nil: this process
}

// of returns what stands for the process that calls: nil for this one.
func (c *caller) of() any {
	if c.conn == nil {
		return nil
	}
	return c.conn
}

// define makes an op. do must keep nothing of in's beyond what it owns, and may be called concurrently.
func define[In, Out any](name string, waits bool, do func(ctx context.Context, h *host, c *caller, in In) (Out, error)) *op[In, Out] {
	o := &op[In, Out]{code: uint8(len(rawOps)), name: name, in: sync.OnceValue(mustCodec[In]), out: sync.OnceValue(mustCodec[Out]), do: do}
	if len(rawOps) == 255 {
		panic("manager: too many ops")
	}
	rawOps = append(rawOps, rawOp{name: name, waits: waits, serve: o.serve})
	return o
}

func mustCodec[T any]() *wire.Codec[T] {
	c, err := wire.CodecFor[T]()
	if err != nil {
		panic(fmt.Sprintf("manager: %v", err))
	}
	return c
}

func (o *op[In, Out]) serve(ctx context.Context, h *host, c *caller, in []byte, p *wire.Parcel, dst []byte) ([]byte, *wire.Parcel, error) {
	var v In
	if err := o.in().Decode(in, &v, p); err != nil {
		return nil, nil, errorf("%s: malformed request: %w", o.name, err)
	}
	out, err := o.do(ctx, h, c, v)
	if err != nil {
		return nil, nil, err
	}
	var parcel *wire.Parcel
	if o.out().Handles() {
		parcel = wire.NewParcel()
	}
	body, err := o.out().Append(dst, &out, parcel)
	if err != nil {
		parcel.Free()
		return nil, nil, errorf("%s: %w", o.name, err)
	}
	return body, parcel, nil
}

// call has m's manager do it.
func (o *op[In, Out]) call(ctx context.Context, m *Manager, in In) (out Out, err error) {
	if m == nil || m.at == nil {
		return out, errorf("%s: a zero Manager: %w", o.name, ErrClosed)
	}
	if h, ok := m.at.(*host); ok {
		if err := h.usable(); err != nil {
			return out, err
		}
		return o.do(ctx, h, &caller{}, in)
	}
	r := m.at.(*remote)
	var p *wire.Parcel
	if o.in().Handles() {
		p = wire.NewParcel()
		defer p.Free()
	}
	body, err := o.in().Append(nil, &in, p)
	if err != nil {
		return out, errorf("%s: %w", o.name, err)
	}
	err = r.ask(ctx, o.code, body, p, func(answer []byte, p *wire.Parcel) error { return o.out().Decode(answer, &out, p) })
	return out, err
}

// askBy has a manager do an op by a connection that is in use.
func askBy[In any](ctx context.Context, c *conn, o *op[In, struct{}], in In, p *wire.Parcel) error {
	body, err := o.in().Append(nil, &in, p)
	if err != nil {
		return errorf("%s: %w", o.name, err)
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
