package wire

import "reflect"

// Exact reports whether Size is: T holds no marshaler, no any and no handle. (A value nested too deep has no size at all.)
func (pl *Plan) Exact() bool { return pl.exact }

// Foreign reports whether Decode may run code that is not this module's: T holds a marshaler, which may be slow, may block, and
// may end its goroutine. Its panics alone are taken for errors.
func (pl *Plan) Foreign() bool { return pl.foreign }

// Handles reports whether T holds handles: what they stand for is looked for also if no parcel comes with a value.
func (pl *Plan) Handles() bool { return pl.handles }

// NewParcel returns one for a value of the type, from NewParcel; nil: nothing of it travels in one.
func (pl *Plan) NewParcel() *Parcel {
	if !pl.handles {
		return nil
	}
	return NewParcel()
}

// Borrowed returns why T cannot be a result; empty: it can.
func (pl *Plan) Borrowed() string { return pl.borrowed }

// Check returns why values of t cannot cross, or whether they hold handles.
func Check(t reflect.Type) (handles bool, err error) {
	_, r, terr := compile(t)
	if terr != nil {
		return false, terr
	}
	return r.handle, nil
}

// A reach is what can be met on a walk from one node.
type reach struct {
	seen              map[node]bool // where types contain themselves
	marshaler, opaque bool          // opaque: an any or a handle
	handle            bool
	borrowed          string
}

func (r *reach) visit(n node) {
	if r.seen[n] {
		return
	}
	r.seen[n] = true
	switch n := n.(type) {
	case *marshalNode:
		r.marshaler = true
	case anyNode:
		r.opaque = true
	case *handleNode:
		r.opaque, r.handle = true, true
		if n.borrowed != "" {
			r.borrowed = n.borrowed
		}
	case *sliceNode:
		r.visit(n.elem)
	case *arrayNode:
		r.visit(n.elem)
	case *pointerNode:
		r.visit(n.elem)
	case *mapNode:
		r.visit(n.key)
		r.visit(n.elem)
	case *structNode:
		for i := range n.parts {
			r.visit(n.parts[i].node)
		}
	}
}
