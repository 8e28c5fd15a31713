package mpi

// early is a message that has come and that nobody has asked for.
type early struct {
	from   int
	comm   uint32
	tag    int32
	hash   uint32
	size   int
	body   []byte // all of it
	inTurn bool   // it comes in pieces
	number uint32

	before, after *early // in the order in which they came
	next          *early // of the same sender, communicator and tag
}

// unasked is what nobody has asked for: one list in the order of arrival, for receives that take from any rank or any tag, and one for
// each sender, communicator and tag, for the others.
type unasked struct {
	first, last *early
	keys        map[earlyKey]*earlyQueue
	count, held int // messages, and bytes
}

type earlyKey struct {
	from      int
	comm, tag uint32
}

type earlyQueue struct{ first, last *early }

// earlyCost is what a message costs beside its bytes.
const earlyCost = 192

func (e *early) key() earlyKey { return earlyKey{e.from, e.comm, uint32(e.tag)} }

func (l *unasked) add(e *early) {
	if e.before = l.last; e.before != nil {
		e.before.after = e
	} else {
		l.first = e
	}
	l.last = e
	q := l.keys[e.key()]
	if q == nil {
		if l.keys == nil {
			l.keys = map[earlyKey]*earlyQueue{}
		}
		q = &earlyQueue{first: e}
		l.keys[e.key()] = q
	} else {
		q.last.next = e
	}
	q.last = e
	l.count++
	l.held += len(e.body) + earlyCost
}

// find returns the first message that a receive wants, nil if there is none.
func (l *unasked) find(o *op) *early {
	if o.peer != AnySource && o.tag != AnyTag {
		if q := l.keys[earlyKey{o.peer, o.comm, uint32(o.tag)}]; q != nil {
			return q.first
		}
		return nil
	}
	for e := l.first; e != nil; e = e.after {
		if o.wants(e) {
			return e
		}
	}
	return nil
}

// announced returns the message in pieces of that number, nil if there is none.
func (l *unasked) announced(from int, number uint32) *early {
	for e := l.first; e != nil; e = e.after {
		if e.from == from && e.inTurn && e.number == number {
			return e
		}
	}
	return nil
}

func (l *unasked) remove(e *early) {
	if e.before != nil {
		e.before.after = e.after
	} else {
		l.first = e.after
	}
	if e.after != nil {
		e.after.before = e.before
	} else {
		l.last = e.before
	}
	q := l.keys[e.key()]
	switch p := q.first; {
	case p != e:
		for p.next != e {
			p = p.next
		}
		if p.next = e.next; q.last == e {
			q.last = p
		}
	case e.next == nil:
		delete(l.keys, e.key())
	default:
		q.first = e.next
	}
	e.before, e.after, e.next = nil, nil, nil
	l.count--
	l.held -= len(e.body) + earlyCost
}
