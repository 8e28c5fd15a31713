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
//	  0                             tail, written by a; for those who look on
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
	Kind uint8  // not 0
	Type uint32 // 24 bits
	Comm uint32
	Tag  int32
	Body []byte // read from a ring: valid until Release
}

// letterSize is what a letter takes of its ring.
func letterSize(body, unit int) int { return (body + headerSize + unit - 1) &^ (unit - 1) }

// LetterWriter is the sending end of a ring.
//
// A letter's first word says that it is there: the reader looks at that, and finds the letter in the same cache line. So before
// a letter is published the place of the next one's first word is made zero. The tail is kept beside, for others to see.
type LetterWriter struct {
	tail, head, want *atomic.Uint64
	area             []byte
	pos              uint64
	off              int           // where pos is
	room             atomic.Uint64 // the head when it was last looked at
	full             atomic.Bool   // the last Put found no room
	unit             int           // what the sizes of letters are multiples of
	peer             gate
}

// Writer returns the end by which from sends to to.
func (m *Mesh) Writer(from, to int) *LetterWriter {
	r := m.ring(from, to)
	return &LetterWriter{tail: word64(r, 0), head: word64(r, offLetterHead), want: word64(r, offLetterWant), area: r[offLetters:], unit: Align, peer: m.wakes(to)}
}

// Most is the longest body that a letter can have.
func (w *LetterWriter) Most() int { return len(w.area)/4 - headerSize }

// Put writes a letter, whose kind is not 0, and wakes who reads if he sleeps. It reports false if there is no room until the reader
// has read more: then the reader will wake the writer's member once he has, and Room says so. (Edge letter-published:
// the store of the first word happens before the Next that sees it.)
func (w *LetterWriter) Put(l *Letter) bool {
	if len(l.Body) > w.Most() || l.Kind == 0 {
		panic(fmt.Sprintf("ring: a letter of kind %d and %d bytes, where %d are the most", l.Kind, len(l.Body), w.Most()))
	}
	size, whole := letterSize(len(l.Body), w.unit), len(w.area)
	skip := 0
	if w.off+size > whole {
		skip = whole - w.off
	}
	end := w.pos + uint64(skip+size)
	// Beside the letter there is room for the next one's first word.
	if need := end + headerSize; need-w.room.Load() > uint64(whole) && !w.roomFor(need-uint64(whole)) {
		w.full.Store(true)
		return false
	}
	if w.full.Load() {
		w.full.Store(false)
	}
	off := w.off
	if skip > 0 {
		off = 0
	}
	next := off + size
	if next == whole {
		next = 0
	}
	word64(w.area, next).Store(0)
	*word64Plain(w.area, off+8) = uint64(l.Comm) | uint64(uint32(l.Tag))<<32
	copy(w.area[off+headerSize:], l.Body)
	word64(w.area, off).Store(uint64(len(l.Body)) | uint64(l.Kind)<<32 | uint64(l.Type)<<40)
	if skip > 0 {
		word64(w.area, w.off).Store(uint64(pad))
	}
	w.pos, w.off = end, next
	w.tail.Store(end)
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

// Room reports whether another Put may find room: the last one has, or the reader has read something since. Any goroutine may ask. (The last one may have been
// for another letter, and have looked at what the reader had read before who waits for room did: that alone tells him nothing.)
func (w *LetterWriter) Room() bool { return !w.full.Load() || w.head.Load() != w.room.Load() }

// LetterReader is the receiving end of a ring.
type LetterReader struct {
	head, want *atomic.Uint64
	area       []byte
	pos        uint64
	off        int            // where pos is
	first      *atomic.Uint64 // the word there
	released   uint64
	unit       int // the writer's
	peer       gate
	relayed    bool
}

// Reader returns the end by which to receives what from sends.
func (m *Mesh) Reader(from, to int) *LetterReader {
	r := m.ring(from, to)
	return &LetterReader{head: word64(r, offLetterHead), want: word64(r, offLetterWant), area: r[offLetters:], first: word64(r, offLetters), unit: Align, peer: m.wakes(from), relayed: m.relayed && from != m.own}
}

// Ready reports whether Next has something.
func (r *LetterReader) Ready() bool { return r.first.Load() != 0 }

// Next returns the next letter; false: there is none. Its body is valid until Release. (Edge
// letter-published, see Put.)
func (r *LetterReader) Next(l *Letter) (ok bool, err error) {
	h := r.first.Load()
	if h == 0 {
		return false, nil
	}
	if uint32(h) == pad {
		if r.off == 0 {
			return false, fmt.Errorf("a gap as large as the ring: %w", ErrCorrupt)
		}
		r.advance(len(r.area) - r.off)
		if h = r.first.Load(); h == 0 || uint32(h) == pad {
			return false, fmt.Errorf("a gap without a letter behind it: %w", ErrCorrupt)
		}
	}
	if uint64(uint32(h)) > uint64(len(r.area)-r.off-headerSize) || h>>32&0xff == 0 {
		return false, fmt.Errorf("a letter of %d bytes in a ring of %d: %w", uint32(h), len(r.area), ErrCorrupt)
	}
	n := int(uint32(h))
	body := r.off + headerSize
	with := loadWord(word64Plain(r.area, r.off+8))
	*l = Letter{Kind: uint8(h >> 32), Type: uint32(h >> 40), Comm: uint32(with), Tag: int32(uint32(with >> 32)), Body: r.area[body : body+n : body+n]}
	r.advance(letterSize(n, r.unit))
	return true, nil
}

// advance goes on to the next first word.
func (r *LetterReader) advance(n int) {
	r.pos += uint64(n)
	if r.off += n; r.off >= len(r.area) {
		r.off = 0
	}
	r.first = word64(r.area, r.off)
}

// Release frees the room of what Next returned: an eighth of the ring at a time, or all once the ring is empty and the writer
// waits. So a writer that is slower waits for nothing, one that is faster goes on for a while each time that it is woken, and a ring that was read has seven
// eighths free at least, which is enough for the longest letter. (Edge letter-read: the store of the head happens before the Put that
// uses the room.)
func (r *LetterReader) Release() {
	if r.pos-r.released < uint64(len(r.area))/8 && (r.want.Load() == 0 || r.Ready()) {
		return
	}
	r.ReleaseTo(r.pos)
}

// ReleaseTo frees the room up to where a reader of the same letters, in other memory, has read. If that is nothing new, nobody is told: a writer that
// wants room, and is not yet asleep, would look, find none and sleep, with nobody to wake him any more.
func (r *LetterReader) ReleaseTo(pos uint64) {
	if pos == r.released {
		return
	}
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
