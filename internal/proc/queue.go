package proc

import (
	"encoding/binary"
	"slices"

	"github.com/xenonmp/xme/internal/link"
)

// queue is a list of waiting rows, and pieces of packs, in the order of their Seq.
type queue struct {
	head, tail *link.Row
	len        int // of rows
}

// put inserts r in order. Rows come either new, behind all others, or back from
// a worker, ahead of nearly all: it looks from both ends.
func (q *queue) put(r *link.Row) {
	q.len += r.Count()
	r.Where = q
	if q.tail == nil || q.tail.Seq < r.Seq {
		r.Prev, r.Next = q.tail, nil
		if q.tail != nil {
			q.tail.Next = r
		} else {
			q.head = r
		}
		q.tail = r
		return
	}
	at := q.head // the first row behind r
	for at.Seq < r.Seq {
		at = at.Next
	}
	q.insert(r, at)
}

// insert puts r before at.
func (q *queue) insert(r, at *link.Row) {
	r.Next, r.Prev = at, at.Prev
	if at.Prev != nil {
		at.Prev.Next = r
	} else {
		q.head = r
	}
	at.Prev = r
}

func (q *queue) remove(r *link.Row) {
	q.len -= r.Count()
	r.Where = nil
	if r.Prev != nil {
		r.Prev.Next = r.Next
	} else {
		q.head = r.Next
	}
	if r.Next != nil {
		r.Next.Prev = r.Prev
	} else {
		q.tail = r.Prev
	}
	r.Next, r.Prev = nil, nil
}

// takeFirst makes the first row of a piece one of its own, before it.
func (q *queue) takeFirst(piece *link.Row) *link.Row {
	r := piece.TakeFirst()
	r.Where = q
	q.insert(r, piece)
	if piece.Count() == 0 {
		q.remove(piece)
	}
	return r
}

// rows returns all rows, in order, each one of its own.
func (q *queue) rows() []*link.Row {
	rows := make([]*link.Row, 0, q.len)
	for r := q.head; r != nil; {
		next := r.Next
		if r.Pack == nil {
			rows = append(rows, r)
		}
		for r.Pack != nil && r.Count() > 0 {
			rows = append(rows, q.takeFirst(r))
		}
		r = next
	}
	return rows
}

// rankSet holds the rows that may run on one of several ranks.
type rankSet struct {
	queue
	key   string
	ranks []int // ascending, each once
}

// setOf returns the rank set of On, making it if needed. p.mu is held.
func (p *Pool) setOf(on []int) *rankSet {
	ranks := slices.Compact(slices.Sorted(slices.Values(on)))
	var key []byte
	for _, r := range ranks {
		key = binary.AppendUvarint(key, uint64(r))
	}
	s := p.sets[string(key)]
	if s == nil {
		s = &rankSet{key: string(key), ranks: ranks}
		p.sets[s.key] = s
		for _, r := range ranks {
			p.seats[r-1].sets = append(p.seats[r-1].sets, s)
		}
	}
	return s
}

// forget drops a rank set that is empty. p.mu is held.
func (p *Pool) forget(s *rankSet) {
	delete(p.sets, s.key)
	for _, r := range s.ranks {
		seat := p.seats[r-1]
		seat.sets = slices.DeleteFunc(seat.sets, func(o *rankSet) bool { return o == s })
	}
}

// enqueue puts a row where its ranks say; a service gets its process. p.mu is held.
func (p *Pool) enqueue(b *batch, r *link.Row) {
	if r.Nest != nil && len(r.On) > 0 {
		p.pinned++
	}
	switch {
	case r.Service:
		p.serve(b, r)
	case len(r.On) == 1:
		p.seats[r.On[0]-1].own.put(r)
	case len(r.On) > 1:
		p.setOf(r.On).put(r)
	case r.Nest != nil:
		for len(p.nested) < r.Nest.Depth {
			p.nested = append(p.nested, &queue{})
		}
		p.nested[r.Nest.Depth-1].put(r)
	default:
		p.any.put(r)
	}
}

// unqueue takes a row out of the queue it waits in. p.mu is held.
func (p *Pool) unqueue(r *link.Row) {
	if r.Nest != nil && len(r.On) > 0 {
		p.pinned--
	}
	switch q := r.Where.(type) {
	case *queue:
		q.remove(r)
		if s := p.setHolding(r, q); s != nil && s.len == 0 {
			p.forget(s)
		}
	case *worker: // an extra that is being started for it
		q.pending = nil
		r.Where = nil
	}
}

// setHolding returns the rank set whose queue q is, nil if it is none.
func (p *Pool) setHolding(r *link.Row, q *queue) *rankSet {
	if len(r.On) < 2 {
		return nil
	}
	for _, s := range p.seats[r.On[0]-1].sets {
		if &s.queue == q {
			return s
		}
	}
	return nil
}

// queues returns every queue there is. p.mu is held.
func (p *Pool) queues() []*queue {
	list := []*queue{&p.any}
	for _, s := range p.sets {
		list = append(list, &s.queue)
	}
	list = append(list, p.nested...)
	for _, s := range p.seats {
		list = append(list, &s.own)
	}
	return list
}
