package ring

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"
)

// ErrCorrupt says that the other side wrote what it must not.
var ErrCorrupt = errors.New("rubbish in shared memory")

// Where the words of a lane lie. Each has a cache line of its own, and two of them share it and the next with a slot: a place for a record that is alone,
// so that who sees the word change has a small record with it.
const (
	offRows    = 0
	offSleeps  = 128
	offTail    = 192
	offHead    = 320
	offWatch   = 384
	offRoom    = 448
	offPace    = 512
	offRecords = 640

	// A slot: the number of the row that it holds (rows only), and behind that a record.
	offSlotNumber = 8
	offSlotRecord = 16
	slotMost      = 2*line - offSlotRecord - headerSize // bytes of a body

	// Align is what the sizes of records are multiples of, and what a lane's memory
	// starts at a multiple of.
	Align = 16
)

// Lane is the memory that a driver and one worker share. Each side makes its own
// over it; the memory must stay mapped as long as anything made from it is used.
type Lane struct {
	rows, sleeps, tail, head, watch, room, pace *atomic.Uint64

	rowsArea, resultsArea []byte
	rowSlot, resultSlot   []byte // of one record
	slotted               *atomic.Uint64
	slottedPlain          *uint64
}

// Size returns how many bytes a lane takes whose rings have the given sizes.
func Size(rows, results int) int { return offRecords + rows + results }

// NewLane lays a lane over mem, of which the rows take the given number of bytes and
// the results what is left. New memory is all zero. It panics if mem is not aligned
// or a size is no multiple of Align: the sizes are constants of the program.
func NewLane(mem []byte, rows int) *Lane {
	results := len(mem) - offRecords - rows
	if rows <= 0 || results <= 0 || rows%Align != 0 || results%Align != 0 || uintptr(unsafe.Pointer(&mem[0]))%Align != 0 {
		panic(fmt.Sprintf("ring: %d bytes with %d for rows", len(mem), rows))
	}
	word := func(off int) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&mem[off])) }
	return &Lane{
		rows: word(offRows), sleeps: word(offSleeps), tail: word(offTail), head: word(offHead), watch: word(offWatch), room: word(offRoom), pace: word(offPace),
		rowsArea: mem[offRecords : offRecords+rows : offRecords+rows], resultsArea: mem[offRecords+rows:],
		rowSlot: slot(mem, offRows), resultSlot: slot(mem, offTail), slotted: word(offRows + offSlotNumber), slottedPlain: (*uint64)(unsafe.Pointer(&mem[offRows+offSlotNumber])),
	}
}

func slot(mem []byte, off int) []byte { return mem[off+offSlotRecord : off+2*line : off+2*line] }

// header is what a record begins with: two words, each read and written whole.
type header [2]uint64

const headerSize = 16

// pad marks that the rest of the area is skipped.
const pad = ^uint32(0)

func putHeader(area []byte, off uint64, h header) {
	p := (*header)(unsafe.Pointer(&area[off : off+headerSize][0]))
	*p = h
}

// readHeader copies a header out, once: what is checked is what is used.
func readHeader(area []byte, off uint64) header {
	p := (*header)(unsafe.Pointer(&area[off : off+headerSize][0]))
	return header{loadWord(&p[0]), loadWord(&p[1])}
}
