package manager

import (
	"errors"
	"time"

	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/sys"
)

// What processes say to a manager, and it to them, are records in a duplex (package ring): a kind, the call's number, one more number, a body. What
// does not fit one record comes in several, all but the last with the bit more; those of other calls may come between. Descriptors come by post
// (package post), under the call's number, if the last record has the bit parcel.
//
//	kind      number             body
//	request   the op's           the op's argument, encoded
//	call      the object's       the method's number (2 bytes), the argument
//	batch     the object's       the method's number (2 bytes), then each argument: its length (4 bytes), itself
//	cancel    how                – the call of that number is waited for no more; see cancelUnsent
//	answer    –                  the outcome, encoded; of a batch each: its length, above it the bit failed, itself or its error
//	failed    –                  an answerError, encoded
//	threw     –                  an xme.Error, encoded: the method failed
//	bye       –                  – the manager is closed
//	collect   –                  – what has ended of the calls that were appended is asked for: see hostConn.collect
//	ask       –                  an askRequest, encoded; the answer is an askAnswer
//	append    the object's, 0    a call to be queued: see appendHead. Its answer has calls that have ended: see finishedCalls.take
const (
	kindRequest = 1 + iota
	kindCall
	kindBatch
	kindCancel
	kindAnswer
	kindFailed
	kindThrew
	kindBye
	kindAppend
	kindCollect
	kindAsk

	kindBits   = 0x0f
	moreBit    = 0x40
	parcelBit  = 0x80
	failedBit  = 1 << 31
	methodSize = 2
)

// areaBytes is the size of each of a connection's two rings.
const areaBytes = 64 << 10

// mostMessage bounds one message.
const mostMessage = 1 << 30

// mostBegun bounds the messages of one connection of which parts have come: each side puts one at a time, but may give it up.
const mostBegun = 1 << 10

var errRubbish = errors.New(prefix + "rubbish from the other process")

// spin looks for something for a short while, giving the CPU away between.
func spin(ready func() bool) bool {
	for range firstLooks {
		if ready() {
			return true
		}
	}
	begin := time.Now()
	for {
		sys.Yield()
		for range looks {
			if ready() {
				return true
			}
		}
		if time.Since(begin) > spinTime {
			return false
		}
	}
}

const (
	firstLooks = 600
	looks      = 100
	spinTime   = 20 * time.Microsecond
)

// put writes a message as records; room waits until there may be room.
func put(e *ring.End, r ring.Result, room func() error) error {
	for {
		part := r
		if most := e.Most(); len(r.Body) > most {
			part.Body = r.Body[:most]
			part.Kind = r.Kind&kindBits | moreBit
		}
		for !e.Put(part) {
			if err := room(); err != nil {
				return err
			}
		}
		r.Body = r.Body[len(part.Body):]
		if part.Kind&moreBit == 0 {
			return nil
		}
	}
}

// parts puts messages together that come in several records.
type parts map[uint32][]byte

// add takes a record's body and returns the whole message once it is there.
func (p *parts) add(r ring.Result) (body []byte, whole bool, err error) {
	began, some := (*p)[r.Call]
	switch {
	case r.Kind&moreBit == 0 && !some:
		return r.Body, true, nil
	case len(began)+len(r.Body) > mostMessage:
		return nil, false, errorf("a message of more than %d bytes: %w", mostMessage, errRubbish)
	case !some && len(*p) > mostBegun:
		return nil, false, errorf("more than %d messages begun: %w", mostBegun, errRubbish)
	}
	body = append(began, r.Body...)
	if r.Kind&moreBit == 0 {
		delete(*p, r.Call)
		return body, true, nil
	}
	if *p == nil {
		*p = parts{}
	}
	(*p)[r.Call] = body
	return nil, false, nil
}
