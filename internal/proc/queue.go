package proc

import "github.com/xenonmp/xme/internal/link"

// queue is a list of waiting rows in the order of their Seq.
type queue struct {
	head, tail *link.Row
	len        int
}

// put inserts r in order. Rows come either new, behind all others, or back from
// a worker, ahead of nearly all: it looks from both ends.
func (q *queue) put(r *link.Row) {
	q.len++
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
	r.Next, r.Prev = at, at.Prev
	if at.Prev != nil {
		at.Prev.Next = r
	} else {
		q.head = r
	}
	at.Prev = r
}

func (q *queue) remove(r *link.Row) {
	q.len--
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
