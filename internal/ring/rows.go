package ring

import (
	"fmt"
	"sync/atomic"
)

// Row is one row in a lane.
type Row struct {
	Func  uint16
	Flags uint16
	Call  uint64
	Body  []byte // read from a lane: valid until the next Claim
	Alone bool   // read from a lane: it was, so that its end may be, see ResultWriter.PutAlone
}

// The rows' word: limit, how many were published, above claimed, how many the worker
// took. Both count on beyond 32 bits; only their difference means something.
func splitRows(w uint64) (limit, claimed uint32) { return uint32(w >> 32), uint32(w) }

func joinRows(limit, claimed uint32) uint64 { return uint64(limit)<<32 | uint64(claimed) }

// RowWriter is the driver's end of the rows' ring. One goroutine at a time uses it.
//
// A row that is put while none is under way goes into the slot beside the rows' word, if it is small: what is read there costs nothing, and no
// memory that was used long ago is touched. The slot says the row's number, which the claim compares: so it need not be taken back.
type RowWriter struct {
	word *atomic.Uint64
	area []byte
	slot []byte
	in   *atomic.Uint64 // the row in the slot, see slotted

	inPlain *uint64 // the same

	starts []uint64 // where the rows under way begin, by their number
	pos    uint64   // where the next goes
	limit  uint32   // rows published
	put    uint32   // rows written, published or not
	ended  uint32   // rows that are no longer under way
	seen   uint32   // the most rows that were seen to be claimed

	slotted uint64 // what in says
}

// slotted is what the slot says of a row by its number; 0 says that there is none.
func slotted(number uint32) uint64 { return 1<<32 | uint64(number) }

// RowWriter makes the driver's end; most is how many rows may be under way, a power
// of two.
func (l *Lane) RowWriter(most int) *RowWriter {
	if most <= 0 || most&(most-1) != 0 {
		panic(fmt.Sprintf("ring: %d rows", most))
	}
	return &RowWriter{word: l.rows, area: l.rowsArea, slot: l.rowSlot, in: l.slotted, inPlain: l.slottedPlain, starts: make([]uint64, most)}
}

func aligned(n int) uint64 { return (uint64(n) + headerSize + Align - 1) &^ (Align - 1) }

// Put writes r behind the rows that are there. It reports false if there is no room
// until rows have ended. The worker sees it after Publish.
func (w *RowWriter) Put(r Row) bool {
	if w.put == w.ended && len(r.Body) <= slotMost {
		w.putAlone(r)
		return true
	}
	skip, ok := w.room(len(r.Body))
	if !ok {
		return false
	}
	if w.slotted != 0 && (int32(w.ended-uint32(w.slotted)) > 0 || w.put == uint32(w.slotted)) {
		w.slotted = 0 // that one has ended, or was taken back; in time numbers come again
		w.in.Store(0)
	}
	size, whole := aligned(len(r.Body)), uint64(len(w.area))
	at, off := w.pos, w.pos%whole
	if skip > 0 {
		putHeader(w.area, off, header{uint64(pad)})
		w.pos += skip
		off = 0
	}
	putRow(w.area[off:], r)
	w.starts[w.put&w.mask()] = at
	w.put++
	w.pos += size
	return true
}

// putAlone writes r into the slot. The worker reads it from its claim until the row has ended, and none is under way.
func (w *RowWriter) putAlone(r Row) {
	w.slotted = slotted(w.put)
	*w.inPlain = w.slotted // nobody looks, and the line is to go to the other CPU once, in Publish
	putRow(w.slot, r)
	w.starts[w.put&w.mask()] = w.pos
	w.put++
}

func putRow(to []byte, r Row) {
	putHeader(to, 0, header{uint64(len(r.Body)) | uint64(r.Func)<<32 | uint64(r.Flags)<<48, r.Call})
	copy(to[headerSize:], r.Body)
}

// Room reports whether Put has room for a body of n bytes now.
func (w *RowWriter) Room(n int) bool {
	_, ok := w.room(n)
	return ok
}

// room also tells how many bytes are skipped at the end of the area.
func (w *RowWriter) room(n int) (skip uint64, ok bool) {
	under := w.put - w.ended
	if int(under) == len(w.starts) {
		return 0, false
	}
	size, whole := aligned(n), uint64(len(w.area))
	oldest := w.pos
	if under > 0 {
		oldest = w.starts[w.ended&w.mask()]
	}
	if off := w.pos % whole; off+size > whole {
		skip = whole - off
	}
	return skip, w.pos+skip+size-oldest <= whole
}

func (w *RowWriter) mask() uint32 { return uint32(len(w.starts) - 1) }

// Fits reports whether a body of n bytes could ever be put.
func (w *RowWriter) Fits(n int) bool { return n >= 0 && n <= len(w.area)/4 }

// Publish lets the worker claim what was put. (Edge rows-published: this
// compare-and-swap happens before the Claim that sees it.)
func (w *RowWriter) Publish() error {
	if w.limit != w.put && w.word.CompareAndSwap(joinRows(w.limit, w.limit), joinRows(w.put, w.limit)) {
		w.seen, w.limit = w.limit, w.put // all that was there had been claimed, as is usual for calls one by one
	}
	for w.limit != w.put {
		word := w.word.Load()
		claimed, err := w.check(word)
		if err != nil {
			return err
		}
		if w.word.CompareAndSwap(word, joinRows(w.put, claimed)) {
			w.limit = w.put
		}
	}
	return nil
}

// check reports how many rows are claimed, or that the word cannot be.
func (w *RowWriter) check(word uint64) (claimed uint32, err error) {
	limit, claimed := splitRows(word)
	if limit != w.limit || claimed-w.seen > limit-w.seen {
		return 0, fmt.Errorf("%d of %d rows claimed, where %d were published and %d claimed before: %w", claimed, limit, w.limit, w.seen, ErrCorrupt)
	}
	w.seen = claimed
	return claimed, nil
}

// Claimed returns how many of the rows under way are claimed, oldest first. They
// are counted as under way until Ended says otherwise.
func (w *RowWriter) Claimed() (int, error) {
	claimed, err := w.check(w.word.Load())
	if err != nil {
		return 0, err
	}
	return max(int(int32(claimed-w.ended)), 0), nil
}

// Claims returns a number that changes whenever a row is claimed.
func (w *RowWriter) Claims() uint32 {
	_, claimed := splitRows(w.word.Load())
	return claimed
}

// TakeBack takes back what is not claimed, unpublished rows too, and returns how
// many rows, the last ones put, are no longer under way. (The claim and the taking
// back are compare-and-swaps on one word: a row is either claimed or taken back.)
func (w *RowWriter) TakeBack() (int, error) {
	for {
		word := w.word.Load()
		claimed, err := w.check(word)
		if err != nil {
			return 0, err
		}
		if limit, _ := splitRows(word); limit != claimed && !w.word.CompareAndSwap(word, joinRows(claimed, claimed)) {
			continue
		}
		n := w.put - claimed
		if n > 0 {
			w.pos = w.starts[claimed&w.mask()]
		}
		w.put, w.limit = claimed, claimed
		return int(n), nil
	}
}

// Ended says that the n oldest rows under way have ended: their room is free.
func (w *RowWriter) Ended(n int) { w.ended += uint32(n) }

// RowReader is the worker's end of the rows' ring. One goroutine at a time uses it.
type RowReader struct {
	word *atomic.Uint64
	area []byte
	slot []byte
	in   *atomic.Uint64
	pos  uint64
}

// RowReader makes the worker's end.
func (l *Lane) RowReader() *RowReader {
	return &RowReader{word: l.rows, area: l.rowsArea, slot: l.rowSlot, in: l.slotted}
}

// Waiting reports whether there is a row to claim. Any goroutine may ask.
func (r *RowReader) Waiting() bool {
	limit, claimed := splitRows(r.word.Load())
	return limit != claimed
}

// Claim takes the next row; false: there is none. Its body is valid until the next
// Claim. (Edge rows-published, see Publish.)
func (r *RowReader) Claim() (row Row, ok bool, err error) {
	var limit, claimed uint32
	for {
		word := r.word.Load()
		limit, claimed = splitRows(word)
		if limit == claimed {
			return Row{}, false, nil
		}
		if r.word.CompareAndSwap(word, joinRows(limit, claimed+1)) {
			break
		}
	}
	if r.in.Load() == slotted(claimed) {
		h := readHeader(r.slot, 0)
		n := uint64(uint32(h[0]))
		if n > slotMost {
			return Row{}, false, fmt.Errorf("a row of %d bytes that is alone: %w", n, ErrCorrupt)
		}
		return Row{Func: uint16(h[0] >> 32), Flags: uint16(h[0] >> 48), Call: h[1], Body: r.slot[headerSize : headerSize+n : headerSize+n], Alone: true}, true, nil
	}
	off := r.pos % uint64(len(r.area))
	h := readHeader(r.area, off)
	if uint32(h[0]) == pad {
		r.pos += uint64(len(r.area)) - off
		off = 0
		h = readHeader(r.area, off)
	}
	n := uint64(uint32(h[0]))
	if n > uint64(len(r.area))-off-headerSize {
		return Row{}, false, fmt.Errorf("a row of %d bytes: %w", n, ErrCorrupt)
	}
	r.pos += aligned(int(n))
	body := off + headerSize
	return Row{Func: uint16(h[0] >> 32), Flags: uint16(h[0] >> 48), Call: h[1], Body: r.area[body : body+n : body+n]}, true, nil
}
