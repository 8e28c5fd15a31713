package wire

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// A node encodes and decodes the values of one type, which lie at p. Nodes form a graph that mirrors the type (with a cycle where
// the type has one) and do not change once compiled. The caller vouches that p points at a value of the node's type.
//
// append returns dst, longer; after an error what it returns is of no use. decode overwrites the value at p, which is zero.
// What p points into is on the heap: a marshaler may keep it.
type node interface {
	size(s *sizer, p unsafe.Pointer) int
	append(e *encoder, dst []byte, p unsafe.Pointer) ([]byte, *ValueError)
	decode(d *decoder, p unsafe.Pointer) *ValueError
	// least is the smallest number of bytes that a value takes. It is 0 only for types without size, so that a count of elements
	// can be checked against the bytes that are there before memory is allocated for them.
	least() int
}

// mostEncoded is how many bytes a value may take at most: what one frame can hold.
var mostEncoded = math.MaxInt32

// sizer is the state of one Size. It gives up, for good, at the first value that is nested too deep, or once there were more than can be encoded: in a
// cycle with two ways round, or where much is reached in many ways, going on would take for ever.
type sizer struct {
	depth   int
	entered int
	over    bool
}

func (s *sizer) enter() bool {
	s.depth++
	s.entered++ // each takes a byte at least
	s.over = s.over || s.depth > maxDepth || s.entered > mostEncoded
	return !s.over
}

func (s *sizer) leave() { s.depth-- }

// encoder is the state of one Append.
type encoder struct {
	depth  int
	limit  int // of the bytes in dst
	parcel *Parcel
}

// begin has e append to dst, and to p if it is not nil.
func (e *encoder) begin(dst []byte, p *Parcel) {
	e.parcel, e.limit = p, len(dst)+mostEncoded
	if p != nil && p.Most > 0 {
		e.limit = len(dst) + p.Most
	}
}

// enter is called before what lies behind a pointer, or in a slice or map, is appended to dst.
func (e *encoder) enter(dst []byte) *ValueError {
	if e.depth++; e.depth > maxDepth {
		return tooDeep()
	}
	return e.fits(dst)
}

// fits says that there is more in dst than may be.
func (e *encoder) fits(dst []byte) *ValueError {
	switch {
	case len(dst) <= e.limit:
	case e.parcel == nil || e.parcel.Most == 0:
		return valueErrorf("it takes more bytes than can be sent: is there a cycle, or a part that is reached in many ways?")
	default:
		return valueErrorf("it takes more than %d bytes, and Options.MaxMessage is less: raise it, send parts, or share memory; or is there a cycle, or a part that is reached in many ways?", e.limit)
	}
	return nil
}

func (e *encoder) leave() { e.depth-- }

// decoder is the state of one Decode: src[off:] is still to be read.
type decoder struct {
	src    []byte
	off    int
	owed   int // the least that what is still to come outside of the value being decoded will take
	depth  int
	parcel *Parcel
}

func (d *decoder) enter() *ValueError {
	if d.depth++; d.depth > maxDepth {
		return tooDeep()
	}
	return nil
}

func (d *decoder) leave() { d.depth-- }

// end reports bytes that nothing has read.
func (d *decoder) end() *ValueError {
	if n := len(d.src) - d.off; n > 0 {
		return valueErrorf("%d bytes left over behind the encoded value", n)
	}
	return nil
}

// take returns the next n bytes, which belong to src.
func (d *decoder) take(n int) ([]byte, *ValueError) {
	if n > len(d.src)-d.off {
		return nil, shortInput(len(d.src)-d.off, n)
	}
	b := d.src[d.off : d.off+n]
	d.off += n
	return b, nil
}

// length reads a length and checks it; see check.
func (d *decoder) length(unit int) (int, *ValueError) {
	u, verr := d.uvarint()
	if verr != nil {
		return 0, verr
	}
	return d.check(u, unit)
}

// count reads a length plus 1, or 0 for nil, as slices and maps have it, and checks it; see check.
func (d *decoder) count(unit int) (n int, isNil bool, verr *ValueError) {
	u, verr := d.uvarint()
	if verr != nil || u == 0 {
		return 0, true, verr
	}
	n, verr = d.check(u-1, unit)
	return n, false, verr
}

// need reports that fewer than the n bytes are left that a value takes at least, before memory is allocated for it. Bytes that are
// owed to others do not count: see check.
func (d *decoder) need(n int) *ValueError {
	if left := len(d.src) - d.off - d.owed; left < n {
		return shortInput(max(left, 0), n)
	}
	return nil
}

// check holds a length against the bytes that are left, before memory is allocated for it: unit is the least that one counted
// thing takes, and things that take nothing may number at most maxEmpty. Bytes that are owed to others do not count. Else
// slices nested in each other could all claim the same bytes, and a few of them cost gigabytes.
func (d *decoder) check(u uint64, unit int) (int, *ValueError) {
	left := max(len(d.src)-d.off-d.owed, 0)
	most := uint64(maxEmpty)
	if unit > 0 {
		most = uint64(left) / uint64(unit)
	}
	if u > most {
		return 0, valueErrorf("a length of %d is more than the %d bytes left can hold", u, left)
	}
	return int(u), nil
}

// aheadBytes is how much memory may be allocated for elements, before they are decoded, for each byte that is there for them.
const aheadBytes = 64

// roomFor returns for how many of n elements of the given size in memory, which take unit bytes each or more, memory may be
// allocated before they are decoded: for all, unless they are much larger than what they are encoded in, as marshalers and
// structs whose fields are left out may be. Then what has been decoded must vouch for what is to come: a count alone proves nothing.
func roomFor(n, unit int, size uintptr) int {
	worth := aheadBytes * uint64(unit)
	if uint64(size) <= worth {
		return n
	}
	return int(uint64(n) * worth / uint64(size))
}

func (d *decoder) uvarint() (uint64, *ValueError) {
	if d.off < len(d.src) {
		if b := d.src[d.off]; b < 0x80 {
			d.off++
			return uint64(b), nil
		}
	}
	u, n := binary.Uvarint(d.src[d.off:])
	if n <= 0 {
		return 0, valueErrorf("encoded value ends early or holds no length where one belongs")
	}
	d.off += n
	return u, nil
}

// maxEmpty bounds the length of a slice whose elements have no size, on both sides: no memory stands behind such a length, so a
// peer could claim any, and have a loop over it run for ever.
const maxEmpty = 1 << 30

// A blob is written by code that does not tell its length beforehand: openBlob leaves room for a short one, and closeBlob sets
// it to the number of bytes since plus bias, moving them if the length takes more room.
func openBlob(dst []byte) (out []byte, mark int) { return append(dst, 0), len(dst) }

func closeBlob(dst []byte, mark, bias int) []byte {
	n := len(dst) - mark - 1
	if n+bias < 0x80 {
		dst[mark] = byte(n + bias)
		return dst
	}
	var head [binary.MaxVarintLen64]byte
	k := binary.PutUvarint(head[:], uint64(n+bias))
	dst = append(dst, head[:k-1]...)
	copy(dst[mark+k:], dst[mark+1:mark+1+n])
	copy(dst[mark:], head[:k])
	return dst
}

// uvarintLen is the number of bytes that u takes as a varint.
func uvarintLen(u uint64) int {
	n := 1
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

// A ref stands for a type that is still being compiled, when the type contains itself. It is replaced by the node once that is
// known (see compiler.resolved), so no value ever passes through it.
type ref struct{ node }

// least is asked meanwhile only of a slice, map or pointer: Go knows no other way for a type to contain itself.
func (r *ref) least() int { return 1 }
