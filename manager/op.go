package manager

import (
	"context"
	"fmt"
	"reflect"
	"sync"

	"github.com/xenonmp/xme/internal/wire"
)

// An op is one thing that a manager does for whoever asks. Ops are package variables: in every process of a program they have the same numbers.
type op[In, Out any] struct {
	code uint8
	name string
	ins  plan // of In
	outs plan // of Out
	do   func(ctx context.Context, h *host, c *caller, in In) (Out, error)
}

// plan is a type's, made when it is first needed: each worker's start would wait for it, and the handles in it are to be registered before.
type plan struct {
	of   reflect.Type
	once sync.Once
	plan *wire.Plan
}

func (p *plan) get() *wire.Plan {
	p.once.Do(func() {
		var err error
		if p.plan, err = wire.PlanOf(p.of); err != nil {
			panic(fmt.Sprintf("manager: %v", err))
		}
	})
	return p.plan
}

// lazyCodec returns what makes the codec of T when it is first needed.
func lazyCodec[T any]() func() wire.Codec[T] {
	p := &plan{of: reflect.TypeFor[T]()}
	return func() wire.Codec[T] { return wire.Codec[T]{Plan: p.get()} }
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
	o := &op[In, Out]{code: uint8(len(rawOps)), name: name, ins: plan{of: reflect.TypeFor[In]()}, outs: plan{of: reflect.TypeFor[Out]()}, do: do}
	addOp(rawOp{name: name, waits: waits, serve: o.serve})
	return o
}

func addOp(o rawOp) {
	if len(rawOps) == 255 {
		panic("manager: too many ops")
	}
	rawOps = append(rawOps, o)
}

func (o *op[In, Out]) serve(ctx context.Context, h *host, c *caller, in []byte, p *wire.Parcel, dst []byte) ([]byte, *wire.Parcel, error) {
	var v In
	if err := wire.Decode(wire.Codec[In]{Plan: o.ins.get()}, in, &v, p); err != nil {
		return nil, nil, malformedRequest(o.name, err)
	}
	out, err := o.do(ctx, h, c, v)
	if err != nil {
		return nil, nil, err
	}
	parcel := o.outs.get().NewParcel()
	body, err := wire.Append(wire.Codec[Out]{Plan: o.outs.get()}, dst, &out, parcel)
	return sent(o.name, body, parcel, err)
}

func malformedRequest(name string, err error) error {
	return errorf("%s: malformed request: %w", name, err)
}

// sent returns an encoded answer, unless that failed.
func sent(name string, body []byte, p *wire.Parcel, err error) ([]byte, *wire.Parcel, error) {
	if err != nil {
		p.Free()
		return nil, nil, errorf("%s: %w", name, err)
	}
	return body, p, nil
}

// call has m's manager do it.
func (o *op[In, Out]) call(ctx context.Context, m *Manager, in In) (out Out, err error) {
	h, r, err := m.usable(o.name)
	if err != nil {
		return out, err
	}
	if h != nil {
		return o.do(ctx, h, &caller{}, in)
	}
	p := o.ins.get().NewParcel()
	defer p.Free()
	body, err := wire.Append(wire.Codec[In]{Plan: o.ins.get()}, nil, &in, p)
	if err == nil {
		err = r.ask(ctx, o.code, body, p, func(answer []byte, p *wire.Parcel) error {
			return wire.Decode(wire.Codec[Out]{Plan: o.outs.get()}, answer, &out, p)
		})
		return out, err
	}
	return out, errorf("%s: %w", o.name, err)
}

// usable returns where m's manager lives, for an op: here or elsewhere.
func (m *Manager) usable(name string) (*host, *remote, error) {
	if m == nil || m.at == nil {
		return nil, nil, errorf("%s: a zero Manager: %w", name, ErrClosed)
	}
	if h, ok := m.at.(*host); ok {
		return h, nil, h.usable()
	}
	return nil, m.at.(*remote), nil
}

// askBy has a manager do an op by a connection that is in use.
func askBy[In any](ctx context.Context, c *conn, o *op[In, struct{}], in In, p *wire.Parcel) error {
	body, err := wire.Append(wire.Codec[In]{Plan: o.ins.get()}, nil, &in, p)
	if err != nil {
		return errorf("%s: %w", o.name, err)
	}
	return c.ask(ctx, kindRequest, uint32(o.code), body, p, func([]byte, *wire.Parcel) error { return nil })
}
