package manager

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// finishedCalls are calls that a process has appended and that have ended, until they are fetched.
type finishedCalls struct {
	mu     sync.Mutex
	closed bool
	list   fifo[finishedCall]
	asking []uint32 // who fetches, by the numbers of their calls; list is empty
}

type finishedCall struct {
	id uint64
	o  outcomeOf
}

// finished implements sink.
func (c *hostConn) finished(id uint64, o outcomeOf) {
	f := &c.done
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		o.value.release()
		return
	}
	f.list.push(finishedCall{id, o})
	asks := len(f.asking) > 0
	var call uint32
	if asks {
		call, f.asking = f.asking[0], f.asking[1:]
	}
	f.mu.Unlock()
	if asks {
		c.tell(call)
	}
}

func (f *finishedCalls) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.list.each(func(c finishedCall) { c.o.value.release() })
	f.list, f.asking = fifo[finishedCall]{}, nil
}

// Bounds of what rides on an answer.
const (
	rideBytes = 4 << 10
	rideCalls = 64
)

// take appends finished calls to dst that need no parcel: each call's number (8 bytes), the kind of its outcome (1), its length (4), itself.
func (f *finishedCalls) take(dst []byte, bytes, calls int) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := 0; n < calls && f.list.len() > 0; n++ {
		next := f.list.first()
		if next.o.value.names() > 0 && n == 0 && calls == rideCalls { // it does not ride: it is to be fetched
			return append(dst, make([]byte, finishedSize)...)
		}
		if next.o.value.names() > 0 || n > 0 && next.o.value.size() > bytes {
			break
		}
		f.list.pop()
		at := len(dst)
		dst = next.append(dst)
		if bytes -= len(dst) - at; bytes <= 0 {
			break
		}
	}
	return dst
}

const finishedSize = 8 + 1 + 4

// append encodes a finished call that needs no parcel.
func (c finishedCall) append(dst []byte) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, c.id)
	dst = c.o.append(append(dst, 0, 0, 0, 0, 0))
	dst[at+8] = c.o.kind()
	binary.LittleEndian.PutUint32(dst[at+9:], uint32(len(dst)-at-finishedSize))
	return dst
}

// kind is the kind of record that an outcome would be.
func (o *outcomeOf) kind() uint8 {
	switch o.err.(type) { //nolint:errorlint // the error itself
	case nil:
		return kindAnswer
	case *xme.Error:
		return kindThrew
	}
	return kindFailed
}

// append encodes an outcome, but for what a value holds.
func (o *outcomeOf) append(dst []byte) []byte {
	switch e := o.err.(type) { //nolint:errorlint // the error itself
	case nil:
		return append(dst, o.value.bytes...)
	case *xme.Error:
		return append(dst, errorBody(e)...)
	}
	body, err := wire.Append(answerErrors(), dst, answerErrorOf(o.err), nil)
	if err != nil {
		return dst
	}
	return body
}

// What the answer to a collect begins with.
const (
	collectPlain = iota // finished calls: see finishedCalls.take
	collectWith         // one whose value names memory: a collected, encoded
)

// collected is a call that has ended with a value that names memory.
type collected struct {
	ID    uint64
	Value *stored
}

var collectedCodec = func() func() wire.Codec[collected] {
	if !storedCrosses {
		panic("manager: values do not cross yet")
	}
	return lazyCodec[collected]()
}()

// mostCollected bounds the bytes of one answer, beyond one call's.
const mostCollected = 1 << 20

// collect answers who fetches calls that have ended: now, or once one has.
func (c *hostConn) collect(call uint32) {
	f := &c.done
	f.mu.Lock()
	if f.list.len() == 0 || len(f.asking) > 0 {
		if len(f.asking) < mostAsking {
			f.asking = append(f.asking, call)
		}
		f.mu.Unlock()
		return
	}
	f.mu.Unlock()
	c.tell(call)
}

// mostAsking bounds who fetches at a time: one does, of a process that keeps to the rules.
const mostAsking = 16

// tell answers a collect, with nothing if an append's answer has told of it meanwhile.
func (c *hostConn) tell(call uint32) {
	f := &c.done
	f.mu.Lock()
	var with *finishedCall
	if f.list.len() > 0 && f.list.first().o.value.names() > 0 {
		one := f.list.pop()
		with = &one
	}
	f.mu.Unlock()
	if with == nil {
		body := f.take([]byte{collectPlain}, mostCollected, mostCollected)
		c.answerSoon(ring.Result{Kind: kindAnswer, Call: call, Body: body})
		return
	}
	s := *with.o.value
	s.loose = true // appendStored gives it back
	p := wire.NewParcel()
	body, err := wire.Append(collectedCodec(), []byte{collectWith}, &collected{with.id, &s}, p)
	go func() { // who finishes calls is not to wait for who does not read
		defer p.Free()
		if !c.use() {
			return
		}
		defer c.unuse()
		if err == nil {
			err = pack(p)
		}
		if err != nil { // this call's alone: no descriptor is left, say
			body := finishedCall{with.id, outcomeOf{err: errorf("the result of a queued call: %w", err)}}.append([]byte{collectPlain})
			c.answer(kindAnswer, call, body, nil)
			return
		}
		c.answer(kindAnswer, call, body, p)
	}()
}

// putNow answers if there is room, and nobody else is answering; false: it did not. The connection is in use.
func (c *hostConn) putNow(r ring.Result) bool {
	if !c.end.Fits(len(r.Body)) || !c.writing.TryLock() {
		return false
	}
	defer c.writing.Unlock()
	return c.end.Put(r)
}

// answerSoon answers now if there is room, otherwise on another goroutine.
func (c *hostConn) answerSoon(r ring.Result) {
	if !c.use() {
		return
	}
	if c.putNow(r) {
		c.unuse()
		return
	}
	r.Body = slices.Clone(r.Body)
	go func() {
		defer c.unuse()
		c.answer(r.Kind, r.Call, r.Body, nil)
	}()
}
