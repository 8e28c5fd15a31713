package ring

import (
	"fmt"
	"math"
	"sync/atomic"
)

// Result is one record of a worker.
type Result struct {
	Kind uint8
	Call uint32 // the low half of the call's number
	Time uint64 // ns; beyond four seconds it says "at least"
	Body []byte // read from a lane: valid until Release
}

// ResultWriter is the worker's end of the results' ring. One goroutine at a time
// uses it.
type ResultWriter struct {
	tail, head, watch *atomic.Uint64
	area, slot        []byte
	alone             uint64 // how many were put alone, modulo aloneMod: part of the tail
	pos               uint64
	room              uint64 // the head when it was last looked at
	count             uint32 // rows that have ended
}

// ResultWriter makes the worker's end.
func (l *Lane) ResultWriter() *ResultWriter {
	return &ResultWriter{tail: l.tail, head: l.head, watch: l.watch, area: l.resultsArea, slot: l.resultSlot}
}

// aloneMod: the tail is a multiple of Align, and what that leaves counts results that were put alone, of which one at most is there.
const aloneMod = Align

// PutAlone is Put for the only record of a row that was alone, and reports false if it is too large for that. No row was under way when that row
// was put, so the driver had read all results; it puts no other in this way before it has read this one. (Edge result-published.)
func (w *ResultWriter) PutAlone(r Result) bool {
	if len(r.Body) > slotMost {
		return false
	}
	putResult(w.slot, r)
	w.count++
	w.alone = (w.alone + 1) % aloneMod
	w.tail.Store(w.pos | w.alone)
	return true
}

func putResult(to []byte, r Result) {
	putHeader(to, 0, header{uint64(len(r.Body)) | uint64(r.Call)<<32, uint64(r.Kind) | min(r.Time, math.MaxUint32)<<32})
	copy(to[headerSize:], r.Body)
}

func resultOf(h header, body []byte) Result {
	return Result{Kind: uint8(h[1]), Call: uint32(h[0] >> 32), Time: h[1] >> 32, Body: body}
}

// Fits reports whether a body of n bytes could ever be put.
func (w *ResultWriter) Fits(n int) bool { return n <= len(w.area)/4 }

// Put writes r and lets the driver see it. It reports false if there is no room until
// the driver has read more. ends says that the record is a row's last. (Edge
// result-published: the store of the tail happens before the Next that sees it.)
func (w *ResultWriter) Put(r Result, ends bool) bool {
	size, whole := aligned(len(r.Body)), uint64(len(w.area))
	off := w.pos % whole
	skip := uint64(0)
	if off+size > whole {
		skip = whole - off
	}
	if w.pos+skip+size-w.room > whole {
		w.room = w.head.Load() // edge result-read: what the driver read is free
		if w.pos+skip+size-w.room > whole {
			return false
		}
	}
	if skip > 0 {
		putHeader(w.area, off, header{uint64(pad)})
		w.pos += skip
		off = 0
	}
	putResult(w.area[off:], r)
	w.pos += size
	if ends {
		w.count++
	}
	w.tail.Store(w.pos | w.alone)
	return true
}

// Room reports whether the driver has read something since Put found no room.
func (w *ResultWriter) Room() bool { return w.head.Load() != w.room }

// ResultReader is the driver's end of the results' ring. One goroutine at a time
// uses it, but for Ready.
type ResultReader struct {
	tail, head *atomic.Uint64
	area, slot []byte
	pos        uint64
	end        uint64 // the tail when it was last looked at
	alone      uint64 // what it counted
	released   uint64
	seen       atomic.Uint64
}

// ResultReader makes the driver's end.
func (l *Lane) ResultReader() *ResultReader {
	return &ResultReader{tail: l.tail, head: l.head, area: l.resultsArea, slot: l.resultSlot}
}

// Ready reports whether Next has something. Any goroutine may ask.
func (r *ResultReader) Ready() bool { return r.tail.Load() != r.seen.Load() }

// Next returns the next result; false: there is none. Its body is valid until
// Release. (Edge result-published, see Put.)
func (r *ResultReader) Next() (res Result, ok bool, err error) {
	whole := uint64(len(r.area))
	for {
		if r.pos == r.end {
			tail := r.tail.Load()
			if alone := tail % aloneMod; alone != r.alone {
				return r.takeAlone(alone)
			}
			tail -= r.alone
			if have := tail - r.pos; have > whole {
				return Result{}, false, fmt.Errorf("%d bytes of results published in a ring of %d: %w", have, whole, ErrCorrupt)
			}
			if r.end = tail; r.pos == r.end {
				return Result{}, false, nil
			}
		}
		off := r.pos % whole
		h := readHeader(r.area, off)
		n := uint32(h[0])
		if n == pad {
			if r.end-r.pos < whole-off || off == 0 {
				return Result{}, false, fmt.Errorf("a gap beyond what was published: %w", ErrCorrupt)
			}
			r.advance(whole - off)
			continue
		}
		if uint64(n) > whole {
			return Result{}, false, fmt.Errorf("a result of %d bytes in a ring of %d: %w", n, whole, ErrCorrupt)
		}
		size := aligned(int(n))
		if size > r.end-r.pos || off+size > whole {
			return Result{}, false, fmt.Errorf("a result of %d bytes where %d were published: %w", n, r.end-r.pos, ErrCorrupt)
		}
		r.advance(size)
		body := off + headerSize
		return resultOf(h, r.area[body:body+uint64(n):body+uint64(n)]), true, nil
	}
}

func (r *ResultReader) advance(n uint64) {
	r.pos += n
	r.seen.Store(r.pos | r.alone)
}

// takeAlone reads the slot: what lies in the ring came after it.
func (r *ResultReader) takeAlone(alone uint64) (Result, bool, error) {
	if len(r.slot) == 0 {
		return Result{}, false, fmt.Errorf("results published up to within a record: %w", ErrCorrupt)
	}
	h := readHeader(r.slot, 0)
	n := uint32(h[0])
	if n > slotMost {
		return Result{}, false, fmt.Errorf("a result of %d bytes that is alone: %w", n, ErrCorrupt)
	}
	r.alone = alone
	r.seen.Store(r.pos | alone)
	return resultOf(h, r.slot[headerSize:headerSize+n:headerSize+n]), true, nil
}

// Release frees the room of what Next returned. (Edge result-read: this store happens
// before the Put that uses the room.)
func (r *ResultReader) Release() {
	if r.pos != r.released { // one that was alone took no room
		r.released = r.pos
		r.head.Store(r.pos)
	}
}
