package wire

import (
	"reflect"
	"strings"
)

// A compiler builds the nodes of one type. A type that contains itself meets its own ref on the way down, so the walk ends.
type compiler struct {
	nodes map[reflect.Type]*ref
	root  string   // the first word of paths
	path  []string // where the walk is, for a TypeError
	later []func() // to be run once every ref is filled in
}

// compile returns the node of t, and what can be met on a walk from there.
func compile(t reflect.Type) (root node, r reach, terr *TypeError) {
	c := compiler{nodes: make(map[reflect.Type]*ref), root: t.Name()}
	if root, terr = c.compile(t); terr != nil {
		return nil, r, terr
	}
	for _, f := range c.later {
		f()
	}
	r.seen = make(map[node]bool)
	r.visit(root)
	return root, r, nil
}

// compile returns the node of t. What is registered for t comes first, then what is refused, what t says of itself,
// and only then its kind. Children are compiled even if the parent will not need their nodes, so that nothing unsound hides in them.
func (c *compiler) compile(t reflect.Type) (node, *TypeError) {
	if r := c.nodes[t]; r != nil {
		if r.node != nil {
			return r.node, nil
		}
		return r, nil
	}
	r := &ref{}
	c.nodes[t] = r
	if h, ok := handles.Load(t); ok {
		r.node = h.(*handleNode)
		return r.node, nil
	}
	if n, reason, remedy := familyOf(t); reason != "" {
		return nil, c.refuse(t, reason, remedy)
	} else if n != nil {
		r.node = n
		return n, nil
	}
	if reason, remedy := refusal(t); reason != "" {
		return nil, c.refuse(t, reason, remedy)
	}
	if way := dialectOf(t); way != nil {
		r.node = newMarshalNode(t, way)
		return r.node, nil
	}
	n, terr := c.byKind(t)
	if terr != nil {
		return nil, terr
	}
	r.node = n
	return n, nil
}

func (c *compiler) byKind(t reflect.Type) (node, *TypeError) {
	switch t.Kind() {
	case reflect.Bool:
		return &memNode{bytes: 1, bools: []boolSpan{{n: 1, stride: 1}}}, nil
	case reflect.String:
		return stringNode{}, nil
	case reflect.Interface:
		return anyNode{}, nil
	case reflect.Pointer:
		return c.pointer(t)
	case reflect.Slice:
		return c.slice(t)
	case reflect.Array:
		return c.array(t)
	case reflect.Map:
		return c.mapping(t)
	case reflect.Struct:
		return c.structure(t)
	default: // numbers: refusal has seen to the rest
		return &memNode{bytes: t.Size()}, nil
	}
}

// child compiles a part of the type that the walk is at.
func (c *compiler) child(t reflect.Type, at string) (node, *TypeError) {
	c.path = append(c.path, at)
	n, terr := c.compile(t)
	c.path = c.path[:len(c.path)-1]
	return n, terr
}

// resolved calls set with the node that n stands for, once that is known.
func (c *compiler) resolved(n node, set func(node)) {
	c.later = append(c.later, func() {
		if r, ok := n.(*ref); ok {
			n = r.node
		}
		set(n)
	})
}

func (c *compiler) pointer(t reflect.Type) (node, *TypeError) {
	elem, terr := c.child(t.Elem(), "")
	if terr != nil {
		return nil, terr
	}
	p := &pointerNode{to: t.Elem()}
	c.resolved(elem, func(n node) { p.elem, p.unit = n, n.least() })
	return p, nil
}

func (c *compiler) slice(t reflect.Type) (node, *TypeError) {
	elem, terr := c.child(t.Elem(), "[]")
	if terr != nil {
		return nil, terr
	}
	if m, ok := elem.(*memNode); ok {
		if m.bytes == 0 {
			return emptySliceNode{}, nil
		}
		return &memSliceNode{elem: *m}, nil
	}
	s := &sliceNode{slice: t, stride: t.Elem().Size()}
	c.resolved(elem, func(n node) { s.elem, s.unit = n, n.least() })
	return s, nil
}

func (c *compiler) array(t reflect.Type) (node, *TypeError) {
	elem, terr := c.child(t.Elem(), "[]")
	if terr != nil {
		return nil, terr
	}
	n := uintptr(t.Len())
	if m, ok := elem.(*memNode); ok {
		return &memNode{bytes: t.Size(), bools: repeat(m.bools, n, m.bytes)}, nil
	}
	if n == 0 {
		return &memNode{}, nil
	}
	a := &arrayNode{n: t.Len(), stride: t.Elem().Size(), elem: elem}
	c.resolved(elem, func(n node) { a.elem, a.unit = n, n.least() })
	return a, nil
}

func (c *compiler) mapping(t reflect.Type) (node, *TypeError) {
	key, terr := c.child(t.Key(), "[key]")
	if terr != nil {
		return nil, terr
	}
	elem, terr := c.child(t.Elem(), "[]")
	if terr != nil {
		return nil, terr
	}
	if n := fastMap(t); n != nil {
		return n, nil
	}
	m := &mapNode{typ: t, anyKey: holdsInterface(t.Key())}
	c.resolved(key, func(n node) { m.key, m.keyUnit = n, n.least() })
	c.resolved(elem, func(n node) { m.elem, m.elemUnit = n, n.least() })
	return m, nil
}

// structure compiles a struct: by a copy of its memory if nothing in it needs more, else part by part.
func (c *compiler) structure(t reflect.Type) (node, *TypeError) {
	s := &structNode{}
	flat := pointerFree(t)
	whole := true    // so far, every field is part of one run of memory from offset 0
	var run *memNode // the last part, if it is memory that the next field may join
	for f := range t.Fields() {
		blank := f.Name == "_"
		if leftOut(f) || blank && !pointerFree(f.Type) {
			whole, run = false, nil
			continue
		}
		var n node
		if blank { // padding that somebody put there by hand: it counts for nothing, but keeps the run together
			n = &memNode{bytes: f.Type.Size()}
		} else {
			if terr := c.unexported(f, flat); terr != nil {
				return nil, terr
			}
			var terr *TypeError
			if n, terr = c.child(f.Type, "."+f.Name); terr != nil {
				return nil, terr
			}
		}
		m, isMem := n.(*memNode)
		if !isMem {
			whole, run = false, nil
			s.parts = append(s.parts, part{off: f.Offset, node: n, name: f.Name})
			continue
		}
		if run == nil {
			run = &memNode{}
			s.parts = append(s.parts, part{off: f.Offset, node: run, name: f.Name})
		}
		start := s.parts[len(s.parts)-1].off
		run.bytes = f.Offset + m.bytes - start
		for _, b := range m.bools {
			b.off += f.Offset - start
			run.bools = append(run.bools, b)
		}
	}
	if whole {
		m := &memNode{bytes: t.Size()}
		if run != nil {
			m.bools = run.bools
		}
		return m, nil
	}
	for i := range s.parts {
		s.parts[i].least = s.parts[i].node.least()
		s.total += s.parts[i].least
		c.resolved(s.parts[i].node, func(n node) { s.parts[i].node = n })
	}
	if s.total == 0 {
		s.pad, s.total = true, 1
	}
	return s, nil
}

// unexported refuses a field that nobody outside its package can see and that hence might hold what only its package can rebuild,
// in a struct that is not flat (free of pointers). Embedded fields lend their own exported fields to the struct, so they are
// judged by those; fields without size hold nothing.
func (c *compiler) unexported(f reflect.StructField, flat bool) *TypeError {
	if f.IsExported() || f.Anonymous || flat || f.Type.Size() == 0 {
		return nil
	}
	c.path = append(c.path, "."+f.Name)
	_, reason, remedy := familyOf(f.Type)
	if reason == "" {
		reason, remedy = refusal(f.Type)
	}
	if reason == "" {
		reason = "it is unexported, in a struct that holds pointers, and would be lost"
		remedy = "export it, or give the struct MarshalBinary and UnmarshalBinary"
	}
	return c.refuse(f.Type, reason, remedy)
}

func leftOut(f reflect.StructField) bool { return f.Tag.Get("xme") == "-" }

// pointerFree reports whether the memory of a t holds no pointer, fields that are left out not counted.
func pointerFree(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return t.Len() == 0 || pointerFree(t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			if !leftOut(f) && !pointerFree(f.Type) {
				return false
			}
		}
		return true
	default:
		return t.Kind() <= reflect.Complex128
	}
}

// holdsInterface reports whether a t, which can be a map's key, holds an interface.
func holdsInterface(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Array:
		return holdsInterface(t.Elem())
	case reflect.Struct:
		for field := range t.Fields() {
			if holdsInterface(field.Type) {
				return true
			}
		}
	}
	return false
}

// refuse reports t, at the place where the walk is.
func (c *compiler) refuse(t reflect.Type, reason, remedy string) *TypeError {
	path := strings.Join(c.path, "")
	if path != "" {
		path = strings.TrimPrefix(c.root+path, ".")
		remedy += "; or leave the field out with the tag `xme:\"-\"`"
	}
	return &TypeError{Path: path, Type: t.String(), Reason: reason, Remedy: remedy}
}
