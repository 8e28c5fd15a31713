package mpi

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/xenonmp/xme/internal/ring"
)

// The kinds of letter. Comm and Tag are a message's but where something else is said.
const (
	whole    = 1 + iota // a message
	announce            // a message that will come in pieces; its size and number
	grant               // pieces of the message whose number is in Comm may come
	piece               // the next bytes of the message whose number is in Comm
	withdraw            // the message whose number is in Comm will not come, or not to its end
)

const announceSize = 12

// outgo is what waits for room in a ring.
type outgo struct {
	waits  atomic.Bool    // there is something
	queue  []item         // in order
	stream []*op          // messages that go in pieces, one after the other
	parked map[uint32]*op // announced and not cleared, by number

	owed   bool // a message has not been sent to its end
	queued bool // the other rank does not even know of it
}

// item is a letter that waits. It belongs to an operation, which ends with it if it is all of a message, or to none.
type item struct {
	letter ring.Letter
	o      *op
}

// progress takes what has come, puts what there is room for, and looks who has ended; moved: there was something. mu is held, by the
// leader.
func (w *world) progress() (moved bool) {
	w.moving = true
	defer func() { w.moving = false }()
	var l ring.Letter
	for from, r := range w.in {
		if r == nil {
			continue
		}
		for range mostAtOnce {
			ok, err := r.Next(&l)
			if err == nil && ok {
				err = w.arrived(from, &l)
			}
			if err != nil {
				w.fail(fmt.Errorf("from rank %d: %w", from, err))
				return true
			}
			if !ok {
				break
			}
			r.Release()
			moved = true
			if w.pending.Load() > 0 {
				w.pushAll()
			}
		}
	}
	if w.pending.Load() > 0 && w.pushAll() {
		moved = true
	}
	if w.board.changed(w.ended) || w.again.Load() {
		w.lookAround()
		moved = true
	}
	return moved
}

// mostAtOnce is how many letters of one rank are taken before another is looked at.
const mostAtOnce = 64

// arrived does with a letter what it asks for. mu is held.
func (w *world) arrived(from int, l *ring.Letter) error {
	switch l.Kind {
	case whole:
		e := early{from: from, comm: l.Comm, tag: l.Tag, hash: l.Type, size: len(l.Body), body: l.Body}
		if o := w.match(&e); o != nil {
			w.receive(o, &e)
			return nil
		}
		e.body = append([]byte(nil), l.Body...)
		w.keep(&e)
	case announce:
		if len(l.Body) != announceSize {
			return ring.ErrCorrupt
		}
		e := early{from: from, comm: l.Comm, tag: l.Tag, hash: l.Type, inTurn: true, number: binary.LittleEndian.Uint32(l.Body)}
		size := binary.LittleEndian.Uint64(l.Body[4:])
		if size > uint64(w.limits.message) {
			return fmt.Errorf("a message of %d bytes where %d are the most: %w", size, w.limits.message, ring.ErrCorrupt)
		}
		e.size = int(size)
		if w.streams[from][e.number] != nil {
			return fmt.Errorf("a message is announced twice: %w", ring.ErrCorrupt)
		}
		if o := w.match(&e); o != nil {
			w.receive(o, &e)
			return nil
		}
		w.keep(&e)
	case grant:
		parked := w.outgo[from].parked
		o := parked[l.Comm]
		if o == nil {
			return nil // withdrawn meanwhile
		}
		delete(parked, l.Comm)
		w.changing(from, func(out *outgo) { out.stream = append(out.stream, o) })
	case piece:
		o := w.streams[from][l.Comm]
		if o == nil || len(l.Body) == 0 || len(l.Body) > o.size-o.at {
			return fmt.Errorf("a piece that nobody waits for: %w", ring.ErrCorrupt)
		}
		if !o.dropped && o.err == nil {
			o.sink.write(o.at, l.Body)
		}
		if o.at += len(l.Body); o.at == o.size {
			delete(w.streams[from], l.Comm)
			w.received(o)
		}
	case withdraw:
		w.withdrawn(from, l.Comm)
	default:
		return fmt.Errorf("a letter of kind %d: %w", l.Kind, ring.ErrCorrupt)
	}
	return nil
}

// keep sets a message aside, and tells those who probe. mu is held.
func (w *world) keep(e *early) {
	kept := *e
	w.early.add(&kept)
	if w.early.held > w.limits.held {
		w.fail(fmt.Errorf("rank %d has been sent more than %d bytes in %d messages that it has not received: receive them, or have the senders wait (a Barrier, or an answer)",
			w.rank, w.limits.held, w.early.count))
		return
	}
	for i := 0; i < len(w.posted); {
		o := w.posted[i]
		if !o.probe || !o.wants(e) {
			i++
			continue
		}
		o.source, o.got, o.size = e.from, e.tag, e.size
		w.posted = slices.Delete(w.posted, i, i+1)
		w.finish(o, nil)
	}
}

func (o *op) wants(e *early) bool {
	return o.comm == e.comm && (o.tag == AnyTag || int32(o.tag) == e.tag) && (o.peer == AnySource || o.peer == e.from)
}

// match finds the receive that a message is for, and takes it off the list. mu is held.
func (w *world) match(e *early) *op {
	for i, o := range w.posted {
		if !o.probe && o.wants(e) {
			w.posted = without(w.posted, i)
			return o
		}
	}
	return nil
}

// without takes the i-th out of a list. The first is usual, and costs nothing however long the list is.
func without[E any](list []*E, i int) []*E {
	if i == 0 && len(list) > 1 {
		list[0] = nil
		return list[1:]
	}
	return slices.Delete(list, i, i+1)
}

func (w *world) unpost(o *op) {
	for i, p := range w.posted {
		if p == o {
			w.posted = without(w.posted, i)
			return
		}
	}
}

// receive has a message go to the receive that it matches. mu is held.
func (w *world) receive(o *op, e *early) {
	o.matched, o.source, o.got, o.size, o.at = true, e.from, e.tag, e.size, 0
	err := o.sink.begin(e.hash, e.size)
	if e.inTurn {
		// One that cannot be taken is let come all the same, and thrown away.
		o.err, o.number = err, e.number
		w.streams[e.from][e.number] = o
		w.say(e.from, ring.Letter{Kind: grant, Comm: e.number})
		return
	}
	if err == nil {
		o.sink.write(0, e.body)
		err = o.sink.end()
	}
	w.finish(o, err)
}

// received ends a receive whose last piece has come. mu is held.
func (w *world) received(o *op) {
	err := o.err
	if err == nil && !o.dropped {
		err = o.sink.end()
	}
	w.finish(o, err)
}

// withdrawn forgets a message. mu is held.
func (w *world) withdrawn(from int, number uint32) {
	if e := w.early.announced(from, number); e != nil {
		w.early.remove(e)
		return
	}
	if o := w.streams[from][number]; o != nil {
		delete(w.streams[from], number)
		w.finish(o, fmt.Errorf("rank %d gave up sending a message of %d bytes after %d", o.g.rankOf(from), o.size, o.at))
	}
}

// changing changes what waits for room, or to be asked for, for one rank, and keeps count of it. mu is held.
func (w *world) changing(to int, f func(out *outgo)) {
	out := &w.outgo[to]
	waits, owes, queued := out.waits.Load(), out.owed, out.queued
	f(out)
	if is := len(out.queue) > 0 || len(out.stream) > 0; is != waits {
		out.waits.Store(is)
		w.pending.Add(sign(is))
	}
	out.queued = slices.ContainsFunc(out.queue, func(it item) bool { return it.o != nil })
	if out.owed = out.queued || len(out.stream) > 0 || len(out.parked) > 0; out.owed != owes {
		w.board.ranks[w.rank][noteOwes].Add(uint64(sign(out.owed)))
	}
	if out.queued == queued {
		return
	}
	n := &w.board.ranks[w.rank][w.board.queue(to)]
	if out.queued {
		n.Or(1 << (to % 64))
		return
	}
	n.And(^uint64(1 << (to % 64)))
	if w.board.ended(w.rank) != nil {
		// The function has returned, and the other rank may wait to know that nothing more comes.
		w.board.driver[0].Add(1)
		w.mesh.Poke(to)
		w.mesh.Poke(w.size) // where a bridge tells it
	}
}

func sign(more bool) int32 {
	if more {
		return 1
	}
	return -1
}

// say sends a letter of the engine's own. mu is held.
func (w *world) say(to int, l ring.Letter) {
	out := &w.outgo[to]
	if len(out.queue) == 0 && w.out[to].Put(&l) {
		return
	}
	w.changing(to, func(out *outgo) { out.queue = append(out.queue, item{letter: l}) })
}

// pushAll puts what there is room for; moved: something was put. mu is held.
func (w *world) pushAll() (moved bool) {
	for to := range w.outgo {
		if !w.outgo[to].waits.Load() {
			continue
		}
		w.changing(to, func(out *outgo) {
			if w.push(to, out) {
				moved = true
			}
		})
	}
	return moved
}

// push puts letters for one rank: those that wait in order, and one piece.
func (w *world) push(to int, out *outgo) (moved bool) {
	for len(out.queue) > 0 {
		it := &out.queue[0]
		if !w.out[to].Put(&it.letter) {
			return moved
		}
		moved = true
		if it.o != nil {
			w.put(it.o, out)
		}
		*it = item{}
		out.queue = out.queue[1:]
	}
	out.queue = nil
	for len(out.stream) > 0 {
		o := out.stream[0]
		n := min(w.limits.piece, len(o.body)-o.at)
		if o.unit > 1 && o.unit <= n {
			n -= n % o.unit
		}
		if !w.out[to].Put(&ring.Letter{Kind: piece, Comm: o.number, Body: o.body[o.at : o.at+n]}) {
			return moved
		}
		moved = true
		if o.at += n; o.at == len(o.body) {
			out.stream[0] = nil
			out.stream = out.stream[1:]
			w.finish(o, nil)
			continue
		}
		return moved
	}
	out.stream = nil
	return moved
}

// put notes that an operation's letter is on its way.
func (w *world) put(o *op, out *outgo) {
	if o.number == 0 {
		w.finish(o, nil)
		return
	}
	if out.parked == nil {
		out.parked = map[uint32]*op{}
	}
	out.parked[o.number] = o
}
