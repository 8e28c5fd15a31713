package ring

import (
	"context"
	"fmt"
	"sync/atomic"
	"unsafe"
)

// A duplex is the memory of a connection between two processes: a ring of records each way, and what each side sleeps on.
//
//	offset  word                          written by
//	0       first's records: tail         the first
//	64      first's records: head         the second
//	128     second's records: tail        the second
//	192     second's records: head        the first
//	256     the first's ear: a gate       the first sets the bit, the second takes it
//	320     the second's ear: a gate      the second sets the bit, the first takes it
//	384     the first wants room          the first sets, the second takes
//	448     the second wants room         the second sets, the first takes
//	512     the first's records, then the second's
//
// Neither trusts what it reads: a record that cannot be is ErrCorrupt.
const (
	offEars    = 256
	offWants   = 384
	offDuplex  = 512
	duplexLine = 64
)

// DuplexSize returns how many bytes a duplex takes whose rings have area bytes each, a multiple of Align.
func DuplexSize(area int) int { return offDuplex + 2*area }

// End is one side of a duplex. One goroutine at a time reads (Next, Release), and one at a time writes (Put).
type End struct {
	out  *ResultWriter
	in   *ResultReader
	mine gate // this side sleeps here
	peer gate

	wants     *atomic.Uint64 // this side waits for room
	peerWants *atomic.Uint64
}

// NewEnd makes one side's end over mem. New memory is all zero. It panics if the sizes do not fit: they are constants of the program.
func NewEnd(mem []byte, second bool, waits Waits) *End {
	area := (len(mem) - offDuplex) / 2
	if area <= 0 || area%Align != 0 || len(mem) != DuplexSize(area) || uintptr(unsafe.Pointer(&mem[0]))%Align != 0 {
		panic(fmt.Sprintf("ring: a duplex of %d bytes", len(mem)))
	}
	areas := [2][]byte{mem[offDuplex:][:area:area], mem[offDuplex+area:]}
	me, other := 0, 1
	if second {
		me, other = 1, 0
	}
	at := func(i int) (tail, head *atomic.Uint64) {
		return word64(mem, 2*i*duplexLine), word64(mem, (2*i+1)*duplexLine)
	}
	e := &End{
		mine:  gate{word32(mem, offEars+me*duplexLine), waits},
		peer:  gate{word32(mem, offEars+other*duplexLine), waits},
		wants: word64(mem, offWants+me*duplexLine), peerWants: word64(mem, offWants+other*duplexLine),
	}
	tail, head := at(me)
	e.out = &ResultWriter{tail: tail, head: head, area: areas[me]}
	tail, head = at(other)
	e.in = &ResultReader{tail: tail, head: head, area: areas[other]}
	return e
}

// Fits reports whether a record with a body of n bytes could ever be put.
func (e *End) Fits(n int) bool { return e.out.Fits(n) }

// Most is the longest body that Fits.
func (e *End) Most() int { return len(e.out.area) / 4 }

// Put writes a record, of whose time 32 bits cross, and wakes the other side if it sleeps. It reports false if there is no room. (Edge
// result-published, see ResultWriter.Put.)
func (e *End) Put(r Result) bool {
	if !e.out.Put(r, false) {
		return false
	}
	e.peer.open(everybody)
	return true
}

// Ready reports whether Next has something, or is about to tell of rubbish. Any goroutine may ask.
func (e *End) Ready() bool { return e.in.Ready() }

// Next returns the next record; false: there is none. Its body is valid until Release.
func (e *End) Next() (Result, bool, error) { return e.in.Next() }

// Release frees the room of what Next returned, and wakes the other side if it waits for that.
func (e *End) Release() {
	e.in.Release()
	if e.peerWants.Load() != 0 && e.peerWants.Swap(0) != 0 {
		e.peer.open(everybody)
	}
}

// WantRoom says that this side waits for room since Put found none; look again, by HasRoom, before sleeping. Only who may Put calls either.
func (e *End) WantRoom() { e.wants.Store(1) }

// HasRoom reports whether the other side has read something since Put found no room.
func (e *End) HasRoom() bool { return e.out.Room() }

// Sleep waits until ready says so; the other side's Put, and its Release after WantRoom, have it asked again, as does Wake. If ctx ends it returns the cause.
func (e *End) Sleep(ctx context.Context, ready func() bool) error {
	_, err := e.mine.wait(ctx, ready)
	return err
}

// Wake has those who sleep on this side look again.
func (e *End) Wake() { e.mine.poke() }
