package wire

import (
	"encoding/binary"
	"fmt"
)

// Version is the protocol's version: two processes talk only if theirs is equal.
const Version = 7

// HeaderSize is the size of a frame's header in bytes.
const HeaderSize = 24

// MaxBody bounds a frame's body whatever the options say: a length above it is
// rubbish.
const MaxBody = 1<<31 - 1

// Kind says what a frame is. PROTOCOL.md lists who sends which, and when.
type Kind uint8

// The kinds of frame.
const (
	KindHello     Kind = 1 + iota // driver: the handshake, body Hello
	KindReady                     // worker: accepted
	KindRefuse                    // worker: not accepted, body Refusal
	KindCall                      // driver: a row to run, body its arguments
	KindStart                     // worker: the row begins to run
	KindResult                    // worker: the row has ended, body its result
	KindFail                      // worker: the row has ended, body its error
	KindRecall                    // driver: give the row back if it has not begun
	KindRecalled                  // worker: the row has not begun and will not
	KindCancel                    // driver: give the row back or, if it runs, end its context
	KindBye                       // driver: end once nothing runs
	KindSeat                      // driver: the worker's rank from now on
	KindNest                      // worker: the running row makes a call, body its options and arguments
	KindUnnest                    // worker: that call shall end early
	KindNested                    // driver: that call has ended, body its result
	KindNestFail                  // driver: that call has ended, body its error
	KindLend                      // worker: the running row waits for calls of its own
	KindReclaim                   // worker: it does not wait any more
	KindLane                      // driver: memory for rows and results, its files are the memory and three bells
	KindElsewhere                 // worker, in a lane only: the row has ended, its end follows on the link
	KindSegment                   // driver: memory that holds big values, its file is the memory
	KindUnmap                     // either side: that memory of its own is used no more
	KindResultIn                  // worker: the row has ended, body says where its result lies; its file, if it is the first there, is the memory
	KindRead                      // driver: that result has been read
	KindShare                     // driver: shared memory that rows name, body its id, its file the memory
	KindUnshare                   // driver: that memory is no more, body its id
	KindHold                      // worker: it goes on using that memory, body its id
	KindUnhold                    // worker: it does not use that memory any more, nor has a row that runs; body its id
	KindReserve                   // worker: it wants to make Call bytes of shared memory; with Time not 0: it has given them up
	KindReserved                  // driver: the answer; Call: 1 granted, 0 not; Time: the bound, bytes
	KindBegun                     // driver: a word in which the worker says which row it has begun; its file is the memory
	KindPost                      // either side: a message of package post, its files are what it brings
	kindEnd
)

// OnceBegun says, in the Time of a KindUnnest, that a service which has not begun begins first.
const OnceBegun = 1

// Quiet says, in the Time of a KindCall, that no start frame is wanted: the word of KindBegun tells.
const Quiet = 1 << 63

var kindNames = [kindEnd]string{
	KindHello: "hello", KindReady: "ready", KindRefuse: "refuse", KindCall: "call", KindStart: "start", KindResult: "result",
	KindFail: "fail", KindRecall: "recall", KindRecalled: "recalled", KindCancel: "cancel", KindBye: "bye", KindSeat: "seat", KindNest: "nest", KindUnnest: "unnest", KindNested: "nested",
	KindNestFail: "nest fail", KindLend: "lend", KindReclaim: "reclaim",
	KindLane: "lane", KindElsewhere: "elsewhere", KindSegment: "segment", KindUnmap: "unmap",
	KindResultIn: "result in", KindRead: "read",
	KindShare: "share", KindUnshare: "unshare", KindHold: "hold", KindUnhold: "unhold", KindReserve: "reserve", KindReserved: "reserved",
	KindBegun: "begun", KindPost: "post",
}

func (k Kind) String() string {
	if k == 0 || k >= kindEnd {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return kindNames[k]
}

// Header stands before every frame's body.
type Header struct {
	Len   uint32 // bytes of the body, the ids of Files included
	Kind  Kind
	Files uint8  // descriptors that travel with the frame; the body begins with their ids, IDSize bytes each
	Func  uint16 // KindCall, KindNest: index in the function table
	Call  uint64 // the call's number, for each direction of calls its own; KindSeat: a rank; KindLend, KindReclaim: the loan; 0: none
	Time  uint64 // KindResult, KindFail: nanoseconds the row ran; KindCall: bytes its process may use; KindNested, KindNestFail: the loan it ends; KindUnnest: 0 or OnceBegun
}

// IDSize is the size of a parcel item's id.
const IDSize = 16

// Put writes h into b, little-endian.
func (h Header) Put(b *[HeaderSize]byte) {
	binary.LittleEndian.PutUint32(b[0:], h.Len)
	b[4] = byte(h.Kind)
	b[5] = h.Files
	binary.LittleEndian.PutUint16(b[6:], h.Func)
	binary.LittleEndian.PutUint64(b[8:], h.Call)
	binary.LittleEndian.PutUint64(b[16:], h.Time)
}

// ParseHeader reads a header and checks it against limit, the largest body this
// side accepts.
func ParseHeader(b *[HeaderSize]byte, limit int) (Header, error) {
	h := Header{
		Len:   binary.LittleEndian.Uint32(b[0:]),
		Kind:  Kind(b[4]),
		Files: b[5],
		Func:  binary.LittleEndian.Uint16(b[6:]),
		Call:  binary.LittleEndian.Uint64(b[8:]),
		Time:  binary.LittleEndian.Uint64(b[16:]),
	}
	switch {
	case h.Kind == 0 || h.Kind >= kindEnd:
		return Header{}, fmt.Errorf("frame of unknown %v", h.Kind)
	case int64(h.Len) > int64(min(limit, MaxBody)):
		return Header{}, fmt.Errorf("%v frame of %d bytes: over the limit of %d", h.Kind, h.Len, limit)
	case int(h.Files)*IDSize > int(h.Len):
		return Header{}, fmt.Errorf("%v frame of %d bytes cannot name %d files", h.Kind, h.Len, h.Files)
	}
	return h, nil
}
