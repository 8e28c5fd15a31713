package ring

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"unsafe"
)

// A duplex is the memory of a connection between two processes: a ring of letters each way, laid out as in a [Mesh], and what each side sleeps on.
//
//	offset  word                          written by
//	0       the first's letters: tail     the first, for those who look on
//	64      the first's letters: head     the second
//	128     the first wants room          the first sets, the second takes
//	192     the second's letters: tail, head, and that it wants room
//	384     the first's ear: a gate       the first sets the bit, the second takes it
//	448     the second's ear: a gate      the second sets the bit, the first takes it
//	512     the first's letters, then the second's
//
// That a letter is there its own first word says: who waits for one looks at the line that it will lie in, so it crosses from CPU to CPU once.
// Letters begin with a line each, so that a small one lies in one: one that lies in two takes its reader two waits, one after the other. (In a mesh, where many may
// follow each other, they lie close together.)
// Neither side trusts what it reads: a letter that cannot be is ErrCorrupt.
const (
	offEars    = 384
	offDuplex  = 512
	duplexRing = 192 // bytes from one ring's words to the other's
	duplexKind = 1   // of all letters; what a record's kind is stands in their type
)

// DuplexSize returns how many bytes a duplex takes whose rings have area bytes each, a multiple of 64, and more than that.
func DuplexSize(area int) int { return offDuplex + 2*area }

// End is one side of a duplex. One goroutine at a time reads (Next, Release), and one at a time writes (Put, HasRoom).
type End struct {
	out  *LetterWriter
	in   *LetterReader
	next atomic.Int64 // where in will look for a letter
	mine gate         // this side sleeps here
}

// NewEnd makes one side's end over mem. New memory is all zero. It panics if the sizes do not fit: they are constants of the program.
func NewEnd(mem []byte, second bool, waits Waits) *End {
	area := (len(mem) - offDuplex) / 2
	if area < 2*line || area%line != 0 || len(mem) != DuplexSize(area) || uintptr(unsafe.Pointer(&mem[0]))%Align != 0 {
		panic(fmt.Sprintf("ring: a duplex of %d bytes", len(mem)))
	}
	me, other := 0, 1
	if second {
		me, other = 1, 0
	}
	peer := gate{word32(mem, offEars+other*line), waits}
	at := func(side int) (tail, head, want *atomic.Uint64, letters []byte) {
		words := side * duplexRing
		return word64(mem, words), word64(mem, words+offLetterHead), word64(mem, words+offLetterWant), mem[offDuplex+side*area:][:area:area]
	}
	e := &End{mine: gate{word32(mem, offEars+me*line), waits}}
	tail, head, want, letters := at(me)
	e.out = &LetterWriter{tail: tail, head: head, want: want, area: letters, unit: line, peer: peer}
	_, head, want, letters = at(other)
	e.in = &LetterReader{head: head, want: want, area: letters, first: word64(letters, 0), unit: line, peer: peer}
	return e
}

// Fits reports whether a record with a body of n bytes could ever be put.
func (e *End) Fits(n int) bool { return n <= e.Most() }

// Most is the longest body that Fits.
func (e *End) Most() int { return e.out.Most() }

// Put writes a record, of whose time 32 bits cross, and wakes the other side if it sleeps. It reports false if there is no room: then the
// other side will wake this one once it has read, and HasRoom says so. (Edge letter-published, see LetterWriter.Put.)
func (e *End) Put(r Result) bool {
	return e.out.Put(&Letter{Kind: duplexKind, Type: uint32(r.Kind), Comm: r.Call, Tag: int32(uint32(min(r.Time, math.MaxUint32))), Body: r.Body})
}

// Ready reports whether Next has something, or is about to tell of rubbish. Any goroutine may ask.
func (e *End) Ready() bool { return word64(e.in.area, int(e.next.Load())).Load() != 0 }

// Next returns the next record; false: there is none. Its body is valid until Release.
func (e *End) Next() (Result, bool, error) {
	var l Letter
	ok, err := e.in.Next(&l)
	if err != nil || !ok {
		return Result{}, false, err
	}
	if l.Kind != duplexKind || l.Type > math.MaxUint8 {
		return Result{}, false, fmt.Errorf("a record of kind %d, %d: %w", l.Kind, l.Type, ErrCorrupt)
	}
	e.next.Store(int64(e.in.off))
	return Result{Kind: uint8(l.Type), Call: l.Comm, Time: uint64(uint32(l.Tag)), Body: l.Body}, true, nil
}

// Release frees the room of what Next returned, and wakes the other side if it waits for that.
func (e *End) Release() { e.in.Release() }

// HasRoom reports whether the other side has read something since Put found no room.
func (e *End) HasRoom() bool { return e.out.Room() }

// Sleep waits until ready says so; the other side's Put, and its Release after a Put that found no room, have it asked again, as does Wake. If ctx ends it
// returns the cause.
func (e *End) Sleep(ctx context.Context, ready func() bool) error {
	_, err := e.mine.wait(ctx, ready)
	return err
}

// Wake has those who sleep on this side look again.
func (e *End) Wake() { e.mine.poke() }
