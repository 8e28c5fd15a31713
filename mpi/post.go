package mpi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/xenonmp/xme/internal/dump"
	"github.com/xenonmp/xme/internal/ring"
)

// operation names what the caller called, for errors.
type operation string

// fail ends all that has not ended, and all that begins from now on. mu is held.
func (w *world) fail(err error) {
	if w.err == nil {
		w.err = err
	}
	w.each(func(o *op) error { return w.err })
}

// each ends the operations for which why returns an error. mu is held.
func (w *world) each(why func(*op) error) {
	ends := func(o *op) bool {
		err := why(o)
		if err != nil {
			w.finish(o, err)
		}
		return err != nil
	}
	w.posted = slices.DeleteFunc(w.posted, ends)
	for _, streams := range w.streams {
		for _, o := range streams {
			if !o.done && !o.dropped && ends(o) {
				o.dropped = true // what comes still is thrown away
			}
		}
	}
	for to := range w.outgo {
		w.changing(to, func(out *outgo) {
			out.queue = slices.DeleteFunc(out.queue, func(it item) bool { return it.o != nil && ends(it.o) })
			withdraws := func(o *op) bool {
				if !ends(o) {
					return false
				}
				out.queue = append(out.queue, item{letter: ring.Letter{Kind: withdraw, Comm: o.number}})
				return true
			}
			out.stream = slices.DeleteFunc(out.stream, withdraws)
			maps.DeleteFunc(out.parked, func(_ uint32, o *op) bool { return withdraws(o) })
		})
	}
}

// lookAround ends what can no longer end by itself, since a rank has ended or a deadlock was found. mu is held, by the leader.
func (w *world) lookAround() {
	w.again.Store(false)
	w.ended = w.board.driver[0].Load()
	if text := w.board.verdict(); text != "" {
		w.fail(&deadlockError{text})
		return
	}
	knows := uint64(0)
	for r := range w.ends {
		w.ends[r] = w.board.look(r, w.rank)
		w.failed = w.failed || w.ends[r].how == endFailed || w.ends[r].how == endDied
		if r != w.rank {
			knows += w.ends[r].weight()
		}
	}
	w.board.ranks[w.rank][noteKnows].Store(knows)
	// What those that have ended sent comes first; what they will not send any more, never.
	var l ring.Letter
	for from, r := range w.in {
		if r == nil || w.ends[from].how == 0 {
			continue
		}
		for {
			ok, err := r.Next(&l)
			if err == nil && ok {
				err = w.arrived(from, &l)
			}
			if err != nil {
				w.fail(fmt.Errorf("from rank %d: %w", from, err))
				return
			}
			if !ok {
				break
			}
			r.Release()
		}
	}
	for from := range w.in {
		if w.ends[from].how == endLeft {
			w.bereave(from)
		}
	}
	w.each(w.hopeless)
	for to := range w.outgo {
		if w.ends[to].how != 0 && w.board.ranks[to][noteOwes].Load() == 0 {
			w.changing(to, func(out *outgo) { // letters of the engine's own, that nobody reads; who has ended since may have operations left
				out.queue = slices.DeleteFunc(out.queue, func(it item) bool { return it.o == nil })
			})
		}
	}
}

// bereave ends what waits for the rest of messages of a rank whose process is gone. mu is held.
func (w *world) bereave(from int) {
	for number, o := range w.streams[from] {
		delete(w.streams[from], number)
		w.finish(o, &RankError{Rank: o.g.rankOf(from), Why: Died, Text: fmt.Sprintf("after %d bytes of %d", o.at, o.size)})
	}
	for e := w.early.first; e != nil; {
		next := e.after
		if e.from == from && e.inTurn {
			w.early.remove(e)
		}
		e = next
	}
}

// hopeless says why an operation can no longer end; nil: it can, as far as is known. That a rank has died or failed comes before that another has returned, which may have followed
// from it. mu is held.
func (w *world) hopeless(o *op) error {
	var returned error
	for r, member := range o.g.ranks {
		seen := w.ends[member]
		if member == w.rank || seen.how == 0 {
			continue
		}
		e := w.board.ended(member)
		e.Rank = r
		if e.Why != Returned {
			return e
		}
		// One that has returned goes on sending what it has begun to send, of which this rank knows, but for what waits for room. What it has sent has been taken before. (A receive from any rank may
		// get something of this one's own; if not it is part of a deadlock.)
		if member == o.peer && !o.matched && (o.sends() || seen.how == endLeft || !seen.queued) {
			returned = e
		}
	}
	return returned
}

// sends reports whether an operation is a send.
func (o *op) sends() bool { return o.sink == nil && !o.probe }

type deadlockError struct{ text string }

func (e *deadlockError) Error() string { return "deadlock: " + e.text }
func (e *deadlockError) Unwrap() error { return ErrDeadlock }

// begin says why an operation cannot begin. mu is held.
func (w *world) begin(o *op) error {
	if w.err != nil {
		return w.err
	}
	if w.allWell() {
		return nil
	}
	if text := w.board.verdict(); text != "" {
		w.err = &deadlockError{text}
		return w.err
	}
	for r, member := range o.g.ranks {
		if e := w.board.ended(member); e != nil && member != w.rank && e.Why != Returned {
			e.Rank = r
			return e
		}
	}
	return nil
}

// allWell reports whether no rank is known to have failed or died. mu is held.
func (w *world) allWell() bool { return !w.failed && !w.board.changed(w.ended) }

// send begins a send; its body must stay as it is until it has ended. mu is held.
func (w *world) send(o *op) error {
	if err := w.begin(o); err != nil {
		return err
	}
	size := len(o.body)
	if size > w.limits.message {
		return fmt.Errorf("a message of %d bytes, where Options.Pool.MaxMessage allows %d", size, w.limits.message)
	}
	if o.peer == w.rank {
		e := early{from: w.rank, comm: o.comm, tag: int32(o.tag), hash: o.hash, size: size, body: o.body}
		if r := w.match(&e); r != nil {
			w.receive(r, &e)
		} else {
			e.body = append([]byte(nil), o.body...)
			w.keep(&e)
		}
		w.finish(o, nil)
		return nil
	}
	if w.ended > 0 || w.board.changed(w.ended) {
		if e := w.board.ended(o.peer); e != nil {
			return w.rankIn(o.g, e)
		}
	}
	out := &w.outgo[o.peer]
	l := ring.Letter{Kind: whole, Type: o.hash, Comm: o.comm, Tag: int32(o.tag), Body: o.body}
	if size > w.limits.eager {
		w.numbers++
		if w.numbers == 0 {
			w.numbers = 1
		}
		o.number = w.numbers
		l.Kind = announce
		l.Body = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(nil, o.number), uint64(size))
	}
	if len(out.queue) == 0 && w.out[o.peer].Put(&l) {
		if o.number != 0 && size <= eagerMost && len(out.parked) < mostBuffered {
			// It is small, but rings of so many ranks are smaller: it waits here, the caller does not.
			twin := *o
			twin.body = append([]byte(nil), o.body...)
			w.finish(o, nil)
			o = &twin
			go w.onward(o)
		}
		w.changing(o.peer, func(out *outgo) { w.put(o, out) })
		return nil
	}
	w.changing(o.peer, func(out *outgo) { out.queue = append(out.queue, item{l, o}) })
	return nil
}

// onward sees to it that an operation goes on that nobody else waits for.
func (w *world) onward(o *op) {
	_ = w.await(context.Background(), o, true) // who asks for the error has it of o
}

// mostBuffered is how many small messages for one rank may wait in the memory of who sends.
const mostBuffered = 128

// rankIn has an error tell the rank in a communicator.
func (w *world) rankIn(g *group, e *RankError) *RankError {
	for r, member := range g.ranks {
		if member == e.Rank {
			e.Rank = r
			break
		}
	}
	return e
}

// recv begins a receive, or a probe. mu is held.
func (w *world) recv(o *op) error {
	if err := w.begin(o); err != nil {
		return err
	}
	if w.take(o) {
		return nil
	}
	w.posted = append(w.posted, o)
	switch {
	case w.board.changed(w.ended): // it may be too late already, but for what is in the rings: who leads looks
		w.again.Store(true)
		w.mesh.Poke(w.rank)
	case w.ended > 0: // all that has ended, and what it sent, is known
		if err := w.hopeless(o); err != nil {
			w.unpost(o)
			return err
		}
	}
	return nil
}

// take has a receive end by what has come already. mu is held.
func (w *world) take(o *op) bool {
	e := w.early.find(o)
	switch {
	case e == nil:
		return false
	case o.probe:
		o.source, o.got, o.size = e.from, e.tag, e.size
		w.finish(o, nil)
	default:
		w.early.remove(e)
		w.receive(o, e)
	}
	return true
}

// leave ends an operation whose caller waits no longer, and returns why. mu is held.
func (w *world) leave(o *op, cause error) error {
	if o.done {
		return o.err
	}
	o.done, o.err = true, cause
	w.told(o)
	if !o.sends() {
		if o.matched {
			o.dropped = true // what comes still is thrown away
		} else {
			w.unpost(o)
		}
		return cause
	}
	w.changing(o.peer, func(out *outgo) {
		for i := range out.queue {
			if out.queue[i].o == o {
				out.queue = append(out.queue[:i], out.queue[i+1:]...)
				return // nobody knows of it
			}
		}
		for i := range out.stream {
			if out.stream[i] == o {
				out.stream = append(out.stream[:i], out.stream[i+1:]...)
				break
			}
		}
		delete(out.parked, o.number)
		out.queue = append(out.queue, item{letter: ring.Letter{Kind: withdraw, Comm: o.number}})
	})
	if w.pushAll() && w.leading {
		w.again.Store(true) // there may be room for more
		w.mesh.Poke(w.rank)
	}
	return cause
}

// tell says what this rank waits for, if that cannot end by itself. It reports whether it has. Only the leader, whose wait has those
// bounds, calls it, without mu.
func (w *world) tell(bounds <-chan struct{}) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pending.Load() > 0 {
		return false // for another rank that does not read, or has read and made room
	}
	if w.asking > 0 {
		return false // it may go on
	}
	var all []string
	add := func(v *waiter) bool {
		if text := w.describe(v.o); !slices.Contains(all, text) {
			all = append(all, text)
		}
		return endless(v.bounds, v.o.g) && !v.o.done
	}
	w.leader.bounds = bounds
	forEver := add(&w.leader)
	for _, v := range w.waiters {
		forEver = add(v) && forEver
	}
	if !forEver || !onlyWaits() {
		return false
	}
	n := w.board.ranks[w.rank]
	putText(n[noteWaits:], waitWords, strings.Join(all, ", "))
	for r, in := range w.in {
		if in != nil {
			n[notePos+r].Store(in.Pos())
		}
	}
	n[noteStuck].Store(1)
	w.mesh.Poke(w.size)
	return true
}

// onlyWaits reports whether no goroutine of the rank's function does anything but wait here.
func onlyWaits() bool {
	for size := 64 << 10; size <= 4<<20; size *= 4 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size {
			return dump.Waits(string(buf[:n]), "github.com/xenonmp/xme/mpi.(*world).wait", "github.com/xenonmp/xme.Init")
		}
	}
	return false
}

// untell takes it back.
func (w *world) untell() {
	n := w.board.ranks[w.rank]
	n[noteStuck].Store(0)
	n[noteEpoch].Add(1)
}

// describe says what an operation waits for.
func (w *world) describe(o *op) string {
	s := string(o.what)
	peer := "any rank"
	if o.peer >= 0 {
		peer = fmt.Sprintf("rank %d", o.peer)
	}
	if !o.sends() {
		s += " from " + peer
	} else {
		s += " to " + peer
	}
	if o.comm&1 == 0 && o.tag != AnyTag {
		s += fmt.Sprintf(", tag %d", o.tag)
	}
	if o.g.id != 0 {
		s += fmt.Sprintf(", communicator %d", o.g.id)
	}
	return s
}

var errNoRank = errors.New("mpi: not in a rank that Spawn started: call From in the function that Spawn runs, with the context that it is given")
