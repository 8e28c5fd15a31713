package wire

import (
	"unsafe"
)

// A structNode goes field by field, in the order of their offsets. Neighbouring fields without pointers are one part, and so is
// the padding between them.
type structNode struct {
	parts []part
	total int // the sum of the parts' least sizes
	// pad is set if a value would otherwise take no byte though it has a size in memory: every field is left out. Then it takes
	// one, so that lengths can be checked against the bytes that are there.
	pad bool
}

type part struct {
	off   uintptr
	node  node
	name  string // of the first field in it
	least int    // node.least()
}

func (s *structNode) size(z *sizer, p unsafe.Pointer) int {
	if s.pad {
		return 1
	}
	total := 0
	for i := range s.parts {
		total += s.parts[i].node.size(z, unsafe.Add(p, s.parts[i].off))
	}
	return total
}

func (s *structNode) least() int { return s.total }

func (s *structNode) append(e *encoder, dst []byte, p unsafe.Pointer) ([]byte, *ValueError) {
	if s.pad {
		return append(dst, 0), nil
	}
	for i := range s.parts {
		f := &s.parts[i]
		var verr *ValueError
		if dst, verr = f.node.append(e, dst, unsafe.Add(p, f.off)); verr != nil {
			return dst, verr.within(step{name: f.name})
		}
	}
	return dst, nil
}

func (s *structNode) decode(d *decoder, p unsafe.Pointer) *ValueError {
	if s.pad {
		_, verr := d.take(1)
		return verr
	}
	d.owed += s.total
	for i := range s.parts {
		f := &s.parts[i]
		d.owed -= f.least
		if verr := f.node.decode(d, unsafe.Add(p, f.off)); verr != nil {
			return verr.within(step{name: f.name})
		}
	}
	return nil
}
