package ring

import (
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"
)

// Mesh is the memory by which n members, from 0, send each other letters: a ring for each
// ordered pair, and for each member a gate that it sleeps on and some words of its own. There is one
// more member, n, that has a gate and words but no rings.
//
//	offset                            what
//	member × 64                       its gate, written by all
//	(n + 1) × 64 + member × notes × 8 its words; what they mean is the users' to say
//	then, a multiple of 64            n × n rings, that from a to b at a × n + b:
//	  0                             tail, written by a
//	  64                            head, written by b
//	  128                           a waits for room: a sets, b takes
//	  192                           the letters
//
// A ring has one writer and one reader, each used by one goroutine at a time. Nobody trusts what
// it reads: a letter that cannot be is ErrCorrupt.
type Mesh struct {
	mem           []byte
	n, area, note int
	waits         Waits
	relayed       bool
	own           int
}

const (
	offLetterHead = 64
	offLetterWant = 128
	offLetters    = 192
)

// MeshSize returns how many bytes a mesh takes of n members, with notes words each and
// area bytes in each ring, a multiple of 64.
func MeshSize(n, notes, area int) int { return meshRings(n, notes) + n*n*(offLetters+area) }

func meshRings(n, notes int) int { return ((n+1)*line + (n+1)*notes*8 + line - 1) &^ (line - 1) }

// NewMesh makes one member's view of the memory. New memory is all zero. It panics if the sizes
// do not fit: they are the program's own.
func NewMesh(mem []byte, n, notes, area int, waits Waits) *Mesh {
	if n <= 0 || area <= 0 || area%line != 0 || len(mem) != MeshSize(n, notes, area) || uintptr(unsafe.Pointer(&mem[0]))%Align != 0 {
		panic(fmt.Sprintf("ring: a mesh of %d with rings of %d in %d bytes", n, area, len(mem)))
	}
	return &Mesh{mem: mem, n: n, area: area, note: notes, waits: waits}
}

func (m *Mesh) gate(member int) gate { return gate{word32(m.mem, member*line), m.waits} }

// Relay says that this memory is one member's alone, and that the member n takes letters to and from the others', whose memory
// has the same sizes: who would wake another member wakes n, and readers wake it each time that they free room. Call it before Writer and Reader.
func (m *Mesh) Relay(own int) { m.relayed, m.own = true, own }

// wakes returns the gate by which a member is woken.
func (m *Mesh) wakes(member int) gate {
	if m.relayed && member != m.own {
		member = m.n
	}
	return m.gate(member)
}

// Notes returns a member's words.
func (m *Mesh) Notes(member int) []atomic.Uint64 {
	off := (m.n+1)*line + member*m.note*8
	return words(m.mem[off : off+m.note*8])
}

// Wake has a member look again if it sleeps. Put and Release do so themselves.
func (m *Mesh) Wake(member int) { m.gate(member).open(everybody) }

// Poke has a member look again, also if it is only about to sleep.
func (m *Mesh) Poke(member int) { m.gate(member).poke() }

// Nap sleeps, if ready does not say that there is something, until the member is woken, or for
// d. It may return earlier for no reason.
func (m *Mesh) Nap(member int, d time.Duration, ready func() bool) {
	g := m.gate(member)
	w := g.word.Or(1) | 1
	if !ready() {
		g.waits.Wait(g.word, w, d)
	}
}

func (m *Mesh) ring(from, to int) []byte {
	size := offLetters + m.area
	off := meshRings(m.n, m.note) + (from*m.n+to)*size
	return m.mem[off : off+size : off+size]
}

// Letter is one record of a mesh.
type Letter struct {
	Kind uint8
	Type uint32 // 24 bits
	Comm uint32
	Tag  int32
	Body []byte // read from a ring: valid until Release
}

// LetterWriter is the sending end of a ring.
type LetterWriter struct {
	tail, head, want *atomic.Uint64
	area             []byte
	pos              uint64
	room             atomic.Uint64 // the head when it was last looked at
	peer             gate
}

// Writer returns the end by which from sends to to.
func (m *Mesh) Writer(from, to int) *LetterWriter {
	r := m.ring(from, to)
	return &LetterWriter{tail: word64(r, 0), head: word64(r, offLetterHead), want: word64(r, offLetterWant), area: r[offLetters:], peer: m.wakes(to)}
}

// Most is the longest body that a letter can have.
func (w *LetterWriter) Most() int { return len(w.area)/4 - headerSize }

// Put writes a letter, and wakes who reads if he sleeps. It reports false if there is no room until the reader
// has read more: then the reader will wake the writer's member once he has, and Room says so. (Edge letter-published:
// the store of the tail happens before the Next that sees it.)
func (w *LetterWriter) Put(l *Letter) bool {
	if len(l.Body) > w.Most() {
		panic(fmt.Sprintf("ring: a letter of %d bytes where %d is the most", len(l.Body), w.Most()))
	}
	size, whole := aligned(len(l.Body)), uint64(len(w.area))
	off := w.pos % whole
	skip := uint64(0)
	if off+size > whole {
		skip = whole - off
	}
	end := w.pos + skip + size
	if end-w.room.Load() > whole && !w.roomFor(end-whole) {
		return false
	}
	if skip > 0 {
		putHeader(w.area, off, header{uint64(pad)})
		w.pos += skip
		off = 0
	}
	putHeader(w.area, off, header{uint64(len(l.Body)) | uint64(l.Kind)<<32 | uint64(l.Type)<<40, uint64(l.Comm) | uint64(uint32(l.Tag))<<32})
	copy(w.area[off+headerSize:], l.Body)
	w.pos += size
	w.tail.Store(w.pos)
	w.peer.open(everybody)
	return true
}

// roomFor looks whether what lies before pos has been read, and has the reader tell if it has not.
func (w *LetterWriter) roomFor(pos uint64) bool {
	for range 2 {
		head := w.head.Load() // edge letter-read: what was read is free
		w.room.Store(head)
		if int64(head-pos) >= 0 {
			return true
		}
		w.want.Store(1)
	}
	return false
}

// Room reports whether the reader has read something since Put found no room. Any goroutine may ask.
func (w *LetterWriter) Room() bool { return w.head.Load() != w.room.Load() }

// LetterReader is the receiving end of a ring.
type LetterReader struct {
	tail, head, want *atomic.Uint64
	area             []byte
	pos, end         uint64
	released         uint64
	peer             gate
	relayed          bool
}

// Reader returns the end by which to receives what from sends.
func (m *Mesh) Reader(from, to int) *LetterReader {
	r := m.ring(from, to)
	return &LetterReader{tail: word64(r, 0), head: word64(r, offLetterHead), want: word64(r, offLetterWant), area: r[offLetters:], peer: m.wakes(from), relayed: m.relayed && from != m.own}
}

// Ready reports whether Next has something.
func (r *LetterReader) Ready() bool { return r.tail.Load() != r.pos }

// Next returns the next letter; false: there is none. Its body is valid until Release. (Edge
// letter-published, see Put.)
func (r *LetterReader) Next(l *Letter) (ok bool, err error) {
	whole := uint64(len(r.area))
	for {
		if r.pos == r.end {
			tail := r.tail.Load()
			if have := tail - r.pos; have > whole || have%Align != 0 {
				return false, fmt.Errorf("%d bytes of letters published in a ring of %d: %w", have, whole, ErrCorrupt)
			}
			if r.end = tail; r.pos == r.end {
				return false, nil
			}
		}
		off := r.pos % whole
		h := readHeader(r.area, off)
		n := uint32(h[0])
		if n == pad {
			if r.end-r.pos < whole-off || off == 0 {
				return false, fmt.Errorf("a gap beyond what was published: %w", ErrCorrupt)
			}
			r.pos += whole - off
			continue
		}
		if uint64(n) > whole {
			return false, fmt.Errorf("a letter of %d bytes in a ring of %d: %w", n, whole, ErrCorrupt)
		}
		size := aligned(int(n))
		if size > r.end-r.pos || off+size > whole {
			return false, fmt.Errorf("a letter of %d bytes where %d were published: %w", n, r.end-r.pos, ErrCorrupt)
		}
		r.pos += size
		body := off + headerSize
		*l = Letter{Kind: uint8(h[0] >> 32), Type: uint32(h[0] >> 40), Comm: uint32(h[1]), Tag: int32(uint32(h[1] >> 32)), Body: r.area[body : body+uint64(n) : body+uint64(n)]}
		return true, nil
	}
}

// Release frees the room of what Next returned: at once if it is much or the writer waits for it, else
// with a later one. So a writer finds at least seven eighths of the ring free once all was read, which is enough for
// the longest letter. (Edge letter-read: the store of the head happens before the Put that uses the room.)
func (r *LetterReader) Release() {
	wants := r.want.Load() != 0
	if !wants && r.pos-r.released < uint64(len(r.area))/8 {
		return
	}
	r.ReleaseTo(r.pos)
}

// ReleaseTo frees the room up to where a reader of the same letters, in other memory, has read.
func (r *LetterReader) ReleaseTo(pos uint64) {
	r.released = pos
	r.head.Store(pos)
	// Looked at again: it may have come to want after a first look and before the store.
	if r.want.Load() != 0 && r.want.Swap(0) != 0 || r.relayed {
		r.peer.open(everybody)
	}
}

// Head returns up to where the letters from one member to another have been read, and their room freed.
func (m *Mesh) Head(from, to int) uint64 { return word64(m.ring(from, to), offLetterHead).Load() }

// Pos returns up to where the reader has read: what Tail says if it has read all.
func (r *LetterReader) Pos() uint64 { return r.pos }

// Tail returns up to where letters from one member to another were put.
func (m *Mesh) Tail(from, to int) uint64 { return word64(m.ring(from, to), 0).Load() }
