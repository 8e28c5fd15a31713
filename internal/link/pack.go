package link

import "slices"

// Pack is many rows of one function, with arguments of one size, which the driver keeps together: it handles them by the piece,
// and only the worker, which claims and answers each by itself, knows them one by one. A row of a pack becomes a [Row] of its own,
// for good, once something befalls it that befalls no other: an error, a cancel, a death, a call that it makes.
type Pack struct {
	Func  uint16
	Size  int    // of the arguments of one row
	Args  []byte // those of row i are Args[i*Size:][:Size]; they stay until the row has ended
	Owner PackOwner

	Of *Packs
}

// Packs is what packs belong to that end together. The pool's lock guards it.
type Packs struct {
	Cut error // why none of their rows shall begin; nil: they shall
}

// PackOwner is told how rows of a pack ended, and makes rows of their own.
type PackOwner interface {
	// EndAtOnce takes the result of row i, as that of a QuickOwner does. Told follows, with the pool's lock held.
	EndAtOnce(i int, body []byte)

	// Told says that some results have been taken. It must not block or call the pool.
	Told()

	// Cut says that the n rows from first on have ended before they began, and why. It must not block or call the pool.
	Cut(first, n int, why error)

	// Single makes row i one of its own, with a copy of its arguments and an Owner: Body, Func, Owner and Quick are set. It is
	// called once for a row, which EndAtOnce is not called for then, with the pool's lock held: it must not block or call the pool.
	Single(i int) *Row

	// Index returns the place of row i in its table. It must not block.
	Index(i int) int
}

// args returns the arguments of row i.
func (p *Pack) args(i int) []byte { return p.Args[i*p.Size : (i+1)*p.Size : (i+1)*p.Size] }

// A piece is a Row that stands for rows of a pack that lie beside each other, in a queue or on a flight: its Seq and Call are those
// of its first.

// Piece returns the n rows of p from first on.
func (p *Pack) Piece(first, n int) *Row {
	return &Row{Func: p.Func, Pack: p, first: first, many: n, Bulk: true}
}

// Count returns how many rows r stands for.
func (r *Row) Count() int {
	if r.Pack == nil {
		return 1
	}
	return r.many
}

// Args returns the arguments of row i of a piece.
func (r *Row) Args(i int) []byte { return r.Pack.args(r.first + i) }

// EndAtOnce tells the owner of the result of row i of a piece.
func (r *Row) EndAtOnce(i int, body []byte) { r.Pack.Owner.EndAtOnce(r.first+i, body) }

// Cut tells the owner that the rows of a piece have ended before they began.
func (r *Row) Cut(why error) { r.Pack.Owner.Cut(r.first, r.many, why) }

// Index returns the place of row i of a piece in its table.
func (r *Row) Index(i int) int { return r.Pack.Owner.Index(r.first + i) }

// part returns a piece, in no flight, of n of the rows of r, from the one at on.
func (r *Row) part(at, n int) *Row {
	s := r.Pack.Piece(r.first+at, n)
	s.Seq, s.Charge = r.Seq+uint64(at), r.Charge
	return s
}

// Split takes the first n rows off a piece that waits, which has more.
func (r *Row) Split(n int) *Row {
	s := r.part(0, n)
	r.skip(n)
	return s
}

// TakeFirst takes the first row off a piece that waits, and makes it a row of its own.
func (r *Row) TakeFirst() *Row {
	s := r.single(0)
	r.skip(1)
	return s
}

func (r *Row) skip(n int) {
	r.first += n
	r.many -= n
	r.Seq += uint64(n)
}

// single makes row i of a piece a row of its own.
func (r *Row) single(i int) *Row {
	s := r.Pack.Owner.Single(r.first + i)
	s.Seq, s.Charge, s.Bulk = r.Seq+uint64(i), r.Charge, true
	return s
}

// NextCall returns the number that the next row put will have.
func (f *Flight) NextCall() uint64 { return max(f.first, 1) + uint64(len(f.rows)) }

// PutPiece moves a piece from the queue into a lane: its rows have the numbers from NextCall on.
func (f *Flight) PutPiece(r *Row) {
	r.call = f.NextCall()
	f.first = max(f.first, 1)
	r.flight, r.state = f, Sent
	for range r.many {
		f.push(r)
	}
	f.live += r.many
}

// Piece returns the piece that the front belongs to, nil if that is a row of its own.
func (f *Flight) Piece() *Row {
	if len(f.rows) == 0 || f.rows[0].Pack == nil {
		return nil
	}
	return f.rows[0]
}

// AnswerPiece applies the end of the front, which belongs to r, and returns its place there; call is the low half of its number.
// false: it is another's.
func (f *Flight) AnswerPiece(r *Row, call uint32) (i int, ok bool) {
	if uint32(f.first) != call {
		return 0, false
	}
	i = int(f.first - r.call)
	f.rows[0] = nil
	f.live--
	f.trim()
	return i, true
}

// Has reports whether rows of packs of the same are on the flight.
func (f *Flight) Has(of *Packs) bool {
	return slices.ContainsFunc(f.rows, func(r *Row) bool { return r != nil && r.Pack != nil && r.Pack.Of == of })
}

// Singles makes the rows of packs of the same rows of their own.
func (f *Flight) Singles(of *Packs) {
	for i, r := range f.rows {
		if r != nil && r.Pack != nil && r.Pack.Of == of {
			f.single(i)
		}
	}
}

// singles makes all rows of pieces rows of their own.
func (f *Flight) singles() {
	for i := range f.rows {
		f.single(i)
	}
}

// single returns row i, nil if it was taken back. If it belongs to a piece it is made a row of its own.
func (f *Flight) single(i int) *Row {
	r := f.rows[i]
	if r == nil || r.Pack == nil {
		return r
	}
	call := f.first + uint64(i)
	s := r.single(int(call - r.call))
	s.call, s.flight, s.state = call, f, Sent
	f.bytes += len(s.Body)
	f.rows[i] = s
	return s
}
